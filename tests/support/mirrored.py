"""Tests of harm, and Tango's score by itself: mirror images and parts of what the kernels offer."""

import numpy as np
import numpy.typing as npt

from earmark.kernels.statistics import betting, exact
from earmark.kernels.statistics.region import score

FloatArray = npt.NDArray[np.float64]


def tango_z(n: npt.ArrayLike, a: npt.ArrayLike, c: npt.ArrayLike, eps: npt.ArrayLike) -> FloatArray:
    """Tango's score of the excess (a - c) / n against eps in (-1, 1), broadcast."""
    arrays = np.broadcast_arrays(*(np.asarray(x) for x in (n, a, c)), np.asarray(eps, dtype=np.float64))
    cases = zip(*map(np.ravel, arrays), strict=True)
    z = [score(int(rows), int(plus), int(minus), float(excess)) for rows, plus, minus, excess in cases]
    return np.array(z).reshape(arrays[0].shape)


def harm_p_values(n: npt.ArrayLike, plus: npt.ArrayLike, minus: npt.ArrayLike, eps: float, gamma: float) -> FloatArray:
    """p of H0: excess <= eps against a larger excess."""
    return exact.p_values(n, minus, plus, -eps, gamma)


def harm_p_value(values: npt.ArrayLike, weights: npt.ArrayLike, eps: float) -> float:
    """p of H0: excess <= eps against a larger excess, by bets."""
    return betting.p_value(-np.asarray(values, dtype=np.float64), weights, -eps)
