"""Means of families, replicate by replicate, divided where they are read: the sums stay as the bootstrap left them.

A family without rows in a replicate has no mean there (NaN) and is no candidate for the worst. Knows arrays only.
"""

from typing import NamedTuple

import numpy as np

from earmark.kernels._jit import jit
from earmark.kernels.statistics.collapse import FloatArray, IntArray, SumArray
from earmark.kernels.statistics.order_statistics import both_ends, check_level

BLOCK = 512  # replicates at a time: what a family's budgets need of them stays in the cache


class Sums(NamedTuple):
    """Sums of F families at B budgets in R replicates, wherever they stand in a table of resampled sums."""

    table: SumArray  # (T, R), contiguous
    at: IntArray  # (F, B) the row of the table with the sums
    rows_at: IntArray  # (F,) the row of the table with the number of rows


def average(sums: Sums) -> FloatArray:
    """Mean over all families (B, R)."""
    means = np.empty((sums.at.shape[1], sums.table.shape[1]))
    _average(sums, means)
    return means


def worst(sums: Sums) -> FloatArray:
    """Largest mean of a family (B, R); -inf where every family is empty."""
    means = np.empty((sums.at.shape[1], sums.table.shape[1]))
    _worst(sums, means)
    return means


def family(sums: Sums) -> FloatArray:
    """Means (F, B, R); NaN where a family is empty."""
    means = np.empty((*sums.at.shape, sums.table.shape[1]))
    for f, of_family in enumerate(means):
        for b, out in enumerate(of_family):
            divide(sums.table[sums.at[f, b]], sums.table[sums.rows_at[f]], out)
    return means


def family_ends(sums: Sums, alpha: float) -> FloatArray:
    """The (alpha, 1 - alpha) quantiles (2, F, B) of `family` over the replicates that have the family."""
    check_level(alpha)
    ends = np.empty((2, *sums.at.shape))
    _family_ends(sums, alpha, ends)
    return ends


def tally(values: FloatArray, code: IntArray, n_families: int) -> tuple[FloatArray, IntArray, IntArray]:
    """Sums (F, B) of the rows (n, B) of each family, and how many are above 0, and below."""
    sums = np.zeros((n_families, values.shape[1]))
    above, below = np.zeros(sums.shape, np.int64), np.zeros(sums.shape, np.int64)
    _tally(values, code, sums, above, below)
    return sums, above, below


@jit
def _tally(values, code, sums, above, below):
    for i in range(len(code)):
        f = code[i]
        for b in range(values.shape[1]):
            sums[f, b] += values[i, b]
            above[f, b] += values[i, b] > 0.0
            below[f, b] += values[i, b] < 0.0


@jit
def divide(sums: SumArray, rows: SumArray, means: FloatArray) -> None:
    """Into `means`: sums / rows of one family in some replicates; NaN where it has no rows."""
    for r in range(len(means)):
        n = np.float64(rows[r])
        means[r] = np.float64(sums[r]) / n if n > 0.0 else np.nan


@jit
def _average(sums, means):
    n_families, n_budgets = sums.at.shape
    replicates = sums.table.shape[1]
    for begin in range(0, replicates, BLOCK):
        end = min(begin + BLOCK, replicates)
        rows = np.zeros(end - begin)
        for f in range(n_families):
            _add(sums.table[sums.rows_at[f], begin:end], rows)
        for b in range(n_budgets):
            total = np.zeros(end - begin)
            for f in range(n_families):
                _add(sums.table[sums.at[f, b], begin:end], total)
            divide(total, rows, means[b, begin:end])


@jit
def _add(values, total):
    for r in range(len(total)):
        total[r] += values[r]


@jit
def _worst(sums, means):
    n_families, n_budgets = sums.at.shape
    replicates = sums.table.shape[1]
    for begin in range(0, replicates, BLOCK):
        end = min(begin + BLOCK, replicates)
        for b in range(n_budgets):
            means[b, begin:end] = -np.inf
        for f in range(n_families):
            raise_to_means(sums, f, begin, end, means[:, begin:end])


@jit
def raise_to_means(sums, f, begin, end, largest):
    """Raise `largest` (B, end - begin) where the means of family f in replicates begin to end are larger."""
    mean = np.empty(end - begin)
    for b in range(len(largest)):
        divide(sums.table[sums.at[f, b], begin:end], sums.table[sums.rows_at[f], begin:end], mean)
        raise_to(mean, largest[b])


@jit
def raise_to(values, largest):
    """Into `largest`: the larger of the two, element by element; NaN raises nothing."""
    for r in range(len(largest)):
        largest[r] = values[r] if values[r] > largest[r] else largest[r]


@jit
def _family_ends(sums, alpha, ends):
    n_families, n_budgets = sums.at.shape
    mean = np.empty(sums.table.shape[1])
    for f in range(n_families):
        for b in range(n_budgets):
            divide(sums.table[sums.at[f, b]], sums.table[sums.rows_at[f]], mean)
            ends[0, f, b], ends[1, f, b] = both_ends(mean, alpha)
