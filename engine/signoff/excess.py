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
from earmark.kernels.collapse import collapse, entries
from earmark.kernels.frontier import worst

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_REPLICATE_BYTES = 1 << 28  # of resampled sums held at a time, in single precision


class Excess(NamedTuple):
    """Mean excess at B budgets in R replicates; what was observed is one replicate."""

    average: FloatArray  # (B, R)
    family: FloatArray  # (F, B, R); NaN where a replicate has no row of the family

    @property
    def worst(self) -> FloatArray:
        """The maximum over families, (B, R)."""
        return worst(self.family)


@dataclass(frozen=True, slots=True)
class Observed:
    """What the rows themselves say, before any resampling."""

    excess: Excess  # R = 1
    plus: IntArray  # (F, B) rows where the loss rose
    minus: IntArray  # (F, B) rows where it fell

    @property
    def average(self) -> FloatArray:
        """(B,)"""
        return self.excess.average[:, 0]

    @property
    def family(self) -> FloatArray:
        """(F, B)"""
        return self.excess.family[:, :, 0]

    @property
    def worst(self) -> FloatArray:
        """(B,)"""
        return self.excess.worst[:, 0]


def observe(curve: Curve, families: Families) -> Observed:
    """Count and average the paired differences per family."""
    sums = _family_sums(curve.difference, families)
    return Observed(
        Excess((sums.sum(axis=0) / families.size.sum())[:, None], (sums / families.size[:, None])[:, :, None]),
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
    codes = np.stack([families.code for families in partitions.values()], axis=1)
    units = collapse(np.concatenate([curve.difference for curve in curves], axis=1), codes, source)
    n_families = [len(families.names) for families in partitions.values()]
    ends = np.cumsum(n_families)
    done = 0
    for chunk in _chunks(curves, replicates * int(ends[-1])):
        values = np.concatenate([curve.difference for curve in chunk], axis=1)
        of_chunk = entries(units, values, codes, n_families)
        sums = np.split(resampled_sums(units, of_chunk, seed=seed, replicates=replicates), ends[:-1])
        last = 0
        for curve in chunk:
            first, last, done = last, last + len(curve.budgets), done + 1
            yield (
                curve,
                {name: _excess(of[:, first:last], of[:, -1:]) for name, of in zip(partitions, sums, strict=True)},
            )
            progress("certifying curves", done, len(curves))


def _excess(sums: npt.NDArray[np.floating], rows: npt.NDArray[np.floating]) -> Excess:
    """From sums (F, B, R) and row counts (F, 1, R)."""
    total_rows = rows.sum(axis=0, dtype=np.float64)
    with np.errstate(invalid="ignore"):  # 0 / 0: no row of the family in this replicate
        family = np.divide(sums, rows, dtype=np.float64)
    return Excess(sums.sum(axis=0, dtype=np.float64) / total_rows, family)


def _family_sums(values: npt.NDArray[np.generic], families: Families) -> FloatArray:
    """Sum the rows of (n, B) per family: (F, B)."""
    columns = [np.bincount(families.code, weights=column, minlength=len(families.names)) for column in values.T]
    return np.stack(columns, axis=1).astype(np.float64)


def _chunks(curves: Sequence[Curve], sums_per_budget: int) -> Iterator[list[Curve]]:
    """Consecutive curves whose replicates fit in memory together."""
    chunk: list[Curve] = []
    for curve in curves:
        budgets = sum(len(c.budgets) for c in [*chunk, curve])
        if chunk and 4 * sums_per_budget * budgets > _REPLICATE_BYTES:
            yield chunk
            chunk = []
        chunk.append(curve)
    yield chunk
