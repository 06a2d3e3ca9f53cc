"""Frontier search, replicate by replicate: excess at B ascending budgets, or the sums of families that it comes from.

A family that is empty in a replicate constrains nothing there. Loops run over replicates innermost, side by side in
wide registers. Knows arrays only.
"""

import numpy as np

from earmark.kernels._jit import jit
from earmark.kernels.statistics.collapse import FloatArray, IntArray
from earmark.kernels.statistics.means import BLOCK, Sums, raise_to, raise_to_means

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
    frontier = np.empty(excess.shape[1])
    _crossing(np.ascontiguousarray(excess), budgets, tolerance, frontier)
    return frontier


def chain(sums: Sums, order: IntArray, budgets: FloatArray, tolerance: float, so_far: FloatArray) -> FloatArray:
    """Frontier (steps, replicates) of the first 1, 2, ... families of `order`, each by its worst family.

    `so_far` (budgets, replicates) is the largest mean of the families before, -inf where there are none; those of
    `order` raise it, so that a long chain can be had some steps at a time.
    """
    _check(sums.at.T, budgets)
    frontiers = np.empty((len(order), sums.table.shape[1]))
    _chain(sums, order, budgets, tolerance, so_far, frontiers)
    return frontiers


def pair_ratios(sums: Sums, pairs: IntArray, budgets: FloatArray, tolerance: float) -> FloatArray:
    """Overlap r*({g, h}) / (r*({g}) + r*({h})) of method 3, for the `pairs` (pairs, 2): (pairs, replicates)."""
    _check(sums.at.T, budgets)
    ratios = np.empty((len(pairs), sums.table.shape[1]))
    if len(pairs):
        _pairs(sums, pairs, budgets, tolerance, ratios)
    return ratios


def _check(excess: FloatArray | IntArray, budgets: FloatArray) -> None:
    if excess.ndim != 2 or excess.shape[0] != len(budgets):
        raise ValueError(f"excess {excess.shape} is not (budgets, replicates) for {len(budgets)} budgets")
    if not (np.diff(budgets) > 0).all():
        raise ValueError("budgets do not ascend")


@jit
def _crossing(excess, budgets, tolerance, frontier):
    """From the largest budget down, so that the smallest one that passes has the last word."""
    n_budgets, replicates = excess.shape
    for r in range(replicates):
        frontier[r] = 1.0
    for b in range(n_budgets - 1, 0, -1):
        above, below, begin, width = excess[b - 1], excess[b], budgets[b - 1], budgets[b] - budgets[b - 1]
        for r in range(replicates):
            share = min((above[r] - tolerance) / (above[r] - below[r]), 1.0)  # garbage where `above` passes: overruled
            frontier[r] = begin + width * share if below[r] <= tolerance + SLACK else frontier[r]
    for r in range(replicates):
        frontier[r] = budgets[0] if excess[0, r] <= tolerance + SLACK else frontier[r]


@jit
def _chain(sums, order, budgets, tolerance, so_far, frontiers):
    replicates = frontiers.shape[1]
    for begin in range(0, replicates, BLOCK):
        end = min(begin + BLOCK, replicates)
        largest = so_far[:, begin:end].copy()
        for step in range(len(order)):
            raise_to_means(sums, order[step], begin, end, largest)
            _crossing(largest, budgets, tolerance, frontiers[step, begin:end])
        so_far[:, begin:end] = largest


@jit
def _pairs(sums, pairs, budgets, tolerance, ratios):
    n_families, n_budgets = sums.at.shape
    replicates = ratios.shape[1]
    for begin in range(0, replicates, BLOCK):
        end = min(begin + BLOCK, replicates)
        family = np.full((n_families, n_budgets, end - begin), -np.inf)
        single = np.empty((n_families, end - begin))
        for f in range(n_families):
            raise_to_means(sums, f, begin, end, family[f])
            _crossing(family[f], budgets, tolerance, single[f])
        pair_excess = np.empty((n_budgets, end - begin))
        for p in range(len(pairs)):
            g, h = pairs[p]
            pair_excess[:] = family[g]
            for b in range(n_budgets):
                raise_to(family[h, b], pair_excess[b])
            _crossing(pair_excess, budgets, tolerance, ratios[p, begin:end])
            for r in range(end - begin):
                ratios[p, begin + r] /= single[g, r] + single[h, r]
