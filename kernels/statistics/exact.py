"""The exact unconditional test of an excess risk (method 9.2).

n rows are +1 (a newly wrong answer), -1 (a newly right one) or 0; a rows are +1 and c are -1. `p_values` tests
H0: P(+1) - P(-1) >= eps against a smaller excess. Knows counts only: no families, no budgets, no decision.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from earmark.kernels.statistics.collapse import FloatArray, IntArray
from earmark.kernels.statistics.exact_case import COARSE, FINE, NO_EVIDENCE, TIE, Cases
from earmark.kernels.statistics.plain.regions import BoolArray
from earmark.kernels.statistics.plain.regions import scores as scores

# Square roots of rows, summed over tests, up to which NumPy computes p: in .3 s at most, which is what importing numba
# and loading the kernels take; compiling them takes many times as long.
FEW = 50_000.0


def p_values(n: npt.ArrayLike, plus: npt.ArrayLike, minus: npt.ArrayLike, eps: float, gamma: float) -> FloatArray:
    """Exact p of H0: excess >= eps against a smaller excess, eps in (-1, 1), broadcast; raises ValueError.

    The nuisance q = P(d != 0) runs over its Clopper-Pearson interval at level gamma, which p pays for.
    """
    rows, a, c = checked_counts(n, plus, minus)
    excess = float(_finite("eps", eps, -1.0, 1.0))
    level = float(_finite("gamma", gamma, 0.0, 1.0))
    different, place = distinct(rows, a, c)
    p = np.minimum(1.0, level + _p_of(different, excess, level))
    return np.asarray(p[place])


def passes(
    n: npt.ArrayLike,
    plus: npt.ArrayLike,
    minus: npt.ArrayLike,
    eps: npt.ArrayLike,
    alpha: npt.ArrayLike,
    gamma: npt.ArrayLike,
) -> BoolArray:
    """Whether `p_values` are at most alpha, on a coarser grid of the nuisance, which is quicker; broadcast."""
    counts, levels = checked_counts(n, plus, minus), checked_levels(alpha, gamma)
    rows, a, c, excess, size, level = np.broadcast_arrays(*counts, _finite("eps", eps, -1.0, 1.0), *levels)
    form = form_of(rows.ravel(), FEW)
    evidence = np.flatnonzero(scores(rows, a, c, excess) < NO_EVIDENCE - TIE)
    tested = (values.ravel()[evidence] for values in (rows, a, c, excess, size, level))
    n_tested, plus_tested, minus_tested, e, sizes, gammas = tested
    intervals = form.clopper_pearson(plus_tested + minus_tested, n_tested, gammas)
    cases = Cases(n_tested, plus_tested, minus_tested, *intervals, sizes - gammas)
    fails = form.p_at_places(cases, e, np.full(len(e), 0.5), False)[0] > cases.limit  # most of those that do
    rest = np.flatnonzero(~fails)
    p = form.p_values(cases.at(rest), e[rest], e[rest], np.full(len(rest), COARSE))
    passed = np.zeros(rows.size, np.bool_)
    passed[evidence[rest]] = p <= cases.limit[rest]
    return passed.reshape(rows.shape)


def _p_of(counts: IntArray, eps: float, gamma: float) -> FloatArray:
    """p - gamma of distinct triples (D, 3) of counts."""
    n, a, c = counts.T.copy()
    form = form_of(n, FEW)
    e, levels = np.full(len(n), eps), np.full(len(n), gamma)
    cases = Cases(n, a, c, *form.clopper_pearson(a + c, n, levels), np.ones(len(n)))
    return form.p_values(cases, e, e, np.full(len(n), FINE))


def testable_size(eps: float, alpha: float, gamma: float) -> int:
    """The fewest rows with gamma + (1 - eps)^n <= alpha: with fewer, even no changed answer at all does not pass.

    Without any flip p is at least that, and a little above it where a +1 among enough -1 is the more extreme outcome.
    """
    excess = float(_finite("eps", eps, 0.0, 1.0))
    size, level = map(float, checked_levels(alpha, gamma))
    n = max(1, math.floor(math.log(size - level) / math.log1p(-excess)) - 1)
    while level + (1.0 - excess) ** n > size:
        n += 1
    return n


# Checks ----------------------------------------------------------------------------------------------------


def checked_counts(n: npt.ArrayLike, plus: npt.ArrayLike, minus: npt.ArrayLike) -> tuple[IntArray, IntArray, IntArray]:
    """The three counts as checked int64 arrays of one shape."""
    arrays = [np.asarray(counts) for counts in (n, plus, minus)]
    for name, counts in zip(("n", "plus", "minus"), arrays, strict=True):
        if counts.dtype.kind not in "iu":
            raise ValueError(f"{name} holds {counts.dtype}, not integer counts")
    rows, a, c = np.broadcast_arrays(*(counts.astype(np.int64) for counts in arrays))
    if (rows < 1).any() or (a < 0).any() or (c < 0).any() or (a + c > rows).any():
        raise ValueError("counts need n >= 1, plus >= 0, minus >= 0 and plus + minus <= n")
    return rows, a, c


def distinct(*arrays: IntArray | FloatArray) -> tuple[npt.NDArray[Any], IntArray]:
    """The distinct tuples (D, arrays) of counts or levels, and which of them each is: most come up many times."""
    different, place = np.unique(np.stack([array.ravel() for array in arrays], axis=1), axis=0, return_inverse=True)
    return different, place.reshape(arrays[0].shape)


def _finite(name: str, value: npt.ArrayLike, above: float, below: float) -> FloatArray:
    values = np.asarray(value, dtype=np.float64)
    if not ((values > above) & (values < below)).all():
        raise ValueError(f"{name} is not in ({above:g}, {below:g})")
    return values


def checked_levels(alpha: npt.ArrayLike, gamma: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Levels of tests and those of their nuisance, checked and broadcast."""
    size, level = np.broadcast_arrays(_finite("alpha", alpha, 0.0, 0.5), _finite("gamma", gamma, 0.0, 1.0))
    if (nothing := level >= size).any():
        raise ValueError(f"gamma {level[nothing][0]:g} leaves nothing of alpha {size[nothing][0]:g}")
    return size, level


# The two forms of the test -------------------------------------------------------------------------------------


class ExactForm(NamedTuple):
    """How the test is computed: in plain NumPy or by compiled kernels, with the same p but for rounding."""

    clopper_pearson: Callable[[IntArray, IntArray, FloatArray], tuple[FloatArray, FloatArray]]
    p_values: Callable[[Cases, FloatArray, FloatArray, IntArray], FloatArray]
    p_at_places: Callable[[Cases, FloatArray, FloatArray, bool], tuple[FloatArray, FloatArray]]


def form_of(n: IntArray, few: float) -> ExactForm:
    """Plain NumPy up to `few` in total of the square roots of n, to which the flips that matter are proportional.

    The sizes decide alone, whatever is compiled already.
    """
    if float(np.sqrt(n).sum()) <= few:
        from earmark.kernels.statistics.plain import suprema

        return ExactForm(suprema.clopper_pearson, suprema.p_values, suprema.p_at_places)
    from earmark.kernels.statistics.compiled import suprema as kernels

    return ExactForm(kernels.clopper_pearson, kernels.p_values, kernels.p_at_places)
