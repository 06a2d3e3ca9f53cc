"""One spec with compressors of waves, tokens, layers and the cache: whole, in shards and in walks it is one run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import audio_families
import decided
import numpy as np
import pytest
from command_line import earmark
from page import Page, words

from earmark.engine.design.keys import ANCHOR, ENCODINGS, OK, CellKey
from earmark.engine.design.spec import parse
from earmark.engine.errors import InputError
from earmark.engine.outcomes import store
from earmark.engine.signoff.certificate import read as read_certificate
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
name = "opus"
bitrates = [12]
[[methods]]
name = "pool"
[[methods]]
name = "fastv"
layer = 1
[[methods]]
name = "heads"
layer = 1
[[methods]]
name = "uniform_layers"
layer = 1
sized = true
[[methods]]
name = "random_layers"
layer = 1
seeds = [1, 2]
[[methods]]
name = "kv_uniform"
sized = true
[[methods]]
name = "kv_random"
[[methods]]
name = "kv_snap"
[[methods]]
name = "kv_keydiff"
[[methods]]
name = "opus_then_snap"
compressor = "kv_snap"
after = "opus@12kbps"
[streams]
permuted_global = 1
[rule]
candidates = ["opus", "fastv", "kv_random"]
[audits]
flip_rate = 6
"""


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("inside")
    (out / "spec.toml").write_text(SPEC)
    done = earmark("run", out / "spec.toml", "--out", out / "run")
    assert done.returncode in (0, 3), done.stderr
    return out / "run"


def cell(run_folder: Path, method: str, budget: float, seed: int = 0, stream: str = ANCHOR) -> Any:
    return store.read_rows(run_folder, CellKey("tiny", "synthetic", method, seed, stream, budget))


def test_it_certifies_verifies_and_names_every_axis(swept: Path) -> None:
    assert earmark("verify", swept / "certificate.json").returncode == 0
    results = read_certificate(swept / "certificate.json").results
    axes = {result.method: (result.stage, result.axis) for result in results}
    assert axes["fastv"] == axes["random_layers"] == ("layers", "layers")
    assert axes["kv_snap"] == axes["kv_uniform"] == ("cache", "cache")
    compressors = {result.method: result.compressor for result in results}
    assert compressors["fastv"] == "fastv after layer 1"
    assert compressors["uniform_layers"] == "uniform_layers after layer 1, sized"
    assert (compressors["kv_uniform"], compressors["opus_then_snap"]) == (
        "kv_uniform, sized",
        "kv_snap, of opus@12kbps",
    )
    page = (swept / "report.html").read_text()
    assert "of the audio positions after the layer" in page
    assert "of the audio&#39;s keys and values" in page
    assert not (swept / ENCODINGS).exists(), "it is complete"


def test_harm_against_operations_has_every_stage(swept: Path) -> None:
    """Layers save operations; the cache saves memory, so that it costs what raw audio does."""
    figures = {words(figure.find("title")): figure for figure in Page((swept / "report.html").read_text()).figures}
    (cost,) = (figure for title, figure in figures.items() if title.startswith("Harm against cost: Operations"))
    tips = [words(tip).partition(": ") for tip in list(cost.iter("title"))[1:]]
    costs = {name: tip.split(",")[0] for name, _, tip in tips}
    for share in ("50%", "20%"):
        assert costs[f"kv_snap {share}"] == costs[f"kv_uniform {share}"] == costs["raw audio"]
        assert costs[f"fastv {share}"] == costs[f"uniform_layers {share}"] != costs["raw audio"]


def test_rows_say_what_was_left(swept: Path) -> None:
    raw = cell(swept, "uncompressed", 1.0)
    whole, text = (
        raw["num_audio_tokens"].to_numpy(),
        raw["lm_positions"].to_numpy() - raw["num_audio_tokens"].to_numpy(),
    )
    for method in ("fastv", "heads", "uniform_layers", "kv_uniform", "kv_random", "kv_snap", "kv_keydiff"):
        for budget in (0.5, 0.2):
            rows = cell(swept, method, budget)
            assert set(rows["status"].to_pylist()) == {OK}
            left = np.maximum(1, whole * budget // 1)
            np.testing.assert_array_equal(rows["num_audio_tokens"].to_numpy(), left)
            read = whole if method.startswith("kv") else np.round((whole + 3 * left) / 4)  # after one of four layers
            np.testing.assert_array_equal(rows["lm_positions"].to_numpy(), text + read)
            assert rows["kept_chunks"].null_count == len(rows)
            fewer = rows["flops"].to_numpy() < raw["flops"].to_numpy()
            assert fewer.all() != method.startswith("kv")


def test_permuted_questions_are_asked_of_those_that_read_the_question(swept: Path) -> None:
    streams = {path.parent.parent.name for path in (swept / "cells").rglob("*.parquet")}
    assert streams, "there are cells"
    for method in ("fastv", "heads", "kv_snap"):
        permuted, own = cell(swept, method, 0.2, stream="permuted-global-1"), cell(swept, method, 0.2)
        assert permuted["correct_label"].equals(own["correct_label"])
        assert not permuted["kept_hash"].equals(own["kept_hash"])
        assert not permuted["nll"].equals(own["nll"])
    for method in ("uniform_layers", "kv_random", "kv_keydiff"):
        with pytest.raises(InputError):
            cell(swept, method, 0.2, stream="permuted-global-1")


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
name = "fastv"
layer = 1
[[methods]]
name = "kv_uniform"
sized = true
[[methods]]
name = "kv_random"
seeds = [1, 2]
[rule]
alpha = 0.2
tolerances = [0.5]
candidates = ["fastv", "kv_uniform"]
[audits]
flip_rate = 0
"""


def test_walks_ask_about_layers_and_caches_and_shards_end_with_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "spec.toml").write_text(WALK)
    done = earmark("run", tmp_path / "spec.toml", "--out", tmp_path / "whole")
    assert done.returncode in (0, 3), done.stderr
    assert earmark("verify", tmp_path / "whole" / "certificate.json").returncode == 0
    asked = decided.answered(tmp_path / "whole")
    assert len(asked["fastv", 0.5]) > 0
    assert len(asked["kv_uniform", 0.5]) > 0
    shards = [tmp_path / f"shard-{index}" for index in range(2)]
    for index, shard in enumerate(shards):
        assert not run(parse(WALK), shard, shard=Shard(index, 2)).complete
    assert not merge(tmp_path / "both", shards).complete
    assert run(parse(WALK), tmp_path / "both").complete
    assert dict(bytes_of(tmp_path / "both")) == dict(bytes_of(tmp_path / "whole"))


ONE = """
[corpus]
path = "synthetic:certification:2"
[[answerers]]
model = "{model}"
{answerer}
[sweep]
budgets = [0.3]
[[methods]]
name = "{method}"
{keys}
"""


@pytest.mark.parametrize(
    ("model", "answerer", "method", "keys", "expected"),
    [
        ("plain:tiny", "", "fastv", "layer = 1", "cannot drop audio after a layer, as fastv would: nobody can reach"),
        (
            "plain:tiny",
            "",
            "kv_snap",
            "",
            "cannot drop keys and values of its cache, as kv_snap would: nobody",
        ),
        (
            "tiny",
            "generate = 2",
            "heads",
            "layer = 1",
            "cannot drop audio after a layer, as heads would: it writes",
        ),
        ("tiny", "", "fastv", "layer = 4", "has 4 decoder layers: fastv drops audio after layer 4, where none follows"),
    ],
)
def test_what_an_answerer_cannot_do_is_refused_by_name_before_it_is_asked(
    model: str, answerer: str, method: str, keys: str, expected: str, tmp_path: Path
) -> None:
    spec = ONE.format(model=model, answerer=answerer, method=method, keys=keys)
    with pytest.raises(InputError) as refused:
        run(parse(spec), tmp_path / "run")
    assert expected in refused.value.what
    assert not (tmp_path / "run" / store.CELLS).exists()


def test_a_later_answerer_that_cannot_drop_is_refused_before_the_first_is_asked(tmp_path: Path) -> None:
    gemma = audio_families.gemma_4().save(tmp_path / "gemma")
    later = f'[[answerers]]\nmodel = "plain:{gemma}"\nname = "later"\n[sweep]'
    spec = ONE.format(model="tiny", answerer="", method="kv_random", keys="").replace("[sweep]", later)
    with pytest.raises(InputError, match="answerer later: cannot drop keys and values of its cache, as kv"):
        run(parse(spec), tmp_path / "run")
    assert not (tmp_path / "run" / store.CELLS).exists()


SCORED_AND_UNIFORM = """
[corpus]
path = "synthetic:certification:60"
[[answerers]]
model = "tiny"
[sweep]
budgets = [0.3]
[[methods]]
name = "fastv"
layer = 1
[[methods]]
name = "uniform_layers"
layer = 1
sized = true
[[methods]]
name = "kv_keydiff"
[[methods]]
name = "kv_uniform"
sized = true
[rule]
candidates = ["fastv", "uniform_layers", "kv_keydiff", "kv_uniform"]
tolerances = [0.15]
"""


def test_a_score_is_refused_for_one_family_where_the_uniform_method_of_its_stage_is_approved(tmp_path: Path) -> None:
    """Of positions after a layer, and of keys: as much is left by both of a pair, and only the choice differs."""
    (tmp_path / "spec.toml").write_text(SCORED_AND_UNIFORM)
    done = earmark("run", tmp_path / "spec.toml", "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert earmark("verify", tmp_path / "run" / "certificate.json", "--run", tmp_path / "run").returncode == 0
    claim = read_certificate(tmp_path / "run" / "certificate.json").claim
    assert claim.guaranteed
    approved = [(candidate.candidate, candidate.budget) for candidate in claim.approved]
    assert approved == [("uniform_layers", 0.3), ("kv_uniform", 0.3)]
    stopped = {candidate.name: candidate.stopped for candidate in claim.candidates}
    for name in ("fastv", "kv_keydiff"):
        stop = stopped[name]
        assert stop is not None
        assert (stop.family, stop.minus) == ("count", 0)
        assert stop.plus > 0.4 * stop.n


PAIRED = """
[corpus]
path = "synthetic:certification:6"
[[answerers]]
model = "tiny"
[sweep]
budgets = [0.5, 0.2]
[[methods]]
name = "layers_conditioned"
compressor = "fastv"
layer = 1
[[methods]]
name = "layers_agnostic"
compressor = "uniform_layers"
layer = 1
[streams]
permuted_global = 1
[audits]
flip_rate = 0
"""


def test_an_audit_says_whether_a_gain_over_what_reads_no_question_is_the_questions(tmp_path: Path) -> None:
    (tmp_path / "spec.toml").write_text(PAIRED)
    done = earmark("run", tmp_path / "spec.toml", "--out", tmp_path / "run")
    assert done.returncode in (0, 3), done.stderr
    query_use = read_certificate(tmp_path / "run" / "certificate.json").audits.query_use
    assert {(audit.agnostic, audit.conditioned) for audit in query_use} == {("layers_agnostic", "layers_conditioned")}
