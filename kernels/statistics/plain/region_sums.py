"""The probability of regions of outcomes at given nuisance values q = P(d != 0), of many tests at once.

Step 3 of the exact test (method 9.2). What compiled/region_probability.py does with loops is done here by running
products and sums; the recursions are said there. Knows regions and binomials; no data, no supremum.
"""

import numpy as np

from earmark.kernels.statistics.collapse import FloatArray, IntArray
from earmark.kernels.statistics.exact_case import HUGE
from earmark.kernels.statistics.plain.regions import FLIPS, IF_LEVEL, IF_RISING, ONLY_PLUS, RISES, SOME, Regions
from earmark.kernels.statistics.plain.walks import binomials, run, total

_HELD = 1 << 18  # elements of an array that are worked on at a time: they stay in the processor's cache
_NEGLIGIBLE = 1e-16  # a mass below this share of the largest one is left out


def probabilities(regions: Regions, eps: FloatArray, q: FloatArray) -> FloatArray:
    """p(q) (C, Q) of step 3: sum over M of Bin(M; n, q) F(k(M); M, (q + eps) / 2q), for eps (C,) and q (C, Q)."""
    p = np.empty(q.shape)
    together = max(1, _HELD // (regions.steps[0, :, :, 0].size * q.shape[1]))
    for start in range(0, len(q), together):
        part = slice(start, start + together)
        p[part] = _sums(regions.at(part), eps[part], q[part])
    return p


def _sums(regions: Regions, eps: FloatArray, q: FloatArray) -> FloatArray:
    """`probabilities` of a few regions: lanes are all q of the first, then of the next."""
    shape, many = q.shape, q.shape[1] > 1
    e, q = np.repeat(eps, shape[1]), q.ravel()
    steps = np.repeat(regions.steps[:ONLY_PLUS], shape[1], axis=-1) if many else regions.steps
    inside = (q > 0.0) & (q < 1.0)
    mixed = inside & (np.abs(e) < q)
    pi, not_pi = np.where(mixed, (q + e) / (2.0 * q), 0.5), np.where(mixed, (q - e) / (2.0 * q), 0.5)
    odds = np.where(inside, q, 0.5) / np.where(inside, 1.0 - q, 0.5)
    with np.errstate(over="ignore", invalid="ignore"):
        cumulative, f_at_centre = binomials(regions.k, regions.centre, pi, not_pi, many)
        products = np.empty((steps.shape[1], 2, *steps.shape[2:]))
        mass, f = products[:, 0], products[:, 1]
        np.multiply(steps[FLIPS], np.array([odds, 1.0 / odds]), out=mass)
        np.multiply(steps[IF_RISING], np.array([pi, 1.0 / pi]), out=f)
        f += steps[IF_LEVEL] * np.array([not_pi, 1.0 / not_pi])
        run(np.multiply, products, many)
        f *= f_at_centre
        cumulatives = run(np.add, _changes(steps[RISES], f, f_at_centre, pi), many)
        cumulatives += cumulative
        _correct_ends(regions, cumulatives, cumulative, e, np.flatnonzero(inside & ~mixed), shape[1])
        np.multiply(mass, cumulatives, out=f)
        everything, summed = total(products, many).sum(axis=1)
        p = (cumulative + summed) / (1.0 + everything)
        sure = inside & (everything < HUGE) & (~mixed | (f_at_centre > 1.0 / HUGE))
    for lane in np.flatnonzero(~sure).tolist():
        place = lane // shape[1]
        p[lane] = _sum_with_care(regions.at(slice(place, place + 1)), float(e[lane]), float(q[lane]))
    return np.asarray(np.minimum(np.maximum(p, 0.0), 1.0).reshape(shape))


def _changes(rises: FloatArray, f: FloatArray, f_at_centre: FloatArray, pi: FloatArray) -> FloatArray:
    """By how much F changes with every step: rises f' - pi f upwards, pi f' - rises f downwards."""
    changes = np.empty_like(rises)
    np.multiply(f[:, 0], rises[:, 0], out=changes[:, 0])
    np.multiply(f[:, 1], pi, out=changes[:, 1])
    changes[1:, 0] -= f[:-1, 0] * pi
    changes[1:, 1] -= f[:-1, 1] * rises[1:, 1]
    changes[0, 0] -= f_at_centre * pi
    changes[0, 1] -= f_at_centre * rises[0, 1]
    return changes


def _correct_ends(
    regions: Regions, cumulatives: FloatArray, cumulative: FloatArray, e: FloatArray, lanes: IntArray, each: int
) -> None:
    """F where q is |e|, and all flips are +1, or all are -1: in place, at the end of every step and at the centre."""
    if len(lanes):
        place, plus = lanes // each, e[lanes] > 0.0
        ends = np.where(plus, regions.steps[ONLY_PLUS][..., place], regions.steps[SOME][..., place])
        cumulatives[..., lanes] = ends
        cumulative[lanes] = ~plus | (regions.k[place] == regions.centre[place])


def _sum_with_care(region: Regions, eps: float, q: float) -> float:
    """p(q) of one region where masses at its centre underflow: from the mode of M, and from the k nearest to its mean.

    If P(X = k) underflows there too, P(X <= k) is 0 or 1 throughout.
    """
    flips, ratio, k = _by_flips(region)
    mass = _masses(flips, ratio, q)
    if q <= abs(eps):  # all flips are +1, or all are -1
        p = sum(m for m, x, among in zip(mass, k, flips, strict=True) if x == (among if eps > 0.0 else max(x, 0.0)))
        return p / sum(mass)
    pi, not_pi = (q + eps) / (2.0 * q), (q - eps) / (2.0 * q)
    possible = [i for i in range(len(k)) if k[i] >= 0.0 and mass[i] > 0.0]
    if not possible:
        return 0.0
    centre = min(possible, key=lambda i: abs(k[i] - pi * flips[i]))
    with np.errstate(over="ignore", invalid="ignore"):
        lane = [np.array([value]) for value in (k[centre], flips[centre], pi, not_pi)]
        both = binomials(lane[0], lane[1], lane[2], lane[3], in_blocks=False)
    at_centre = float(both[0][0]), float(both[1][0])
    if not at_centre[1] > 0.0:
        at_centre = float(k[centre] > pi * flips[centre]), 0.0
    cumulative, f = at_centre
    p = mass[centre] * cumulative
    for i in range(centre + 1, possible[-1] + 1):
        rises = k[i] > k[i - 1]
        cumulative -= pi * f
        f *= flips[i] / k[i] * pi if rises else flips[i] / (flips[i] - k[i]) * not_pi
        cumulative += f if rises else 0.0
        p += mass[i] * cumulative
    cumulative, f = at_centre
    for i in range(centre, possible[0], -1):
        rises = k[i] > k[i - 1]
        cumulative -= f if rises else 0.0
        f *= k[i] / (flips[i] * pi) if rises else (flips[i] - k[i]) / (flips[i] * not_pi)
        cumulative += pi * f
        p += mass[i - 1] * cumulative
    return p / sum(mass)


def _by_flips(region: Regions) -> tuple[list[float], list[float], list[float]]:
    """M, the ratio of Bin(M; n, q) to Bin(M - 1; n, q) over the odds of q, and k, of every M of one region."""
    up, down = region.steps[FLIPS, :, 0, 0], region.steps[FLIPS, ::-1, 1, 0]
    rises_up, rises_down = region.steps[RISES, up > 0.0, 0, 0], region.steps[RISES, ::-1, 1, 0][down > 0.0]
    rises = np.r_[0.0, rises_down, rises_up]
    flips = region.centre[0] - len(rises_down) + np.arange(len(rises))
    k = region.k[0] - rises_down.sum() + np.cumsum(rises)
    return flips.tolist(), [0.0, *(1.0 / down[down > 0.0]).tolist(), *up[up > 0.0].tolist()], k.tolist()


def _masses(flips: list[float], ratio: list[float], q: float) -> list[float]:
    """Bin(M; n, q) in units of its mode; 0 where that is negligible, and beyond the M of `flips`."""
    if q <= 0.0 or q >= 1.0:
        return [float(i == (0 if q <= 0.0 else len(flips) - 1)) for i in range(len(flips))]
    odds = q / (1.0 - q)
    mode = sum(1 for step in ratio[1:] if step * odds > 1.0)
    mass = [0.0] * len(flips)
    mass[mode], term = 1.0, 1.0
    for i in range(mode + 1, len(flips)):
        term *= ratio[i] * odds
        mass[i] = term
        if term < _NEGLIGIBLE:
            break
    term = 1.0
    for i in range(mode, 0, -1):
        term /= ratio[i] * odds
        mass[i - 1] = term
        if term < _NEGLIGIBLE:
            break
    return mass
