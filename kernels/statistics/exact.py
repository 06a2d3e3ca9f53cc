"""The exact unconditional test of an excess risk (method 9.2).

n rows are +1 (a newly wrong answer), -1 (a newly right one) or 0; a rows are +1 and c are -1. `p_values` tests
H0: P(+1) - P(-1) >= eps against a smaller excess. Knows counts only: no families, no budgets, no decision.
"""

import math
from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from earmark.kernels._jit import jit, parallel_jit
from earmark.kernels.statistics.binomial import clopper_pearson, normal_score
from earmark.kernels.statistics.collapse import FloatArray, IntArray
from earmark.kernels.statistics.nuisance import FINE, supremum
from earmark.kernels.statistics.region import TIE, Region, region_of, score

NO_EVIDENCE = -0.5  # from this score upwards p is 1
EVERYTHING = 8.6  # standard deviations of the number of flips: the probability beyond them is below 1e-16
FEW = 32  # fewer tests than this are not worth waking other threads for
STRANDS = 64  # interleaved parts, each with tests of all sizes, so that threads have equally much to do


def p_values(n: npt.ArrayLike, plus: npt.ArrayLike, minus: npt.ArrayLike, eps: float, gamma: float) -> FloatArray:
    """Exact p of H0: excess >= eps against a smaller excess, eps in (-1, 1), broadcast; raises ValueError.

    The nuisance q = P(d != 0) runs over its Clopper-Pearson interval at level gamma, which p pays for.
    """
    rows, a, c = _counts(n, plus, minus)
    excess = float(_finite("eps", eps, -1.0, 1.0))
    level = float(_finite("gamma", gamma, 0.0, 1.0))
    different, place = distinct(rows, a, c)
    p = np.empty(len(different))
    fill = _fill_p if len(different) < FEW else _fill_p_in_parallel
    fill(different, excess, level, p)
    return np.asarray(p[place])


def testable_size(eps: float, alpha: float, gamma: float) -> int:
    """The fewest rows with gamma + (1 - eps)^n <= alpha: with fewer, even no changed answer at all does not pass.

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
    """The three counts as checked int64 arrays of one shape."""
    arrays = [np.asarray(counts) for counts in (n, plus, minus)]
    for name, counts in zip(("n", "plus", "minus"), arrays, strict=True):
        if counts.dtype.kind not in "iu":
            raise ValueError(f"{name} holds {counts.dtype}, not integer counts")
    rows, a, c = np.broadcast_arrays(*(counts.astype(np.int64) for counts in arrays))
    if (rows < 1).any() or (a < 0).any() or (c < 0).any() or (a + c > rows).any():
        raise ValueError("counts need n >= 1, plus >= 0, minus >= 0 and plus + minus <= n")
    return rows, a, c


def distinct(rows: IntArray, plus: IntArray, minus: IntArray) -> tuple[IntArray, IntArray]:
    """The distinct triples (D, 3) of counts, and which of them each one is: most triples come up many times."""
    counts = np.stack([rows.ravel(), plus.ravel(), minus.ravel()], axis=1)
    different, place = np.unique(counts, axis=0, return_inverse=True)
    return different, place.reshape(rows.shape)


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


# p (method 9.2, steps 1 to 4) ------------------------------------------------------------------------------


class Case(NamedTuple):
    """The counts of one test, the interval of its nuisance, and how exactly its p is needed."""

    n: int
    a: int
    c: int
    low: float  # the Clopper-Pearson interval of q
    high: float
    limit: float  # below 1, p - gamma need only be on the right side of it; 1 where p itself is needed


@jit
def case_of(n: int, a: int, c: int, gamma: float, limit: float) -> Case:
    low, high = clopper_pearson(a + c, n, gamma)
    return Case(n, a, c, low, high, limit)


@jit
def p_value(case: Case, eps: float, until: float, points: int) -> float:
    """p - gamma at eps = until, on a grid of `points` nuisance values that is refined around its peaks.

    For until > eps, a bound on p(e) for every e in [eps, until]: the probability at a given q of the outcomes that are
    rejected at any of these falls as e rises, for with an outcome go those with fewer +1 or more -1.
    """
    if score(case.n, case.a, case.c, eps) >= NO_EVIDENCE - TIE:
        return 1.0
    low, high = nuisances(case, eps, until)
    return supremum(region_at(case, eps, until, low, high), eps, low, high, points, case.limit)


@jit
def nuisances(case: Case, eps: float, until: float) -> tuple[float, float]:
    """Clopper-Pearson's interval (low, high) of q with ends raised to |e|: the union over all e in [eps, until]."""
    nearest = 0.0 if eps < 0.0 < until else min(abs(eps), abs(until))
    return max(case.low, nearest), max(case.high, abs(eps), abs(until))


@jit
def region_at(case: Case, eps: float, until: float, low: float, high: float) -> Region:
    """The outcomes of method 9.2, step 3, for all numbers of flips that a q in [low, high] makes likely enough."""
    n = case.n
    reach = EVERYTHING if case.limit == 1.0 else min(EVERYTHING, -normal_score(1e-8 * case.limit))
    spread = reach * math.sqrt(n * max(low * (1.0 - low), high * (1.0 - high))) + 20.0
    first, last = max(0, int(n * low - spread)), min(n, int(n * high + spread) + 1)
    return region_of(n, case.a, case.c, eps, until, first, last)


@jit
def _fill_p(counts: IntArray, eps: float, gamma: float, p: FloatArray) -> None:
    for i in range(len(counts)):
        p[i] = _p_of(counts[i], eps, gamma)


@parallel_jit
def _fill_p_in_parallel(counts: IntArray, eps: float, gamma: float, p: FloatArray) -> None:
    for strand in numba.prange(STRANDS):
        for i in range(strand, len(counts), STRANDS):
            p[i] = _p_of(counts[i], eps, gamma)


@jit
def _p_of(counts: IntArray, eps: float, gamma: float) -> float:
    case = case_of(int(counts[0]), int(counts[1]), int(counts[2]), gamma, 1.0)
    return min(1.0, gamma + p_value(case, eps, eps, FINE))
