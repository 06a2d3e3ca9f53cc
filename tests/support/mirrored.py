"""Tests of harm and lower bounds, and Tango's score by itself: mirror images and parts of what the kernels offer."""

import numpy as np
import numpy.typing as npt

from earmark.kernels.statistics import betting, bounds, exact
from earmark.kernels.statistics.exact_case import FINE, Cases
from earmark.kernels.statistics.plain.regions import scores

FloatArray = npt.NDArray[np.float64]


def tango_z(n: npt.ArrayLike, a: npt.ArrayLike, c: npt.ArrayLike, eps: npt.ArrayLike) -> FloatArray:
    """Tango's score of the excess (a - c) / n against eps in (-1, 1), broadcast."""
    return scores(n, a, c, eps)


def p_along(n: int, plus: int, minus: int, excesses: npt.ArrayLike, gamma: float) -> FloatArray:
    """p of H0: excess >= e against a smaller excess, at many e."""
    e = np.asarray(excesses, dtype=np.float64)
    rows, a, c = (np.full(len(e), count) for count in (n, plus, minus))
    form = exact.form_of(rows[:1], exact.FEW)
    levels, limits = np.full(len(e), gamma), np.ones(len(e))
    cases = Cases(rows, a, c, *form.clopper_pearson(a + c, rows, levels), limits)
    return np.minimum(1.0, gamma + form.p_values(cases, e, e, np.full(len(e), FINE)))


def harm_p_values(n: npt.ArrayLike, plus: npt.ArrayLike, minus: npt.ArrayLike, eps: float, gamma: float) -> FloatArray:
    """p of H0: excess <= eps against a larger excess."""
    return exact.p_values(n, minus, plus, -eps, gamma)


def harm_p_value(values: npt.ArrayLike, weights: npt.ArrayLike, eps: float) -> float:
    """p of H0: excess <= eps against a larger excess, by bets."""
    return betting.p_value(-np.asarray(values, dtype=np.float64), weights, -eps)


def lower_bounds(n: npt.ArrayLike, plus: npt.ArrayLike, minus: npt.ArrayLike, alpha: float, gamma: float) -> FloatArray:
    """Lower bounds of the excess, from `harm_p_values`; -1.0 where no e passes (every row is -1)."""
    return -bounds.upper_bounds(n, minus, plus, alpha, gamma)


def lower_bound(values: npt.ArrayLike, weights: npt.ArrayLike, alpha: float) -> float:
    """The largest e with harm p(e) <= alpha, at most 1e-7 below it; -1.0 where no e above -1 passes."""
    return -betting.upper_bound(-np.asarray(values, dtype=np.float64), weights, alpha)
