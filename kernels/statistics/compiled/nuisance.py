"""The supremum of the probability of a region over the nuisance q = P(d != 0) that the data leave open.

Step 4 of the exact test (method 9.2). Knows regions; no data.
"""

import math

import numpy as np

from earmark.kernels._jit import jit
from earmark.kernels.statistics.collapse import FloatArray
from earmark.kernels.statistics.compiled.region import Region
from earmark.kernels.statistics.compiled.region_probability import LANES, p_at, p_at_lanes
from earmark.kernels.statistics.exact_case import PRECISION

# A place is an angle, q = edge + (1 - edge) sin(t)^2 with edge = min(low, |eps|). Even steps in t are even steps in
# standard deviations of the number of flips, or smaller ones next to |eps|: flips of the rarer sign are few there, p(q)
# follows the lattice of their counts, and its peaks are narrow in q but not in t.


@jit
def angle_of(q: float, edge: float) -> float:
    return math.asin(math.sqrt(max(0.0, min((q - edge) / (1.0 - edge), 1.0))))


@jit
def nuisance_at(t: float, edge: float) -> float:
    return edge + (1.0 - edge) * math.sin(t) ** 2


@jit
def grid_of(eps: float, low: float, high: float, points: int) -> FloatArray:
    """(t, q) (2, points) from low to high, even in t, and one more next to each end."""
    edge = min(low, abs(eps))
    start, stop = angle_of(low, edge), angle_of(high, edge)
    grid = np.empty((2, points))
    t = grid[0]
    for i in range(1, points - 1):
        t[i] = start + (stop - start) * (i - 1) / (points - 3)
    t[0], t[1] = start, t[1] + 1e-5 * (stop - start)
    t[points - 2], t[points - 1] = t[points - 2] - 1e-5 * (stop - start), stop
    for i in range(1, points - 1):
        grid[1, i] = max(low, min(nuisance_at(float(t[i]), edge), high))
    grid[1, 0], grid[1, points - 1] = low, high
    return grid


@jit
def p_on(grid: FloatArray, region: Region, eps: float) -> FloatArray:
    """p(q) at every point of a grid."""
    p, mass = np.empty(grid.shape[1]), np.empty(len(region.k))
    for i in range(0, len(p), LANES):
        p_at_lanes(region, grid[1, i : i + LANES], eps, mass, p[i : i + LANES])
    return p


@jit
def summit(t: FloatArray, p: FloatArray) -> float:
    """About where p is largest, as a share of the way along the grid t, by a parabola through the highest point."""
    i = int(p.argmax())
    at = float(t[i])
    if 0 < i < len(p) - 1:
        left, right = (p[i] - p[i - 1]) / (t[i] - t[i - 1]), (p[i] - p[i + 1]) / (t[i + 1] - t[i])
        if left + right > 0.0:
            at += 0.5 * (left * (t[i + 1] - t[i]) - right * (t[i] - t[i - 1])) / (left + right)
    return (at - t[0]) / (t[-1] - t[0]) if t[-1] > t[0] else 0.0


@jit
def supremum(region: Region, eps: float, low: float, high: float, points: int, limit: float, stretch: bool) -> float:
    """The largest p(q) for q in [low, high] (method 9.2, step 4): on a grid, then around every peak that may be it.

    With a limit below 1, it need only be on the right side of the limit: peaks that cannot reach it are not climbed.
    Nor, of a `stretch`, any further than that takes: there p bends sharply where q is |eps|, and climbs are long.
    """
    if high <= low:
        return p_at(region, low, eps, np.empty(len(region.k)))
    grid = grid_of(eps, low, high, points)
    p = p_on(grid, region, eps)
    best = float(p.max())
    needed, precision = (limit, 1e-7 * limit) if limit < 1.0 else (0.0, PRECISION)
    mass = np.empty(len(region.k))
    for i in range(1, points - 1):
        if limit < 1.0 and best > limit:
            break
        t = grid[0, i - 1 : i + 2]
        left, right = p[i] - p[i - 1], p[i] - p[i + 1]
        before, after = t[1] - t[0], t[2] - t[1]
        rise = max(left * after / before, right * before / after)  # at most, where p is concave
        if min(left, right) >= 0.0 and max(left, right) > precision and p[i] + rise >= max(best, needed):
            enough = limit if stretch else 1.0
            best = max(best, _peak(region, eps, min(low, abs(eps)), mass, t, p[i - 1 : i + 2], precision, enough))
    return best


@jit
def _peak(
    region: Region,
    eps: float,
    edge: float,
    mass: FloatArray,
    t: FloatArray,
    p: FloatArray,
    precision: float,
    limit: float,
) -> float:
    """The largest p between three points t, the middle one the highest, by parabolas.

    With a limit below 1 it ends as soon as p is above it, or cannot come there where it is concave.
    """
    t0, t1, t2 = float(t[0]), float(t[1]), float(t[2])
    p0, p1, p2 = float(p[0]), float(p[1]), float(p[2])
    for i in range(40):
        left, right = (p1 - p0) / (t1 - t0), (p1 - p2) / (t2 - t1)
        if limit < 1.0 and (p1 > limit or p1 + max(left * (t2 - t1), right * (t1 - t0)) < limit):
            break
        bend = (left + right) / (t2 - t0)
        slope = (left * (t2 - t1) - right * (t1 - t0)) / (t2 - t0)
        at = t1 + 0.1 * (t2 - t1 if t2 - t1 > t1 - t0 else t0 - t1)
        if slope * slope > 4.0 * bend * precision:  # the vertex is more than that above p1
            at = t1 + 0.5 * slope / bend
        elif i > 2:
            break
        height = p_at(region, nuisance_at(at, edge), eps, mass)
        if height > p1 and at > t1:
            t0, p0, t1, p1 = t1, p1, at, height
        elif height > p1:
            t2, p2, t1, p1 = t1, p1, at, height
        elif at > t1:
            t2, p2 = at, height
        else:
            t0, p0 = at, height
    return p1
