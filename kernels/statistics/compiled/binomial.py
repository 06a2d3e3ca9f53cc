"""Tails of the binomial distribution, and the Clopper-Pearson interval.

Knows numba only.
"""

import math

from earmark.kernels._jit import jit
from earmark.kernels.statistics.exact_case import HUGE, normal_score

NEGLIGIBLE = 1e-16  # a mass below this share of the largest one, or of the sum so far, is left out


quantile = jit(normal_score)


@jit
def binomial(k: int, n: int, odds: float) -> tuple[float, float]:
    """P(X <= k) and P(X = k) of X ~ Bin(n, odds / (1 + odds)), 0 <= k <= n.

    Both tails are summed in units of P(X = k) and divided by their total: no logarithms, no cancellation.
    """
    below, above, term = 1.0, 0.0, 1.0
    for j in range(k, 0, -1):
        term *= j / ((n - j + 1) * odds)
        below += term
        if term < NEGLIGIBLE * below:
            break
        if term > HUGE:
            return 1.0, 0.0
    term = 1.0
    for j in range(k, n):
        term *= (n - j) * odds / (j + 1)
        above += term
        if term < NEGLIGIBLE * above:
            break
        if term > HUGE:
            return 0.0, 0.0
    total = below + above
    return below / total if below < above else 1.0 - above / total, 1.0 / total


@jit
def clopper_pearson(m: int, n: int, gamma: float) -> tuple[float, float]:
    """The interval (low, high) of q for m changed answers among n, at level gamma (method 9.2, step 2).

    The caller raises both ends to |eps|.
    """
    low, high = 0.0, 1.0
    if m > 0:
        low = 1.0 / (1.0 + math.exp(_log_odds_limit(n - m, n, gamma / 2.0)))
    if m < n:
        high = 1.0 / (1.0 + math.exp(-_log_odds_limit(m, n, gamma / 2.0)))
    return low, high


@jit
def _log_odds_limit(m: int, n: int, tail: float) -> float:
    """log(q / (1 - q)) where P(Bin(n, q) <= m) = tail, for m < n.

    log P is concave in the log odds, so that Newton's method, wherever it starts, approaches the limit from above and
    the interval is never too narrow.
    """
    sd = math.sqrt(1.0 / (m + 0.5) + 1.0 / (n - m + 0.5))
    t = math.log((m + 0.5) / (n - m + 0.5)) - quantile(tail) * sd
    for _ in range(100):
        cumulative, mass = binomial(m, n, math.exp(t))
        if cumulative == 0.0:  # t is so far above the limit that P(Bin <= m) underflows
            t -= 1.0
            continue
        slope = (n - m) * mass / (cumulative * (1.0 + math.exp(-t)))
        step = math.log(cumulative / tail) / slope
        t += step
        if abs(step) < 1e-9 * (1.0 + abs(t)):  # the next one would be of the order of its square
            break
    return t
