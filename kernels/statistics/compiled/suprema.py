"""The exact test of many counts with kernels: what plain/suprema.py does in NumPy, one test after the other.

Knows counts, regions and nuisance values; no data.
"""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numba
import numpy as np

from earmark.kernels._jit import jit
from earmark.kernels.statistics.collapse import FloatArray, IntArray
from earmark.kernels.statistics.compiled.binomial import clopper_pearson as interval_of
from earmark.kernels.statistics.compiled.binomial import quantile
from earmark.kernels.statistics.compiled.nuisance import angle_of, grid_of, nuisance_at, p_on, summit, supremum
from earmark.kernels.statistics.compiled.region import Region, region_of, score
from earmark.kernels.statistics.compiled.region_probability import LANES, p_at
from earmark.kernels.statistics.exact_case import EVERYTHING, NO_EVIDENCE, TIE, Cases

FEW = 64  # fewer tests than this are not worth other threads
_STRANDS = 4  # interleaved parts for each thread, with tests of all sizes: threads have equally much to do


def clopper_pearson(m: IntArray, n: IntArray, gamma: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The intervals (low, high) of q for m changed answers among n, each at its level gamma."""
    low, high = np.empty(len(m)), np.empty(len(m))
    _in_strands(_fill_intervals, len(m), m, n, gamma, low, high)
    return low, high


def p_values(cases: Cases, eps: FloatArray, until: FloatArray, points: IntArray) -> FloatArray:
    """p - gamma of each case at eps = until, on a grid of `points` that is refined around its peaks.

    For until > eps, a bound on p(e) for every e in [eps, until].
    """
    p = np.empty(len(eps))
    _in_strands(_fill_p, len(eps), cases, eps, until, points, p)
    return p


def p_at_places(cases: Cases, eps: FloatArray, place: FloatArray, search: bool) -> tuple[FloatArray, FloatArray]:
    """p - gamma near its highest point over q, and that place, as a share of the way along the angles.

    With `search` a coarse grid is looked at first; without, the place that is given.
    """
    p, place = np.empty(len(eps)), place.copy()
    _in_strands(_fill_at_places, len(eps), cases, eps, search, place, p)
    return p, place


def _in_strands(kernel: Callable[..., None], count: int, *arguments: Any) -> None:
    """Run a kernel over `count` tests, on the threads that numba may use: it holds no lock of the interpreter."""
    threads = numba.get_num_threads()
    if count < FEW or threads == 1:
        kernel(0, 1, *arguments)
        return
    strands = _STRANDS * threads
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(kernel, strand, strands, *arguments) for strand in range(strands)]:
            done.result()


class Case(NamedTuple):
    """One of `Cases`."""

    n: int
    a: int
    c: int
    low: float
    high: float
    limit: float


@jit
def _fill_intervals(
    strand: int, strands: int, m: IntArray, n: IntArray, gamma: FloatArray, low: FloatArray, high: FloatArray
) -> None:
    for i in range(strand, len(m), strands):
        low[i], high[i] = interval_of(int(m[i]), int(n[i]), float(gamma[i]))


@jit
def _fill_p(
    strand: int, strands: int, cases: Cases, eps: FloatArray, until: FloatArray, points: IntArray, p: FloatArray
) -> None:
    for i in range(strand, len(p), strands):
        p[i] = p_value(_case(cases, i), float(eps[i]), float(until[i]), int(points[i]))


@jit
def _fill_at_places(
    strand: int, strands: int, cases: Cases, eps: FloatArray, search: bool, place: FloatArray, p: FloatArray
) -> None:
    for i in range(strand, len(p), strands):
        p[i], place[i] = _p_at_place(_case(cases, i), float(eps[i]), search, float(place[i]))


@jit
def _case(cases: Cases, i: int) -> Case:
    return Case(
        int(cases.n[i]),
        int(cases.plus[i]),
        int(cases.minus[i]),
        float(cases.low[i]),
        float(cases.high[i]),
        float(cases.limit[i]),
    )


@jit
def _p_at_place(case: Case, e: float, search: bool, place: float) -> tuple[float, float]:
    low, high = nuisances(case, e, e)
    region = region_at(case, e, e, low, high)
    highest = 0.0
    if search:
        grid = grid_of(e, low, high, LANES)
        on_grid = p_on(grid, region, e)
        highest, place = float(on_grid.max()), summit(grid[0], on_grid)
    edge = min(low, abs(e))
    start, stop = angle_of(low, edge), angle_of(high, edge)
    q = max(low, min(nuisance_at(start + place * (stop - start), edge), high))
    return max(highest, p_at(region, q, e, np.empty(len(region.k)))), place


@jit
def p_value(case: Case, eps: float, until: float, points: int) -> float:
    """p - gamma at eps = until, on a grid of `points` nuisance values that is refined around its peaks.

    For until > eps, a bound on p(e) for every e in [eps, until]: the probability at a given q of the outcomes that are
    rejected at any of these falls as e rises, for with an outcome go those with fewer +1 or more -1.
    """
    if score(case.n, case.a, case.c, eps) >= NO_EVIDENCE - TIE:
        return 1.0
    low, high = nuisances(case, eps, until)
    region = region_at(case, eps, until, low, high)
    return supremum(region, eps, low, high, points, case.limit, until > eps)


@jit
def nuisances(case: Case, eps: float, until: float) -> tuple[float, float]:
    """Clopper-Pearson's interval (low, high) of q with ends raised to |e|: the union over all e in [eps, until]."""
    nearest = 0.0 if eps < 0.0 < until else min(abs(eps), abs(until))
    return max(case.low, nearest), max(case.high, abs(eps), abs(until))


@jit
def region_at(case: Case, eps: float, until: float, low: float, high: float) -> Region:
    """The outcomes of method 9.2, step 3, for all numbers of flips that a q in [low, high] makes likely enough."""
    n = case.n
    reach = EVERYTHING if case.limit == 1.0 else min(EVERYTHING, -quantile(1e-8 * case.limit))
    spread = reach * math.sqrt(n * max(low * (1.0 - low), high * (1.0 - high))) + 20.0
    first, last = max(0, int(n * low - spread)), min(n, int(n * high + spread) + 1)
    return region_of(n, case.a, case.c, eps, until, first, last)
