"""Frontier search, replicate by replicate: `excess` is (..., budgets, replicates), budgets ascend.

NaN means "no row of this family in this replicate" and constrains nothing. Loops run over replicates innermost, side
by side in wide registers. Knows arrays only.
"""

import numba
import numpy as np

from earmark.kernels._jit import jit, parallel_jit
from earmark.kernels.collapse import FloatArray, IntArray

SLACK = 1e-12  # means of counts lie on a lattice; equality with the tolerance must not hang on a rounding


def worst(family: FloatArray) -> FloatArray:
    """Maximum over families of (families, budgets, replicates); -inf where every family is empty."""
    return np.asarray(np.fmax.reduce(family, axis=0, initial=-np.inf))


def grid(excess: FloatArray, budgets: FloatArray, tolerance: float) -> FloatArray:
    """Smallest budget within tolerance (SPEC 3, b*) of (budgets, replicates); inf where none is."""
    _check(excess, budgets)
    within = excess <= tolerance + SLACK
    return np.where(within.any(axis=0), budgets[within.argmax(axis=0)], np.inf)


def interpolated(excess: FloatArray, budgets: FloatArray, tolerance: float) -> FloatArray:
    """Smallest r with excess(r) <= tolerance, linear between budgets (SPEC 3, r*); 1.0 where it never is."""
    _check(excess, budgets)
    found = np.empty(excess.shape[1])
    _crossing(np.ascontiguousarray(excess), budgets, tolerance, found)
    return found


def chain(family: FloatArray, order: IntArray, budgets: FloatArray, tolerance: float) -> FloatArray:
    """Frontier (steps, replicates) of the first 1, 2, ... families of `order`, each by its worst family."""
    _check(family[0], budgets)
    found = np.empty((len(order), family.shape[2]))
    so_far = np.full(family.shape[1:], -np.inf)
    for step, f in enumerate(order):
        np.fmax(so_far, family[f], out=so_far)
        _crossing(so_far, budgets, tolerance, found[step])
    return found


def pair_ratios(family: FloatArray, pairs: IntArray, budgets: FloatArray, tolerance: float) -> FloatArray:
    """Additivity ratio r*({g, h}) / (r*({g}) + r*({h})) of the `pairs` (pairs, 2): (pairs, replicates)."""
    _check(family[0], budgets)
    single = _singles(family, budgets, tolerance)
    ratios = np.empty((len(pairs), family.shape[2]))
    _pairs(np.ascontiguousarray(family), pairs, budgets, tolerance, single, ratios)
    return ratios


def _singles(family: FloatArray, budgets: FloatArray, tolerance: float) -> FloatArray:
    """Frontier (families, replicates) of each family alone."""
    return np.stack([interpolated(np.fmax(of_family, -np.inf), budgets, tolerance) for of_family in family])


def _check(excess: FloatArray, budgets: FloatArray) -> None:
    if excess.ndim != 2 or excess.shape[0] != len(budgets):
        raise ValueError(f"excess {excess.shape} is not (budgets, replicates) for {len(budgets)} budgets")
    if not (np.diff(budgets) > 0).all():
        raise ValueError("budgets do not ascend")


@jit
def _crossing(excess, budgets, tolerance, found):
    """From the largest budget down, so that the smallest one that passes has the last word."""
    n_budgets, replicates = excess.shape
    for r in range(replicates):
        found[r] = 1.0
    for b in range(n_budgets - 1, 0, -1):
        above, below, begin, width = excess[b - 1], excess[b], budgets[b - 1], budgets[b] - budgets[b - 1]
        for r in range(replicates):
            share = min((above[r] - tolerance) / (above[r] - below[r]), 1.0)  # garbage where `above` passes: overruled
            found[r] = begin + width * share if below[r] <= tolerance + SLACK else found[r]
    for r in range(replicates):
        found[r] = budgets[0] if excess[0, r] <= tolerance + SLACK else found[r]


@parallel_jit
def _pairs(family, pairs, budgets, tolerance, single, ratios):
    _, n_budgets, replicates = family.shape
    for p in numba.prange(len(pairs)):
        g, h = pairs[p]
        both = np.empty((n_budgets, replicates))
        for b in range(n_budgets):
            for r in range(replicates):
                x, y = family[g, b, r], family[h, b, r]
                larger = x if x > y or y != y else y
                both[b, r] = larger if larger == larger else -np.inf
        _crossing(both, budgets, tolerance, ratios[p])
        for r in range(replicates):
            ratios[p, r] /= single[g, r] + single[h, r]
