"""Frontier search over the last axis, for any leading axes (replicates, families, pairs).

`excess` is (..., budgets), budgets ascend; NaN means "no row of this family" and constrains nothing.
Knows arrays only.
"""

import numpy as np

from earmark.kernels.collapse import FloatArray, IntArray

SLACK = 1e-12  # means of counts lie on a lattice; equality with the tolerance must not hang on a rounding


def worst(excess: FloatArray) -> FloatArray:
    """Maximum over the families of (..., families, budgets); -inf where every family is empty."""
    return np.asarray(np.where(np.isnan(excess), -np.inf, excess).max(axis=-2))


def grid(excess: FloatArray, budgets: FloatArray, tolerance: float) -> FloatArray:
    """Smallest budget within tolerance (SPEC 3, b*); inf where none is."""
    within = excess <= tolerance + SLACK
    return np.where(within.any(axis=-1), budgets[within.argmax(axis=-1)], np.inf)


def interpolated(excess: FloatArray, budgets: FloatArray, tolerance: float) -> FloatArray:
    """Smallest r with excess(r) <= tolerance, linear between budgets (SPEC 3, r*); 1.0 where it never is."""
    within = excess <= tolerance + SLACK
    right = within.argmax(axis=-1)
    left = np.maximum(right - 1, 0)
    above = np.take_along_axis(excess, left[..., None], axis=-1)[..., 0]
    below = np.take_along_axis(excess, right[..., None], axis=-1)[..., 0]
    crosses = within.any(axis=-1) & (right > 0)
    drop = np.subtract(above, below, out=np.ones_like(above), where=crosses)  # both may be -inf elsewhere
    share = np.divide(above - tolerance, drop, out=np.ones_like(above), where=crosses)
    crossing = budgets[left] + (budgets[right] - budgets[left]) * np.minimum(share, 1.0)
    return np.where(crosses, crossing, np.where(within.any(axis=-1), budgets[0], 1.0))


def chain(excess: FloatArray, order: IntArray, budgets: FloatArray, tolerance: float) -> FloatArray:
    """Interpolated frontier (..., steps) of the first 1, 2, ... families of `order`, each by its worst family."""
    so_far = np.maximum.accumulate(_no_empty(excess)[..., order, :], axis=-2)
    return interpolated(so_far, budgets, tolerance)


def pair_ratios(excess: FloatArray, pairs: IntArray, budgets: FloatArray, tolerance: float) -> FloatArray:
    """Additivity ratio r*({g, h}) / (r*({g}) + r*({h})) of each of the `pairs` (pairs, 2): (..., pairs)."""
    filled = _no_empty(excess)
    single = interpolated(filled, budgets, tolerance)
    both = interpolated(np.maximum(filled[..., pairs[:, 0], :], filled[..., pairs[:, 1], :]), budgets, tolerance)
    return np.asarray(both / (single[..., pairs[:, 0]] + single[..., pairs[:, 1]]))


def _no_empty(excess: FloatArray) -> FloatArray:
    return np.where(np.isnan(excess), -np.inf, excess)
