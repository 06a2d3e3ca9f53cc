"""`earmark init`, `run`, `status` and `merge` from outside, with the embedded answerers and untrained selectors."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import layouts
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from earmark.cli.main import earmark
from earmark.engine.answerers.tiny import TINY_A
from earmark.engine.compressors.loading import load_chunks
from earmark.engine.design.spec import parse, read
from earmark.engine.errors import InputError
from earmark.engine.making.export import export
from earmark.engine.outcomes import store
from earmark.engine.sweep import selector_cards

SPEC = """\
[corpus]
path = "synthetic:certification:{clips}"
[[answerers]]
model = "tiny"
[[answerers]]
model = "tiny-b"
[sweep]
budgets = [0.3]
window = 2
[[methods]]
name = "energy"
[[methods]]
name = "learned_agnostic"
selector = "{folder}/agnostic-{{seed}}"
seeds = [42, 123, 456]
in_domain = true
[[methods]]
name = "learned_conditioned"
selector = "{folder}/conditioned-{{seed}}"
seeds = [42, 123, 456]
in_domain = true
[streams]
permuted_global = 1
naive_global = 1
[rule]
tolerances = [0.3]
replicates = 200
[audits]
flip_rate = 0
grid = 2
"""
SMALL = """\
[corpus]
path = "synthetic:certification:{clips}"
[[answerers]]
model = "tiny"
[sweep]
budgets = [0.5]
window = 1
[[methods]]
name = "energy"
[rule]
replicates = 200
[audits]
flip_rate = 0
"""


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(earmark, list(map(str, arguments)))


@pytest.fixture(scope="module")
def selectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Selectors with random weights, agnostic and conditioned, in three seeds."""
    import torch
    from tokenizers import Tokenizer

    from earmark.engine.compressors.card import SCHEMA
    from earmark.engine.compressors.chunks.features import FEATURES
    from earmark.engine.compressors.chunks.learned import ChunkScorer, LearnedSelector

    folder = tmp_path_factory.mktemp("selectors")
    tokenizer = Tokenizer.from_file(str(TINY_A / "tokenizer.json"))
    for seed in (42, 123, 456):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            for name, vocabulary in (("agnostic", None), ("conditioned", tokenizer.get_vocab_size())):
                card = {"schema": SCHEMA, "features": FEATURES, "conditioned": vocabulary is not None, "seed": seed}
                card["trained_on"] = [{"corpus": "elsewhere", "sources": [], "recordings": []}]
                made = LearnedSelector(ChunkScorer(vocabulary), card, tokenizer if vocabulary else None)
                made.save(folder / f"{name}-{seed}")
    return folder


def test_two_answerers_three_seeds_and_all_streams_end_to_end(selectors: Path, tmp_path: Path) -> None:
    (tmp_path / "spec.toml").write_text(SPEC.format(clips=2, folder=selectors))
    done = invoke("run", tmp_path / "spec.toml", "--out", tmp_path / "run")
    assert done.exit_code == 3, done.output
    assert "tiny-b on synthetic: 12 questions from 2 recordings" in done.output
    assert f"next: earmark verify {tmp_path / 'run' / 'certificate.json'}" in done.output
    cells = store.find_cells(tmp_path / "run")
    assert len(cells) == 2 * (1 + 1 + 7 + 1 + 3 + 3 + 3)
    assert {(key.method, key.seed, key.stream) for key in cells if key.seed == 123} == {
        ("learned_agnostic", 123, "anchor"),
        ("learned_agnostic", 123, "naive-global-1"),
        ("learned_conditioned", 123, "anchor"),
        ("learned_conditioned", 123, "naive-global-1"),
        ("learned_conditioned", 123, "permuted-global-1"),
    }
    card = json.loads((tmp_path / "run/selectors/learned_conditioned/seed=456.json").read_text())
    assert (card["in_domain"], card["seed"]) == (True, 456)
    made = json.loads((tmp_path / "run/certificate.json").read_text())
    assert {entry["answerer"] for entry in made["audits"]["query_use"]} == {"tiny", "tiny-b"}
    assert {entry["protocol"] for entry in made["audits"]["contamination"]} == {"naive - decoupled"}
    assert len(list((tmp_path / "run/audits/grid").rglob("seed=*.parquet"))) == 3
    assert "complete" in invoke("status", tmp_path / "run").output
    assert invoke("verify", tmp_path / "run/certificate.json").exit_code == 0


def test_a_preview_shards_and_their_merge(tmp_path: Path) -> None:
    spec = tmp_path / "small.toml"
    spec.write_text(SMALL.format(clips=2))
    one, two, both = (tmp_path / name for name in ("one", "two", "both"))
    looked = invoke("run", spec, "--out", one, "--limit", 1)
    assert looked.exit_code == 3
    assert f"report       {one}/preview/report.html\nnext: earmark run {spec} --out {one}\n" in looked.output
    made = json.loads((one / "preview/certificate.json").read_text())
    assert made["preview"] == {"examples": 6, "of": 12}
    assert "preview" in made["warnings"][0]
    for number, shard in enumerate((one, two), 1):
        done = invoke("run", spec, "--out", shard, "--shard", f"{number}/2")
        assert (done.exit_code, "next: earmark merge" in done.output) == (0, True)
    said = json.loads(invoke("status", two, "--json").output)
    assert (said["complete"], said["answers"], said["of"]) == (False, 18, 36)
    assert "6 of 12 answers" in invoke("status", two).output
    merged = invoke("merge", both, one, two)
    assert f"{both}: 36 of 36 answers" in merged.output
    assert merged.output.endswith(f"next: earmark certify {both}\n")
    assert invoke("run", spec, "--out", both).exit_code == 3  # nothing is left to do but the certificate


def test_partitions_that_earmark_corpus_made_are_kept(tmp_path: Path) -> None:
    spec, out = tmp_path / "small.toml", tmp_path / "run"
    spec.write_text(SMALL.format(clips=2))
    assert invoke("corpus", "synthetic:certification:2", "--by", "need", "--audio", "none", "--out", out).exit_code == 0
    for _ in range(2):
        assert invoke("run", spec, "--out", out).exit_code == 3
    made = json.loads((out / "certificate.json").read_text())
    assert {result["partition"] for result in made["results"]} == {"native", "need"}
    assert json.loads((out / "plan.json").read_text())["rule"]["partitions"] == ["native", "need"]


def test_failed_rows_are_allowed_for_by_an_option(tmp_path: Path) -> None:
    rows = [row | {"topic": ("light", "dark")[i % 2]} for i, row in enumerate(layouts.MANIFEST_ROWS)]
    folder = layouts.manifest(tmp_path / "data", rows=rows)
    (folder / "sounds/1.wav").write_bytes(b"no sound")
    spec, out = tmp_path / "small.toml", tmp_path / "run"
    content = SMALL.format(clips=2).replace("synthetic:certification:2", str(folder))
    spec.write_text(content + '[partitions]\nnames = ["topic"]\n')
    refused = invoke("run", spec, "--out", out)
    assert refused.exit_code != 0
    assert "--max-error-rate" in str(refused.exception)
    allowed = invoke("run", spec, "--out", out, "--max-error-rate", 0.6)
    assert allowed.exit_code == 3, allowed.output
    assert json.loads((out / "certificate.json").read_text())["rule"]["max_error_rate"] == 0.6
    assert (
        json.loads((out / "plan.json").read_text())["rule"]["max_error_rate"] == 0.6
    )  # declared before the first answer
    refused = invoke("run", spec, "--out", out, "--max-error-rate", 1.6)
    assert "max-error-rate 1.6: must be a number in [0, 1)" in str(refused.exception)
    stopped = invoke("run", spec, "--out", tmp_path / "other", "--limit", 1, "--max-error-rate", 0.6)
    assert stopped.output.endswith(f"next: earmark run {spec} --out {tmp_path / 'other'} --max-error-rate 0.6\n")


def test_labels_that_corpus_wrote_stay_as_they_are_at_every_run(tmp_path: Path) -> None:
    rows = [row | {"room": ("hall", "cell")[i % 2]} for i, row in enumerate(layouts.MANIFEST_ROWS)]
    folder, out = layouts.manifest(tmp_path / "data", rows=rows), tmp_path / "run"
    spec = tmp_path / "small.toml"
    spec.write_text(SMALL.format(clips=2).replace("synthetic:certification:2", str(folder)))
    assert invoke("corpus", folder, "--by", "room", "--out", out).exit_code == 0
    labels = pq.read_table(out / "partitions.parquet")["room"].to_pylist()
    assert set(labels) == {"hall", "cell"}
    for _ in range(2):
        done = invoke("run", spec, "--out", out)
        assert done.exit_code == 3, done.output
        assert pq.read_table(out / "partitions.parquet")["room"].to_pylist() == labels


def has_window(out: Path) -> bool:
    """Whether a window is written; folders may vanish meanwhile, which `os.walk` passes over."""
    return any(re.match(r"window-.*\.parquet$", name) for _, _, names in os.walk(out) for name in names)


def test_an_interrupt_leaves_with_130_and_says_how_to_go_on(tmp_path: Path) -> None:
    spec, out = tmp_path / "small.toml", tmp_path / "run"
    spec.write_text(SMALL.format(clips=5000))
    command = [sys.executable, "-m", "earmark.cli.main", "run", str(spec), "--out", str(out)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/") as running:
        while not has_window(out) and running.poll() is None:
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        printed, errors = running.communicate()
    assert (running.returncode, printed) == (130, "")
    *lines, stopped = errors.splitlines()
    progress = ("preparing", "loading", "tiny, ", "writing")  # where the machine is slow
    (acknowledged,) = (line for line in lines if not line.startswith(progress))
    assert acknowledged.startswith(
        "stopping after what is under way, a batch or the loading of a model: every window that"
    )
    assert stopped == f"stopped: what is done is in {out}; resume with: earmark run {spec} --out {out}"
    state = invoke("status", out).output
    assert f"next: earmark run {out / 'spec.toml'} --out {out}" in state
    assert not state.startswith(f"{out}: 0 of")


def test_a_second_interrupt_stops_at_once_and_loses_no_window_that_is_done(tmp_path: Path) -> None:
    spec, out = tmp_path / "small.toml", tmp_path / "run"
    spec.write_text(SMALL.format(clips=5000))
    command = [sys.executable, "-m", "earmark.cli.main", "run", str(spec), "--out", str(out)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/") as running:
        while not has_window(out) and running.poll() is None:
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        running.send_signal(signal.SIGINT)  # perhaps before the first was noticed: one of the two ends it either way
        printed, errors = running.communicate()
    assert (running.returncode, printed) == (130, "")
    assert "Traceback" not in errors
    assert errors.splitlines()[-1].startswith(("interrupted: ", "stopped: "))
    assert not invoke("status", out).output.startswith(f"{out}: 0 of")


def test_init_writes_a_spec_that_runs(tmp_path: Path) -> None:
    spec = tmp_path / "spec.toml"
    done = invoke("init", "synthetic:certification:150", "--out", spec)
    assert done.exit_code == 0, done.output
    assert "synthetic: 900 questions about 150 recordings\n  native: 6 of 6 families can be tested\n" in done.output
    assert re.search(r"12,600 evaluations, \d+% of the computation saved, about [\d.]+ minutes here\n", done.output)
    assert done.output.endswith(f"next: earmark run {spec} --limit 37\n")
    first, second, *_ = spec.read_text().splitlines()
    assert first.removeprefix("# When this was written: ") in done.output
    assert second.startswith("# Earmark evaluates what stands here")
    made = read(spec)
    assert (made.partitions.names, made.answerers[0].model, made.budgets) == (
        ("native",),
        "tiny",
        (0.4, 0.2, 0.1, 0.05),
    )
    assert (made.rule.candidates, made.rule.claim, made.audits.flip_rate) == (("energy",), "budget", 200)
    again = invoke("init", "synthetic:certification:150", "--out", spec)
    assert "is there already" in str(again.exception)


def test_init_counts_where_the_answerer_is_not_here(tmp_path: Path) -> None:
    spec = tmp_path / "spec.toml"
    done = invoke(
        "init", "synthetic:certification:9", "--answerer", "Qwen/Qwen2-Audio-7B-Instruct", "--device", "cuda",
        "--out", spec, "--tolerance", "0.1",
    )  # fmt: skip
    said = "756 evaluations; no estimate of the time: Qwen/Qwen2-Audio-7B-Instruct is no folder here; name its folder"
    assert said in done.output
    assert spec.read_text().startswith(f"# When this was written: {said}")
    assert "0 of 6 families can be tested" in done.output
    assert (read(spec).answerers[0].dtype, read(spec).audits.flip_rate) == ("bfloat16", 200)
    assert "#   too few recordings:          count (9 of 36), event (9 of 36)" in spec.read_text()
    assert "# [rule.parents]        # a family that cannot be tested refuses" in spec.read_text()
    assert "nothing can be approved yet: too small to be tested: 'count', 'event', 'order' and 3 more" in done.output
    assert "next, any of:\n  questions about 27 more recordings for each\n" in done.output
    assert "earmark run" not in done.output


def test_init_counts_recordings_as_certify_does(tmp_path: Path) -> None:
    rows = [
        {"sample_id": f"{i}-{q}", "audio": f"{i}.wav", "question": f"{q}?", "choices": ["a", "b"], "answer": "a"}
        | {"family": "many" if i < 76 else "more"}
        for i in range(153)
        for q in range(2)
    ]
    spec, folder = tmp_path / "spec.toml", layouts.manifest(tmp_path / "c", rows=rows)
    done = invoke("init", folder, "--no-measure", "--out", spec)
    assert "c: 306 questions about 153 recordings\n  native: 1 of 2 families can be tested\n" in done.output
    assert (
        "#   recordings:                  more (77)\n#   too few recordings:          many (76 of 77)"
        in spec.read_text()
    )
    assert "('many' has 76 of the 77 recordings it needs)\nnext, any of:\n" in done.output
    assert "next: earmark run" not in done.output


def test_init_of_a_corpus_without_families_asks_for_some(tmp_path: Path) -> None:
    done = invoke("init", layouts.dcase2026(tmp_path / "c"), "--no-measure", "--out", tmp_path / "spec.toml")
    assert done.exit_code == 0, done.output
    assert f"declare families in [partitions] of {tmp_path / 'spec.toml'}: a side file, or semantic" in done.output


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--shard", "3/2"], "'3/2' is not I/N with I from 1 to N"),
        (["--shard", "1/2", "--limit", "3"], "use one"),
    ],
)
def test_options_that_cannot_be_are_refused(arguments: list[str], expected: str, tmp_path: Path) -> None:
    (tmp_path / "spec.toml").write_text(SMALL.format(clips=2))
    done = invoke("run", tmp_path / "spec.toml", *arguments)
    assert (done.exit_code, expected in done.output) == (2, True)
    assert not os.path.exists("runs")


def test_a_folder_without_a_sweep_has_no_status(tmp_path: Path) -> None:
    assert "holds no sweep" in str(invoke("status", tmp_path).exception)
    assert "holds no sweep" in str(invoke("merge", tmp_path / "all", tmp_path).exception)


def test_a_learned_selector_comes_with_its_card(tmp_path: Path) -> None:
    content = SPEC.format(clips=2, folder=tmp_path)
    (tmp_path / "spec.toml").write_text(content)
    assert "there is no such selector" in str(
        invoke("run", tmp_path / "spec.toml", "--out", tmp_path / "run").exception
    )
    spec = read(tmp_path / "spec.toml")
    for method in spec.methods[1:]:
        for seed in method.seeds:
            Path(method.place(seed)).mkdir()
    for method in spec.methods[1:]:
        with pytest.raises(InputError, match=r"card\.json"):
            load_chunks(method, method.seeds[0])


def test_a_graph_comes_with_its_own_card(selectors: Path, tmp_path: Path) -> None:
    export(selectors / "agnostic-42", tmp_path)
    toml = 'corpus = { path = "synthetic" }\nanswerers = [{ model = "tiny" }]\n[sweep]\nbudgets = [0.5]\n'
    toml += f'[[methods]]\nname = "edge"\nselector = "{tmp_path / "waveform.onnx"}"\n'
    (method,) = parse(toml).methods
    selector_cards.write({("edge", 0): load_chunks(method, 0)}, tmp_path / "run")
    held = json.loads((tmp_path / "run/selectors/edge/seed=0.json").read_text())
    assert held["weights"] == json.loads((tmp_path / "card.json").read_text())["weights"]
    (tmp_path / "card.json").write_bytes((selectors / "agnostic-123/card.json").read_bytes())
    with pytest.raises(InputError, match=r"card.json: is not the card of waveform.onnx; copy"):
        load_chunks(method, 0)


def test_permuted_questions_need_a_selector_that_reads_them(selectors: Path, tmp_path: Path) -> None:
    content = SPEC.format(clips=2, folder=selectors).replace("/conditioned-{seed}", "/agnostic-{seed}")
    (tmp_path / "spec.toml").write_text(content)
    refused = invoke("run", tmp_path / "spec.toml", "--out", tmp_path / "run").exception
    assert "[streams]: permutes questions, but no selector reads them" in str(refused)
