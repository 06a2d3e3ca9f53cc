"""Cells of a run become curves of paired differences: compressed loss minus raw loss, row by row, budget by budget.

This is where ids are matched, the reference is chosen, and failed rows are charged. Knows nothing of families'
statistics; what follows works on the arrays made here.
"""

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from earmark.engine.errors import InputError, UncertifiableError, first_few
from earmark.engine.outcomes import store
from earmark.engine.outcomes.schema import ANCHOR, OK, UNCOMPRESSED, CellKey
from earmark.engine.signoff.rule import Rule

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
SELF_FULL = "self_full"  # the method's own budget 1 as the reference (SPEC 8)
Progress = Callable[[str, int, int], None]  # what, done, total


class CurveKey(NamedTuple):
    """One method under one answerer: what a verdict is about, together with a partition."""

    answerer: str
    corpus: str
    method: str
    seed: int
    stream: str


@dataclass(frozen=True, slots=True)
class Curve:
    """The paired outcomes of one method at B ascending budgets, over n rows."""

    key: CurveKey
    reference: str  # "uncompressed" or "self_full"
    budgets: FloatArray  # (B,) the last one is 1.0, except in naive streams without a raw cell of their own
    implied: bool  # budget 1.0 was not run: keeping everything is the raw audio
    difference: FloatArray  # (n, B) compressed loss minus raw loss, on a grid on which every sum is exact
    raw_loss: float
    loss: FloatArray  # (B,) mean compressed loss
    tokens: FloatArray  # (B,) mean audio tokens, NaN where unknown
    consistency: FloatArray  # (B,) share of rows with the raw answer, NaN where unknown
    kept: tuple[str | None, ...]  # (B,) one hash of all kept chunks, None where unknown
    kept_chunks: tuple[pa.Array | None, ...] = ()  # (B,) lists of chunks per row, None where unknown
    chunks: IntArray | None = None  # (n,) how many there were, None where unknown

    def is_raw(self, b: int) -> bool:
        """Whether the budget is the reference itself: nothing was compared there, the difference is 0 by definition."""
        return bool(self.budgets[b] == 1.0) and (self.implied or self.reference == SELF_FULL)

    def kept_share(self, b: int) -> FloatArray | None:
        """(n,) share of each clip's chunks that was kept, the budget where a row does not say; None where none does."""
        lists = self.kept_chunks[b] if self.kept_chunks else None
        if lists is None or self.chunks is None:
            return None
        kept = lists.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
        share: FloatArray = np.where(kept > 0, kept / np.maximum(self.chunks, 1), self.budgets[b])
        return share


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows that curves share: everything about a sample that no method changes. Ordered by sample_id."""

    corpus: str
    sample_id: pa.Array
    source: IntArray  # (n,) codes of the recordings
    query_family: tuple[str, ...]

    @property
    def n_sources(self) -> int:
        return int(self.source.max()) + 1


class CellErrors(NamedTuple):
    """The failed rows of one cell."""

    key: CellKey
    rows: int
    errors: int
    first: tuple[str, ...]


class Paired(NamedTuple):
    """Everything the estimators need from the files."""

    groups: tuple[tuple[Rows, tuple[Curve, ...]], ...]  # curves with the same rows stand together
    inputs: tuple[store.InputFile, ...]
    errors: tuple[CellErrors, ...]


@dataclass(frozen=True, slots=True)
class _Raw:
    """A reference cell, ordered by sample_id."""

    name: str
    cell: store.Cell
    loss: FloatArray
    tokens: float


def pair(run: Path, rule: Rule, progress: Progress) -> Paired:
    """Read every cell of the run and pair it with its raw reference."""
    cells = store.find_cells(run)
    inputs: list[store.InputFile] = []
    errors: list[CellErrors] = []
    read = 0

    def load(key: CellKey) -> store.Cell:
        nonlocal read
        cell = store.read_cell(run, key, cells[key])
        read += 1
        progress("reading cells", read, len(cells))
        inputs.extend(cell.files)
        errors.extend(_errors(cell, rule))
        return cell

    curves: dict[str, tuple[Rows, list[Curve]]] = {}
    for (answerer, corpus), keys in _by_answerer_and_corpus(cells).items():
        raws = {key.stream: _raw(UNCOMPRESSED, load(key), rule) for key in _references(keys)}
        first: store.Cell | None = None
        for curve_key, budgets in _curves(keys).items():
            loaded = {budget: load(key) for budget, key in budgets.items()}
            raw = _reference_of(curve_key, raws, loaded, rule)
            naive = curve_key.stream.startswith("naive")
            first = first or raw.cell
            _check_same_samples(raw.cell, first, naive=naive)
            rows = _rows(corpus, raw.cell)
            own_raw = curve_key.stream in raws or not naive
            group = curves.setdefault(_fingerprint(rows), (rows, []))
            group[1].append(_curve(curve_key, raw, loaded, rule, implied_end=own_raw and raw.name == UNCOMPRESSED))
        if first is None:
            raise InputError(
                f"cells/answerer={answerer}/corpus={corpus}",
                "holds only the uncompressed reference",
                "add at least one cell of a compression method",
            )
    return Paired(
        tuple((rows, tuple(of_rows)) for rows, of_rows in curves.values()),
        tuple(sorted(inputs)),
        tuple(errors),
    )


# Keys ------------------------------------------------------------------------------------------------------


def _by_answerer_and_corpus(cells: Mapping[CellKey, object]) -> dict[tuple[str, str], list[CellKey]]:
    grouped: dict[tuple[str, str], list[CellKey]] = {}
    for key in cells:
        grouped.setdefault((key.answerer, key.corpus), []).append(key)
    return grouped


def _references(keys: list[CellKey]) -> list[CellKey]:
    """The uncompressed cell of each stream; two of them would make the baseline a matter of choice."""
    references = [key for key in keys if key.is_reference]
    for stream in {key.stream for key in references}:
        same = [key for key in references if key.stream == stream]
        if len(same) > 1:
            raise InputError(same[1], f"a second raw reference beside {same[0]}", "keep one uncompressed cell")
    return references


def _curves(keys: list[CellKey]) -> dict[CurveKey, dict[float, CellKey]]:
    curves: dict[CurveKey, dict[float, CellKey]] = {}
    for key in keys:
        if not key.is_reference:
            curve = CurveKey(key.answerer, key.corpus, key.method, key.seed, key.stream)
            curves.setdefault(curve, {})[key.budget] = key
    return curves


def _cell_key(curve: CurveKey, budget: float) -> CellKey:
    return CellKey(curve.answerer, curve.corpus, curve.method, curve.seed, curve.stream, budget)


# The reference ---------------------------------------------------------------------------------------------


def _reference_of(key: CurveKey, raws: Mapping[str, _Raw], loaded: Mapping[float, store.Cell], rule: Rule) -> _Raw:
    """The raw cell of the stream, else of the anchor, else the method's own budget 1 (`self_full`, SPEC 8)."""
    raw = raws.get(key.stream) or raws.get(ANCHOR)
    if raw is not None:
        return raw
    if 1.0 not in loaded:
        raise InputError(
            _cell_key(key, min(loaded)),
            "has no raw reference",
            f"add method={UNCOMPRESSED}/budget=1.0 or the method's own budget=1.0",
        )
    return _raw(SELF_FULL, loaded[1.0], rule)


def _raw(name: str, cell: store.Cell, rule: Rule) -> _Raw:
    return _Raw(name, cell, _loss(cell, rule, failed=0.0), _mean_known(cell.tokens))


def _loss(cell: store.Cell, rule: Rule, failed: float) -> FloatArray:
    """The declared loss per row; a failed row gets the value that counts against the compressor."""
    if rule.loss == "zero-one":
        return np.where(cell.ok, cell.loss, failed)
    unknown = np.isnan(cell.nll)
    if unknown.any():
        ids = cell.sample_id.filter(pa.array(unknown)).to_pylist()
        raise InputError(
            cell.files[0].path,
            f"column nll is missing or null in {int(unknown.sum())} rows (sample_id {first_few(ids)})",
            "--loss nll needs it in every row; use --loss zero-one",
        )
    return cell.nll


# Pairing ---------------------------------------------------------------------------------------------------


def _curve(key: CurveKey, raw: _Raw, loaded: Mapping[float, store.Cell], rule: Rule, *, implied_end: bool) -> Curve:
    budgets = sorted(loaded)
    implied = implied_end and budgets[-1] < 1.0
    differences, losses, tokens, consistency, kept, kept_chunks = [], [], [], [], [], []
    for budget in budgets:
        cell = loaded[budget]
        _check_same_samples(cell, raw.cell, naive=key.stream.startswith("naive"))
        loss = _loss(cell, rule, failed=1.0)
        differences.append(np.zeros_like(loss) if cell is raw.cell else loss - raw.loss)
        losses.append(float(loss.mean()))
        tokens.append(_mean_known(cell.tokens))
        consistency.append(_consistency(cell, raw.cell))
        kept.append(_kept(cell))
        kept_chunks.append(_kept_chunks(cell))
    if implied:
        budgets.append(1.0)
        differences.append(np.zeros_like(raw.loss))
        losses.append(float(raw.loss.mean()))
        tokens.append(raw.tokens)
        consistency.append(_consistency(raw.cell, raw.cell))
        kept.append(_kept(raw.cell))
        kept_chunks.append(_kept_chunks(raw.cell))
    every = _kept_chunks(raw.cell)
    return Curve(
        key=key,
        reference=raw.name,
        budgets=np.array(budgets),
        implied=implied,
        difference=_on_grid(np.stack(differences, axis=1)),
        raw_loss=float(raw.loss.mean()),
        loss=np.array(losses),
        tokens=np.array(tokens),
        consistency=np.array(consistency),
        kept=tuple(kept),
        kept_chunks=tuple(kept_chunks),
        chunks=None if every is None else every.value_lengths().fill_null(0).to_numpy().astype(np.int64),
    )


def _on_grid(difference: FloatArray) -> FloatArray:
    """Round to a power-of-two grid so fine that resampled sums stay exact in float64, in any order of addition."""
    largest = max(1.0, float(np.abs(difference).max()))
    spare_bits = 8  # whole sources may be drawn, which makes a resample longer than the sample
    bits = 52 - spare_bits - int(np.ceil(np.log2(len(difference) * largest)))
    return np.asarray(np.round(difference * 2.0**bits) / 2.0**bits)


def _check_same_samples(cell: store.Cell, raw: store.Cell, *, naive: bool) -> None:
    """The same ids, and the same source, family and right answer per id."""
    if cell is raw:
        return
    if not cell.sample_id.equals(raw.sample_id):
        _refuse_unpaired(cell.key, cell.sample_id, raw.sample_id, str(raw.key))
    columns = ["source_id", "query_family"] + ([] if naive else ["correct_label"])  # naive asks another question
    for column in columns:
        ours, theirs = getattr(cell, column), getattr(raw, column)
        if ours.equals(theirs):
            continue
        differs = np.asarray(pc.fill_null(pc.not_equal(ours, theirs), False))
        if differs.any():
            ids = cell.sample_id.filter(pa.array(differs)).to_pylist()
            raise InputError(
                cell.files[0].path,
                f"column {column} differs from the raw reference's in {int(differs.sum())} rows "
                f"(sample_id {first_few(ids)})",
                "the two runs were not made from the same questions: mixed references cannot be paired",
            )


def _refuse_unpaired(key: CellKey, ours: pa.Array, theirs: pa.Array, other: str) -> None:
    extra = ours.filter(pc.invert(pc.is_in(ours, theirs))).to_pylist()
    lacking = theirs.filter(pc.invert(pc.is_in(theirs, ours))).to_pylist()
    found = [
        f"{len(ids)} unpaired ids {what} (sample_id {first_few(ids)})"
        for ids, what in ((lacking, f"of {other} are missing here"), (extra, f"are not in {other}"))
        if ids
    ]
    raise InputError(key, " and ".join(found), "evaluate both on the same samples")


def _rows(corpus: str, raw: store.Cell) -> Rows:
    encoded = pc.dictionary_encode(raw.source_id)
    return Rows(corpus, raw.sample_id, encoded.indices.to_numpy().astype(np.int64), tuple(raw.query_family.to_pylist()))


def _fingerprint(rows: Rows) -> str:
    names = "\x1f".join([rows.corpus, *rows.sample_id.to_pylist(), *rows.query_family])
    return hashlib.sha256(names.encode() + rows.source.tobytes()).hexdigest()


# What else a cell tells -------------------------------------------------------------------------------------


def _mean_known(values: FloatArray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _consistency(cell: store.Cell, raw: store.Cell) -> float:
    """Share of rows with the raw answer; no answer counts as an answer of its own, a failed row as another one."""
    ours, theirs = cell.predicted_label, raw.predicted_label
    if ours.null_count == len(ours) or theirs.null_count == len(theirs):
        return float("nan")
    both_none = pc.and_(pc.is_null(ours), pc.is_null(theirs))
    same = np.asarray(pc.fill_null(pc.equal(ours, theirs), False)) | np.asarray(both_none)
    return float((same & cell.ok & raw.ok).mean())


def _kept(cell: store.Cell) -> str | None:
    if cell.kept_hash.null_count:
        return None
    return hashlib.sha256("\x1f".join(cell.kept_hash.to_pylist()).encode()).hexdigest()


def _kept_chunks(cell: store.Cell) -> pa.Array | None:
    return None if cell.kept_chunks.null_count == len(cell) else cell.kept_chunks


def _errors(cell: store.Cell, rule: Rule) -> list[CellErrors]:
    """The failed rows of a cell; refuses a cell with more of them than was declared."""
    failed = ~cell.ok
    n_failed = int(failed.sum())
    if not n_failed:
        return []
    mask = pa.array(failed)
    ids, status = cell.sample_id.filter(mask).to_pylist(), cell.status.filter(mask).to_pylist()
    first = tuple(f"{i}: {s}" for i, s in zip(ids[:3], status[:3], strict=True))
    if n_failed > rule.max_error_rate * len(cell) + 1e-9:
        share = math.ceil(1e4 * n_failed / len(cell)) / 1e4  # rounded up, so that declaring it is enough
        raise UncertifiableError(
            cell.files[0].path,
            f"{n_failed} of {len(cell)} rows have a status other than '{OK}' ({first_few(first)})",
            f"run them again, or declare --max-error-rate {share:g} and count them as harm"
            if share < 1
            else "run it again",
        )
    if rule.loss == "nll":
        raise UncertifiableError(
            cell.files[0].path, f"{n_failed} failed rows have no nll", "run them again, or use --loss zero-one"
        )
    return [CellErrors(cell.key, len(cell), n_failed, first)]
