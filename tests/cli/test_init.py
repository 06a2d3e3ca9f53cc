"""`earmark init --compressors`: a spec with compressors of waves to choose from, which parses and runs."""

import json
import re
import tomllib
from pathlib import Path

import pytest
from checked_spec import read
from click.testing import CliRunner, Result
from commands import command

from earmark.cli.main import earmark
from earmark.cli.progress import ProgressLine
from earmark.engine.compressors.chunks.learned import CONDITIONED
from earmark.engine.design.compressors import WAVE_NAMES
from earmark.engine.errors import InputError
from earmark.engine.making.training.jobs import jobs
from earmark.engine.sweep import drafted_compressors, walk_order

CHUNK_METHODS = ["uniform", "random", "energy"]


def init(out: Path, *options: str) -> Result:
    return CliRunner().invoke(
        earmark, ["init", "synthetic:certification:4", "--no-measure", "--out", str(out), *options]
    )


def test_all_of_them_are_drafted_with_budgets_and_candidates(tmp_path: Path) -> None:
    done = init(tmp_path / "spec.toml", "--compressors", "all")
    assert done.exit_code == 0, done.output
    spec = read(tmp_path / "spec.toml")
    waves = [method for method in spec.methods if method.name not in CHUNK_METHODS]
    assert [method.name for method in spec.methods[:3]] == CHUNK_METHODS
    assert {method.compressor for method in waves} == {*WAVE_NAMES, "av:libopus", "av:libopencore_amrnb"}
    assert spec.rule.candidates == tuple(method.name for method in waves)
    assert all(len(method.budgets) > 1 or method.name == "gsm" for method in waves)
    text = (tmp_path / "spec.toml").read_text()
    assert "[rule]                  # choose from 9 candidates: each has alpha / 9\n" in text
    assert "bitrates = [32, 16, 12, 8] # kb/s, instead of budgets: shares of 256\n" in text
    assert text.count("shares of 256") == 1, "a key is explained once"
    assert "too few recordings:          count (4 of 116)" in text, "nine candidates need larger families"


def test_all_are_those_that_can_run_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafted_compressors, "find_spec", lambda _: None)
    assert init(tmp_path / "spec.toml", "--compressors", "all").exit_code == 0
    assert not [method.name for method in read(tmp_path / "spec.toml").methods if method.compressor.startswith("av:")]
    lacking = init(tmp_path / "other.toml", "--compressors", "opus,av:libopus")
    assert str(lacking.exception) == (
        "--compressors av:libopus: needs av, which is not installed; pip install 'earmark[codecs]'"
    )


@pytest.mark.parametrize("options", [(), ("--compressors", "none")])
def test_without_them_a_codec_and_your_own_are_examples(options: tuple[str, ...], tmp_path: Path) -> None:
    assert init(tmp_path / "spec.toml", *options).exit_code == 0
    spec = read(tmp_path / "spec.toml")
    assert [method.name for method in spec.methods] == CHUNK_METHODS
    assert spec.rule.candidates == ("energy",)
    examples = re.findall(r"^# \[\[methods\]\].*\n(?:# .*\n)+", (tmp_path / "spec.toml").read_text(), re.M)
    uncommented = tomllib.loads("".join(re.sub("^# ", "", example, flags=re.M) for example in examples))
    assert [method["name"] for method in uncommented["methods"]] == ["opus", "mine", "learned_conditioned"]
    assert uncommented["methods"][0]["bitrates"] == [32, 16, 12, 8]
    assert "# bitrates = [32, 16, 12, 8] # kb/s, instead of budgets" in examples[0]


@pytest.mark.parametrize("names", ["other", "", "opus,", "chunks", "av:", "mine:f"])
def test_what_is_none_of_them_is_refused(names: str, tmp_path: Path) -> None:
    done = init(tmp_path / "spec.toml", "--compressors", names)
    assert isinstance(done.exception, InputError)
    expected = (
        f"--compressors '{names.rpartition(',')[2]}': is no compressor that can be drafted; choose from all, none,"
    )
    assert expected in str(done.exception)
    assert not (tmp_path / "spec.toml").exists()


def test_what_was_drafted_runs(tmp_path: Path) -> None:
    spec, out = tmp_path / "spec.toml", tmp_path / "run"
    assert init(spec, "--compressors", "opus, speed,av:g723_1").exit_code == 0
    spec.write_text(spec.read_text().replace("bitrates = [64, 32, 16, 8]", "bitrates = [6.3]"))
    done = CliRunner().invoke(earmark, ["run", str(spec), "--out", str(out), "--json"])
    assert done.exit_code == 3, done.output
    certificate = json.loads(done.output)
    assert [candidate["name"] for candidate in certificate["claim"]["candidates"]] == ["opus", "speed", "av-g723_1"]
    assert CliRunner().invoke(earmark, ["verify", str(out / "certificate.json")]).exit_code == 0


def last_lines(*options: str, clips: int, out: Path) -> list[str]:
    """What `earmark init` says after it has written the spec."""
    done = command("init", f"synthetic:certification:{clips}", "--no-measure", "--out", out, "--force", *options)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    return lines[lines.index(f"wrote {out}") + 1 :]


def test_where_nothing_can_be_approved_it_says_what_would_help(tmp_path: Path) -> None:
    lines = last_lines(clips=60, out=tmp_path / "s.toml")
    assert lines[0].startswith("nothing can be approved yet: too small to be tested: 'count', 'event', 'order' and 3")
    assert lines[0].endswith("('count' has 60 of the 73 recordings it needs)")
    assert lines[1:] == [
        "next, any of:",
        "  questions about 13 more recordings for each",
        "  a tolerance of 0.06, if so much harm is tolerable: --tolerance 0.06",
    ]
    assert last_lines("--tolerance", "0.06", clips=60, out=tmp_path / "s.toml") == [
        f"next: earmark run {tmp_path / 's.toml'} --limit 15"
    ]
    assert last_lines(clips=73, out=tmp_path / "s.toml")[0].startswith("next: earmark run ")


def test_a_first_look_is_at_a_quarter_of_the_recordings_at_most_64_and_of_few_there_is_none(tmp_path: Path) -> None:
    out = tmp_path / "s.toml"
    for clips, look in ((7, ""), (8, " --limit 2"), (300, " --limit 64")):
        assert last_lines("--tolerance", "0.5", clips=clips, out=out) == [f"next: earmark run {out}{look}"]


def test_it_says_in_a_line_what_stopping_when_it_is_decided_would_save(tmp_path: Path) -> None:
    out = tmp_path / "s.toml"
    done = command("init", "synthetic:certification:300", "--no-measure", "--out", out, "--tolerance", "0.1")
    line = done.out.splitlines()[done.out.splitlines().index(f"wrote {out}") - 1]
    assert re.fullmatch(r'until = "decided" in \[sweep\] would ask about \d+% of them, if all is safe', line)
    assert read(out).until == "complete"
    assert 'until = "complete"\n' in out.read_text(), "it stands there to be changed"


def test_of_more_questions_than_a_walk_can_hold_it_says_nothing_of_stopping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk_order, "MOST_EXAMPLES", 6 * 20 - 1)
    out = tmp_path / "s.toml"
    done = CliRunner().invoke(earmark, ["init", "synthetic:certification:20", "--no-measure", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "decided" not in done.output


def test_fewer_candidates_help_where_they_share_alpha(tmp_path: Path) -> None:
    lines = last_lines("--compressors", "opus,speed", clips=80, out=tmp_path / "s.toml")
    assert "  one candidate instead of 2: they share alpha (candidates in [rule])" in lines


def test_one_small_family_among_large_ones_may_be_merged_or_its_partition_left_out(tmp_path: Path) -> None:
    """A family that cannot be tested refuses every budget, however many others can be."""
    rows = [
        {
            "sample_id": f"q{i}", "audio": f"{i}.wav", "question": "What?", "choices": ["a", "b"], "answer": "a",
            "family": "rare" if i < 5 else "speech", "category": "counting of speech",
        }
        for i in range(90)
    ]  # fmt: skip
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = command("init", tmp_path / "corpus.jsonl", "--no-measure", "--out", tmp_path / "s.toml")
    assert done.code == 0, done.err
    assert "nothing can be approved yet: too small to be tested: 'rare' ('rare' has 5 of the 73 recordings" in done.out
    assert "  coarser families: merge them with [rule.parents]" in done.out
    assert "next: earmark run" not in done.out


def test_a_corpus_without_families_is_told_to_declare_some(tmp_path: Path) -> None:
    row = {"audio": "1.wav", "question": "What?", "choices": ["a", "b"], "answer": "a"}
    rows = [{"sample_id": f"q{i}", **row} for i in range(3)]
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = command("init", tmp_path / "corpus.jsonl", "--no-measure", "--out", tmp_path / "s.toml")
    assert "nothing can be approved yet: the corpus brings no families\n" in done.out
    assert "  declare families in [partitions]" in done.out


def test_an_answerer_that_is_none_writes_no_spec(tmp_path: Path) -> None:
    out = tmp_path / "s.toml"
    done = command("init", "synthetic:certification:4", "--answerer", "WRONG", "--out", out)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: answerer WRONG: is no folder here, no embedded answerer and no name on the hub")
    assert not out.exists()


def test_an_answerer_of_the_hub_is_tried_before_the_run(tmp_path: Path) -> None:
    lines = last_lines("--answerer", "lab/model", clips=73, out=tmp_path / "s.toml")
    assert lines == ["next: earmark answerer lab/model", f"next: earmark run {tmp_path / 's.toml'} --limit 18"]


def test_what_is_drafted_as_an_example_lies_where_training_writes_it(tmp_path: Path) -> None:
    assert init(tmp_path / "spec.toml").exit_code == 0
    drafted = re.search(r'^# selector = "(.*)"', (tmp_path / "spec.toml").read_text(), re.M)
    assert drafted is not None
    (job, *_) = jobs(Path("selectors"), [CONDITIONED], [0.0], [42])
    assert drafted[1].format(seed=42) == str(job.folder)


def test_while_it_looks_it_says_at_what(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    monkeypatch.setattr(ProgressLine, "__call__", lambda _, step, *__: steps.append(step))
    assert init(tmp_path / "spec.toml", "--measure").exit_code == 0
    expected = ["reading synthetic:certification:4", "loading tiny", "asking tiny about synthetic clips"]
    assert list(dict.fromkeys(steps)) == [
        *expected,
        "answering a few recordings, step",
        "simulating walks",
    ]
