"""The probability of a region of outcomes at given nuisance values q = P(d != 0): at one, or at many side by side.

Step 3 of the exact test (method 9.2). Knows regions and binomials; no data, no supremum.
"""

import math

import numpy as np

from earmark.kernels._jit import jit
from earmark.kernels.statistics.collapse import FloatArray
from earmark.kernels.statistics.compiled.binomial import NEGLIGIBLE, binomial
from earmark.kernels.statistics.compiled.region import Region
from earmark.kernels.statistics.exact_case import COARSE, HUGE

LANES = COARSE  # nuisance values side by side, in wide registers
SHORT = 400.0  # log of the largest mass, in units of the one at no flip, up to which a walk may start there
# Where each quantity of the lanes begins in one work array: compilers then see that they do not overlap.
_PI, _NOT_PI, _ODDS, _START, _START_F, _F, _CUMULATIVE, _MASS, _TOTAL, _SUM = (LANES * i for i in range(10))
_INVERSE_PI, _INVERSE_NOT_PI, _INVERSE_ODDS, _TERM, _BELOW, _ABOVE = (LANES * i for i in range(10, 16))

# The walk holds F = P(X <= k) and f = P(X = k) of X ~ Bin(M, pi) where k = k(M), pi = (q + eps) / (2 q). One M on:
#
#   M + 1, k       F - pi f                        f' = f (1 - pi) (M + 1) / (M + 1 - k)
#   M + 1, k + 1   F - pi f + f'                   f' = f pi (M + 1) / (k + 1)
#   M - 1, k       F + pi f'                       f' = f (M - k) / (M (1 - pi))
#   M - 1, k - 1   F - f + pi f'                   f' = f k / (M pi)
#
# f is recursive in itself, so it must not start where it underflows: the walk starts at the M where k(M) is nearest
# to its expectation M pi and goes both ways from there, towards F = 0 or 1 (if f is 0 there, F is 0 or 1 throughout).
# Lanes start at one M, in the middle of all; where that underflows, they are done one by one.


@jit
def p_at(region: Region, q: float, eps: float, mass: FloatArray) -> float:
    """p(q) of step 3: sum over M of Bin(M; n, q) F(k(M); M, pi); where q < |eps|, eps counts as q or -q."""
    start, stop, total = _flip_masses(region, q, mass)
    first, k = region.first, region.k
    while start < stop and k[start] < 0:
        start += 1
    if start == stop:
        return 0.0
    pi, not_pi = (q + eps) / (2.0 * q), (q - eps) / (2.0 * q)
    if not_pi <= 0.0 or pi <= 0.0:  # all flips are +1, or all are -1
        p = 0.0
        for i in range(start, stop):
            if pi <= 0.0 or k[i] == first + i:
                p += float(mass[i])
        return min(p / total, 1.0)

    centre, nearest = start, math.inf
    for i in range(start, stop):
        distance = abs(k[i] - pi * (first + i))
        if distance < nearest:
            centre, nearest = i, distance
    at_centre = binomial(int(k[centre]), first + centre, pi / not_pi)

    cumulative, f = at_centre
    p = float(mass[centre]) * cumulative
    for i in range(centre + 1, stop):
        cumulative -= pi * f
        f *= region.most_ratio[i] * (pi if region.rises[i] else not_pi)
        cumulative += f if region.rises[i] else 0.0
        p += float(mass[i]) * cumulative
    cumulative, f = at_centre
    for i in range(centre, start, -1):
        cumulative -= f if region.rises[i] else 0.0
        f /= region.most_ratio[i] * (pi if region.rises[i] else not_pi)
        cumulative += pi * f
        p += float(mass[i - 1]) * cumulative
    return min(max(p / total, 0.0), 1.0)


@jit
def _flip_masses(region: Region, q: float, mass: FloatArray) -> tuple[int, int, float]:
    """(start, stop, total): fills mass[start:stop] with Bin(first + i; n, q) in units of its mode, and their sum.

    What lies outside is negligible.
    """
    mode = min(max(int((region.n + 1) * q) - region.first, 0), len(mass) - 1)
    mass[mode] = 1.0
    total, term, stop = 1.0, 1.0, mode + 1
    odds = q / (1.0 - q) if q < 1.0 else 0.0
    while stop < len(mass) and term > NEGLIGIBLE:
        term *= region.flips_ratio[stop] * odds
        mass[stop] = term
        total += term
        stop += 1
    term, start = 1.0, mode
    while start > 0 and term > NEGLIGIBLE:
        term *= (1.0 - q) / (q * region.flips_ratio[start])
        start -= 1
        mass[start] = term
        total += term
    return start, stop, total


@jit
def p_at_lanes(region: Region, q: FloatArray, eps: float, mass: FloatArray, p: FloatArray) -> None:
    """Into p (LANES,): p(q) at LANES ascending values of q."""
    start = 0
    while start < len(region.k) and region.k[start] < 0:
        start += 1
    if start == len(region.k):
        p[:] = 0.0
        return
    w = np.ones(16 * LANES)
    for j in range(LANES):
        if abs(eps) < q[j] < 1.0:
            w[_PI + j], w[_NOT_PI + j] = (q[j] + eps) / (2.0 * q[j]), (q[j] - eps) / (2.0 * q[j])
            w[_ODDS + j] = q[j] / (1.0 - q[j])
            w[_INVERSE_PI + j], w[_INVERSE_NOT_PI + j] = 1.0 / w[_PI + j], 1.0 / w[_NOT_PI + j]
            w[_INVERSE_ODDS + j] = 1.0 / w[_ODDS + j]
    centre = max(start, min(int(0.5 * region.n * (q[0] + q[-1])) - region.first, len(region.k) - 1))
    if region.first == 0 and region.n * q[-1] < SHORT * (1.0 - q[-1]):
        centre = start  # where X <= k(M) is all there is, or nearly so: nothing has to be summed up for a start
    _binomials(int(region.k[centre]), region.first + centre, w)
    for j in range(LANES):
        w[_F + j], w[_CUMULATIVE + j] = w[_START_F + j], w[_START + j]
        w[_SUM + j] = w[_START + j]
    _walk_up(region, centre, w)
    for j in range(LANES):
        w[_F + j], w[_CUMULATIVE + j], w[_MASS + j] = w[_START_F + j], w[_START + j], 1.0
    _walk_down(region, centre, start, w)
    for j in range(LANES):
        total = w[_TOTAL + j]
        if abs(eps) < q[j] < 1.0 and total < HUGE and w[_START_F + j] > 1.0 / HUGE:
            p[j] = min(max(w[_SUM + j] / total, 0.0), 1.0)
        else:
            p[j] = p_at(region, float(q[j]), eps, mass)


@jit
def _binomials(k: int, n: int, w: FloatArray) -> None:
    """Start of the walk: `binomial(k, n, pi / (1 - pi))` of each lane; both are 0 where the mass underflows."""
    for j in range(LANES):
        w[_TERM + j], w[_BELOW + j] = 1.0, 1.0
    for i in range(k, 0, -1):
        ratio = i / (n - i + 1)
        for j in range(LANES):
            w[_TERM + j] *= ratio * (w[_NOT_PI + j] * w[_INVERSE_PI + j])
            w[_BELOW + j] += w[_TERM + j]
        if i % 8 == 0 and not _any_counts(w, _BELOW):
            break
    for j in range(LANES):
        w[_TERM + j], w[_ABOVE + j] = 1.0, 0.0
    for i in range(k, n):
        ratio = (n - i) / (i + 1)
        for j in range(LANES):
            w[_TERM + j] *= ratio * (w[_PI + j] * w[_INVERSE_NOT_PI + j])
            w[_ABOVE + j] += w[_TERM + j]
        if i % 8 == 0 and not _any_counts(w, _ABOVE):
            break
    for j in range(LANES):
        below, above = w[_BELOW + j], w[_ABOVE + j]
        total = below + above
        if total < HUGE:
            w[_START + j] = below / total if below < above else 1.0 - above / total
            w[_START_F + j] = 1.0 / total
        else:
            w[_START + j], w[_START_F + j] = 0.0, 0.0


@jit
def _any_counts(w: FloatArray, sums: int) -> bool:
    """Whether the next term still matters in any lane."""
    counting = 0
    for j in range(LANES):
        counting += w[_TERM + j] > NEGLIGIBLE * w[sums + j]
    return counting > 0


@jit
def _walk_up(region: Region, centre: int, w: FloatArray) -> None:
    """Add the terms of M above the centre, by the first two recursions of the ledger above."""
    for i in range(centre + 1, len(region.k)):
        flips_ratio, most_ratio = region.flips_ratio[i], region.most_ratio[i]
        if region.rises[i]:
            for j in range(LANES):
                w[_CUMULATIVE + j] -= w[_PI + j] * w[_F + j]
                w[_F + j] *= most_ratio * w[_PI + j]
                w[_CUMULATIVE + j] += w[_F + j]
                w[_MASS + j] *= flips_ratio * w[_ODDS + j]
                w[_TOTAL + j] += w[_MASS + j]
                w[_SUM + j] += w[_MASS + j] * w[_CUMULATIVE + j]
        else:
            for j in range(LANES):
                w[_CUMULATIVE + j] -= w[_PI + j] * w[_F + j]
                w[_F + j] *= most_ratio * w[_NOT_PI + j]
                w[_MASS + j] *= flips_ratio * w[_ODDS + j]
                w[_TOTAL + j] += w[_MASS + j]
                w[_SUM + j] += w[_MASS + j] * w[_CUMULATIVE + j]


@jit
def _walk_down(region: Region, centre: int, start: int, w: FloatArray) -> None:
    """Add the terms of M below the centre, by the last two; below `start` only the masses of M are left to add."""
    for i in range(centre, start, -1):
        flips_ratio, most_ratio = 1.0 / region.flips_ratio[i], 1.0 / region.most_ratio[i]
        if region.rises[i]:
            for j in range(LANES):
                w[_CUMULATIVE + j] -= w[_F + j]
                w[_F + j] *= most_ratio * w[_INVERSE_PI + j]
                w[_CUMULATIVE + j] += w[_PI + j] * w[_F + j]
                w[_MASS + j] *= flips_ratio * w[_INVERSE_ODDS + j]
                w[_TOTAL + j] += w[_MASS + j]
                w[_SUM + j] += w[_MASS + j] * w[_CUMULATIVE + j]
        else:
            for j in range(LANES):
                w[_F + j] *= most_ratio * w[_INVERSE_NOT_PI + j]
                w[_CUMULATIVE + j] += w[_PI + j] * w[_F + j]
                w[_MASS + j] *= flips_ratio * w[_INVERSE_ODDS + j]
                w[_TOTAL + j] += w[_MASS + j]
                w[_SUM + j] += w[_MASS + j] * w[_CUMULATIVE + j]
    for i in range(start, 0, -1):
        flips_ratio = 1.0 / region.flips_ratio[i]
        for j in range(LANES):
            w[_MASS + j] *= flips_ratio * w[_INVERSE_ODDS + j]
            w[_TOTAL + j] += w[_MASS + j]
