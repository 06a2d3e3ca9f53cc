"""The exact unconditional test of an excess risk.

n rows are +1 (a newly wrong answer), -1 (a newly right one) or 0; a rows are +1 and c are -1. `p_values` tests
H0: P(+1) - P(-1) >= eps against a smaller excess. Knows counts only: no families, no budgets, no decision.
"""

import math
from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from earmark.kernels._jit import jit, parallel_jit
from earmark.kernels.collapse import FloatArray, IntArray

BoolArray = npt.NDArray[np.bool_]

TIE = 1e-9  # scores lie on a lattice; an equality must not hang on a rounding
NO_EVIDENCE = -0.5  # from this score upwards p is 1
GRID = 33  # nuisance values before the refinement
FEW = 32  # tests that are not worth waking other threads for
NEGLIGIBLE = 1e-16  # of a probability mass, relative to its largest
PRECISION = 1e-13  # of the supremum over q
BEND = 0.06  # of the difference of two scores, over the square of the score's fall (largest seen: 0.054)


def tango_z(n: npt.ArrayLike, a: npt.ArrayLike, c: npt.ArrayLike, eps: npt.ArrayLike) -> FloatArray:
    """Tango's score of the excess (a - c) / n against eps in (-1, 1), broadcast; raises ValueError."""
    rows, plus, minus = _counts(n, a, c)
    rows, plus, minus, excess = np.broadcast_arrays(rows, plus, minus, _finite("eps", eps, -1.0, 1.0))
    z = _scores(rows.ravel(), plus.ravel(), minus.ravel(), excess.ravel())
    return z.reshape(rows.shape)


def p_values(n: npt.ArrayLike, plus: npt.ArrayLike, minus: npt.ArrayLike, eps: float, gamma: float) -> FloatArray:
    """Exact p of H0: excess >= eps against a smaller excess, eps in (-1, 1), broadcast; raises ValueError.

    The nuisance q = P(d != 0) runs over its Clopper-Pearson interval at level gamma, which p pays for.
    """
    rows, a, c = _counts(n, plus, minus)
    excess = float(_finite("eps", eps, -1.0, 1.0))
    level = float(_finite("gamma", gamma, 0.0, 1.0))
    p = np.empty(rows.size)
    fill = _fill_p if rows.size < FEW else _fill_p_in_parallel
    fill(rows.ravel(), a.ravel(), c.ravel(), excess, level, 0, rows.size, p)
    return p.reshape(rows.shape)


def harm_p_values(n: npt.ArrayLike, plus: npt.ArrayLike, minus: npt.ArrayLike, eps: float, gamma: float) -> FloatArray:
    """The mirrored test: p of H0: excess <= eps against a larger excess."""
    return p_values(n, minus, plus, -float(_finite("eps", eps, -1.0, 1.0)), gamma)


def testable_size(eps: float, alpha: float, gamma: float) -> int:
    """The fewest rows with gamma + (1 - eps)^n <= alpha: with fewer, no answer changed is not evidence enough.

    Without any flip p is at least that, and a little above it where a +1 among enough -1 is the more extreme outcome.
    """
    excess = float(_finite("eps", eps, 0.0, 1.0))
    size, level = _levels(alpha, gamma)
    n = max(1, math.floor(math.log(size - level) / math.log1p(-excess)) - 1)
    while level + (1.0 - excess) ** n > size:
        n += 1
    return n


# Checks ----------------------------------------------------------------------------------------------------


def _counts(n: npt.ArrayLike, plus: npt.ArrayLike, minus: npt.ArrayLike) -> tuple[IntArray, IntArray, IntArray]:
    arrays = [np.asarray(counts) for counts in (n, plus, minus)]
    for name, counts in zip(("n", "plus", "minus"), arrays, strict=True):
        if counts.dtype.kind not in "iu":
            raise ValueError(f"{name} holds {counts.dtype}, not integer counts")
    rows, a, c = np.broadcast_arrays(*(counts.astype(np.int64) for counts in arrays))
    if (rows < 1).any() or (a < 0).any() or (c < 0).any() or (a + c > rows).any():
        raise ValueError("counts need n >= 1, plus >= 0, minus >= 0 and plus + minus <= n")
    return rows, a, c


def _finite(name: str, value: npt.ArrayLike, above: float, below: float) -> FloatArray:
    values = np.asarray(value, dtype=np.float64)
    if not ((values > above) & (values < below)).all():
        raise ValueError(f"{name} is not in ({above:g}, {below:g})")
    return values


def _levels(alpha: float, gamma: float) -> tuple[float, float]:
    size = float(_finite("alpha", alpha, 0.0, 0.5))
    level = float(_finite("gamma", gamma, 0.0, 1.0))
    if level >= size:
        raise ValueError(f"gamma {level:g} leaves nothing of alpha {size:g}")
    return size, level


# Score and rejection region (steps 1 and 3) ----------------------------------------------------------------


@jit
def _scores(n: IntArray, a: IntArray, c: IntArray, eps: FloatArray) -> FloatArray:
    z = np.empty(len(n))
    for i in range(len(n)):
        z[i] = _score(int(n[i]), int(a[i]), int(c[i]), float(eps[i]))
    return z


@jit
def _score(n: int, a: int, c: int, eps: float) -> float:
    """z(a, c) of step 1; 0 where it is 0/0 (no flip, eps = 0). Negative eps swaps the signs of the rows."""
    sign = 1.0
    if eps < 0.0:
        a, c, eps, sign = c, a, -eps, -1.0
    b = (2 * n - a + c) * eps - (a + c)
    minus_c = c * eps * (1.0 - eps)
    root = math.sqrt(b * b + 8.0 * n * minus_c)
    q = (root - b) / (4.0 * n) if b < 0.0 else 0.0  # the restricted estimate of P(-1); both forms are the
    if b >= 0.0 and minus_c > 0.0:  # same root, each without cancellation
        q = 2.0 * minus_c / (root + b)
    variance = n * (2.0 * q + eps * (1.0 - eps))
    return sign * (a - c - n * eps) / math.sqrt(variance) if variance > 0.0 else 0.0


class _Region(NamedTuple):
    """Outcomes that are no less extreme than the observed one, for M = first, first + 1, ... flips."""

    n: int
    first: int
    k: IntArray  # the most +1 among M flips; -1 if none
    rises: BoolArray  # k(M) > k(M - 1)
    flips_ratio: FloatArray  # (n - M + 1) / M: Bin(M; n, q) / Bin(M - 1; n, q) over the odds of q
    most_ratio: FloatArray  # f(k(M); M) / f(k(M - 1); M - 1) over pi or 1 - pi, as k rises or not


@jit
def _region(n: int, a: int, c: int, eps: float, until: float, first: int, last: int) -> _Region:
    """The outcomes (x, y) with z(x, y) <= z(a, c) + TIE (step 3), with first..last flips.

    For until > eps, those with it at any e between. The difference of two scores is nearly straight in e, but for the
    kink of z(0, y) at e = -y / (2 n - y), where the restricted estimate of P(+1) leaves 0.
    """
    k = _most(n, a, c, eps, TIE, first, last)
    if until > eps:
        bend = BEND * (_score(n, a, c, eps) - _score(n, a, c, until)) ** 2
        k = np.maximum(_most(n, a, c, eps, TIE + bend, first, last), _most(n, a, c, until, TIE + bend, first, last))
        inside = False
        for flips in range(max(first, 1), last + 1):
            kink = -flips / (2.0 * n - flips)
            if eps < kink < until and _score(n, 0, flips, kink) <= _score(n, a, c, kink) + TIE:
                inside = True
            if inside and k[flips - first] < 0:
                k[flips - first] = 0
    rises = np.zeros(len(k), np.bool_)
    flips_ratio, most_ratio = np.zeros(len(k)), np.zeros(len(k))
    for i in range(1, len(k)):
        flips = first + i
        rises[i] = k[i] > k[i - 1]
        flips_ratio[i] = (n - flips + 1) / flips
        most_ratio[i] = flips / (k[i] if rises[i] else flips - k[i]) if k[i] > 0 or not rises[i] else 0.0
    return _Region(n, first, k, rises, flips_ratio, most_ratio)


@jit
def _most(n: int, a: int, c: int, eps: float, slack: float, first: int, last: int) -> IntArray:
    """k(M) for M = first..last. The score rises with +1 and falls with -1, so that k(M + 1) - k(M) is 0 or 1."""
    limit = _score(n, a, c, eps) + slack
    low, high = -1, first
    while low < high:
        middle = (low + high + 1) // 2
        if _score(n, middle, first - middle, eps) <= limit:
            low = middle
        else:
            high = middle - 1
    k = np.empty(last - first + 1, np.int64)
    k[0] = low
    for flips in range(first + 1, last + 1):
        if _score(n, low + 1, flips - low - 1, eps) <= limit:
            low += 1
        k[flips - first] = low
    return k


# Binomial masses ---------------------------------------------------------------------------------------------


@jit
def _binomial(k: int, n: int, odds: float) -> tuple[float, float]:
    """P(X <= k) and P(X = k) of X ~ Bin(n, odds / (1 + odds)), 0 <= k <= n.

    Both tails are summed in units of P(X = k) and divided by their total: no logarithms, no cancellation.
    """
    huge = 1e290
    below, above, term = 1.0, 0.0, 1.0
    for j in range(k, 0, -1):
        term *= j / ((n - j + 1) * odds)
        below += term
        if term < NEGLIGIBLE * below:
            break
        if term > huge:
            return 1.0, 0.0
    term = 1.0
    for j in range(k, n):
        term *= (n - j) * odds / (j + 1)
        above += term
        if term < NEGLIGIBLE * above:
            break
        if term > huge:
            return 0.0, 0.0
    total = below + above
    return below / total if below < above else 1.0 - above / total, 1.0 / total


@jit
def _flip_masses(region: _Region, q: float, mass: FloatArray) -> tuple[int, int, float]:
    """Bin(M; n, q) in units of its mode into mass[M - first]; the range of M - first that counts, and the sum."""
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
def _clopper_pearson(m: int, n: int, gamma: float) -> tuple[float, float]:
    """Step 2, before its ends are raised to |eps|."""
    low, high = 0.0, 1.0
    if m > 0:
        low = 1.0 / (1.0 + math.exp(_log_odds_limit(n - m, n, gamma / 2.0)))
    if m < n:
        high = 1.0 / (1.0 + math.exp(-_log_odds_limit(m, n, gamma / 2.0)))
    return low, high


@jit
def _log_odds_limit(m: int, n: int, tail: float) -> float:
    """log(q / (1 - q)) where P(Bin(n, q) <= m) = tail, for m < n.

    log P is concave in the log odds, so that Newton's method never stops short and comes in from above.
    """
    t = math.log((m + 0.5) / (n - m + 0.5)) + 3.5 * math.sqrt(1.0 / (m + 0.5) + 1.0 / (n - m + 0.5))
    for _ in range(100):
        cumulative, mass = _binomial(m, n, math.exp(t))
        if cumulative == 0.0:  # so far above that nothing is left
            t -= 1.0
            continue
        slope = (n - m) * mass / (cumulative * (1.0 + math.exp(-t)))
        step = math.log(cumulative / tail) / slope
        t += step
        if abs(step) < 1e-13 * (1.0 + abs(t)):
            break
    return t


# p at one nuisance, and its supremum (steps 3 and 4) -------------------------------------------------------
#
# The walk holds F = P(X <= k) and f = P(X = k) of X ~ Bin(M, pi) where k = k(M), pi = (q + eps) / (2 q). One M on:
#
#   M + 1, k       F - pi f                        f' = f (1 - pi) (M + 1) / (M + 1 - k)
#   M + 1, k + 1   F - pi f + f'                   f' = f pi (M + 1) / (k + 1)
#   M - 1, k       F + pi f'                       f' = f (M - k) / (M (1 - pi))
#   M - 1, k - 1   F - f + pi f'                   f' = f k / (M pi)
#
# f is recursive in itself, so it must not start where it underflows: the walk starts at the M where k(M) is nearest
# to its expectation M pi and goes both ways from there, towards F = 0 or 1 (if f is 0 there, F is 0 or 1 throughout).


@jit
def _p_at(region: _Region, q: float, eps: float, mass: FloatArray) -> float:
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
    at_centre = _binomial(int(k[centre]), first + centre, pi / not_pi)

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
def _supremum(region: _Region, eps: float, low: float, high: float, grid: int) -> float:
    """Step 4: the largest p(q) for q in [low, high], on a grid, then around every peak that may win.

    The grid is even in t = sqrt(q - |eps|): next to |eps| flips of the rarer sign are few, p(q) follows the lattice of
    their counts, and its peaks are narrow in q but not in t.
    """
    mass = np.empty(len(region.k))
    if high <= low:
        return _p_at(region, low, eps, mass)
    edge = min(low, abs(eps))
    start, stop = math.sqrt(low - edge), math.sqrt(high - edge)
    t, p = np.empty(grid + 2), np.empty(grid + 2)  # one more point next to each end, for a peak inside
    for i in range(grid):
        t[i + 1] = start + (stop - start) * i / (grid - 1)
    t[0], t[1], t[grid], t[grid + 1] = start, t[1] + 1e-5 * (stop - start), t[grid] - 1e-5 * (stop - start), stop
    best = 0.0
    for i in range(grid + 2):
        p[i] = _p_at(region, max(low, min(edge + t[i] * t[i], high)), eps, mass)
        best = max(best, float(p[i]))
    for i in range(1, grid + 1):
        rise = max(p[i] - p[i - 1], p[i] - p[i + 1])
        if min(p[i] - p[i - 1], p[i] - p[i + 1]) >= 0.0 and rise > PRECISION and p[i] + rise >= best:
            best = max(best, _peak(region, eps, edge, mass, t[i - 1 : i + 2], p[i - 1 : i + 2]))
    return best


@jit
def _peak(region: _Region, eps: float, edge: float, mass: FloatArray, t: FloatArray, p: FloatArray) -> float:
    """The largest p(edge + t^2) between three points t, the middle one the highest, by parabolas."""
    t0, t1, t2 = float(t[0]), float(t[1]), float(t[2])
    p0, p1, p2 = float(p[0]), float(p[1]), float(p[2])
    for i in range(40):
        left, right = (p1 - p0) / (t1 - t0), (p1 - p2) / (t2 - t1)
        bend = (left + right) / (t2 - t0)
        slope = (left * (t2 - t1) - right * (t1 - t0)) / (t2 - t0)
        at = t1 + 0.1 * (t2 - t1 if t2 - t1 > t1 - t0 else t0 - t1)
        if slope * slope > 4.0 * bend * PRECISION:  # the vertex is more than that above p1
            at = t1 + 0.5 * slope / bend
        elif i > 2:
            break
        p_at = _p_at(region, edge + at * at, eps, mass)
        if p_at > p1 and at > t1:
            t0, p0, t1, p1 = t1, p1, at, p_at
        elif p_at > p1:
            t2, p2, t1, p1 = t1, p1, at, p_at
        elif at > t1:
            t2, p2 = at, p_at
        else:
            t0, p0 = at, p_at
    return p1


@jit
def _p_value(
    n: int, a: int, c: int, eps: float, until: float, gamma: float, low: float, high: float, grid: int
) -> float:
    """Steps 1 to 4, given the Clopper-Pearson interval [low, high] of q; until = eps.

    For until > eps, a bound on p(e) for every e in [eps, until]: the probability at a given q of the outcomes that are
    rejected at any of these falls as e rises, for with an outcome go those with fewer +1 or more -1.
    """
    if _score(n, a, c, eps) >= NO_EVIDENCE - TIE:
        return 1.0
    nearest = 0.0 if eps < 0.0 < until else min(abs(eps), abs(until))
    low, high = max(low, nearest), max(high, abs(eps), abs(until))
    spread = 8.6 * math.sqrt(n * max(low * (1.0 - low), high * (1.0 - high))) + 20.0
    first, last = max(0, int(n * low - spread)), min(n, int(n * high + spread) + 1)
    region = _region(n, a, c, eps, until, first, last)
    return min(1.0, gamma + _supremum(region, eps, low, high, grid))


@jit
def _fill_p(
    n: IntArray, a: IntArray, c: IntArray, eps: float, gamma: float, first: int, last: int, p: FloatArray
) -> None:
    for i in range(first, last):
        rows, plus, minus = int(n[i]), int(a[i]), int(c[i])
        low, high = _clopper_pearson(plus + minus, rows, gamma)
        p[i] = _p_value(rows, plus, minus, eps, eps, gamma, low, high, GRID)


@parallel_jit
def _fill_p_in_parallel(
    n: IntArray, a: IntArray, c: IntArray, eps: float, gamma: float, first: int, last: int, p: FloatArray
) -> None:
    for i in numba.prange(first, last):
        _fill_p(n, a, c, eps, gamma, i, i + 1, p)
