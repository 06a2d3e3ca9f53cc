"""The Clopper-Pearson interval of a share, of many counts at once (method 9.2, step 2). Knows counts only."""

import math
from collections.abc import Callable

import numpy as np

from earmark.kernels.statistics.collapse import FloatArray, IntArray
from earmark.kernels.statistics.exact_case import normal_scores
from earmark.kernels.statistics.plain.walks import binomials


def clopper_pearson(m: IntArray, n: IntArray, gamma: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The intervals (low, high) of q for m changed answers among n, each at its level gamma."""
    low, high = np.zeros(len(m)), np.ones(len(m))
    some, rest = np.flatnonzero(m > 0), np.flatnonzero(m < n)
    ends = np.r_[some, rest]
    limits = _log_odds_limits(np.r_[n[some] - m[some], m[rest]], n[ends], gamma[ends] / 2.0)
    low[some] = 1.0 / (1.0 + _each(math.exp, limits[: len(some)]))
    high[rest] = 1.0 / (1.0 + _each(math.exp, -limits[len(some) :]))
    return low, high


def _log_odds_limits(m: IntArray, n: IntArray, tail: FloatArray) -> FloatArray:
    """log(q / (1 - q)) where P(Bin(n, q) <= m) = tail, for m < n.

    log P is concave in the log odds, so that Newton's method, wherever it starts, approaches the limit from above and
    the interval is never too narrow.
    """
    sd = np.sqrt(1.0 / (m + 0.5) + 1.0 / (n - m + 0.5))
    t = _each(math.log, (m + 0.5) / (n - m + 0.5)) - normal_scores(tail) * sd
    counts, rows, active = m.astype(np.float64), n.astype(np.float64), np.arange(len(m))
    for _ in range(100):
        odds = _each(math.exp, t[active])
        with np.errstate(over="ignore", invalid="ignore"):
            pi = odds / (1.0 + odds)
            cumulative, mass = binomials(counts[active], rows[active], pi, pi / odds, in_blocks=False)
        far = ~(cumulative > 0.0)  # t is so far above the limit that P(Bin <= m) underflows
        cumulative, mass = np.where(far, tail[active], cumulative), np.where(far, 1.0, mass)
        slope = (n - m)[active] * mass / (cumulative * (1.0 + 1.0 / odds))
        step = np.where(far, -1.0, _each(math.log, cumulative / tail[active]) / slope)
        t[active] += step
        active = active[far | (np.abs(step) >= 1e-9 * (1.0 + np.abs(t[active])))]
        if not len(active):  # the next steps would be of the order of the last ones' squares
            break
    return t


def _each(function: Callable[[float], float], values: FloatArray) -> FloatArray:
    """A function of each value. NumPy's own exponentials and logarithms have other last bits on other processors."""
    return np.array([function(value) for value in values.tolist()])
