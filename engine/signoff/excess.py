"""Excess risks of one curve under one partition: point values (method 2) and their bootstrap replicates (method 5).

Knows arrays of paired differences, families and the kernels; no files, no rule.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from earmark.engine.arrays import FloatArray, IntArray
from earmark.engine.signoff.families import Families
from earmark.engine.signoff.pair import Curve
from earmark.kernels.statistics import means
from earmark.kernels.statistics.bootstrap import resampled_sums
from earmark.kernels.statistics.collapse import SumArray, collapse, entries, sum_type
from earmark.kernels.statistics.means import Sums

_REPLICATE_BYTES = 1 << 28  # of resampled sums held at a time


@dataclass(frozen=True)
class Excess:
    """Mean excess at B budgets in R replicates, from sums of paired differences; what was observed is one replicate."""

    sums: Sums

    @cached_property
    def average(self) -> FloatArray:
        """(B, R)"""
        return means.average(self.sums)

    @cached_property
    def worst(self) -> FloatArray:
        """The maximum over families, (B, R)."""
        return means.worst(self.sums)

    @property
    def family(self) -> FloatArray:
        """(F, B, R); NaN where a replicate has no row of the family."""
        return means.family(self.sums)

    def only(self, families: npt.NDArray[np.bool_]) -> "Excess":
        """The excess of a subset of the families, given by a mask (F,)."""
        return Excess(Sums(self.sums.table, self.sums.at[families], self.sums.rows_at[families]))


@dataclass(frozen=True)
class Observed:
    """What the rows themselves say, before any resampling."""

    excess: Excess  # R = 1
    plus: IntArray  # (F, B) rows where the loss rose
    minus: IntArray  # (F, B) rows where it fell
    n: IntArray  # (F, B) rows that these are of

    @property
    def average(self) -> FloatArray:
        """(B,)"""
        return self.excess.average[:, 0]

    @property
    def worst(self) -> FloatArray:
        """(B,)"""
        return self.excess.worst[:, 0]

    @cached_property
    def family(self) -> FloatArray:
        """(F, B)"""
        return self.excess.family[:, :, 0]


def observe(curve: Curve, families: Families, seen: FloatArray | None = None) -> Observed:
    """Count and average the paired differences per family, or those of them (n, B) that were `seen`; where some are
    NaN, the mean of a family is that of the others.
    """
    difference = curve.difference if seen is None else seen
    n_families = len(families.names)
    sums, plus, minus = means.tally(difference, families.code, n_families)
    n = np.repeat(families.size[:, None], difference.shape[1], axis=1)
    if np.isnan(difference).any():
        sums, _, _ = means.tally(_with_means(difference, families), families.code, n_families)
        known = [np.bincount(families.code[rows], minlength=n_families) for rows in ~np.isnan(difference.T)]
        n = np.stack(known, axis=1)
    n_families, n_budgets = sums.shape
    table = np.concatenate([sums, families.size[:, None].astype(np.float64)], axis=1).reshape(-1, 1)
    excess = Excess(_sums_in(table, range(n_families), range(n_budgets), n_budgets + 1))
    return Observed(excess, plus, minus, n)


def _with_means(difference: FloatArray, families: Families) -> FloatArray:
    """The differences (n, B), where rows were not asked the mean of those of their family that were; 0 without any."""
    known = ~np.isnan(difference)
    sums, _, _ = means.tally(np.where(known, difference, 0.0), families.code, len(families.names))
    counts, _, _ = means.tally(known.astype(np.float64), families.code, len(families.names))
    mean = sums / np.maximum(counts, 1.0)
    return np.where(known, difference, mean[families.code])


def worst_family(excess: FloatArray, families: Families) -> str:
    """The name of the family with the largest of the excesses (F,); the first by name among equals."""
    return families.names[int(np.argmax(excess))]


def concentration_top2(excess: FloatArray, families: Families) -> float | None:
    """Share of the positive excess mass in the two families with the largest excess (method 2, C2); None without."""
    mass = families.size * np.maximum(excess, 0)
    worst_two = np.argsort(-excess, kind="stable")[:2]
    return float(mass[worst_two].sum() / mass.sum()) if mass.sum() > 0 else None


def consistency_paradox(curve: Curve) -> npt.NDArray[np.bool_]:
    """(B,) where a compressed budget agrees more with the raw answers than another one and yet has a larger loss."""
    compressed = curve.budgets < 1
    keeps_more = curve.consistency[:, None] > curve.consistency[None, :]  # False where unknown (NaN)
    loses_more = curve.loss[:, None] > curve.loss[None, :]
    return np.asarray((keeps_more & loses_more & compressed[None, :]).any(axis=1) & compressed)


def probability_ratio(curve: Curve, families: Families, b: int) -> list[float | None]:
    """(F,) variance of the rise of 1 - exp(-nll) by that of the loss; None where either is not known or is 0.

    Below about .5, certifying a probability loss beside the zero-one loss takes fewer questions.
    """
    if curve.probability is None:
        return [None] * len(families.names)
    n = families.size.astype(np.float64)
    ratios: list[float | None] = []
    variances = []
    for column in (curve.probability[:, b].astype(np.float64), curve.difference[:, b]):
        mean = np.bincount(families.code, weights=column, minlength=len(n)) / n
        variances.append(np.bincount(families.code, weights=(column - mean[families.code]) ** 2, minlength=len(n)) / n)
    for probability_variance, loss_variance in zip(*variances, strict=True):
        ratios.append(float(probability_variance / loss_variance) if loss_variance > 0 else None)
    return ratios


def replicate(
    curves: Sequence[Curve], partitions: Mapping[str, Families], source: IntArray | None, *, replicates: int, seed: int
) -> Iterator[list[tuple[Curve, dict[str, Excess]]]]:
    """Bootstrap every curve under every partition; replicate r is the same resample of the rows for all of them.

    Some curves at a time: their sums are overwritten when the next ones are asked for.
    """
    codes = np.stack([families.code for families in partitions.values()], axis=1)
    differences = [curve.difference for curve in curves]
    units = collapse(differences, codes, source)
    family_counts = [len(families.names) for families in partitions.values()]
    ends = np.cumsum(family_counts).tolist()
    table: SumArray | None = None
    for chunk in _chunks(curves, replicates * ends[-1] * sum_type(units, differences).itemsize):
        chunk_entries = entries(units, [curve.difference for curve in chunk], codes, family_counts)
        sums = resampled_sums(units, chunk_entries, seed=seed, replicates=replicates, into=table)
        n_columns = sums.shape[1]
        table = sums.reshape(-1, replicates)
        lasts = np.cumsum([len(curve.budgets) for curve in chunk]).tolist()
        yield [
            (
                curve,
                {
                    name: Excess(
                        _sums_in(table, range(end - n_families, end), range(last - len(curve.budgets), last), n_columns)
                    )
                    for name, n_families, end in zip(partitions, family_counts, ends, strict=True)
                },
            )
            for curve, last in zip(chunk, lasts, strict=True)
        ]


def _sums_in(table: SumArray, families: range, columns: range, n_columns: int) -> Sums:
    """Sums of some families and columns, without a copy.

    `table` (families x columns, R) holds a family's sums of one budget after another, and then its number of rows.
    """
    begins = np.array(families, dtype=np.int64) * n_columns
    return Sums(table, begins[:, None] + np.array(columns, dtype=np.int64), begins + n_columns - 1)


def _chunks(curves: Sequence[Curve], bytes_per_budget: int) -> Iterator[list[Curve]]:
    """Consecutive curves whose replicates fit in memory together; at least one at a time."""
    chunk: list[Curve] = []
    for curve in curves:
        budgets = sum(len(c.budgets) for c in [*chunk, curve])
        if chunk and bytes_per_budget * budgets > _REPLICATE_BYTES:
            yield chunk
            chunk = []
        chunk.append(curve)
    yield chunk
