"""`earmark selector check`: what may ship passes, what may not fails with the reason."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import small_selectors
from click.testing import CliRunner, Result
from onnx import numpy_helper

from earmark.cli.selector import selector as commands
from earmark.engine.answerers.loading import load
from earmark.engine.compressors.card import CARD, fingerprints
from earmark.engine.compressors.chunks.graph_file import GraphError, read_graph_file
from earmark.engine.compressors.chunks.graph_selector import FEATURES_GRAPH, WAVEFORM_GRAPH
from earmark.engine.compressors.chunks.learned import TOKENIZER
from earmark.engine.compressors.chunks.selector import SelectorInput
from earmark.engine.compressors.loading import place
from earmark.engine.corpus.corpus import Corpus, open_corpus
from earmark.engine.corpus.example import AudioError
from earmark.engine.design.rule import Rule
from earmark.engine.design.sections import AnswererSpec
from earmark.engine.errors import EarmarkError, InputError
from earmark.engine.making.edge import device_check
from earmark.engine.making.export import export
from earmark.engine.making.release import certified_answers, device
from earmark.engine.making.release.check import check
from earmark.engine.making.release.device import measure
from earmark.engine.making.release.release_gate import CheckMeans, Gate
from earmark.engine.progress import StoppedError

GRAPHS = (FEATURES_GRAPH, WAVEFORM_GRAPH)
QUICK = CheckMeans(budgets=(0.2, 0.5), timed=0, rule=Rule(tolerances=(0.1,)))
SMALL = "synthetic-two-factor:certification:4"


@dataclass(frozen=True, slots=True)
class Held:
    """A recording in memory; None cannot be read."""

    name: str
    audio: np.ndarray | None = field(compare=False)

    def waveform(self) -> np.ndarray:
        if self.audio is None:
            raise AudioError("broken")
        return self.audio


def held(name: str) -> Corpus:
    """A made-up corpus whose sounds are made once."""
    corpus = open_corpus(Path(name))
    kept: dict[str, Held] = {}
    examples = []
    for example in corpus.examples:
        if example.source_id not in kept:
            kept[example.source_id] = Held(example.source_id, example.audio.waveform())
        examples.append(replace(example, audio=kept[example.source_id]))
    return replace(corpus, examples=tuple(examples))


@pytest.fixture(scope="module")
def small() -> Corpus:
    return held(SMALL)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An original that reads questions, with its graphs beside it."""
    folder = small_selectors.saved(tmp_path_factory.mktemp("made") / "selector", conditioned=True)
    export(folder)
    return folder


@pytest.fixture
def shipped(exported: Path, tmp_path: Path) -> Path:
    """A copy of what ships, to be damaged."""
    return Path(shutil.copytree(exported, tmp_path / "edge"))


def reasons(verdict: dict) -> list[tuple[str, str]]:
    return [(one["check"], one["reason"]) for one in verdict["findings"]]


# What ships --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("graph", GRAPHS)
def test_an_export_passes_and_its_answers_by_construction(exported: Path, small: Corpus, graph: str) -> None:
    asked = load(AnswererSpec("tiny"))
    verdict = check(exported / graph, str(exported), small, Gate(), QUICK, asked)
    assert (verdict["passes"], verdict["findings"]) == (True, [])
    assert verdict["scores"]["relative"] < 1e-4
    assert {(one["budget"], one["family"], one["n"]) for one in verdict["agreement"]} == {
        (budget, family, n) for budget in (0.2, 0.5) for family, n in ((None, 8), ("event", 4), ("pitch", 4))
    }
    assert all(one["share"] == one["overlap"] == 1 for one in verdict["agreement"])
    assert all(one["reason"] == certified_answers.ALIKE and one["asked"] == 0 for one in verdict["answers"]["budgets"])
    json.dumps(verdict, allow_nan=False)


def test_a_graph_may_be_the_original_too(exported: Path, small: Corpus) -> None:
    assert check(exported / FEATURES_GRAPH, str(exported / WAVEFORM_GRAPH), small, Gate(), QUICK)["passes"]


def test_a_process_of_its_own_tells_time_and_memory(exported: Path, small: Corpus) -> None:
    how = replace(QUICK, timed=3, threads=(1, 2))
    gate = Gate(max_p95_ms=0, max_cold_start_s=1e6, max_memory_mib=1, max_size_mb=0.1)
    verdict = check(exported / WAVEFORM_GRAPH, str(exported), small, gate, how)
    assert verdict["device"]["report"] is None
    assert verdict["device"]["machine"]["provider"] == "CPUExecutionProvider"
    assert [one["threads"] for one in verdict["device"]["runs"]] == [1, 2]
    for one in verdict["device"]["runs"]:
        assert (one["clips"], one["clip_s"]) == (3, 10.0)
        assert 0 < one["p50_ms"] <= one["p95_ms"]
        assert one["cold_start_s"] > 0
        assert one["peak_mib"] < 300, "the memory of the process that measures is not the model's"
    assert [reason.partition(" is ")[0] for _, reason in reasons(verdict)] == [
        "size", "p95 with 1 thread", "memory with 1 thread", "p95 with 2 threads", "memory with 2 threads"
    ]  # fmt: skip
    graph = read_graph_file(exported / WAVEFORM_GRAPH)
    with pytest.raises(GraphError, match=r"does not run in a process of its own .*no question"):
        measure(graph, [SelectorInput("", np.zeros(16_000, np.float32))], 0.5, "cpu", (1,))


# What does not -----------------------------------------------------------------------------------------------


def truncated(folder: Path) -> None:
    model = folder / FEATURES_GRAPH
    model.write_bytes(model.read_bytes()[:-5000])


def other_features(folder: Path) -> None:
    model = folder / FEATURES_GRAPH
    model.write_bytes(model.read_bytes().replace(b"logmel-768/1", b"logmel-768/0"))


def other_tokenizer_beside(folder: Path) -> None:
    path = folder / TOKENIZER
    path.write_text(path.read_text().replace("bells", "balls"))


def no_tokenizer(folder: Path) -> None:
    (folder / TOKENIZER).unlink()


def made_with_another_tokenizer(folder: Path) -> None:
    edit_metadata(folder / FEATURES_GRAPH, "earmark.tokenizer", "0" * 64)


def of_other_weights(folder: Path) -> None:
    edit_metadata(folder / FEATURES_GRAPH, "earmark.selector", "f" * 64)


def reads_something_else(folder: Path) -> None:
    edit_metadata(folder / FEATURES_GRAPH, "earmark.reads", "phonemes")


def reads_other_than_it_says(folder: Path) -> None:
    edit_metadata(folder / FEATURES_GRAPH, "earmark.reads", "chunks")


def asks_unlike_it_says(folder: Path) -> None:
    edit_metadata(folder / FEATURES_GRAPH, "earmark.tokenizer", "")


def not_finite(folder: Path) -> None:
    edit_weights(folder / FEATURES_GRAPH, lambda values: values * np.float32(np.nan))


def flipped_bit(folder: Path) -> None:
    def flip(values: np.ndarray) -> np.ndarray:
        bits = values.copy().reshape(-1).view(np.uint32)
        bits[len(bits) // 2] ^= np.uint32(1 << 25)  # of the exponent: 16 times as much, or a 16th
        return bits.view(np.float32).reshape(values.shape)

    edit_weights(folder / FEATURES_GRAPH, flip)


def edit_metadata(path: Path, key: str, value: str) -> None:
    model = onnx.load(path)
    next(entry for entry in model.metadata_props if entry.key == key).value = value
    onnx.save(model, path)


def edit_weights(path: Path, edit: Callable[[np.ndarray], np.ndarray]) -> None:
    """Change every matrix of the scorer."""
    model = onnx.load(path)
    for constant in model.graph.initializer:
        values = numpy_helper.to_array(constant)
        if values.dtype == np.float32 and values.ndim == 2 and values.size > 1000:
            constant.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(edit(values)), constant.name))
    onnx.save(model, path)


@pytest.mark.parametrize(
    ("damage", "where", "reason"),
    [
        (truncated, "file", "cannot be loaded"),
        (other_features, "file", "wants features logmel-768/0, this is logmel-768/1"),
        (other_tokenizer_beside, "file", "tokenizer.json: is not the tokenizer of this selector"),
        (no_tokenizer, "file", "tokenizer.json: there is no such file"),
        (made_with_another_tokenizer, "identity", "another tokenizer than the original"),
        (of_other_weights, "identity", "was made from weights ffffffffffff"),
        (reads_something_else, "file", "reads phonemes, which is not chunks or features"),
        (reads_other_than_it_says, "file", "its metadata wants chunks, place, token_mask, tokens"),
        (asks_unlike_it_says, "file", "its metadata wants features, place;"),
        (not_finite, "file", "scores that are not finite"),
        (flipped_bit, "scores", "is allowed"),
    ],
)
def test_what_is_wrong_with_a_model_is_said(
    shipped: Path, exported: Path, small: Corpus, damage: Callable[[Path], None], where: str, reason: str
) -> None:
    damage(shipped)
    verdict = check(shipped / FEATURES_GRAPH, str(exported), small, Gate(), QUICK)
    assert not verdict["passes"]
    assert where in {one for one, _ in reasons(verdict)}
    assert any(reason in said for _, said in reasons(verdict)), reasons(verdict)


def test_an_agnostic_model_is_not_a_conditioned_one(tmp_path: Path, exported: Path, small: Corpus) -> None:
    export(small_selectors.saved(tmp_path))
    agnostic, conditioned = tmp_path / WAVEFORM_GRAPH, exported / WAVEFORM_GRAPH
    for model, against, what in ((agnostic, exported, "does not read"), (conditioned, tmp_path, "reads the question")):
        verdict = check(model, str(against), small, Gate(), QUICK)
        assert [one for one, _ in reasons(verdict)] == ["identity", "identity"]
        assert what in verdict["findings"][0]["reason"]
        assert "scores" not in verdict


def test_what_is_wrong_with_the_question_is_an_error(exported: Path, small: Corpus) -> None:
    model = exported / FEATURES_GRAPH
    silent = replace(small, examples=tuple(replace(one, audio=Held("", None)) for one in small.examples))
    for refused, message in (
        (lambda: check(exported / "none.onnx", str(exported), small, Gate(), QUICK), "there is no such file"),
        (lambda: check(model, "energy", small, Gate(), QUICK), "against energy: has no weights"),
        (lambda: check(model, str(exported), small, Gate(variant=True), QUICK), "judged by its answers"),
        (lambda: check(model, str(exported), silent, Gate(), QUICK), "no recording that can be heard"),
        (lambda: check(model, str(exported), small, Gate(), replace(QUICK, provider="npu")), "provider npu"),
    ):
        with pytest.raises(InputError, match=message) as caught:
            refused()
        assert not isinstance(caught.value, GraphError)


def test_what_a_reader_must_know_is_a_warning(shipped: Path, small: Corpus) -> None:
    first = small.examples[0].source_id
    card = json.loads((shipped / CARD).read_text())
    card["trained_on"] = [{"corpus": small.name, "sources": fingerprints([first]), "recordings": []}]
    (shipped / CARD).write_text(json.dumps(card))
    broken = [replace(one, audio=Held("", None)) if one is small.examples[-1] else one for one in small.examples]
    verdict = check(shipped / FEATURES_GRAPH, str(shipped), replace(small, examples=tuple(broken)), Gate(), QUICK)
    unread, trained = verdict["warnings"]
    assert unread.startswith("1 questions have a recording that cannot be read")
    assert trained.startswith("the original was trained on 1 of 4 sources")
    assert verdict["corpus"]["questions"] == 7


def test_whoever_stops_it_gets_no_verdict(exported: Path, small: Corpus) -> None:
    asked = load(AnswererSpec("tiny"))
    with pytest.raises(StoppedError):
        check(exported / FEATURES_GRAPH, str(exported), small, Gate(), QUICK, asked, stop=lambda: True)


def test_a_variant_that_keeps_all_chunks_of_a_few_questions_has_shown_little(shipped: Path, small: Corpus) -> None:
    of_other_weights(shipped)
    asked = load(AnswererSpec("tiny"))
    verdict = check(shipped / FEATURES_GRAPH, str(shipped), small, Gate(variant=True), QUICK, asked)
    assert verdict["passes"]
    event, pitch = verdict["warnings"]
    assert event.startswith("budget 0.2, 0.5 passes by construction, but family 'event' has 4 questions, and ")
    assert "'pitch'" in pitch


# Quantised ---------------------------------------------------------------------------------------------------


def test_a_quantised_model_ships_if_no_family_changes_its_answers(tmp_path: Path) -> None:
    """At 4 bits some chunks change and answers stay; at 2 bits a family is lost, which only the answers tell."""
    corpus, asked = held("synthetic-two-factor:certification:80"), load(AnswererSpec("tiny"))
    how = replace(QUICK, budgets=(0.4,))
    export(place("tiny-conditioned"), tmp_path)
    found = {}
    for bits in (2, 4):
        model = tmp_path / f"{bits}-bits.onnx"
        shutil.copy(tmp_path / FEATURES_GRAPH, model)
        edit_weights(model, lambda values, top=2 ** (bits - 1) - 1: rounded(values, top))
        found[bits] = check(model, "tiny-conditioned", corpus, Gate(variant=True), how, asked)
    assert found[4]["passes"], reasons(found[4])
    (at_4,) = found[4]["answers"]["budgets"]
    assert at_4["asked"] > 0
    assert any(one["share"] < 1 for one in found[4]["agreement"])
    assert at_4["p"] <= how.rule.alpha
    ((where, reason),) = reasons(found[2])
    assert where == "answers"
    assert reason.startswith("budget 0.4 is not certified: 'event' is above 0.1 ")
    (at_2,) = found[2]["answers"]["budgets"]
    event = next(one for one in at_2["families"] if one["name"] == "event")
    assert (event["n"], event["excess"]) == (80, (event["plus"] - event["minus"]) / 80)
    assert event["lower"] > 0.1
    exact = check(tmp_path / "4-bits.onnx", "tiny-conditioned", corpus, Gate(), how)
    assert {one for one, _ in reasons(exact)} == {"scores", "agreement"}, "only a declared variant may differ"


def rounded(values: np.ndarray, top: int) -> np.ndarray:
    step = np.abs(values).max() / top
    return (np.round(values / step) * step).astype(np.float32)


# Another device ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def measured(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a device that has the original's graph, with its own time and memory."""
    path = tmp_path_factory.mktemp("device") / "device.json"
    device_check.check(exported, (1, 2), path)
    return path


def edited(report: Path, folder: Path, edit: Callable[[dict], object]) -> Path:
    """A copy of a report that says something else."""
    content = json.loads(report.read_text())
    edit(content)
    (folder / "edited.json").write_text(json.dumps(content))
    return folder / "edited.json"


def test_the_figures_of_a_device_are_judged_instead_of_this_machines(
    exported: Path, small: Corpus, measured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "measure", None)  # nobody may call it
    model, how = exported / WAVEFORM_GRAPH, replace(QUICK, device=measured, timed=3)
    verdict = check(model, str(exported), small, Gate(max_p95_ms=1e4, max_cold_start_s=1e3, max_memory_mib=1e3), how)
    assert (verdict["passes"], verdict["findings"]) == (True, [])
    assert verdict["device"]["report"] == str(measured)
    assert verdict["device"]["machine"] == json.loads(measured.read_text())["machine"]
    assert [one["threads"] for one in verdict["device"]["runs"]] == [1, 2]

    def slow(content: dict) -> None:
        content["runs"][1] |= {"p95_ms": 80.5, "peak_mib": None, "cold_start_s": 9}

    how = replace(how, device=edited(measured, tmp_path, slow))
    verdict = check(model, str(exported), small, Gate(max_p95_ms=80, max_memory_mib=1e3, max_cold_start_s=8), how)
    assert [reason for _, reason in reasons(verdict)] == [
        "p95 with 2 threads is 80.5 ms, 80 ms is allowed",
        "cold start with 2 threads is 9 s, 8 s is allowed",
        "memory with 2 threads is not known, 1000 MiB is allowed",
    ]


def test_other_scores_on_a_device_fail_the_model(exported: Path, small: Corpus, measured: Path, tmp_path: Path) -> None:
    def raised(content: dict) -> None:
        content["runs"][0]["scores"][3][1] += 0.01

    how = replace(QUICK, device=edited(measured, tmp_path, raised))
    verdict = check(exported / WAVEFORM_GRAPH, str(exported), small, Gate(), how)
    assert reasons(verdict) == [("device", "scores with 1 thread differ by up to 0.01 from those here")]

    def failed(content: dict) -> None:
        content |= {"passes": False, "failure": "with 1 thread: vector fraction keeps [0]"}

    how = replace(QUICK, device=edited(measured, tmp_path, failed))
    verdict = check(exported / WAVEFORM_GRAPH, str(exported), small, Gate(), how)
    assert reasons(verdict) == [("device", "its own check failed there: with 1 thread: vector fraction keeps [0]")]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda content: content.update(schema="earmark.device/0"), "is no earmark.device/1"),
        (lambda content: content.pop("runs"), "is not whole"),
        (lambda content: content.update(runs=[]), "is not whole"),
        (lambda content: content.update(extra=1), "is not whole"),
        (lambda content: content["runs"][0].pop("p95_ms"), "is not whole"),
        (lambda content: content["runs"][0].update(p95_ms="few"), "is not whole"),
        (lambda content: content["runs"][0].update(p95_ms=float("nan")), "is not JSON .NaN is no number"),
        (lambda content: content["runs"][0].update(scores=3), "is not whole"),
        (lambda content: content.update(passes=False), "is not whole"),
        (lambda content: content.update(graph="0" * 64), "is about graph 000000000000, not about "),
        (lambda content: content.update(vectors="0" * 64), "is about other vectors than "),
        (lambda content: content["runs"][1]["scores"].pop(), "has not one score for each chunk of the vectors"),
        (lambda content: content["runs"][1]["scores"][0].pop(), "has not one score for each chunk of the vectors"),
    ],
)
def test_a_report_of_something_else_is_refused(
    exported: Path, small: Corpus, measured: Path, tmp_path: Path, edit: Callable[[dict], object], message: str
) -> None:
    how = replace(QUICK, device=edited(measured, tmp_path, edit))
    with pytest.raises(InputError, match=f"edited.json: {message}"):
        check(exported / WAVEFORM_GRAPH, str(exported), small, Gate(), how)


def test_a_report_needs_its_graph_and_vectors(
    exported: Path, shipped: Path, small: Corpus, measured: Path, tmp_path: Path
) -> None:
    (tmp_path / "text.json").write_text("{")
    for model, report, message in (
        (exported / FEATURES_GRAPH, measured, f"device.json: is about graph .*, not about .*{FEATURES_GRAPH}"),
        (exported / WAVEFORM_GRAPH, tmp_path / "text.json", "text.json: is not JSON"),
        (exported / WAVEFORM_GRAPH, tmp_path / "none.json", "none.json: there is no such file"),
    ):
        with pytest.raises(InputError, match=message):
            check(model, str(exported), small, Gate(), replace(QUICK, device=report))
    (shipped / "vectors" / "alike.wav").unlink()
    with pytest.raises(InputError, match="edge: has no vectors to compare a device by"):
        check(shipped / WAVEFORM_GRAPH, str(exported), small, Gate(), replace(QUICK, device=measured))


# The command -------------------------------------------------------------------------------------------------


def run(*arguments: object) -> Result:
    return CliRunner().invoke(commands, ["check", *map(str, arguments)])


def test_the_command_gates_a_release(shipped: Path, exported: Path) -> None:
    asked = ("--against", exported, "--corpus", SMALL, "--clips", 2, "--threads", 1, "--budgets", "0.2,0.5")
    done = run(shipped / WAVEFORM_GRAPH, *asked, "--answerer", "tiny")
    assert done.exit_code == 0, done.output
    for shown in ("8 questions", "equal chunks", "cold start", certified_answers.ALIKE):
        assert shown in done.output
    assert done.output.endswith("\npass\n")
    truncated(shipped)
    failed = run(shipped / FEATURES_GRAPH, *asked)
    assert failed.exit_code == 3
    assert "cannot be loaded" in failed.output
    assert failed.output.endswith("\nfail\n")
    reads_something_else(shipped.parent / shutil.copytree(exported, shipped.parent / "strange"))
    assert run(shipped.parent / "strange" / FEATURES_GRAPH, *asked).exit_code == 3
    verdict = json.loads(run(shipped / FEATURES_GRAPH, *asked, "--json").stdout)
    assert (verdict["schema"], verdict["passes"]) == ("earmark.selector-check/2", False)
    device_json = shipped.parent / "device.json"
    device_check.check(exported, (1,), device_json)
    on_device = run(exported / WAVEFORM_GRAPH, *asked, "--device", device_json, "--max-p95-ms", 0)
    assert on_device.exit_code == 3
    assert f"\n{device_json}: " in on_device.output
    assert "device: p95 with 1 thread is " in on_device.output
    for wrong in (["--variant"], ["--budgets", "0.2,0.2"], ["--budgets", "0,1"], ["--budgets", "few"]):
        assert run(shipped / WAVEFORM_GRAPH, *asked, *wrong).exit_code == 2
    nothing = run(shipped / "none.onnx", *asked)
    assert isinstance(nothing.exception, EarmarkError)
    assert nothing.exception.exit_code == 2
