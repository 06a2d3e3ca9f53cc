"""What a cell says beside its losses: whether it has raw's answers, what it kept, and what its questions really used.

Means and hashes over rows; knows no rule and no family.
"""

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from earmark.engine.arrays import BoolArray, FloatArray
from earmark.engine.outcomes import store
from earmark.engine.signoff.result_entry import Used


def used(cell: store.Cell, raw: store.Cell) -> Used:
    """What a question really used. Where nothing was saved, or nobody knows what, it is what raw audio uses.

    Else a codec that fails on long clips would seem cheaper than it is: those are sent as they are.
    """
    return Used(
        seconds=mean_used(cell, cell.seconds, raw.seconds),
        bits=mean_used(cell, cell.bits, raw.bits),
        positions=mean_used(cell, cell.tokens, raw.tokens),
        lm_positions=mean_used(cell, cell.lm_positions, raw.lm_positions),
        flops=mean_used(cell, cell.flops, raw.flops),
    )


def mean_used(cell: store.Cell, figure: FloatArray, raw_figure: FloatArray) -> float:
    """Mean of a figure (n,), raw's in rows that failed or have none; NaN where no row that is ok has one."""
    known = cell.ok & ~np.isnan(figure)
    return _mean_known(np.where(known, figure, raw_figure)) if known.any() else float("nan")


def _mean_known(values: FloatArray) -> float:
    """Mean of the values that are not NaN; NaN where all are."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def consistency(cell: store.Cell, reference: store.Cell) -> float:
    """Share of rows with the reference's answer, NaN where a cell has no answers.

    No parsed answer on both sides is the same answer; a failed row has another one.
    """
    if cell.predicted_label.null_count == len(cell) or reference.predicted_label.null_count == len(reference):
        return float("nan")
    return 1.0 if cell is reference else float(same_answers(cell, reference).mean())


def same_answers(cell: store.Cell, reference: store.Cell) -> BoolArray:
    """(n,) whether both cells have the same answer, or neither could be parsed; False where one failed."""
    ours, theirs = cell.predicted_label, reference.predicted_label
    both_none = pc.and_(pc.is_null(ours), pc.is_null(theirs))
    same = np.asarray(pc.fill_null(pc.equal(ours, theirs), False)) | np.asarray(both_none)
    return np.asarray(same & cell.ok & reference.ok)


def copies_of_raw(cell: store.Cell, raw: store.Cell) -> float:
    """Share of rows that keep all of raw audio, by the hashes of what was kept; NaN where these are not known."""
    if cell.kept_hash.null_count == len(cell) or raw.kept_hash.null_count == len(raw):
        return float("nan")
    return float(np.asarray(pc.fill_null(pc.equal(cell.kept_hash, raw.kept_hash), False)).mean())


def kept_hash(cell: store.Cell) -> str | None:
    """One hash of everything that the rows of a cell keep, None where it is not known."""
    if cell.kept_hash.null_count:
        return None
    return hashlib.sha256("\x1f".join(cell.kept_hash.to_pylist()).encode()).hexdigest()


def kept_chunks(cell: store.Cell) -> pa.Array | None:
    """Lists of kept chunks per row, None where the cell has none."""
    return None if cell.kept_chunks.null_count == len(cell) else cell.kept_chunks
