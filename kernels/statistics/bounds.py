"""Bounds of an excess risk: where the p of the exact test passes alpha for the last time (method 9.2).

Inverts `exact`; knows counts only.
"""

import numba
import numpy as np
import numpy.typing as npt

from earmark.kernels._jit import jit, parallel_jit
from earmark.kernels.statistics.binomial import normal_score
from earmark.kernels.statistics.collapse import FloatArray, IntArray
from earmark.kernels.statistics.exact import (
    FEW,
    NO_EVIDENCE,
    STRANDS,
    Case,
    _counts,
    _levels,
    case_of,
    distinct,
    nuisances,
    p_value,
    region_at,
)
from earmark.kernels.statistics.nuisance import COARSE, FINE, angle_of, grid_of, nuisance_at, p_on, summit
from earmark.kernels.statistics.region import score
from earmark.kernels.statistics.region_probability import p_at

RESOLUTION = 1e-5  # how far a bound may lie above the last excess that does not pass
CLOSE = 1e-6  # a p this close to alpha, relatively, does not count as below it: peaks are not climbed to the top
LARGEST = 1.0 - 1e-9  # the largest excess that is looked at
GROWTH = 10.0  # how many times longer the next stretch is after one that passed
BACK = 4.0  # how many times shorter it is after one that did not,
SHORTEST = RESOLUTION / 64  # and the shortest that is tried, as a share of 1 - e
FAR = 0.15  # where p is below this share of the limit, all that is left is tried as one stretch
AIMS = 12  # secant steps towards a crossing before `_crossing` brackets it


def upper_bounds(n: npt.ArrayLike, plus: npt.ArrayLike, minus: npt.ArrayLike, alpha: float, gamma: float) -> FloatArray:
    """Upper bounds of the excess, one per triple of counts: at most RESOLUTION above the last e with p(e) > alpha.

    Counts are broadcast; bounds lie in (-1, 1), and are 1.0 where no e passes (every row is +1). The search starts
    where the score is -1/2: at every smaller e p is 1.
    """
    rows, a, c = _counts(n, plus, minus)
    size, level = _levels(alpha, gamma)
    different, place = distinct(rows, a, c)
    bounds = np.empty(len(different))
    fill = _fill_bounds if len(different) < FEW else _fill_bounds_in_parallel
    fill(different, size, level, bounds)
    return np.asarray(bounds[place])


def lower_bounds(n: npt.ArrayLike, plus: npt.ArrayLike, minus: npt.ArrayLike, alpha: float, gamma: float) -> FloatArray:
    """Lower bounds of the excess, from `harm_p_values`; -1.0 where no e passes (every row is -1)."""
    return -upper_bounds(n, minus, plus, alpha, gamma)


# Inversion of the test -------------------------------------------------------------------------------------
#
# p(e) falls smoothly, but jumps up where an outcome joins the rejection region, so that it can pass alpha more than
# once. A bound is a bound only above the last time: from the first passing e on, [bound, end) is cut into stretches,
# each shown to pass as a whole, and above `end` everything passes. `p_value` bounds p(e) at every e of a stretch: its
# region holds all of theirs (region.py), at a given q a region is the less likely the larger e, and its q run over all
# of theirs. What cannot be shown to pass raises the bound. Nothing else decides that an e passes: how the first one was
# found does not matter. What is left to trust is the search for the largest p(q), as in the test itself.


@jit
def _fill_bounds(counts: IntArray, alpha: float, gamma: float, bounds: FloatArray) -> None:
    for i in range(len(counts)):
        bounds[i] = _upper_bound(int(counts[i, 0]), int(counts[i, 1]), int(counts[i, 2]), alpha, gamma)


@parallel_jit
def _fill_bounds_in_parallel(counts: IntArray, alpha: float, gamma: float, bounds: FloatArray) -> None:
    for strand in numba.prange(STRANDS):
        for i in range(strand, len(counts), STRANDS):
            bounds[i] = _upper_bound(int(counts[i, 0]), int(counts[i, 1]), int(counts[i, 2]), alpha, gamma)


@jit
def _upper_bound(n: int, a: int, c: int, alpha: float, gamma: float) -> float:
    """An e above every e that does not pass, by RESOLUTION or a few of them; 1 if nothing passes."""
    if a == n:
        return 1.0
    case = case_of(n, a, c, gamma, (1.0 - CLOSE) * (alpha - gamma))
    bound = _aimed_crossing(case)
    if bound == 1.0:
        bound = _crossing(case, _excess_at_score(case, NO_EVIDENCE))
    end = _end(case, gamma)
    e, reach, growth, failed = bound, 6.0 * RESOLUTION, GROWTH, False  # all of [bound, e] passes
    while e < end:
        until = min(e + reach, end)
        points = FINE if e == bound else COARSE  # coarse grids miss a peak now and then, by up to .0001
        p = p_value(case, e, until, points)
        if p <= case.limit:
            e, reach, growth, failed = until, growth * (until - e), min(2.0 * growth, GROWTH), False
            if p < FAR * case.limit:
                reach = end - e
        elif failed and p_value(case, until, until, points) > case.limit:
            e = bound = _crossing(case, until)
            reach, failed = RESOLUTION, False
        elif until - e > SHORTEST * (1.0 - e):
            reach, growth, failed = (until - e) / BACK, 4.0, True
        else:
            e = bound = until
            reach = RESOLUTION
    return bound if bound < LARGEST else 1.0


@jit
def _end(case: Case, gamma: float) -> float:
    """An e above which every e passes, for a < n.

    All +1 has the highest score of all: it is in no region, and its probability is at least e^n. Above the
    Clopper-Pearson interval the only q is e: all flips are +1 then, and more than a + c of them are in no region,
    because the score rises with +1 and falls with -1; so p - gamma is at most P(Bin(n, e) <= a + c) <= gamma / 2.
    """
    end = min((1.0 - case.limit) ** (1.0 / case.n), LARGEST)
    return float(min(case.high, end) if gamma <= case.limit else end)


@jit
def _aimed_crossing(case: Case) -> float:
    """An e that passes, as far as one nuisance value tells, and fails at less than RESOLUTION below; 1 if missed.

    Secants of the normal scores h of p, nearly linear in e: at Tango's bound and at the first estimate with the whole
    grid over q, then at the place of its highest point. They aim a little above the root, and then a little below it.
    """
    target = normal_score(case.limit)
    e = _excess_at_score(case, min(target, NO_EVIDENCE - 0.01))
    slope = (_score(case, e + RESOLUTION) - _score(case, e)) / RESOLUTION
    fails, passes, last, h_last, place = -1.0, 1.0, 0.0, 0.0, 0.0
    for i in range(AIMS):
        if not fails < e < passes:  # a jump misled the secant
            if not -1.0 < fails < passes < 1.0:
                break
            e = 0.5 * (fails + passes)
        low, high = nuisances(case, e, e)
        region = region_at(case, e, e, low, high)
        highest = 0.0
        if i < 2:
            grid = grid_of(e, low, high, COARSE)
            on_grid = p_on(grid, region, e)
            highest, place = float(on_grid.max()), summit(grid[0], on_grid)
        edge = min(low, abs(e))
        start, stop = angle_of(low, edge), angle_of(high, edge)
        q = max(low, min(nuisance_at(start + place * (stop - start), edge), high))
        p = max(highest, p_at(region, q, e, np.empty(len(region.k))))
        h = normal_score(p) - target
        if i > 0 and abs(e - last) > 0.1 * RESOLUTION and (h - h_last) / (e - last) < 0.1 * slope:
            slope = (h - h_last) / (e - last)
        last, h_last = e, h
        if h <= 0.0:
            passes = e
        else:
            fails = e
        if passes - fails <= RESOLUTION:
            return passes
        root = e - h / slope
        e = root + 0.7 * RESOLUTION
        if passes < 1.0 and passes - root < RESOLUTION:
            e = root - 0.2 * RESOLUTION
    return 1.0


@jit
def _crossing(case: Case, fails: float) -> float:
    """An e above `fails` that passes, where something in [e - RESOLUTION, e) does not; 1 if there is none.

    Regula falsi on the normal scores h of p, nearly linear in Tango's score. It aims a little past the
    estimated root, towards the farther end, so that the bracket closes from both sides, and further (up to the middle)
    after every step that did not halve it.
    """
    target = normal_score(case.limit)
    highest = _score(case, fails)
    h_fails = normal_score(p_value(case, fails, fails, COARSE)) - target
    passes, h_passes = 1.0, 0.0
    failed, passed = h_fails < 1.0, False
    at, reach = min(target, highest - 0.01), 0.01
    while at < highest and not (failed and passed):
        e = _excess_at_score(case, at)
        p = p_value(case, e, e, COARSE)
        h = normal_score(p) - target
        if p <= case.limit:
            passes, h_passes, passed = e, h, True
            at += abs(h) + reach
        elif e < LARGEST:
            fails, h_fails, failed = e, h, True
            at -= abs(h) + reach
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
        p = p_value(case, e, e, COARSE)
        h = normal_score(p) - target
        if p <= case.limit:
            passes, h_passes = e, h
        else:
            fails, h_fails = e, h
        boost = 10.0 * boost if passes - fails > 0.5 * width else 1.0
    return passes


@jit
def _excess_at_score(case: Case, at: float) -> float:
    """The e in (-1, 1) where the score z(a, c) falls to `at`, by bisection."""
    left, right = -LARGEST, LARGEST
    for _ in range(45):
        middle = 0.5 * (left + right)
        if _score(case, middle) > at:
            left = middle
        else:
            right = middle
    return right


@jit
def _score(case: Case, e: float) -> float:
    return score(case.n, case.a, case.c, e)
