"""Percentiles by selection, without sorting: one histogram finds the few values that matter at both ends.

Knows arrays only.
"""

import numba
import numpy as np

from earmark.kernels._jit import jit, parallel_jit
from earmark.kernels.collapse import FloatArray

_BINS = 512


def percentile_ends(replicates: FloatArray, alpha: float) -> FloatArray:
    """The (alpha, 1 - alpha) quantiles (2, ...) over the last axis, linear between order statistics.

    Replicates without a value (NaN) are skipped; NaN where none is left.
    """
    if not 0 < alpha < 0.5 or replicates.ndim < 1 or replicates.shape[-1] < 1:
        raise ValueError(f"alpha {alpha} or replicates {replicates.shape} cannot be")
    if np.isinf(replicates).any():
        raise ValueError("replicates are infinite")
    rows = np.ascontiguousarray(replicates).reshape(-1, replicates.shape[-1])
    ends = np.empty((2, len(rows)))
    _ends(rows, alpha, ends)
    return ends.reshape(2, *replicates.shape[:-1])


@parallel_jit
def _ends(rows, alpha, ends):
    for i in numba.prange(len(rows)):
        kept = np.empty(rows.shape[1])
        n = 0
        for value in rows[i]:
            kept[n] = value
            n += value == value
        ends[0, i], ends[1, i] = _both_ends(kept[:n], alpha)


@jit
def _both_ends(values, alpha):
    n = len(values)
    if n == 0:
        return np.nan, np.nan
    smallest, largest = values[0], values[0]
    for value in values:
        smallest, largest = min(smallest, value), max(largest, value)
    if smallest == largest:
        return smallest, smallest
    scale = (_BINS - 1) / (largest - smallest)
    if not scale < np.inf:  # a spread of denormals
        ordered = np.sort(values)
        return _between(ordered, 0, alpha * (n - 1)), _between(ordered, 0, (1 - alpha) * (n - 1))
    bins = np.empty(n, np.int32)
    count = np.zeros(_BINS, np.int64)
    for j in range(n):
        bins[j] = np.int32((values[j] - smallest) * scale)  # monotone, so bins are ordered as values are
    for b in bins:
        count[b] += 1
    return (
        _quantile(values, bins, count, alpha * (n - 1)),
        _quantile(values, bins, count, (1 - alpha) * (n - 1)),
    )


@jit
def _quantile(values, bins, count, place):
    """The value at a fractional rank, from the one or two bins that hold its neighbours."""
    first, before = 0, 0  # values before the bin `first`
    while before + count[first] <= int(place):
        before += count[first]
        first += 1
    last, through = first, before + count[first]
    while through < min(int(place) + 2, len(values)):
        last += 1
        through += count[last]
    near = np.empty(through - before)
    k = 0
    for j in range(len(values)):
        if first <= bins[j] <= last:
            near[k] = values[j]
            k += 1
    return _between(np.sort(near), before, place)


@jit
def _between(ordered, before, place):
    """Linear between the order statistics around `place`; `ordered` starts at rank `before`."""
    low = int(place) - before
    if place == int(place):
        return ordered[low]
    return ordered[low] + (ordered[low + 1] - ordered[low]) * (place - int(place))
