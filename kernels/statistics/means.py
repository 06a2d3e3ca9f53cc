"""Means of families, replicate by replicate, divided where they are read: the sums stay as the bootstrap left them.

A family without rows in a replicate has no mean there (NaN) and is no candidate for the worst. Knows arrays only.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from earmark.kernels.statistics.collapse import FloatArray, IntArray, SumArray
from earmark.kernels.statistics.order_statistics import check_level, percentile_ends

BLOCK = 1 << 13  # means at a time: what is computed of them stays in the processor's cache


class Sums(NamedTuple):
    """Sums of F families at B budgets in R replicates, wherever they stand in a table of resampled sums."""

    table: SumArray  # (T, R), contiguous
    at: IntArray  # (F, B) the row of the table with the sums
    rows_at: IntArray  # (F,) the row of the table with the number of rows


def average(sums: Sums) -> FloatArray:
    """Mean over all families (B, R)."""
    totals = np.zeros((sums.at.shape[1], sums.table.shape[1]))
    rows = np.zeros(sums.table.shape[1])
    for at, rows_at in zip(sums.at, sums.rows_at, strict=True):  # one after the other: the order is part of the result
        totals += sums.table[at]
        rows += sums.table[rows_at]
    return divided(totals, rows)


def worst(sums: Sums) -> FloatArray:
    """Largest mean of a family (B, R); -inf where every family is empty."""
    largest = np.full((sums.at.shape[1], sums.table.shape[1]), -np.inf)
    for means in means_of(sums, np.arange(len(sums.at))):
        np.fmax(largest, np.fmax.reduce(means, axis=0), out=largest)
    return largest


def family(sums: Sums) -> FloatArray:
    """Means (F, B, R); NaN where a family is empty."""
    return np.concatenate(list(means_of(sums, np.arange(len(sums.at)))))


def family_ends(sums: Sums, alpha: float) -> FloatArray:
    """The (alpha, 1 - alpha) quantiles (2, F, B) of `family` over the replicates that have the family."""
    check_level(alpha)
    ends = [percentile_ends(means, alpha) for means in means_of(sums, np.arange(len(sums.at)))]
    return np.concatenate(ends, axis=1)


def means_of(sums: Sums, families: IntArray) -> Iterator[FloatArray]:
    """Means (some, B, R) of these families, some at a time, one after the other; NaN where a family is empty."""
    n_some = max(1, BLOCK // (sums.at.shape[1] * sums.table.shape[1]))
    for first in range(0, len(families), n_some):
        some = families[first : first + n_some]
        yield divided(sums.table[sums.at[some]], sums.table[sums.rows_at[some]][:, None])


def divided(sums: SumArray, rows: SumArray) -> FloatArray:
    """sums / rows; NaN where there are no rows."""
    counts = rows.astype(np.float64)
    counts[counts == 0] = np.nan
    means: FloatArray = sums / counts
    return means


def tally(values: FloatArray, code: IntArray, n_families: int) -> tuple[FloatArray, IntArray, IntArray]:
    """Sums (F, B) of the rows (n, B) of each family, and how many are above 0, and below."""
    columns = np.ascontiguousarray(values.T)
    sums = [np.bincount(code, weights=column, minlength=n_families) for column in columns]
    above = [np.bincount(code[column > 0], minlength=n_families) for column in columns]
    below = [np.bincount(code[column < 0], minlength=n_families) for column in columns]
    return np.stack(sums, axis=1), np.stack(above, axis=1), np.stack(below, axis=1)
