"""Tests of a mean excess by betting on recordings (method 9.3): for rows that share one and losses not 0 or 1.

A recording has a value y and a weight w, |y| <= w <= 1: the mean of its differences and 1 (the excess of recordings),
or the sum of its differences and its number of rows, both over a number of rows declared beforehand (the excess of
rows). If the excess E y / E w is at least eps, then E (y - eps w) >= 0, and no bet on y - eps w < 0 gains on average.
Values come in an order that was fixed before they were known, and no scale is taken from them. Knows numbers only.
"""

import math

import numpy as np
import numpy.typing as npt

from earmark.kernels.statistics.collapse import FloatArray
from earmark.kernels.statistics.plain import betting as plain

# Recordings, over all values that are bet on, up to which NumPy computes p and bounds: in .5 s at most, which is what
# importing numba and loading the kernels take, if they are compiled at all. The sizes decide alone.
_FEW = 1 << 17
_FEW_DRAWN = 1 << 21  # drawn recordings up to which NumPy computes a pass rate


def p_value(values: npt.ArrayLike, weights: npt.ArrayLike, eps: float, among: int = 0) -> float:
    """p of H0: excess >= eps against a smaller excess, eps in (-1, 1); 1-D values and weights; raises ValueError.

    It does not increase with eps. By Ville's inequality it holds for the highest capital on the way. `among` is how
    many recordings are bet on in all, where these are some of them: many are left to a kernel.
    """
    y, w = _recordings(values, weights)
    return _p_value(y, w, _open("eps", eps, -1.0, 1.0), among)


def _p_value(y: FloatArray, w: FloatArray, eps: float, among: int = 0) -> float:
    if max(len(y), among) <= _FEW:
        return float(plain.p_values(y, w, np.array([eps]))[0])
    from earmark.kernels.statistics.compiled import betting as kernels

    return float(kernels.p_value(y, w, eps))


def p_of_first(values: npt.ArrayLike, weights: npt.ArrayLike, n: int, eps: float) -> float:
    """`p_value` where only the first of n recordings are known: it holds whenever one stops."""
    y, w = _recordings(values, weights)
    return float(plain.p_values(y, w, np.array([_open("eps", eps, -1.0, 1.0)]), n)[0])


def upper_bound_of_first(values: npt.ArrayLike, weights: npt.ArrayLike, n: int, alpha: float) -> float:
    """`upper_bound` where only the first of n recordings are known."""
    y, w = _recordings(values, weights)
    return plain.upper_bound(y, w, _open("alpha", alpha, 0.0, 1.0), n)


def upper_bound(values: npt.ArrayLike, weights: npt.ArrayLike, alpha: float, among: int = 0) -> float:
    """The smallest e with p(e) <= alpha, at most 1e-7 above it; 1.0 where no e below 1 passes.

    Of values with the other sign, minus the bound is a lower one.
    """
    y, w = _recordings(values, weights)
    level = _open("alpha", alpha, 0.0, 1.0)
    if max(len(y), among) <= _FEW:
        return plain.upper_bound(y, w, level)
    from earmark.kernels.statistics.compiled import betting as kernels

    return float(kernels.upper_bound(y, w, level))


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
    if n * draws <= _FEW_DRAWN:
        return plain.pass_rate(y, w, n, _open("eps", eps, -1.0, 1.0), alpha, draws, seed)
    from earmark.kernels.statistics.compiled import betting as kernels

    return float(kernels.pass_rate(y, w, n, _open("eps", eps, -1.0, 1.0), math.log(1.0 / alpha), draws, seed))


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
