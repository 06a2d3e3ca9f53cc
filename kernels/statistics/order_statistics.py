"""Percentiles of many replicates: values are put in order, and read between the two that stand around a rank.

Knows arrays only.
"""

import numpy as np

from earmark.kernels.statistics.collapse import FloatArray

_HELD = 1 << 21  # values put in order at a time


def percentile_ends(replicates: FloatArray, alpha: float) -> FloatArray:
    """The (alpha, 1 - alpha) quantiles (2, ...) over the last axis, linear between order statistics.

    Replicates without a value (NaN) are skipped; NaN where none is left.
    """
    check_level(alpha)
    if replicates.ndim < 1 or replicates.shape[-1] < 1:
        raise ValueError(f"replicates {replicates.shape} cannot be")
    if np.isinf(replicates).any():
        raise ValueError("replicates are infinite")
    rows = replicates.reshape(-1, replicates.shape[-1])
    ends = np.empty((2, len(rows)))
    n_rows = max(1, _HELD // rows.shape[1])
    for first in range(0, len(rows), n_rows):
        some = slice(first, first + n_rows)
        _fill_ends(rows[some], alpha, ends[:, some])
    return ends.reshape(2, *replicates.shape[:-1])


def check_level(alpha: float) -> None:
    """Raise ValueError unless alpha can be the level of the lower of two ends."""
    if not 0 < alpha < 0.5:
        raise ValueError(f"alpha {alpha} cannot be")


def _fill_ends(rows: FloatArray, alpha: float, ends: FloatArray) -> None:
    ordered = np.sort(rows, axis=1)  # NaN stands last
    last = np.maximum(rows.shape[1] - np.isnan(ordered).sum(axis=1) - 1, 0)
    each = np.arange(len(rows))
    for end, level in zip(ends, (alpha, 1 - alpha), strict=True):
        place = level * last
        below = place.astype(np.int64)
        value, next_value = ordered[each, below], ordered[each, np.minimum(below + 1, last)]
        end[:] = value + (next_value - value) * (place - below)
