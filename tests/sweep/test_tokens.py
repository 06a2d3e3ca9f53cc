"""One spec with compressors of waves and of tokens certifies and verifies; an encoding is made once for all of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import audio_families
import decided
import numpy as np
import pytest
from command_line import earmark
from page import Page, words

from earmark.engine.answerers.loading import load_model, options_of
from earmark.engine.answerers.request import Request
from earmark.engine.answerers.shared.encodings import Encodings, RawStates
from earmark.engine.answerers.shared.scheduler import AnswerOptions
from earmark.engine.answerers.shared.shared_answerer import SharedAnswerer
from earmark.engine.compressors.compressor import Excerpt
from earmark.engine.compressors.tokens.reducing import ReductionSpec
from earmark.engine.corpus.synthetic.splits import Split
from earmark.engine.corpus.synthetic.synthetic_corpus import examples
from earmark.engine.design.compressors import TOKEN_NAMES
from earmark.engine.design.keys import ANCHOR, ENCODINGS, OK, CellKey
from earmark.engine.design.sections import AnswererSpec, MachineSpec
from earmark.engine.design.spec import parse
from earmark.engine.errors import InputError
from earmark.engine.outcomes import store
from earmark.engine.signoff.certificate import read as read_certificate
from earmark.engine.sweep.blocks import Shard
from earmark.engine.sweep.merge import merge
from earmark.engine.sweep.run import run
from earmark.engine.sweep.work import Load

SPEC = """
[corpus]
path = "synthetic:certification:4"
[[answerers]]
model = "tiny"
[sweep]
budgets = [0.5, 0.2]
window = 2
[[methods]]
name = "uniform"
[[methods]]
name = "opus"
bitrates = [12]
[[methods]]
name = "pool"
[[methods]]
name = "pool_sized"
compressor = "pool"
sized = true
[[methods]]
name = "ltbm"
window_s = 0.5
[[methods]]
name = "dart"
pivots = 4
[[methods]]
name = "random_tokens"
seeds = [1, 2]
[[methods]]
name = "opus_then_pool"
compressor = "pool"
after = "opus@12kbps"
[[methods]]
name = "chunks_then_sample"
compressor = "sample"
after = "uniform@0.5"
[rule]
candidates = ["opus", "pool_sized"]
[audits]
flip_rate = 6
"""


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tokens")
    (out / "spec.toml").write_text(SPEC)
    done = earmark("run", out / "spec.toml", "--out", out / "run")
    assert done.returncode in (0, 3), done.stderr
    return out / "run"


def cell(run_folder: Path, method: str, budget: float, seed: int = 0) -> Any:
    return store.read_rows(run_folder, CellKey("tiny", "synthetic", method, seed, "anchor", budget))


def test_it_certifies_verifies_and_shows_both_stages(swept: Path) -> None:
    assert earmark("verify", swept / "certificate.json").returncode == 0
    page = (swept / "report.html").read_text()
    assert "of the audio tokens" in page
    assert "of the bits" in page
    assert not (swept / ENCODINGS).exists(), "it is complete"


def test_one_figure_holds_chunks_waves_and_tokens_of_what_is_certified_and_verified(
    swept: Path, tmp_path: Path
) -> None:
    """Bits are saved by waves and chunks, operations by chunks and tokens; raw audio is beside them."""
    assert earmark("certify", swept, "--out", tmp_path / "signed").returncode == 3
    assert earmark("verify", tmp_path / "signed" / "certificate.json", "--run", swept).returncode == 0
    page = Page((tmp_path / "signed" / "report.html").read_text())
    figures = {words(figure.find("title")).split(",")[0]: figure for figure in page.figures}
    every = {"raw audio", "opus 12 kb/s"} | {
        f"{method.name} {share:.0%}" for method in parse(SPEC).methods if method.name != "opus" for share in (0.5, 0.2)
    }
    costs = {}
    for kind in ("Bits that are sent", "Operations"):
        tips = [words(tip) for tip in figures[f"Harm against cost: {kind}"].iter("title")][1:]
        costs[kind] = {name: tip.split(",")[0] for name, _, tip in (tip.partition(": ") for tip in tips)}
        assert set(costs[kind]) == every
    bits, operations = costs.values()
    assert bits["pool 20%"] == bits["raw audio"] != bits["opus 12 kb/s"] == bits["opus_then_pool 20%"]
    assert operations["opus 12 kb/s"] == operations["raw audio"] != operations["pool 20%"]
    assert operations["uniform 20%"] != operations["raw audio"]


WAVES_AND_TOKENS = """
[corpus]
path = "synthetic:certification:60"
[[answerers]]
model = "tiny"
[sweep]
budgets = [0.5]
[[methods]]
name = "uniform"
[[methods]]
name = "pool_sized"
compressor = "pool"
sized = true
[rule]
candidates = ["uniform", "pool_sized"]
tolerances = [0.1]
"""


def test_tokens_are_approved_where_chunks_of_the_same_share_are_refused(tmp_path: Path) -> None:
    (tmp_path / "spec.toml").write_text(WAVES_AND_TOKENS)
    done = earmark("run", tmp_path / "spec.toml", "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert earmark("verify", tmp_path / "run" / "certificate.json").returncode == 0
    claim = read_certificate(tmp_path / "run" / "certificate.json").claim
    assert [(approved.candidate, approved.budget) for approved in claim.approved] == [("pool_sized", 0.5)]
    assert claim.guaranteed
    figures = {
        words(figure.find("title")): figure for figure in Page((tmp_path / "run" / "report.html").read_text()).figures
    }
    (cost,) = (figure for title, figure in figures.items() if title.startswith("Harm against cost: Operations"))
    tips = {words(tip).partition(": ")[0] for tip in cost.iter("title")}
    assert tips >= {"raw audio", "uniform 50%", "pool_sized 50%"}


def test_so_many_audio_tokens_enter_the_decoder_as_a_budget_pays_for(swept: Path) -> None:
    whole = cell(swept, "uncompressed", 1.0)["num_audio_tokens"].to_numpy()
    for method in ("pool", "pool_sized", "ltbm", "dart"):
        for budget in (0.5, 0.2):
            rows = cell(swept, method, budget)
            assert set(rows["status"].to_pylist()) == {OK}
            np.testing.assert_array_equal(rows["num_audio_tokens"].to_numpy(), np.maximum(1, whole * budget // 1))
            assert rows["kept_chunks"].null_count == len(rows)  # nobody knows which seconds they are of
    halved = cell(swept, "chunks_then_sample", 0.5)
    assert halved["seconds_heard"].to_numpy().max() < cell(swept, "pool", 0.5)["seconds_heard"].to_numpy().max()
    coded = cell(swept, "opus_then_pool", 0.5)
    assert coded["bits_sent"].equals(cell(swept, "opus", 12 / 256)["bits_sent"])


def test_seeds_draw_differently_and_sizes_matter(swept: Path) -> None:
    assert not cell(swept, "random_tokens", 0.2, 1)["nll"].equals(cell(swept, "random_tokens", 0.2, 2)["nll"])
    assert not cell(swept, "pool", 0.2)["nll"].equals(cell(swept, "pool_sized", 0.2)["nll"])


def bytes_of(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted((folder / "cells").rglob("*.parquet")):
        yield path.relative_to(folder).as_posix(), path.read_bytes()


def test_what_is_kept_changes_no_byte_nor_do_shards(swept: Path, tmp_path: Path) -> None:
    run(parse(SPEC + "[machine]\nencoding_mib = 0\n"), tmp_path / "unkept")
    assert dict(bytes_of(tmp_path / "unkept")) == dict(bytes_of(swept))
    for index in range(2):
        run(parse(SPEC), tmp_path / f"shard-{index}", shard=Shard(index, 2))
    assert (tmp_path / "shard-0" / ENCODINGS).exists()
    merge(tmp_path / "shard-0", [tmp_path / "shard-1"])
    assert not (tmp_path / "shard-0" / ENCODINGS).exists(), "it is complete"
    assert dict(bytes_of(tmp_path / "shard-0")) == dict(bytes_of(swept))


WALK = """
[corpus]
path = "synthetic:certification:6"
[[answerers]]
model = "tiny"
[sweep]
budgets = [0.5, 0.1, 0.05]
window = 2
until = "decided"
[[methods]]
name = "opus"
bitrates = [16]
[[methods]]
name = "pool"
sized = true
[[methods]]
name = "ltbm"
[[methods]]
name = "random_tokens"
seeds = [1, 2]
[rule]
alpha = 0.2
tolerances = [0.5]
candidates = ["opus", "pool"]
[audits]
flip_rate = 0
"""


PLAIN = """
[corpus]
path = "synthetic:certification:2"
[[answerers]]
model = "{model}"
name = "tiny"
[sweep]
budgets = [0.3]
[[methods]]
name = "pool"
[[methods]]
name = "sized"
compressor = "pool"
sized = true
[audits]
flip_rate = 0
"""


class CountedEncodings(Encodings):
    """Keeps the names of what it was given: an encoder made them."""

    def __init__(self, most_bytes: int, folder: Path, disk_bytes: int, made: list[str]) -> None:
        super().__init__(most_bytes, folder, disk_bytes)
        self._made = made

    def put(self, key: str, states: RawStates) -> None:
        self._made.append(key)
        super().put(key, states)


def counting(run_folder: Path, made: list[str], memory_bytes: int, disk_bytes: int) -> Load:
    """What loads the embedded answerer, whose encodings are kept within these bytes."""

    def load(answerer: AnswererSpec, machine: MachineSpec) -> SharedAnswerer:
        encodings = CountedEncodings(memory_bytes, run_folder / ENCODINGS / "tiny", disk_bytes, made)
        return SharedAnswerer(load_model("tiny"), options_of(answerer, machine), encodings)

    return load


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("walked")
    (out / "spec.toml").write_text(WALK)
    done = earmark("run", out / "spec.toml", "--out", out / "run")
    assert done.returncode == 0, done.stderr
    return out / "run"


def test_a_walk_asks_about_tokens_too(walked: Path) -> None:
    assert earmark("verify", walked / "certificate.json").returncode == 0
    assert not (walked / ENCODINGS).exists(), "it is decided"
    asked = decided.answered(walked)
    assert len(asked["pool", 0.1]) > 0
    assert len(asked["ltbm", 0.05]) == 0, "its walk failed before"
    certificate = read_certificate(walked / "certificate.json")
    assert [candidate.name for candidate in certificate.claim.candidates] == ["opus", "pool"]


@pytest.mark.parametrize(("memory_bytes", "disk_bytes"), [(1 << 28, 0), (0, 1 << 28)])
def test_walks_encode_a_clip_once_within_declared_bytes(
    walked: Path, tmp_path: Path, memory_bytes: int, disk_bytes: int
) -> None:
    """Arm by arm they come back to the same clips; what is heard of them, and so every byte, is the same."""
    made: list[str] = []
    assert run(parse(WALK), tmp_path, load=counting(tmp_path, made, memory_bytes, disk_bytes)).complete
    assert len(made) == len(set(made)) == 6 + 6 + 1, "raw clips, coded ones and silence"
    assert dict(bytes_of(tmp_path)) == dict(bytes_of(walked))


def test_walks_of_two_shards_encode_a_clip_once_and_end_with_the_same_bytes(walked: Path, tmp_path: Path) -> None:
    made: list[str] = []
    shards = [tmp_path / f"shard-{index}" for index in range(2)]
    for index, shard in enumerate(shards):
        assert not run(parse(WALK), shard, shard=Shard(index, 2), load=counting(shard, made, 0, 1 << 28)).complete
    assert len(made) - len(set(made)) == 1, "silence, which is of both"
    assert not merge(tmp_path / "both", shards).complete
    assert run(parse(WALK), tmp_path / "both", load=counting(tmp_path / "both", made, 0, 1 << 28)).complete
    assert len(set(made)) == 6 + 6 + 1
    assert dict(bytes_of(tmp_path / "both")) == dict(bytes_of(walked))
    assert not (tmp_path / "both" / ENCODINGS).exists()


PERMUTED = """
[[methods]]
name = "tiny_conditioned"
selector = "tiny-conditioned"
[[methods]]
name = "tiny_agnostic"
selector = "tiny-agnostic"
[streams]
permuted_global = 1
naive_global = 1
"""


def test_permuted_questions_are_those_of_selectors_and_leave_tokens_alone(swept: Path, tmp_path: Path) -> None:
    """No reduction reads a question, so none has an arm among the permuted ones."""
    spec = SPEC.replace("[rule]", PERMUTED + "[rule]")
    made: list[str] = []
    assert run(parse(spec), tmp_path, load=counting(tmp_path, made, 1 << 28, 0)).complete
    assert len(made) == len(set(made))
    permuted = {key.method for key in store.find_cells(tmp_path) if key.stream != ANCHOR}
    assert permuted == {"uncompressed", "tiny_conditioned", "tiny_agnostic"}
    for method in ("pool", "pool_sized", "dart"):
        for budget in (0.5, 0.2):
            alone, beside = cell(swept, method, budget), cell(tmp_path, method, budget)
            for column in ("kept_hash", "num_audio_tokens", "predicted_label"):
                assert beside[column].equals(alone[column])


def test_alpha_is_shared_by_the_candidates_of_both_stages(swept: Path) -> None:
    certificate = read_certificate(swept / "certificate.json")
    assert [candidate.name for candidate in certificate.claim.candidates] == ["opus", "pool_sized"]
    assert certificate.claim.level == certificate.rule.alpha / 2


def test_who_cannot_reduce_says_so_by_name(tmp_path: Path) -> None:
    gemma = audio_families.gemma_4().save(tmp_path / "gemma")
    with pytest.raises(InputError) as refused:
        run(parse(SPEC.replace('"tiny"', f'"plain:{gemma}"')), tmp_path / "run")
    assert "cannot reduce its encoder's output, as pool, pool_sized, ltbm, dart, random_tokens," in refused.value.what
    assert "Gemma4ForConditionalGeneration takes no embeddings in the place of audio" in refused.value.what
    assert refused.value.do.startswith("leave these methods out")


def test_a_later_answerer_that_cannot_reduce_is_refused_before_the_first_is_asked(tmp_path: Path) -> None:
    gemma = audio_families.gemma_4().save(tmp_path / "gemma")
    two = SPEC.replace("[[methods]]", f'[[answerers]]\nmodel = "plain:{gemma}"\n[[methods]]', 1)
    with pytest.raises(InputError, match="answerer gemma: cannot reduce its encoder's output"):
        run(parse(two), tmp_path / "run")
    assert not list((tmp_path / "run").rglob("*.parquet"))
    assert not (tmp_path / "run" / "plan.json").exists()  # another spec may still be run there


class OutOfReach(SharedAnswerer):
    """An answerer that somebody brings, who knows of no tokens; or of none with weights."""

    def __init__(self, cannot_reduce: str | None) -> None:
        super().__init__(load_model("tiny"))
        self._cannot_reduce = cannot_reduce

    def __getattribute__(self, name: str) -> Any:
        if name in ("cannot_reduce", "cannot_weigh") and self._cannot_reduce is None:
            raise AttributeError(name)
        return "it minds no masks" if name == "cannot_weigh" else super().__getattribute__(name)


@pytest.mark.parametrize(
    ("cannot_reduce", "what", "do"),
    [
        (
            None,
            "as pool, pool_sized, .* would: what its encoder makes cannot be changed before its decoder reads it",
            "leave these methods",
        ),
        ("", "as pool_sized would: it minds no masks", "leave out sized"),
    ],
)
def test_what_an_answerer_cannot_do_is_refused_before_it_is_asked(
    cannot_reduce: str | None, what: str, do: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=rf"answerer tiny: cannot reduce its encoder's output, {what}; {do}"):
        run(parse(SPEC), tmp_path / "run", load=lambda *_: OutOfReach(cannot_reduce))
    assert not (tmp_path / "run" / store.CELLS).exists()


def test_a_plain_model_says_the_same_of_the_same_tokens(tmp_path: Path) -> None:
    """Behind its own processor, with nothing shared but its encoder's output."""
    for model in ("tiny", "plain:tiny"):
        spec = PLAIN.replace("{model}", model)
        assert run(parse(spec), tmp_path / model).complete
        assert not (tmp_path / model / ENCODINGS).exists(), "it is complete"
    for method in ("uncompressed", "pool", "sized"):
        budget = 1.0 if method == "uncompressed" else 0.3
        ours, theirs = cell(tmp_path / "tiny", method, budget), cell(tmp_path / "plain:tiny", method, budget)
        for column in ("predicted_label", "num_audio_tokens", "lm_positions", "kept_hash", "status"):
            assert ours[column].equals(theirs[column])
        np.testing.assert_allclose(ours["nll"].to_numpy(), theirs["nll"].to_numpy(), atol=2e-4)


@pytest.mark.parametrize("reuse", [True, False])
def test_an_encoder_runs_once_for_all_methods_and_budgets(reuse: bool) -> None:
    """And one request at a time, with nothing shared, says the same."""
    model = load_model("tiny")
    raw = [
        Request(e.sample_id, Excerpt.of(e.audio, e.audio.waveform()), e.question)
        for e in examples(Split.CERTIFICATION, 3)
    ]
    before = model.counted.encoder_frames
    list(SharedAnswerer(model).answer(raw, {}))
    once = model.counted.encoder_frames - before
    specs = [
        ReductionSpec(kind, budget, sized, 1.0, 4)
        for kind in TOKEN_NAMES[:8]
        for sized in ((False, True) if reuse else (True,))
        for budget in ((0.5, 0.4, 0.3, 0.2, 0.1) if reuse else (0.3,))
    ]
    reduced = [
        Request(f"{request.id} {number}", request.excerpt.reduced(spec), request.question)
        for number, spec in enumerate(specs)
        for request in raw[:: 1 if reuse else 9]
    ]
    answerer = SharedAnswerer(model, AnswerOptions(reuse=reuse), Encodings(1 << 28) if reuse else None)
    before = model.counted.encoder_frames
    answers = {request.id: result for request, result in answerer.answer(reduced, {})}
    assert {result.status for result in answers.values()} == {OK}
    if reuse:
        assert model.counted.encoder_frames - before == once
        return
    shared = {request.id: result for request, result in SharedAnswerer(model).answer(reduced, {})}
    for name, result in answers.items():
        np.testing.assert_allclose(result.option_nll, shared[name].option_nll, atol=2e-4)
