"""The supremum of the probability of regions over the nuisance q = P(d != 0), of many tests at once.

Step 4 of the exact test (method 9.2). The angles, the grid and the climbing of compiled/nuisance.py, side by side.
"""

import math
from typing import NamedTuple

import numpy as np

from earmark.kernels.statistics.collapse import FloatArray, IntArray
from earmark.kernels.statistics.exact_case import (
    COARSE,
    NO_EVIDENCE,
    PRECISION,
    TIE,
    Cases,
    nuisances,
)
from earmark.kernels.statistics.plain.intervals import clopper_pearson as clopper_pearson
from earmark.kernels.statistics.plain.region_sums import probabilities
from earmark.kernels.statistics.plain.regions import Regions, regions_of, scores

_ALIKE = 0.6  # tests that are done together have windows of M at least this share of the widest one
_CLIMBS = 40


class Grid(NamedTuple):
    """Nuisance values of each test, even in the angle t with q = edge + (1 - edge) sin(t)^2."""

    edge: FloatArray  # (C,)
    t: FloatArray  # (C, points)
    q: FloatArray


def p_values(cases: Cases, eps: FloatArray, until: FloatArray, points: IntArray) -> FloatArray:
    """p - gamma of each case at eps = until, on a grid of `points` that is refined around its peaks.

    For until > eps, a bound on p(e) for every e in [eps, until].
    """
    p = np.ones(len(eps))
    evidence = scores(cases.n, cases.plus, cases.minus, eps) < NO_EVIDENCE - TIE
    for size in np.unique(points[evidence]):
        for places in _alike(cases, eps, until, np.flatnonzero(evidence & (points == size))):
            p[places] = _suprema(cases.at(places), eps[places], until[places], int(size))
    return p


def p_at_places(cases: Cases, eps: FloatArray, place: FloatArray, search: bool) -> tuple[FloatArray, FloatArray]:
    """p - gamma near its highest point over q, and that place, as a share of the way along the angles.

    With `search` a coarse grid is looked at first; without, the place that is given.
    """
    p, place = np.empty(len(eps)), place.copy()
    for places in _alike(cases, eps, eps, np.arange(len(eps))):
        some, e = cases.at(places), eps[places]
        low, high = nuisances(some, e, e)
        regions = regions_of(some, e, e)
        highest = np.zeros(len(e))
        if search:
            grid = _grid(e, low, high, COARSE)
            on_grid = probabilities(regions, e, grid.q)
            highest, place[places] = on_grid.max(axis=1), _summits(grid.t, on_grid)
        edge = np.minimum(low, np.abs(e))
        start, stop = _angles(low, edge), _angles(high, edge)
        q = np.clip(_nuisances_at(start + place[places] * (stop - start), edge), low, high)
        p[places] = np.maximum(highest, probabilities(regions, e, q[:, None])[:, 0])
    return p, place


def _alike(cases: Cases, eps: FloatArray, until: FloatArray, places: IntArray) -> list[IntArray]:
    """The places in groups whose windows of M are of about one width, the widest first."""
    low, high = nuisances(cases, eps, until)
    width = (cases.n * (high - low) + 16.0 * np.sqrt(cases.n * high * (1.0 - low)) + 20.0)[places]
    order = np.argsort(-width, kind="stable")
    groups = []
    while len(order):
        together = int(np.searchsorted(-width[order], -_ALIKE * width[order[0]], side="right"))
        groups.append(places[order[:together]])
        order = order[together:]
    return groups


# Angles --------------------------------------------------------------------------------------------------------


def _angles(q: FloatArray, edge: FloatArray) -> FloatArray:
    share = np.sqrt(np.clip((q - edge) / (1.0 - edge), 0.0, 1.0))
    return np.array([math.asin(value) for value in share.tolist()])


def _nuisances_at(t: FloatArray, edge: FloatArray) -> FloatArray:
    """q of angles (C, ...); NumPy's own sines have other last bits on other processors."""
    sine = np.array([math.sin(value) for value in t.ravel().tolist()]).reshape(t.shape)
    edge = edge.reshape(-1, *[1] * (t.ndim - 1))
    return np.asarray(edge + (1.0 - edge) * (sine * sine))


def _grid(eps: FloatArray, low: FloatArray, high: FloatArray, points: int) -> Grid:
    """From low to high, even in t, and one more point next to each end."""
    edge = np.minimum(low, np.abs(eps))
    start, stop = _angles(low, edge)[:, None], _angles(high, edge)[:, None]
    t = np.empty((len(eps), points))
    t[:, 1:-1] = start + (stop - start) * np.arange(points - 2) / (points - 3)
    t[:, :1], t[:, 1:2] = start, t[:, 1:2] + 1e-5 * (stop - start)
    t[:, -2:-1], t[:, -1:] = t[:, -2:-1] - 1e-5 * (stop - start), stop
    q = np.clip(_nuisances_at(t, edge), low[:, None], high[:, None])
    q[:, 0], q[:, -1] = low, high
    return Grid(edge, t, q)


def _summits(t: FloatArray, p: FloatArray) -> FloatArray:
    """About where p is largest, as a share of the way along the grid t, by a parabola through the highest point."""
    rows, i = np.arange(len(t)), p.argmax(axis=1)
    at, width = t[rows, i], t[:, -1] - t[:, 0]
    before, after = np.maximum(i - 1, 0), np.minimum(i + 1, t.shape[1] - 1)
    h0, h1 = at - t[rows, before], t[rows, after] - at
    inner = (h0 > 0.0) & (h1 > 0.0)
    h0, h1 = np.where(inner, h0, 1.0), np.where(inner, h1, 1.0)
    left, right = (p[rows, i] - p[rows, before]) / h0, (p[rows, i] - p[rows, after]) / h1
    bent = inner & (left + right > 0.0)
    at = at + np.where(bent, 0.5 * (left * h1 - right * h0) / np.where(bent, left + right, 1.0), 0.0)
    return np.where(width > 0.0, (at - t[:, 0]) / np.where(width > 0.0, width, 1.0), 0.0)


# The supremum --------------------------------------------------------------------------------------------------


def _suprema(cases: Cases, eps: FloatArray, until: FloatArray, points: int) -> FloatArray:
    """The largest p(q) for q in [low, high] (method 9.2, step 4): on a grid, then around every peak that may be it.

    With a limit below 1, it need only be on the right side of the limit: peaks that cannot reach it are not climbed.
    """
    low, high = nuisances(cases, eps, until)
    regions = regions_of(cases, eps, until)
    grid = _grid(eps, low, high, points)
    p = probabilities(regions, eps, grid.q)
    best: FloatArray = p.max(axis=1)
    decides = cases.limit < 1.0
    needed, precision = np.where(decides, cases.limit, 0.0), np.where(decides, 1e-7 * cases.limit, PRECISION)
    middle = p[:, 1:-1]
    left, right = middle - p[:, :-2], middle - p[:, 2:]
    before, after = np.diff(grid.t)[:, :-1], np.diff(grid.t)[:, 1:]
    apart = (before > 0.0) & (after > 0.0)
    before, after = np.where(apart, before, 1.0), np.where(apart, after, 1.0)
    rise = np.maximum(left * after / before, right * before / after)  # at most, where p is concave
    peak = apart & (np.minimum(left, right) >= 0.0) & (np.maximum(left, right) > precision[:, None])
    peak &= middle + rise >= np.maximum(best, needed)[:, None]
    peak &= (best <= cases.limit)[:, None]
    case, at = np.nonzero(peak)
    if len(case):
        t, heights = (np.stack([values[case, at + i] for i in range(3)]) for values in (grid.t, p))
        aims = precision[case], np.where(until > eps, cases.limit, 1.0)[case]
        np.maximum.at(best, case, _climbed(regions.at(case), eps[case], grid.edge[case], t, heights, *aims))
    return best


def _climbed(
    regions: Regions,
    eps: FloatArray,
    edge: FloatArray,
    t: FloatArray,
    p: FloatArray,
    precision: FloatArray,
    limit: FloatArray,
) -> FloatArray:
    """The largest p between three angles t (3, C), the middle one the highest, by parabolas.

    Of a stretch only the side of the limit is wanted, and p bends sharply where q is |eps|: a limit below 1 ends the
    climb as soon as p is above it, or cannot come there where it is concave.
    """
    best: FloatArray = p[1].copy()
    active = np.arange(len(eps))
    for i in range(_CLIMBS):
        h0, h1 = t[1] - t[0], t[2] - t[1]
        left, right = (p[1] - p[0]) / h0, (p[1] - p[2]) / h1
        bend, slope = (left + right) / (t[2] - t[0]), (left * h1 - right * h0) / (t[2] - t[0])
        above = slope * slope > 4.0 * bend * precision[active]  # the vertex is more than that above p[1]
        aside = 0.1 * np.where(h1 > h0, h1, -h0)
        at = t[1] + np.where(above, 0.5 * slope / np.where(above, bend, 1.0), aside)
        rise = np.maximum(left * h1, right * h0)  # at most, where p is concave
        open_ = (limit[active] == 1.0) | ((p[1] <= limit[active]) & (p[1] + rise >= limit[active]))
        open_ &= above | (i <= 2)
        active, at, t, p = active[open_], at[open_], t[:, open_], p[:, open_]
        if not len(active):
            break
        q = _nuisances_at(at, edge[active])
        height = probabilities(regions.at(active), eps[active], q[:, None])[:, 0]
        t, p = _narrowed(t, p, at, height)
        best[active] = p[1]
    return best


def _narrowed(t: FloatArray, p: FloatArray, at: FloatArray, height: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Three angles and heights each, with one more angle between: the highest of the four and its neighbours."""
    beyond, higher = at > t[1], height > p[1]
    t_all = np.where(beyond, [t[0], t[1], at, t[2]], [t[0], at, t[1], t[2]])
    p_all = np.where(beyond, [p[0], p[1], height, p[2]], [p[0], height, p[1], p[2]])
    first = np.where(beyond == higher, 1, 0)  # the new one is the highest of the last three, or the old one
    rows, columns = first + np.arange(3)[:, None], np.arange(len(at))
    return t_all[rows, columns], p_all[rows, columns]
