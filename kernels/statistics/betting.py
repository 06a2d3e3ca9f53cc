"""Tests of a mean excess by betting on recordings (method 9.3): for rows that share one and losses not 0 or 1.

A recording has a value y and a weight w, |y| <= w <= 1: the mean of its differences and 1 (the excess of recordings),
or the sum of its differences and its number of rows, both over a number of rows declared beforehand (the excess of
rows). If the excess E y / E w is at least eps, then E (y - eps w) >= 0, and no bet on y - eps w < 0 gains on average.
Values come in an order that was fixed before they were known, and no scale is taken from them. Knows numbers only.
"""

import math

import numpy as np
import numpy.typing as npt

from earmark.kernels._jit import jit
from earmark.kernels.statistics.collapse import FloatArray
from earmark.kernels.statistics.compiled.draws import below, stream_key, word

TARGET = math.log(40.0)  # the log capital that the stakes are made for: p = .025; any fixed number is valid
CAP = 0.95  # largest stake, as a share of the one that the worst recording possible would ruin
PRIOR_VARIANCE = 0.15  # variance of a value before any recording has been seen,
PRIOR_RECORDINGS = 20.0  # and how many recordings that guess counts as
RESOLUTION = 1e-7  # width of the bracket around a bound


def p_value(values: npt.ArrayLike, weights: npt.ArrayLike, eps: float) -> float:
    """p of H0: excess >= eps against a smaller excess, eps in (-1, 1); 1-D values and weights; raises ValueError.

    It does not increase with eps. By Ville's inequality it holds for the highest capital on the way.
    """
    y, w = _recordings(values, weights)
    return float(_p_value(y, w, _open("eps", eps, -1.0, 1.0)))


def upper_bound(values: npt.ArrayLike, weights: npt.ArrayLike, alpha: float) -> float:
    """The smallest e with p(e) <= alpha, at most 1e-7 above it; 1.0 where no e below 1 passes."""
    y, w = _recordings(values, weights)
    return float(_upper_bound(y, w, _open("alpha", alpha, 0.0, 1.0)))


def lower_bound(values: npt.ArrayLike, weights: npt.ArrayLike, alpha: float) -> float:
    """The largest e with harm p(e) <= alpha, at most 1e-7 below it; -1.0 where no e above -1 passes."""
    y, w = _recordings(values, weights)
    return -float(_upper_bound(-y, w, _open("alpha", alpha, 0.0, 1.0)))


def testable_recordings(eps: float, alpha: float) -> int:
    """The fewest recordings that pass if nothing changed in any of them, eps in (0, 1)."""
    _open("eps", eps, 0.0, 1.0)
    _open("alpha", alpha, 0.0, 1.0)
    n = 1
    while _p_value(np.zeros(n), np.ones(n), eps) > alpha:
        n *= 2
    passes, fails = n, n // 2
    while passes - fails > 1:
        middle = (passes + fails) // 2
        if _p_value(np.zeros(middle), np.ones(middle), eps) > alpha:
            fails = middle
        else:
            passes = middle
    return passes


def pass_rate(
    values: npt.ArrayLike, weights: npt.ArrayLike, n: int, eps: float, alpha: float, *, draws: int, seed: int
) -> float:
    """Share of `draws` resamples of n recordings that pass at alpha and have an observed excess within eps."""
    y, w = _recordings(values, weights)
    return float(_pass_rate(y, w, n, _open("eps", eps, -1.0, 1.0), math.log(1.0 / alpha), draws, seed))


def _recordings(values: npt.ArrayLike, weights: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Values (n,) and weights (n,) as checked float64 arrays."""
    y, w = np.ascontiguousarray(values, dtype=np.float64), np.ascontiguousarray(weights, dtype=np.float64)
    if y.ndim != 1 or y.shape != w.shape or not len(y):
        raise ValueError(f"values {y.shape} and weights {w.shape} are not one number each per recording")
    if not ((w > 0.0) & (w <= 1.0)).all():
        raise ValueError("a weight is not in (0, 1]")
    if not (np.abs(y) <= w * (1.0 + 1e-12)).all():
        raise ValueError("a value is not in [-weight, weight]")
    return y, w


def _open(name: str, value: float, above: float, below: float) -> float:
    """The value, checked to lie in the open interval (above, below); errors call it `name`."""
    if not above < value < below:
        raise ValueError(f"{name} {value:g} is not in ({above:g}, {below:g})")
    return float(value)


@jit
def _p_value(values: FloatArray, weights: FloatArray, eps: float) -> float:
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
def _upper_bound(values: FloatArray, weights: FloatArray, alpha: float) -> float:
    """The passing end of a bracket no wider than RESOLUTION, by bisection: p does not increase with eps."""
    fails, passes = -1.0, 1.0
    while passes - fails > RESOLUTION:
        middle = 0.5 * (fails + passes)
        if _p_value(values, weights, middle) <= alpha:
            passes = middle
        else:
            fails = middle
    return passes


@jit
def _pass_rate(
    values: FloatArray, weights: FloatArray, n: int, eps: float, log_target: float, draws: int, seed: int
) -> float:
    passed = 0
    y, w = np.empty(n), np.empty(n)
    for draw in range(draws):
        key = stream_key(seed, draw)
        for i in range(n):
            recording = below(word(key, i), len(values))
            y[i], w[i] = values[recording], weights[recording]
        if y.sum() <= eps * w.sum() and -math.log(_p_value(y, w, eps)) >= log_target:
            passed += 1
    return passed / draws
