"""Percentiles by selection: two order statistics at each end, without sorting. Knows arrays only."""

import numba
import numpy as np

from earmark.kernels._jit import jit, parallel_jit
from earmark.kernels.collapse import FloatArray


def percentile_ends(replicates: FloatArray, alpha: float) -> FloatArray:
    """The (alpha, 1 - alpha) quantiles (2, ...) over the last axis, linear between order statistics.

    Replicates without a value (NaN) are skipped; NaN where none is left.
    """
    if not 0 < alpha < 0.5 or replicates.ndim < 1 or replicates.shape[-1] < 1:
        raise ValueError(f"alpha {alpha} or replicates {replicates.shape} cannot be")
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
        ends[0, i] = _quantile(kept[:n], alpha)
        ends[1, i] = _quantile(kept[:n], 1 - alpha)


@jit
def _quantile(values, share):
    """Reorders `values`."""
    n = len(values)
    if n == 0:
        return np.nan
    place = share * (n - 1)
    low = min(int(place), n - 1)
    _select(values, low)
    below = values[low]
    if low + 1 == n or place == low:
        return below
    above = values[low + 1]
    for i in range(low + 2, n):
        above = min(above, values[i])
    return below + (above - below) * (place - low)


@jit
def _select(values, k):
    """Hoare's selection with median-of-three pivots: values[k] is in place, nothing larger before it."""
    left, right = 0, len(values) - 1
    while left < right:
        a, b, c = values[left], values[(left + right) // 2], values[right]
        pivot = max(min(a, b), min(max(a, b), c))
        i, j = left, right
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if k <= j:
            right = j
        elif k >= i:
            left = i
        else:
            return
