"""Percentiles by selection, without sorting: one histogram finds the few values that matter at both ends.

Knows arrays only.
"""

import numpy as np

from earmark.kernels._jit import jit
from earmark.kernels.statistics.collapse import FloatArray

_BINS = 512
_FEW = 64  # values that show where the others are


def percentile_ends(replicates: FloatArray, alpha: float) -> FloatArray:
    """The (alpha, 1 - alpha) quantiles (2, ...) over the last axis, linear between order statistics.

    Replicates without a value (NaN) are skipped; NaN where none is left.
    """
    check_level(alpha)
    if replicates.ndim < 1 or replicates.shape[-1] < 1:
        raise ValueError(f"replicates {replicates.shape} cannot be")
    if np.isinf(replicates).any():
        raise ValueError("replicates are infinite")
    rows = np.ascontiguousarray(replicates).reshape(-1, replicates.shape[-1])
    ends = np.empty((2, len(rows)))
    _ends(rows, alpha, ends)
    return ends.reshape(2, *replicates.shape[:-1])


def check_level(alpha: float) -> None:
    """Raise ValueError unless alpha can be the level of the lower of two ends."""
    if not 0 < alpha < 0.5:
        raise ValueError(f"alpha {alpha} cannot be")


@jit
def _ends(rows, alpha, ends):
    for i in range(len(rows)):
        ends[0, i], ends[1, i] = both_ends(rows[i], alpha)


@jit
def both_ends(values, alpha):
    """The (alpha, 1 - alpha) quantiles of finite values; NaN is skipped, and returned where there is nothing else.

    One histogram of all values tells which few bins hold the order statistics; only these are put in order.
    """
    n = 0
    for value in values:
        n += value == value
    if n == 0:
        return np.nan, np.nan
    if n < len(values):
        values = values[~np.isnan(values)]
    low, high = alpha * (n - 1), (1 - alpha) * (n - 1)
    few = values[:: n // _FEW + 1]
    width = 2.0 * (few.max() - few.min())  # about the range: what is beyond goes into the first or the last bin
    begin, scale = few.min() - 0.25 * width, _BINS / width if width > 0.0 else np.inf
    if not scale < np.inf:  # equal values, or a spread of denormals
        ordered = np.sort(values)
        return _between(ordered, 0, low), _between(ordered, 0, high)
    bins = np.empty(n, np.int32)
    count = np.zeros(_BINS, np.int64)
    for j in range(n):  # monotone, so bins are ordered as values are
        bins[j] = np.int32(min(max((values[j] - begin) * scale, 0.0), _BINS - 1.0))
    twin = np.zeros(_BINS, np.int64)  # every other value goes here: equal neighbours need not wait for each other
    for j in range(0, n - 1, 2):
        count[bins[j]] += 1
        twin[bins[j + 1]] += 1
    if n % 2:
        count[bins[n - 1]] += 1
    count += twin
    first_low, last_low, before_low = _bins_around(count, low, n)
    first_high, last_high, before_high = _bins_around(count, high, n)
    near_low = np.empty(count[first_low : last_low + 1].sum())
    near_high = np.empty(count[first_high : last_high + 1].sum())
    k_low, k_high = 0, 0
    for j in range(n):
        if first_low <= bins[j] <= last_low:
            near_low[k_low] = values[j]
            k_low += 1
        if first_high <= bins[j] <= last_high:
            near_high[k_high] = values[j]
            k_high += 1
    return _between(_ordered(near_low, int(low) - before_low), before_low, low), _between(
        _ordered(near_high, int(high) - before_high), before_high, high
    )


@jit
def _ordered(values, rank):
    """Values with those of the ranks `rank` and `rank` + 1 in their places; the others may stay out of order.

    Frontiers have many equal values, and these need no sorting.
    """
    if values.min() == values.max():
        return values
    if len(values) < _FEW:
        return np.sort(values)
    return np.partition(values, np.array([rank, min(rank + 1, len(values) - 1)]))


@jit
def _bins_around(count, place, n):
    """The first and last of the one or two bins with the order statistics around a rank, and how many are before."""
    first, before = 0, 0
    while before + count[first] <= int(place):
        before += count[first]
        first += 1
    last, through = first, before + count[first]
    while through < min(int(place) + 2, n):
        last += 1
        through += count[last]
    return first, last, before


@jit
def _between(ordered, before, place):
    """Linear between the order statistics around `place`; `ordered` starts at rank `before`."""
    low = int(place) - before
    if place == int(place):
        return ordered[low]
    return ordered[low] + (ordered[low + 1] - ordered[low]) * (place - int(place))
