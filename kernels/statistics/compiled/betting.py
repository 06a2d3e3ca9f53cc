"""Bets on recordings by kernels (method 9.3): what plain/betting.py does in NumPy, one recording after the other.

Knows numbers only.
"""

import math

import numpy as np

from earmark.kernels._jit import jit
from earmark.kernels.statistics.collapse import FloatArray
from earmark.kernels.statistics.compiled.draws import below, stream_key, word
from earmark.kernels.statistics.stakes import CAP, PRIOR_RECORDINGS, PRIOR_VARIANCE, RESOLUTION, TARGET


@jit
def p_value(values: FloatArray, weights: FloatArray, eps: float) -> float:
    """One over the highest capital prod(1 - stake (y - eps w)) on the way, which starts at 1; summed in logarithms.

    The stake is sqrt(2 TARGET / (n variance)) (Waudby-Smith and Ramdas, for a known number n of recordings), from the
    variance of the values before, about their mean so far. But for the cap it does not depend on eps, so that each
    factor, and the capital, does not fall as eps rises; nor does it where the cap binds, as (y - eps w) / (1 - eps)
    falls, since y <= w.
    """
    n = len(values)
    squares, total, weight = PRIOR_RECORDINGS * PRIOR_VARIANCE, 0.0, PRIOR_RECORDINGS
    log_capital, best = 0.0, 0.0
    for i in range(n):
        y, w = float(values[i]), float(weights[i])
        stake = min(math.sqrt(2.0 * TARGET * (PRIOR_RECORDINGS + i) / (n * squares)), CAP / (1.0 - eps))
        log_capital += math.log1p(-stake * (y - eps * w))
        best = max(best, log_capital)
        squares += (y - w * total / weight) ** 2
        total += y
        weight += w
    return math.exp(-best)


@jit
def upper_bound(values: FloatArray, weights: FloatArray, alpha: float) -> float:
    """The passing end of a bracket no wider than RESOLUTION, by bisection: p does not increase with eps."""
    fails, passes = -1.0, 1.0
    while passes - fails > RESOLUTION:
        middle = 0.5 * (fails + passes)
        if p_value(values, weights, middle) <= alpha:
            passes = middle
        else:
            fails = middle
    return passes


@jit
def pass_rate(
    values: FloatArray, weights: FloatArray, n: int, eps: float, log_target: float, draws: int, seed: int
) -> float:
    passed = 0
    y, w = np.empty(n), np.empty(n)
    for draw in range(draws):
        key = stream_key(seed, draw)
        for i in range(n):
            recording = below(word(key, i), len(values))
            y[i], w[i] = values[recording], weights[recording]
        if y.sum() <= eps * w.sum() and -math.log(p_value(y, w, eps)) >= log_target:
            passed += 1
    return passed / draws
