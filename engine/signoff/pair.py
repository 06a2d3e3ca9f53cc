"""Cells of a run become curves of paired differences: compressed loss minus raw loss, row by row, budget by budget.

This is where ids are matched, the reference is chosen, and failed rows are charged. Knows nothing of families'
statistics; what follows works on the arrays made here.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from earmark.engine.arrays import BoolArray, FloatArray, IntArray
from earmark.engine.design.compressors import Axis
from earmark.engine.design.keys import ANCHOR, UNCOMPRESSED, CellKey, is_naive
from earmark.engine.design.rule import Rule
from earmark.engine.design.steps import Arm
from earmark.engine.errors import InputError, first_few
from earmark.engine.outcomes import store
from earmark.engine.outcomes.input_file import InputFile
from earmark.engine.outcomes.plan_file import PlanFile, PlannedMethod
from earmark.engine.progress import Report
from earmark.engine.signoff import order, sources
from earmark.engine.signoff.cell_facts import (
    consistency,
    copies_of_raw,
    kept_chunks,
    kept_hash,
    mean_used,
    same_answers,
    used,
)
from earmark.engine.signoff.certificate import CellErrors
from earmark.engine.signoff.failed_rows import failed_rows
from earmark.engine.signoff.result_entry import Used

SELF_FULL = "self_full"  # the method's own budget 1 as the reference (method 8)


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
    budgets: FloatArray  # (B,) the last one is 1.0
    implied: bool  # budget 1.0 was not run: keeping everything is the raw audio
    difference: FloatArray  # (n, B) compressed loss minus raw loss, on a grid where sums are exact; NaN: not asked
    raw_loss: float
    loss: FloatArray  # (B,) mean compressed loss
    tokens: FloatArray  # (B,) mean audio tokens, NaN where unknown
    consistency: FloatArray  # (B,) share of rows with the raw answer, NaN where unknown
    kept: tuple[str | None, ...]  # (B,) one hash of all kept chunks, None where unknown
    missing: tuple[float, ...] = ()  # budgets that were declared and have no cell
    copies: FloatArray | None = None  # (B,) share of rows that keep all of raw audio, NaN where unknown
    silent: FloatArray | None = None  # (B,) share of rows with the answer to silence, NaN where unknown
    probability: npt.NDArray[np.float32] | None = None  # (n, B) rise of 1 - exp(-nll), None where nll is not known
    kept_chunks: tuple[pa.Array | None, ...] = ()  # (B,) lists of chunks per row, None where unknown
    chunks: IntArray | None = None  # (n,) how many there were, None where unknown
    used: tuple[Used, ...] = ()  # (B,) what a question really used
    planned: PlannedMethod | None = None  # None: nothing was declared of the method
    axis: Axis | None = None  # what budgets are shares of; None: nobody said

    @property
    def is_part(self) -> bool:
        """Whether rows were left out, because it was decided without them."""
        return bool(np.isnan(self.difference).any())

    def is_raw(self, b: int) -> bool:
        """Whether the budget is the reference itself: nothing was compared there, the difference is 0 by definition."""
        return bool(self.budgets[b] == 1.0) and (self.implied or self.reference == SELF_FULL)

    def kept_share(self, b: int) -> FloatArray | None:
        """(n,) share of each clip's chunks that was kept, the budget where a row does not say; None where none does."""
        lists = self.kept_chunks[b] if self.kept_chunks else None
        if lists is None or self.chunks is None:
            return None
        n_kept = lists.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
        share: FloatArray = np.where(n_kept > 0, n_kept / np.maximum(self.chunks, 1), self.budgets[b])
        return share


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows that curves share: everything about a sample that no method changes. Ordered by sample_id."""

    corpus: str
    sample_id: pa.Array
    source: IntArray  # (n,) codes of the recordings
    query_family: tuple[str, ...]
    place: IntArray  # (n,) of each row in the constant order

    @classmethod
    def of(cls, corpus: str, sample_id: pa.Array, source_id: pa.Array, query_family: Sequence[str]) -> "Rows":
        """Rows with these names, sources coded and placed in the constant order."""
        encoded = pc.dictionary_encode(source_id)
        codes = encoded.indices.to_numpy().astype(np.int64)
        place = order.places(source_id.to_pylist(), sample_id.to_pylist())
        return cls(corpus, sample_id, codes, tuple(query_family), place)

    @property
    def n_sources(self) -> int:
        """How many different recordings there are."""
        return int(self.source.max()) + 1


@dataclass(frozen=True, slots=True)
class Control:
    """What raw audio and silence show of an answerer, whatever the method: does it listen at all?"""

    raw_loss: FloatArray  # (n,) NaN where raw failed
    asked: BoolArray  # (n,) what was not left out by walks that were decided without
    options: FloatArray  # (n,) answers to choose from, NaN where unknown
    answers: pa.Array  # (n,) raw answers
    right_answers: pa.Array  # (n,)
    silence: FloatArray | None = None  # (n,) rise of the loss on silence, 0 where either failed; None: no such cell
    silence_asked: BoolArray | None = None  # (n,) what was not left out of that cell
    same: BoolArray | None = None  # (n,) whether silence got the raw answer; None where answers are not known


class Paired(NamedTuple):
    """Everything the estimators need from the files."""

    groups: tuple[tuple[Rows, tuple[Curve, ...]], ...]  # curves with the same rows stand together
    inputs: tuple[InputFile, ...]
    errors: tuple[CellErrors, ...]
    controls: Mapping[tuple[str, str], Control]  # by answerer and corpus
    suspects: tuple[sources.Suspect, ...]  # columns that may name recordings, and do not count as such
    plans: Mapping[CellKey, str | None]  # the hash of the plan that each cell was made under
    unlike: tuple[str, ...]  # methods whose own full budgets stand in for raw audio, and differ


@dataclass(frozen=True, slots=True)
class _Raw:
    """A reference cell, ordered by sample_id."""

    name: str
    cell: store.Cell
    loss: FloatArray


def pair(
    run: Path,
    rule: Rule,
    progress: Report,
    plan: PlanFile | None = None,
    axes: Mapping[str, Axis] = MappingProxyType({}),
) -> Paired:
    """Read every cell of the run and pair it with its raw reference.

    `plan` tells which budgets are missing, `axes` what those of methods that it does not name are shares of.
    """
    cells = store.find_cells(run)
    inputs: list[InputFile] = []
    errors: dict[CellKey, list[CellErrors]] = {}
    plans: dict[CellKey, str | None] = {}
    n_read = 0

    def load(key: CellKey) -> store.Cell:
        nonlocal n_read
        cell = store.read_cell(run, key, cells[key])
        n_read += 1
        progress("reading cells", n_read, len(cells))
        inputs.extend(cell.files)
        if (plan is None or plan.decided is None) and not cell.asked.all():
            what = f"{int((~cell.asked).sum()):,} rows were left out, and no plan says that walks stop when decided"
            raise InputError(cell.files[0].path, what, "restore the plan.json that the sweep wrote, or run it again")
        errors[key] = failed_rows(cell, rule)
        plans[key] = cell.plan
        return cell

    curves: dict[str, tuple[Rows, list[Curve]]] = {}
    controls: dict[tuple[str, str], Control] = {}
    suspects: list[sources.Suspect] = []
    unlike: list[str] = []
    for (answerer, corpus), keys in _by_answerer_and_corpus(cells).items():
        raws = {key.stream: _raw(UNCOMPRESSED, load(key), rule) for key in _references(keys)}
        silence = next((load(key) for key in _controls(keys)), None)
        base: _Raw | None = raws.get(ANCHOR)  # the cell that rows and families are read from
        rows: Rows | None = None
        fingerprint = ""
        for curve_key, budgets in _anchors_first(_curves(keys)).items():
            errors |= {key: [] for key in budgets.values()}  # in the order of budgets, whichever is read first
            full = load(budgets[1.0]) if 1.0 in budgets else None
            raw = _reference_of(curve_key, raws, full, min(budgets.values()), rule)
            base = base or raw
            if rows is None:
                source_column = sources.of_cell(base.cell, cells[base.cell.key], rule.source)
                suspects += source_column.suspects
                families = base.cell.query_family.to_pylist()
                rows = Rows.of(corpus, base.cell.sample_id, source_column.source_id, families)
                fingerprint = _fingerprint(rows)
                controls[answerer, corpus] = _control(base.cell, silence)
            naive = is_naive(curve_key.stream)
            _check_same_samples(raw.cell, base.cell, naive=naive)
            if raw.name == SELF_FULL and not naive and not np.array_equal(raw.loss, base.loss):
                unlike.append(
                    f"{answerer}/{corpus}: {curve_key.method}'s own budget 1.0 has other answers than that of "
                    f"{base.cell.key.method}: which of them is raw audio is not known."
                )
            if full is not None and full is not raw.cell:
                _check_copy_of_raw(full, raw)
            compressed = {budget: key for budget, key in budgets.items() if budget < 1}
            control = None if naive else silence
            joined = {budget: _join(load(key), raw, control, rule) for budget, key in compressed.items()}
            implied = full is not raw.cell
            missing = _missing(curve_key, [*joined] if implied else [*joined, 1.0], plan)
            joined[1.0] = _join(raw.cell, raw, control, rule)
            group = curves.setdefault(fingerprint, (rows, []))
            planned = None if plan is None else plan.methods.get(curve_key.method)
            axis = axes.get(curve_key.method) if planned is None else planned.axis
            group[1].append(_curve(curve_key, raw, joined, implied, missing, planned, axis))
        if rows is None:
            raise InputError(
                f"cells/answerer={answerer}/corpus={corpus}",
                "holds no cell of a compression method",
                "add at least one beside raw audio",
            )
    return Paired(
        tuple((rows, tuple(row_curves)) for rows, row_curves in curves.values()),
        tuple(sorted(inputs)),
        tuple(error for cell_errors in errors.values() for error in cell_errors),
        controls,
        tuple(suspects),
        plans,
        tuple(dict.fromkeys(unlike)),
    )


# Keys ------------------------------------------------------------------------------------------------------


def _by_answerer_and_corpus(cells: Mapping[CellKey, object]) -> dict[tuple[str, str], list[CellKey]]:
    """Cells that can be paired with one another."""
    grouped: dict[tuple[str, str], list[CellKey]] = {}
    for key in cells:
        grouped.setdefault((key.answerer, key.corpus), []).append(key)
    return grouped


def _references(keys: list[CellKey]) -> list[CellKey]:
    """The uncompressed cell of each stream; raises InputError for two, which would make the baseline a choice."""
    references = [key for key in keys if key.is_reference]
    for stream in {key.stream for key in references}:
        stream_references = [key for key in references if key.stream == stream]
        if len(stream_references) > 1:
            raise InputError(
                stream_references[1],
                f"a second raw reference beside {stream_references[0]}",
                "keep one uncompressed cell",
            )
    return references


def _controls(keys: list[CellKey]) -> list[CellKey]:
    """The silence cell, where there is one; raises InputError for two, which would make the control a choice."""
    controls = [key for key in keys if key.is_control]
    if len(controls) > 1:
        raise InputError(controls[1], f"a second silence control beside {controls[0]}", "keep one")
    return controls


def _anchors_first(curves: dict[CurveKey, dict[float, CellKey]]) -> dict[CurveKey, dict[float, CellKey]]:
    """Curves of the anchor before permuted and naive ones, which may take their reference from it."""
    return dict(sorted(curves.items(), key=lambda item: (item[0].stream != ANCHOR, item[0])))


def _curves(keys: list[CellKey]) -> dict[CurveKey, dict[float, CellKey]]:
    """The compressed cells of every curve, by budget."""
    curves: dict[CurveKey, dict[float, CellKey]] = {}
    for key in keys:
        if not (key.is_reference or key.is_control):
            curve = CurveKey(key.answerer, key.corpus, key.method, key.seed, key.stream)
            curves.setdefault(curve, {})[key.budget] = key
    return curves


# The reference ---------------------------------------------------------------------------------------------


def _reference_of(key: CurveKey, raws: dict[str, _Raw], full: store.Cell | None, smallest: CellKey, rule: Rule) -> _Raw:
    """The raw cell of the stream, else of the anchor, else the method's own budget 1 (`self_full`).

    That own budget is the anchor's, or the stream's where the anchor has none; `raws` remembers it for later streams.
    A naive stream puts other questions to the answerer: it can only be compared with raw audio under the same ones.
    """
    own_full = f"{key.method} {key.seed}"  # no stream has a blank in its name
    raw = raws.get(key.stream)
    if raw is None and not is_naive(key.stream):
        raw = raws.get(ANCHOR) or raws.get(own_full)
    if raw is not None:
        return raw
    if full is None:
        where = f"/stream={key.stream}" if is_naive(key.stream) else ""
        raise InputError(
            smallest,
            "has no raw reference" + (" of its own, and the anchor's is of other questions" if where else ""),
            f"add method={UNCOMPRESSED}{where}/budget=1.0 or the method's own budget=1.0",
        )
    raw = _raw(SELF_FULL, full, rule)
    if key.stream == ANCHOR:
        raws[own_full] = raw
    return raw


def _check_copy_of_raw(full: store.Cell, raw: _Raw) -> None:
    """Refuse a method's own budget 1 beside a raw reference that is not raw audio; where it is, it is left out."""
    if not full.sample_id.equals(raw.cell.sample_id):
        _refuse_unpaired(full.key, full.sample_id, raw.cell.sample_id, str(raw.cell.key))
    differs = ~((full.loss == raw.cell.loss) | (np.isnan(full.loss) & np.isnan(raw.cell.loss)))
    if differs.any():
        ids = full.sample_id.filter(pa.array(differs)).to_pylist()
        raise InputError(
            full.key,
            f"keeps everything, and yet differs from {raw.cell.key} in {int(differs.sum())} rows "
            f"(sample_id {first_few(ids)})",
            "budget 1 is raw audio: remove the cell, or write it as the budget that it keeps",
        )


def _control(raw: store.Cell, silence: store.Cell | None) -> Control:
    """What raw audio and the silence cell show of an answerer."""
    loss = np.where(raw.ok, raw.loss, np.nan)
    if silence is None:
        return Control(loss, raw.asked, raw.n_options, raw.predicted_label, raw.correct_label)
    _check_same_samples(silence, raw, naive=False)
    both = raw.ok & silence.ok
    unknown = raw.predicted_label.null_count == len(raw) or silence.predicted_label.null_count == len(raw)
    return Control(
        loss,
        raw.asked,
        raw.n_options,
        raw.predicted_label,
        raw.correct_label,
        np.where(both, silence.loss - raw.loss, 0.0),
        silence.asked,
        None if unknown else same_answers(silence, raw),
    )


def _raw(name: str, cell: store.Cell, rule: Rule) -> _Raw:
    return _Raw(name, cell, _loss(cell, rule, failed=0.0))


def _loss(cell: store.Cell, rule: Rule, failed: float) -> FloatArray:
    """The declared loss per row; a failed row gets the value that counts against the compressor."""
    if rule.loss == "zero-one":
        return np.where(cell.asked, np.where(cell.ok, cell.loss, failed), np.nan)
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


def _missing(key: CurveKey, loaded: Collection[float], plan: PlanFile | None) -> tuple[float, ...]:
    """Budgets that a plan declares for a curve of the anchor and that have no cell."""
    if plan is None or key.answerer not in plan.answerers or key.corpus != plan.corpus.name:
        return ()
    if key.stream != ANCHOR:
        return ()
    return tuple(budget for budget in plan.budgets(Arm(key.method, key.seed, ANCHOR)) if budget not in loaded)


class _Joined(NamedTuple):
    """One cell paired with its raw reference, all that is kept of it; shares are NaN where they are not known."""

    difference: FloatArray  # (n,)
    loss: float
    tokens: float
    consistency: float
    copies: float
    silent: float
    probability: npt.NDArray[np.float32] | None
    kept: str | None
    kept_chunks: pa.Array | None
    used: Used


def _join(cell: store.Cell, raw: _Raw, silence: store.Cell | None, rule: Rule) -> _Joined:
    """Pair one cell; a row without an answer on either side is harm: raw taken as right, compressed as wrong."""
    _check_same_samples(cell, raw.cell, naive=is_naive(cell.key.stream))
    there = cell.asked & raw.cell.asked
    if not there.all() and there.any():
        return _join_part(cell, raw, silence, rule, there)
    both = cell.ok & raw.cell.ok
    loss = raw.loss if cell is raw.cell else np.where(both, _loss(cell, rule, failed=1.0), 1.0)
    difference = np.zeros_like(loss) if cell is raw.cell else np.where(both, loss - raw.loss, 1.0)
    difference[~there] = 0.0 if cell is raw.cell else np.nan
    nll_known = not (np.isnan(cell.nll[both]).any() or np.isnan(raw.cell.nll[both]).any())
    return _Joined(
        difference,
        float(loss.mean()),
        mean_used(cell, cell.tokens, raw.cell.tokens),
        consistency(cell, raw.cell),
        copies_of_raw(cell, raw.cell),
        float("nan") if silence is None else consistency(cell, silence),
        np.where(both, np.exp(-raw.cell.nll) - np.exp(-cell.nll), difference).astype(np.float32) if nll_known else None,
        kept_hash(cell),
        kept_chunks(cell),
        used(cell, raw.cell),
    )


def _join_part(cell: store.Cell, raw: _Raw, silence: store.Cell | None, rule: Rule, there: BoolArray) -> _Joined:
    """Pair the rows of a cell that were asked; the others have no difference, and count for nothing."""
    raw_part = _Raw(raw.name, raw.cell.only(there), raw.loss[there])
    part = raw_part.cell if cell is raw.cell else cell.only(there)
    joined = _join(part, raw_part, None if silence is None else silence.only(there), rule)
    difference = np.full(len(cell), np.nan)
    difference[there] = joined.difference
    if cell is raw.cell:
        difference[~there] = 0.0  # raw audio beside itself
    probability = None
    if joined.probability is not None:
        probability = np.full(len(cell), np.nan, dtype=np.float32)
        probability[there] = joined.probability
    return joined._replace(difference=difference, probability=probability, kept=None, kept_chunks=kept_chunks(cell))


def _curve(
    key: CurveKey,
    raw: _Raw,
    joined_of_budget: Mapping[float, _Joined],
    implied: bool,
    missing: tuple[float, ...],
    planned: PlannedMethod | None,
    axis: Axis | None,
) -> Curve:
    """The curve of paired cells, by ascending budget; at budget 1 it is the reference itself."""
    joined = joined_of_budget.values()
    probability = [cell.probability for cell in joined if cell.probability is not None]
    raw_chunks = kept_chunks(raw.cell)
    return Curve(
        key=key,
        reference=raw.name,
        budgets=np.array([*joined_of_budget]),
        implied=implied,
        difference=_on_grid(np.stack([cell.difference for cell in joined], axis=1)),
        raw_loss=float(np.nanmean(raw.loss)) if raw.cell.asked.any() else float("nan"),
        loss=np.array([cell.loss for cell in joined]),
        tokens=np.array([cell.tokens for cell in joined]),
        consistency=np.array([cell.consistency for cell in joined]),
        kept=tuple(cell.kept for cell in joined),
        missing=missing,
        copies=np.array([cell.copies for cell in joined]),
        silent=np.array([cell.silent for cell in joined]),
        probability=np.stack(probability, axis=1) if len(probability) == len(joined) else None,
        kept_chunks=tuple(cell.kept_chunks for cell in joined),
        chunks=None if raw_chunks is None else raw_chunks.value_lengths().fill_null(0).to_numpy().astype(np.int64),
        used=tuple(cell.used for cell in joined),
        planned=planned,
        axis=axis,
    )


def _on_grid(difference: FloatArray) -> FloatArray:
    """Rounded to a power-of-two grid so fine that resampled sums stay exact in float64, in any order of addition."""
    largest = max(1.0, float(np.nanmax(difference)), -float(np.nanmin(difference)))
    spare_bits = 8  # whole sources may be drawn, which makes a resample longer than the sample
    bits = 52 - spare_bits - int(np.ceil(np.log2(len(difference) * largest)))
    difference *= 2.0**bits  # in its place: it is as large as anything here
    np.round(difference, out=difference)
    difference /= 2.0**bits
    return difference


def _check_same_samples(cell: store.Cell, raw: store.Cell, *, naive: bool) -> None:
    """Refuse a cell whose ids, or their sources, families or right answers, are not those of its reference."""
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


def _refuse_unpaired(key: CellKey, ours: pa.Array, theirs: pa.Array, reference: str) -> None:
    """Raise InputError that names the ids which only one of two cells has."""
    extra = ours.filter(pc.invert(pc.is_in(ours, theirs))).to_pylist()
    lacking = theirs.filter(pc.invert(pc.is_in(theirs, ours))).to_pylist()
    complaints = [
        f"{len(ids)} unpaired ids {what} (sample_id {first_few(ids)})"
        for ids, what in ((lacking, f"of {reference} are missing here"), (extra, f"are not in {reference}"))
        if ids
    ]
    raise InputError(key, " and ".join(complaints), "evaluate both on the same samples")


def _fingerprint(rows: Rows) -> str:
    """A hash that is equal for equal rows, whose curves then stand together."""
    names = "\x1f".join([rows.corpus, *rows.sample_id.to_pylist(), *rows.query_family])
    return hashlib.sha256(names.encode() + rows.source.tobytes()).hexdigest()
