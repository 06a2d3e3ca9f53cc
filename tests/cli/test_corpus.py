"""`earmark corpus` from outside: what it says, what it writes, how it refuses."""

import json
import subprocess
from pathlib import Path

import layouts
import pytest
from command_line import earmark_text

from earmark.cli.corpus_table import _bars
from earmark.engine.outcomes import store
from earmark.engine.outcomes.recipes import read_recipes

MANY = [
    {
        "sample_id": f"s{i:03d}",
        "audio": f"sounds/{i % 2}.wav" if i < 10 else f"sounds/{i}.wav",
        "question": f"Which of {i}?",
        "choices": ["red", "green"],
        "answer": "red" if i else "blue",
        "topic": "light" if i < 90 else "dark",
    }
    for i in range(101)
]


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return earmark_text("corpus", *arguments, env=environment or None)


@pytest.mark.parametrize("width", [20, 40, 60, 80])
def test_families_that_differ_are_shown_different(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    names = [f"which_of_two_instruments_is_{word}_at_the_end_of_it" for word in ("louder", "higher", "longer")]
    lines = _bars((name, 100, "too small") for name in names)
    assert len({line.split()[0] for line in lines}) == len(names)
    assert width < 60 or all(len(line) <= width for line in lines)
    assert _bars([]) == []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """100 questions about 92 recordings; one recording is missing, one is a pointer, one row cannot be used."""
    layouts.manifest(tmp_path / "colours", rows=MANY)
    for i in range(10, 101):
        layouts.write(tmp_path / "colours" / "sounds" / f"{i}.wav", layouts.encoded(300, seconds=1 + i / 10))
    (tmp_path / "colours" / "sounds" / "20.wav").unlink()
    layouts.write(tmp_path / "colours" / "sounds" / "30.wav", layouts.LFS)
    return tmp_path / "colours"


def test_the_table_says_what_is_there(folder: Path) -> None:
    done = run(folder, "--by", "topic")
    assert (done.returncode, done.stderr) == (0, "")
    for line in (
        "colours (manifest): 100 questions about 93 recordings (2 of them with several, up to 5)",
        "  options: 2 in 100 questions",
        "  left out: 1 row",
        "         1  answer '…' is none of the options (manifest.jsonl:1)",
        "  cannot be heard: 2 clips",
        "         1  there is no such file (sounds/20.wav)",
        "topic: 2 families, 1 too small (fewer than 73 recordings)",
    ):
        assert line in done.stdout.splitlines(), line
    assert "93 clips, 9.8 min together: 0.5 s to 11.0 s, median 6.5 s" in done.stdout
    assert "    5 to  10 s      50  ########################################" in done.stdout
    assert "  dark       11  #####  too small" in done.stdout
    assert "  light      89  ########################################  in 82 recordings" in done.stdout


def test_json_holds_everything(folder: Path, tmp_path: Path) -> None:
    done = run(folder, "--by", "topic", "--json", "--out", tmp_path / "run", "--name", "c", "--workers", "0")
    said = json.loads(done.stdout)
    assert (said["kind"], said["name"], said["examples"], said["recordings"]) == ("manifest", "c", 100, 93)
    assert said["left_out"]["all"] == [{"where": "manifest.jsonl:1", "reason": "answer 'blue' is none of the options"}]
    assert said["audio"]["clips"] == 93
    assert said["audio"]["not_heard"]["clips"] == 2
    assert sum(bin_["clips"] for bin_ in said["audio"]["histogram"]) == 91
    (partition,) = said["partitions"]
    assert partition["families"] == [
        {"family": "light", "n": 89, "recordings": 82, "fewest": 73, "testable": True},
        {"family": "dark", "n": 11, "recordings": 11, "fewest": 73, "testable": False},
    ]
    assert said["written"] == str(tmp_path / "run" / "partitions.parquet")
    assert read_recipes(tmp_path / "run")["c"]._asdict() == said["recipe"]


def test_families_that_repeat_recordings_need_as_many_as_certify_does(tmp_path: Path) -> None:
    """Two questions about each recording: bets take 77 recordings where the exact test takes 73."""
    rows = [
        {"sample_id": f"{i}-{q}", "audio": f"{i}.wav", "question": f"{q}?", "choices": ["a", "b"], "answer": "a"}
        | {"topic": "seventy-six" if i < 76 else "seventy-seven"}
        for i in range(153)
        for q in range(2)
    ]
    folder = layouts.manifest(tmp_path / "c", rows=rows)
    done = run(folder, "--by", "topic", "--audio", "none")
    assert "topic: 2 families, 1 too small (fewer than 77 recordings)" in done.stdout.splitlines()
    assert f"  seventy-six       152  {26 * '#'}  too small, in 76 recordings" in done.stdout.splitlines()
    assert all(len(line) <= 80 for line in done.stdout.splitlines()[3:])
    families = json.loads(run(folder, "--by", "topic", "--audio", "none", "--json").stdout)["partitions"][0]["families"]
    assert [(f["family"], f["fewest"], f["testable"]) for f in families] == [
        ("seventy-seven", 77, True),
        ("seventy-six", 77, False),
    ]


def test_a_sweep_that_was_begun_keeps_its_partitions(tmp_path: Path) -> None:
    run("synthetic:certification:3", "--audio", "none", "--by", "native", "--out", tmp_path)
    (tmp_path / "plan.json").write_text("{}")
    done = run("synthetic:certification:3", "--audio", "none", "--by", "need", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    table = store.read_partitions(tmp_path)[0]  # type: ignore[index]
    assert store.partition_names(table) == ["native", "need"]


def test_headers_decoding_or_neither(folder: Path) -> None:
    flac = layouts.encoded(300, "FLAC", seconds=2)
    layouts.write(folder / "sounds" / "40.wav", flac[: len(flac) // 2])
    headers, decoded, neither = (
        json.loads(run(folder, "--json", "--audio", how).stdout)["audio"] for how in ("headers", "decode", "none")
    )
    assert headers["not_heard"]["clips"] == 2
    assert decoded["not_heard"]["clips"] == 3  # only decoding tells that a FLAC file is cut off
    assert decoded["total_s"] == pytest.approx(headers["total_s"] - 2)
    assert neither is None


def test_list_names_every_row_and_clip(folder: Path) -> None:
    lines = run(folder, "--list").stdout.splitlines()
    assert "    manifest.jsonl:1: answer 'blue' is none of the options" in lines
    assert "    sounds/20.wav: there is no such file" in lines


def test_a_corpus_without_families_says_what_to_do(tmp_path: Path) -> None:
    done = run(layouts.dcase2026(tmp_path / "c"))
    assert "no families of its own: name a label with --by, bring a --side file" in done.stdout
    side = tmp_path / "content_taxonomy.csv"
    side.write_text("id,cluster\n" + "".join(f"dev_{i:04d},{'ab'[i % 2]}\n" for i in range(3)))
    assert "cluster: 2 families, 2 too small" in run(tmp_path / "c", "--side", side).stdout


def test_semantic_from_the_command_line(tmp_path: Path) -> None:
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = layouts.manifest(tmp_path / "c")
    encoder = tmp_path / "encoder"
    torch.manual_seed(0)
    config = BertConfig(vocab_size=40, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    BertModel(config).save_pretrained(encoder)
    vocabulary = layouts.write(
        tmp_path / "vocab.txt", "\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"q0123:?", "query"]).encode()
    )
    BertTokenizerFast(str(vocabulary)).save_pretrained(encoder)
    done = run(folder, "--semantic", 2, "--encoder", encoder, "--min-family", 1, "--json", "--out", tmp_path / "run")
    assert (done.returncode, done.stderr) == (0, "")
    said = json.loads(done.stdout)
    semantic = said["partitions"][-1]
    assert semantic["recipe"]["k"] == 2
    assert {family["family"] for family in semantic["families"]} == set(said["middle_questions"])
    assert "semantic" in read_recipes(tmp_path / "run")["c"].partitions


def test_the_synthetic_corpus_needs_no_folder() -> None:
    done = run("synthetic:certification:3", "--audio", "none")
    assert done.stdout.startswith("synthetic: 18 questions about 3 recordings (3 of them with several, up to 6)")
    assert "native: 6 families" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["/nowhere"], "error: /nowhere: there is no such folder; name the folder that a benchmark was downloaded to"),
        (["EMPTY"], "is none of mmsu, mmar"),
        (["FOLDER", "--kind", "mmlu"], "error: kind mmlu: there is no such kind; did you mean mmsu?"),
        (["FOLDER", "--by", "colour"], "error: partition colour: there is no such label; choose from keyword"),
        (["FOLDER", "--side", "/nowhere.csv"], "error: /nowhere.csv: is no CSV"),
        (["FOLDER", "--encoder", "x"], "error: --encoder needs --semantic K; see"),
        (["FOLDER", "--semantic", "1"], "--semantic': '1' must be a whole number of clusters from 2 to 10000; see"),
        (["FOLDER", "--semantic", "101"], "error: 101 clusters: the corpus has 100 distinct questions; declare 2 or"),
        (["FOLDER", "--semantic", "4", "--encoder", "/no/model"], "`hf download intfloat/e5-large-v2`"),
        (["FOLDER", "--tolerance", "7"], "tolerance"),
        (["FOLDER", "--workers", "-1"], "is at least 0"),
        (["FOLDER", "--out", "/proc/no"], "error: /proc/no: cannot be a folder"),
        (["FOLDER", "--audio", "loud"], "'loud' is not one of 'headers', 'decode', 'none'; see"),
        (["synthetic:all:3"], "error: synthetic:all:3: is no synthetic corpus; name it synthetic:SPLIT:CLIPS"),
        ([], "error: Missing argument 'PATH'; see `earmark corpus --help`"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments: list[str], expected: str, folder: Path) -> None:
    by = ["--by", "topic"] if "--out" in arguments else []
    (empty := folder.parent / "empty").mkdir()
    places = {"FOLDER": folder, "EMPTY": empty}
    done = run(*(places.get(argument, argument) for argument in arguments), *by)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1), done.stderr
    assert expected in done.stderr


def test_a_manifest_that_leads_outside_is_refused_unless_allowed(tmp_path: Path) -> None:
    folder = layouts.manifest(tmp_path / "c", rows=[MANY[1] | {"audio": "../secret.wav"}])
    layouts.write(tmp_path / "secret.wav", layouts.encoded(400))
    done = run(folder)
    assert done.returncode == 2
    assert "manifest.jsonl:1: its audio '../secret.wav' leads outside the folder; move it" in done.stderr
    assert run(folder, "--allow-outside").returncode == 0
