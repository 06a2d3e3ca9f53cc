"""Bounds of an excess risk: where the p of the exact test passes alpha, for the last time.

Inverts `exact`; knows counts only.
"""

import math

import numba
import numpy as np
import numpy.typing as npt

from earmark.kernels._jit import jit, parallel_jit
from earmark.kernels.collapse import FloatArray, IntArray
from earmark.kernels.exact import FEW, GRID, NO_EVIDENCE, _clopper_pearson, _counts, _levels, _p_value, _score

COARSE = 17  # while a bound is searched: now and then these miss a peak, by up to .0001
RESOLUTION = 1e-5  # of a bound
LARGEST = 1.0 - 1e-9  # excess that is looked at
GROWTH = 8.0  # of a stretch that passed
BACK = 4.0  # by as much does one shrink that did not
FAR = 0.3  # of alpha: p below comes back to alpha by no jump (the largest seen, n = 2 to 1,500: by a factor 1.8)


def upper_bounds(n: npt.ArrayLike, plus: npt.ArrayLike, minus: npt.ArrayLike, alpha: float, gamma: float) -> FloatArray:
    """Where p falls to alpha: an e in (-1, 1), at most RESOLUTION above the last one that does not pass.

    The search starts where the score is -1/2, below which p is 1. 1.0 where no e passes (every row is +1).
    """
    rows, a, c = _counts(n, plus, minus)
    size, level = _levels(alpha, gamma)
    bounds = np.empty(rows.size)
    fill = _fill_bounds if rows.size < FEW else _fill_bounds_in_parallel
    fill(rows.ravel(), a.ravel(), c.ravel(), size, level, 0, rows.size, bounds)
    return bounds.reshape(rows.shape)


def lower_bounds(n: npt.ArrayLike, plus: npt.ArrayLike, minus: npt.ArrayLike, alpha: float, gamma: float) -> FloatArray:
    """The mirrored bound, from `harm_p_values`; -1.0 where no e passes (every row is -1)."""
    return -upper_bounds(n, minus, plus, alpha, gamma)


# Inversion (step 5) ----------------------------------------------------------------------------------------
#
# p(e) falls smoothly, but jumps up where an outcome joins the rejection region, so that it can pass alpha more than
# once. A bound is a bound only above the last time: from the first passing e, stretches are shown to pass as a whole,
# until p is so small that no jump brings it back.


@jit
def _fill_bounds(
    n: IntArray, a: IntArray, c: IntArray, alpha: float, gamma: float, first: int, last: int, bounds: FloatArray
) -> None:
    for i in range(first, last):
        bounds[i] = _upper_bound(int(n[i]), int(a[i]), int(c[i]), alpha, gamma)


@parallel_jit
def _fill_bounds_in_parallel(
    n: IntArray, a: IntArray, c: IntArray, alpha: float, gamma: float, first: int, last: int, bounds: FloatArray
) -> None:
    for i in numba.prange(first, last):
        _fill_bounds(n, a, c, alpha, gamma, i, i + 1, bounds)


@jit
def _upper_bound(n: int, a: int, c: int, alpha: float, gamma: float) -> float:
    if a == n:
        return 1.0
    low, high = _clopper_pearson(a + c, n, gamma)
    bound = _last_crossing(n, a, c, alpha, gamma, low, high, COARSE)
    if bound < 1.0 and _p_value(n, a, c, bound, bound, gamma, low, high, GRID) > alpha:
        bound = _last_crossing(n, a, c, alpha, gamma, low, high, GRID)
    return bound


@jit
def _last_crossing(n: int, a: int, c: int, alpha: float, gamma: float, low: float, high: float, grid: int) -> float:
    """Above all that does not pass, by RESOLUTION or a few of them; 1 if nothing passes."""
    bound = _crossing(n, a, c, alpha, gamma, low, high, _excess_at_score(n, a, c, NO_EVIDENCE), grid)
    e, reach, p = bound, RESOLUTION, 1.0  # all of [bound, e] passes
    while e < LARGEST and p > gamma + FAR * (alpha - gamma):
        until = min(e + reach, _excess_at_score(n, a, c, _score(n, a, c, e) - 1.0))
        p = _p_value(n, a, c, e, until, gamma, low, high, grid)
        if p <= alpha:
            e, reach = until, GROWTH * reach
        elif reach > RESOLUTION:
            reach = max(reach / BACK, RESOLUTION)
        else:
            passes = _p_value(n, a, c, until, until, gamma, low, high, grid) <= alpha
            e = bound = until if passes else _crossing(n, a, c, alpha, gamma, low, high, until, grid)
    return bound if bound < LARGEST else 1.0


@jit
def _crossing(
    n: int, a: int, c: int, alpha: float, gamma: float, low: float, high: float, fails: float, grid: int
) -> float:
    """An e above `fails` with p(e) <= alpha and p > alpha somewhere in [e - RESOLUTION, e); 1 if there is none.

    Regula falsi on the normal scores h of p - gamma, nearly linear in Tango's score. It aims a little past the
    estimated root, towards the farther end, so that the bracket closes from both sides, and further (up to the middle)
    after every step that did not halve it.
    """
    target = _normal_score(alpha - gamma)
    highest = _score(n, a, c, fails)
    h_fails = _normal_score(_p_value(n, a, c, fails, fails, gamma, low, high, grid) - gamma) - target
    passes, h_passes = 1.0, 0.0
    failed, passed = h_fails < 1.0, False
    score, reach = min(target, highest - 0.01), 0.01
    while score < highest and not (failed and passed):
        e = _excess_at_score(n, a, c, score)
        p = _p_value(n, a, c, e, e, gamma, low, high, grid)
        h = _normal_score(p - gamma) - target
        if p <= alpha:
            passes, h_passes, passed = e, h, True
            score += abs(h) + reach
        elif e < LARGEST:
            fails, h_fails, failed = e, h, True
            score -= abs(h) + reach
        else:
            return 1.0
        reach *= 3.0
    boost = 1.0
    while passes - fails > RESOLUTION:
        width = passes - fails
        e = fails + width * h_fails / (h_fails - h_passes)
        beyond = boost * (0.3 * RESOLUTION + 0.02 * min(e - fails, passes - e))
        middle = 0.5 * (fails + passes)
        e = min(e + beyond, middle) if e < middle else max(e - beyond, middle)
        p = _p_value(n, a, c, e, e, gamma, low, high, grid)
        h = _normal_score(p - gamma) - target
        if p <= alpha:
            passes, h_passes = e, h
        else:
            fails, h_fails = e, h
        boost = 10.0 * boost if passes - fails > 0.5 * width else 1.0
    return passes


@jit
def _excess_at_score(n: int, a: int, c: int, score: float) -> float:
    """The e in (-1, 1) where z(a, c) falls to the score, by bisection."""
    left, right = -LARGEST, LARGEST
    for _ in range(45):
        middle = 0.5 * (left + right)
        if _score(n, a, c, middle) > score:
            left = middle
        else:
            right = middle
    return right


@jit
def _normal_score(p: float) -> float:
    """The normal quantile to 5e-4 (Abramowitz and Stegun 26.2.23), a scale to search on."""
    t = math.sqrt(-2.0 * math.log(max(min(p, 1.0 - p), 1e-300)))
    upper = t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1.0 + t * (1.432788 + t * (0.189269 + t * 0.001308)))
    return -upper if p < 0.5 else upper
