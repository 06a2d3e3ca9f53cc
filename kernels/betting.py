"""Tests of an excess risk by betting on sources, for rows that share a source and for real-valued differences.

A source of m rows with the sum S of its differences d in [-1, 1] is one bet on X = (S - eps m) / m_max; if the excess
is at least eps, sources drawn from one population have E X >= 0 and no bet on X < 0 gains on average. The order of the
sources is fixed before their sums are known. Knows sums and sizes only.
"""

import math

import numpy as np
import numpy.typing as npt

from earmark.kernels._jit import jit
from earmark.kernels.collapse import FloatArray, IntArray

TARGET = math.log(40.0)  # the log capital that the stakes are made for: p = .025; any fixed number is valid
CAP = 0.95  # of the stake that the worst source would ruin
PRIOR_VARIANCE = 0.15  # of S / m_max, before any source,
PRIOR_SOURCES = 20.0  # counted as so many
RESOLUTION = 1e-7  # of a bound


def p_value(sums: npt.ArrayLike, sizes: npt.ArrayLike, eps: float) -> float:
    """p of H0: excess >= eps against a smaller excess, eps in (-1, 1); 1-D sums and sizes; raises ValueError.

    It does not increase with eps. By Ville's inequality it holds for the highest capital on the way.
    """
    s, m = _sources(sums, sizes)
    return float(_p_value(s, m, _open("eps", eps, -1.0, 1.0)))


def harm_p_value(sums: npt.ArrayLike, sizes: npt.ArrayLike, eps: float) -> float:
    """The mirrored test: p of H0: excess <= eps against a larger excess."""
    s, m = _sources(sums, sizes)
    return float(_p_value(-s, m, -_open("eps", eps, -1.0, 1.0)))


def upper_bound(sums: npt.ArrayLike, sizes: npt.ArrayLike, alpha: float) -> float:
    """The smallest e with p(e) <= alpha, at most 1e-7 above it; 1.0 where no e below 1 passes."""
    s, m = _sources(sums, sizes)
    return float(_upper_bound(s, m, _open("alpha", alpha, 0.0, 1.0)))


def lower_bound(sums: npt.ArrayLike, sizes: npt.ArrayLike, alpha: float) -> float:
    """The mirrored bound, from `harm_p_value`; -1.0 where no e above -1 passes."""
    s, m = _sources(sums, sizes)
    return -float(_upper_bound(-s, m, _open("alpha", alpha, 0.0, 1.0)))


def _sources(sums: npt.ArrayLike, sizes: npt.ArrayLike) -> tuple[FloatArray, IntArray]:
    s, m = np.ascontiguousarray(sums, dtype=np.float64), np.asarray(sizes)
    if s.ndim != 1 or s.shape != m.shape or not len(s):
        raise ValueError(f"sums {s.shape} and sizes {m.shape} are not one number each per source")
    if m.dtype.kind not in "iu" or (m < 1).any():
        raise ValueError("sizes are not integers of at least 1")
    if not (np.abs(s) <= m * (1.0 + 1e-12)).all():
        raise ValueError("a sum of differences is not in [-size, size]")
    return s, np.ascontiguousarray(m, dtype=np.int64)


def _open(name: str, value: float, above: float, below: float) -> float:
    if not above < value < below:
        raise ValueError(f"{name} {value:g} is not in ({above:g}, {below:g})")
    return float(value)


@jit
def _p_value(sums: FloatArray, sizes: IntArray, eps: float) -> float:
    """One over the largest prod(1 - stake X) on the way, which starts at 1; in logs.

    The stake is sqrt(2 TARGET / (n variance)) (Waudby-Smith and Ramdas, for a known number n of sources), from the
    variance of the sources before, about their mean so far. But for the cap it does not depend on eps, so that each
    factor, and the capital, does not fall as eps rises; nor does it where the cap binds, as X / (1 - eps) falls.
    """
    n, largest = len(sums), float(sizes.max())
    squares, total, weight = PRIOR_SOURCES * PRIOR_VARIANCE, 0.0, PRIOR_SOURCES
    log_capital, best = 0.0, 0.0
    for i in range(n):
        y, w = float(sums[i]) / largest, float(sizes[i]) / largest
        stake = min(math.sqrt(2.0 * TARGET * (PRIOR_SOURCES + i) / (n * squares)), CAP / (1.0 - eps))
        log_capital += math.log1p(-stake * (y - eps * w))
        best = max(best, log_capital)
        squares += (y - w * total / weight) ** 2
        total += y
        weight += w
    return math.exp(-best)


@jit
def _upper_bound(sums: FloatArray, sizes: IntArray, alpha: float) -> float:
    """By bisection: the passing end of a bracket no wider than RESOLUTION."""
    fails, passes = -1.0, 1.0
    while passes - fails > RESOLUTION:
        middle = 0.5 * (fails + passes)
        if _p_value(sums, sizes, middle) <= alpha:
            passes = middle
        else:
            fails = middle
    return passes
