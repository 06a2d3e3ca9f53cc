"""Excess risks of one curve under one partition: point values (SPEC 2) and their bootstrap replicates (SPEC 5).

Knows arrays of paired differences, families and the kernels; no files, no rule.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from earmark.engine.signoff.families import Families
from earmark.engine.signoff.paired import Curve, Progress
from earmark.kernels.bootstrap import resampled_sums
from earmark.kernels.collapse import collapse
from earmark.kernels.frontier import worst

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_REPLICATE_BYTES = 1 << 28  # held at a time


class Excess(NamedTuple):
    """Mean excess, with any leading axes L: none for the observed rows, (replicates,) for a bootstrap."""

    average: FloatArray  # (*L, B)
    family: FloatArray  # (*L, F, B); NaN where a replicate has no row of the family

    @property
    def worst(self) -> FloatArray:
        """The maximum over families, (*L, B)."""
        return worst(self.family)


@dataclass(frozen=True, slots=True)
class Observed:
    """What the rows themselves say, before any resampling."""

    excess: Excess
    plus: IntArray  # (F, B) rows where the loss rose
    minus: IntArray  # (F, B) rows where it fell


def observe(curve: Curve, families: Families) -> Observed:
    """Count and average the paired differences per family."""
    sums = _family_sums(curve.difference, families)
    return Observed(
        Excess(sums.sum(axis=0) / families.size.sum(), sums / families.size[:, None]),
        _family_sums(curve.difference > 0, families).astype(np.int64),
        _family_sums(curve.difference < 0, families).astype(np.int64),
    )


def worst_family(excess: FloatArray, families: Families) -> str:
    """The name of the family with the largest of the excesses (F,); the first by name among equals."""
    return families.names[int(np.argmax(excess))]


def concentration_top2(excess: FloatArray, families: Families) -> float | None:
    """Share of the positive excess mass in the two families with the largest excess (SPEC 2, C2); None without mass."""
    mass = families.size * np.maximum(excess, 0)
    worst_two = np.argsort(-excess, kind="stable")[:2]
    return float(mass[worst_two].sum() / mass.sum()) if mass.sum() > 0 else None


def consistency_paradox(curve: Curve) -> npt.NDArray[np.bool_]:
    """Where a compressed budget keeps more answers than another one and yet loses more (seed 004)."""
    compressed = curve.budgets < 1
    keeps_more = curve.consistency[:, None] > curve.consistency[None, :]  # False where unknown (NaN)
    loses_more = curve.loss[:, None] > curve.loss[None, :]
    return np.asarray((keeps_more & loses_more & compressed[None, :]).any(axis=1) & compressed)


def replicate(
    curves: Sequence[Curve],
    partitions: Mapping[str, Families],
    source: IntArray | None,
    *,
    replicates: int,
    seed: int,
    progress: Progress,
) -> Iterator[tuple[Curve, dict[str, Excess]]]:
    """Bootstrap every curve under every partition; replicate r is the same resample of the rows for all of them."""
    # An atom is a set of rows in the same family under every partition: its sums add up to any family's.
    codes = np.stack([families.code for families in partitions.values()], axis=1)
    atoms, atom_of_row = np.unique(codes, axis=0, return_inverse=True)
    joint = collapse(np.concatenate([curve.difference for curve in curves], axis=1), atom_of_row.ravel())
    for chunk in _chunks(curves, replicates * len(atoms)):
        columns = np.concatenate([_columns_of(curve, curves) for curve in chunk])
        sums, rows = resampled_sums(
            joint._replace(values=joint.values[:, columns]), len(atoms), seed=seed, replicates=replicates, source=source
        )
        end = 0
        for curve in chunk:
            begin, end = end, end + len(curve.budgets)
            of_curve = sums[:, :, begin:end]
            yield (
                curve,
                {
                    name: _excess(of_curve, rows, atoms[:, p], len(families.names))
                    for p, (name, families) in enumerate(partitions.items())
                },
            )
            progress("resampling", curves.index(curve) + 1, len(curves))


def interval(replicates: FloatArray, alpha: float) -> tuple[FloatArray, FloatArray]:
    """Percentile ends (alpha, 1 - alpha) over the first axis; replicates without a value (NaN) are skipped."""
    quantile = np.nanquantile if np.isnan(replicates).any() else np.quantile
    lower, upper = quantile(replicates, [alpha, 1 - alpha], axis=0)
    return lower, upper


def _family_sums(values: npt.NDArray[np.generic], families: Families) -> FloatArray:
    """Sum the rows of (n, B) per family: (F, B)."""
    columns = [np.bincount(families.code, weights=column, minlength=len(families.names)) for column in values.T]
    return np.stack(columns, axis=1).astype(np.float64)


def _excess(sums: FloatArray, rows: FloatArray, family_of_atom: IntArray, n_families: int) -> Excess:
    member = (family_of_atom[None, :] == np.arange(n_families)[:, None]).astype(np.float64)  # (F, atoms)
    family_sums, family_rows = member @ sums, rows @ member.T
    with np.errstate(invalid="ignore"):  # 0 / 0: no row of the family in this replicate
        family = family_sums / family_rows[:, :, None]
    return Excess(sums.sum(axis=1) / rows.sum(axis=1)[:, None], family)


def _chunks(curves: Sequence[Curve], sums_per_budget: int) -> Iterator[list[Curve]]:
    """Consecutive curves whose replicates fit in memory together."""
    chunk: list[Curve] = []
    for curve in curves:
        budgets = sum(len(c.budgets) for c in [*chunk, curve])
        if chunk and 8 * sums_per_budget * budgets > _REPLICATE_BYTES:
            yield chunk
            chunk = []
        chunk.append(curve)
    yield chunk


def _columns_of(curve: Curve, curves: Sequence[Curve]) -> IntArray:
    begin = 0
    for other in curves:
        if other is curve:
            return np.arange(begin, begin + len(curve.budgets))
        begin += len(other.budgets)
    raise AssertionError("the curve is not one of the curves")
