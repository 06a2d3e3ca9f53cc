"""One spec with compressors of waves and of tokens certifies and verifies; an encoding is made once for all of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import earmark

from earmark.engine.answerers.loading import load_model
from earmark.engine.answerers.request import Request
from earmark.engine.answerers.shared.encodings import Encodings
from earmark.engine.answerers.shared.scheduler import AnswerOptions
from earmark.engine.answerers.shared.shared_answerer import SharedAnswerer
from earmark.engine.compressors.compressor import Excerpt
from earmark.engine.compressors.tokens.reducing import ReductionSpec
from earmark.engine.corpus.synthetic.splits import Split
from earmark.engine.corpus.synthetic.synthetic_corpus import examples
from earmark.engine.design.compressors import TOKEN_NAMES
from earmark.engine.design.keys import ENCODINGS, OK, CellKey
from earmark.engine.design.spec import parse
from earmark.engine.errors import InputError
from earmark.engine.outcomes import store
from earmark.engine.sweep.blocks import Shard
from earmark.engine.sweep.merge import merge
from earmark.engine.sweep.run import run

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
    merge(tmp_path / "shard-0", [tmp_path / "shard-1"])
    assert dict(bytes_of(tmp_path / "shard-0")) == dict(bytes_of(swept))


def test_a_walk_asks_about_tokens_too(tmp_path: Path) -> None:
    spec = SPEC.replace("window = 2", 'window = 2\nuntil = "decided"')
    (tmp_path / "spec.toml").write_text(spec)
    assert earmark("run", tmp_path / "spec.toml", "--out", tmp_path / "run").returncode == 3
    assert earmark("verify", tmp_path / "run" / "certificate.json").returncode == 0


def test_who_cannot_reduce_says_so_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"answerer tiny: cannot reduce its encoder's output, as pool, .* would"):
        run(parse(SPEC.replace('"tiny"', '"plain:tiny"')), tmp_path / "run")


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
