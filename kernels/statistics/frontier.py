"""Frontier search, replicate by replicate: excess at B ascending budgets, or the sums of families that it comes from.

A family that is empty in a replicate constrains nothing there. Knows arrays only.
"""

import numpy as np

from earmark.kernels.statistics.collapse import FloatArray, IntArray
from earmark.kernels.statistics.means import BLOCK, Sums, family, means_of

SLACK = 1e-12  # means of counts lie on a lattice; equality with the tolerance must not hang on a rounding


def grid(excess: FloatArray, budgets: FloatArray, tolerance: float) -> FloatArray:
    """Smallest budget within tolerance (b* of method 3) for excess (budgets, replicates); inf where none is."""
    _check(excess, budgets)
    frontier = np.full(excess.shape[1], np.inf)
    for b in range(len(budgets) - 1, -1, -1):
        frontier[excess[b] <= tolerance + SLACK] = budgets[b]
    return frontier


def interpolated(excess: FloatArray, budgets: FloatArray, tolerance: float) -> FloatArray:
    """Smallest r with excess(r) <= tolerance, linear between budgets (r* of method 3); 1.0 where it never is."""
    _check(excess, budgets)
    return _crossing(excess, budgets, tolerance)


def chain(sums: Sums, order: IntArray, budgets: FloatArray, tolerance: float, so_far: FloatArray) -> FloatArray:
    """Frontier (steps, replicates) of the first 1, 2, ... families of `order`, each by its worst family.

    `so_far` (budgets, replicates) is the largest mean of the families before, -inf where there are none; those of
    `order` raise it, so that a long chain can be had some steps at a time.
    """
    _check(sums.at.T, budgets)
    frontiers, largest = [], so_far
    for means in means_of(sums, order):
        for step in means:
            largest = np.fmax(step, largest, out=step)
        frontiers.append(_crossing(means, budgets, tolerance))
    so_far[:] = largest
    return np.concatenate(frontiers)


def pair_ratios(sums: Sums, pairs: IntArray, budgets: FloatArray, tolerance: float) -> FloatArray:
    """Overlap r*({g, h}) / (r*({g}) + r*({h})) of method 3, for the `pairs` (pairs, 2): (pairs, replicates)."""
    _check(sums.at.T, budgets)
    ratios = np.empty((len(pairs), sums.table.shape[1]))
    if not len(pairs):
        return ratios
    means = np.fmax(family(sums), -np.inf)
    single = _crossing(means, budgets, tolerance)
    n_some = max(1, BLOCK // means[0].size)
    for first in range(0, len(pairs), n_some):
        some = slice(first, first + n_some)
        g, h = pairs[some].T
        ratios[some] = _crossing(np.maximum(means[g], means[h]), budgets, tolerance) / (single[g] + single[h])
    return ratios


def _check(excess: FloatArray | IntArray, budgets: FloatArray) -> None:
    if excess.ndim != 2 or excess.shape[0] != len(budgets):
        raise ValueError(f"excess {excess.shape} is not (budgets, replicates) for {len(budgets)} budgets")
    if not (np.diff(budgets) > 0).all():
        raise ValueError("budgets do not ascend")


def _crossing(excess: FloatArray, budgets: FloatArray, tolerance: float) -> FloatArray:
    """The r* (..., R) of excess (..., B, R): from the largest budget down, so that the smallest that passes has the
    last word.
    """
    frontier = np.ones((*excess.shape[:-2], excess.shape[-1]))
    with np.errstate(all="ignore"):  # garbage where `above` passes: overruled
        for b in range(len(budgets) - 1, 0, -1):
            above, below, begin, width = (
                excess[..., b - 1, :],
                excess[..., b, :],
                budgets[b - 1],
                budgets[b] - budgets[b - 1],
            )
            crossing = begin + width * np.minimum((above - tolerance) / (above - below), 1.0)
            frontier = np.where(below <= tolerance + SLACK, crossing, frontier)
    return np.where(excess[..., 0, :] <= tolerance + SLACK, budgets[0], frontier)
