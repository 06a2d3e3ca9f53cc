"""What stands behind a seam can be anything: a whole sweep runs on an answerer and a compressor of a few lines."""

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from seams import Coarse, FirstSeconds, Hasher

from earmark.engine.answerers.answer_all import answer_all
from earmark.engine.answerers.answerer import Answerer
from earmark.engine.answerers.loading import load
from earmark.engine.answerers.request import Request, Result
from earmark.engine.compressors import loading
from earmark.engine.compressors.compressor import Compressor, OpenedClip, audio_hash
from earmark.engine.corpus.clip import clip
from earmark.engine.corpus.corpus import open_corpus
from earmark.engine.design.keys import COMPRESSOR, NOT_FINITE, TOO_LONG, CellKey
from earmark.engine.design.sections import MethodSpec
from earmark.engine.design.spec import parse
from earmark.engine.errors import InputError
from earmark.engine.outcomes import store
from earmark.engine.signoff.certify import certify
from earmark.engine.sweep.run import run

ROOT = Path(__file__).parents[2]
SPEC = """
[corpus]
path = "synthetic:certification:6"
[[answerers]]
model = "hasher"
[sweep]
budgets = [0.5, 0.9]
window = 2
[[methods]]
name = "first"
selector = "mine"
[audits]
flip_rate = 4
"""


def test_an_answerer_and_a_compressor_of_ones_own_run_end_to_end(tmp_path: Path) -> None:
    answerer: Answerer = Hasher()
    compressor: Compressor = FirstSeconds()
    spec = parse(SPEC)
    assert run(spec, tmp_path, load=lambda *_: answerer, load_compressor=lambda *_: compressor).complete
    cells = {key: store.read_cell(tmp_path, key, paths) for key, paths in store.find_cells(tmp_path).items()}
    assert {(key.method, key.budget) for key in cells} == {
        ("uncompressed", 1.0), ("silence", 1.0), ("first", 0.9), ("first", 0.5),
    }  # fmt: skip
    (half,) = (cell for key, cell in cells.items() if key.budget == 0.5)
    heard = [kept for kept, status in zip(half.kept_chunks.to_pylist(), half.status.to_pylist(), strict=True) if kept]
    assert heard
    assert all(kept == [0, 1, 2, 3, 4] for kept in heard)
    assert set(half.status.to_pylist()) <= {"ok", "begins with nothing"}
    assert certify(tmp_path, replace(spec.rule, max_error_rate=0.5)) is not None


def test_a_rule_about_likelihoods_refuses_an_answerer_that_has_none(tmp_path: Path) -> None:
    spec = parse(SPEC + '[rule]\nname = "paper"\nloss = "nll"\n')
    with pytest.raises(InputError, match='answerer hasher: has no likelihoods; set loss = "zero-one"'):
        run(spec, tmp_path, load=lambda *_: Hasher(), load_compressor=lambda *_: FirstSeconds())


def test_a_compressor_that_changes_samples_is_heard_as_it_is(tmp_path: Path) -> None:
    """Beside another method about the same clips: each answer is that of the samples that were handed over."""
    mine = '[[methods]]\nname = "coarse"\nselector = "mine"\n[[methods]]\nname = "uniform"\n[audits]'
    spec = parse(SPEC.replace('"hasher"', '"tiny"').replace("[audits]", mine).replace("flip_rate = 4", "flip_rate = 0"))
    bring: dict[str, Compressor] = {"first": FirstSeconds(), "coarse": Coarse()}

    def load_compressor(method: MethodSpec, seed: int) -> Compressor:
        return bring.get(method.name) or loading.load_chunks(method, seed)

    assert run(spec, tmp_path, load_compressor=load_compressor).complete
    cells = {key: store.read_cell(tmp_path, key, paths) for key, paths in store.find_cells(tmp_path).items()}
    (coarse,) = (cell for key, cell in cells.items() if (key.method, key.budget) == ("coarse", 0.5))
    examples = {example.sample_id: example for example in open_corpus(Path("synthetic:certification:6")).examples}
    requests = []
    for sample_id, example in examples.items():
        whole = clip(example.audio.waveform())
        changed = OpenedClip(sample_id, whole).changed(np.round(whole * np.float32(32)) / np.float32(32), None)
        requests.append(Request(sample_id, changed, example.question))
    alone = {answer.id: answer for answer in answer_all(load(spec.answerers[0]), requests)}
    assert {answer.kept_hash for answer in alone.values()} == set(coarse.kept_hash.to_pylist())
    rows = zip(coarse.sample_id.to_pylist(), coarse.nll, coarse.kept_chunks.to_pylist(), strict=True)
    for sample_id, nll, kept_chunks in rows:
        assert abs(nll - alone[sample_id].nll) < 1e-4
        assert kept_chunks is None


class Unable(Hasher):
    """Answers nothing about less or other audio than a whole clip."""

    def __init__(self, whole: set[str], status: str) -> None:
        self._whole, self._status = whole, status

    def answer(self, requests: Iterable[Request], *others: Any) -> Iterator[tuple[Request, Result]]:
        for request, result in super().answer(requests, *others):
            heard = request.excerpt.hash in self._whole
            yield request, result if heard else replace(result, label=None, status=self._status)


@pytest.mark.parametrize(
    ("compressor", "status", "is_harm"),
    [
        (Coarse(), f"{TOO_LONG}40.0 s of audio, the answerer hears 10 s at once", True),
        (Coarse(), NOT_FINITE, True),
        (Coarse(), "out of memory", False),
        (FirstSeconds(), NOT_FINITE, False),  # these are the clip's own samples
    ],
)
def test_a_wave_that_cannot_be_heard_is_harm_of_the_compressor_that_made_it(
    tmp_path: Path, compressor: Compressor, status: str, is_harm: bool
) -> None:
    examples = open_corpus(Path("synthetic:certification:6")).examples
    whole = {audio_hash(clip(example.audio.waveform())) for example in examples}
    content = SPEC.replace("flip_rate = 4", "flip_rate = 0")
    assert run(
        parse(content), tmp_path, load=lambda *_: Unable(whole, status), load_compressor=lambda *_: compressor
    ).complete
    rows = store.read_rows(tmp_path, CellKey("hasher", "synthetic", "first", budget=0.5)).to_pydict()
    assert set(rows["status"]) - {"begins with nothing"} == {(COMPRESSOR if is_harm else "") + status}
    assert set(rows["loss"]) == {None}


def lines_of(path: str, name: str) -> int:
    (owner,) = (
        node
        for node in ast.parse((ROOT / path).read_text()).body
        if isinstance(node, ast.ClassDef) and node.name == name
    )
    assert owner.end_lineno is not None
    return owner.end_lineno - owner.lineno + 1


def test_they_are_as_short_as_the_seams_promise() -> None:
    assert lines_of("tests/support/seams.py", "Hasher") <= 30
    assert lines_of("tests/support/seams.py", "FirstSeconds") <= 20
    assert lines_of("tests/support/seams.py", "Coarse") <= 20


@pytest.mark.parametrize("room", ["sweep", "making/oracle.py", "making/release/certified_answers.py"])
def test_nobody_who_asks_knows_how_answers_are_computed(room: str) -> None:
    """No FLOPs, tokens' keys and values, tokenizers or batches, and nothing of the models or of what they share."""
    place = ROOT / "engine" / room
    for path in [place] if place.suffix else sorted(place.rglob("*.py")):
        text = path.read_text().replace('"flops": reply.flops if', "")  # a column of a row
        assert not re.search(r"flops|tokeniz|kv_bytes|\bKV\b|answerers\.(shared|qwen)", text), path.name


def names_of(path: Path) -> set[Any]:
    return {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)} | {
        node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)
    }


@pytest.mark.parametrize("room", ["sweep", "answerers", "design"])
def test_chunks_are_one_kind_of_compression_and_known_to_theirs_only(room: str) -> None:
    """Outside their own folder seconds have places; the columns of a row, and mel frames that are reused, name them."""
    for path in sorted((ROOT / "engine" / room).rglob("*.py")):
        relative = path.relative_to(ROOT / "engine").as_posix()
        if relative.startswith("answerers/qwen/"):
            continue
        assert "compressors.chunks" not in path.read_text(), relative
        names = {name for name in names_of(path) if "chunk" in name.lower()}
        in_design = {"CHUNKS", "keeps_chunks"} if room == "design" else set()
        columns = {"sweep/work.py": {"chunk_count", "chunks"}, "sweep/clip_keeping.py": {"kept_chunks"}}
        known = columns.get(relative, in_design)
        assert names <= known, (relative, names)
