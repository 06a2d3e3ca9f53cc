"""What every form of the exact test shares: its numbers, the cases it is asked about, and a scale to search on.

Knows neither how a p is summed up nor what is done with it.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from earmark.kernels.statistics.collapse import FloatArray, IntArray

TIE = 1e-9  # scores lie on a lattice; an equality must not hang on a rounding
NO_EVIDENCE = -0.5  # from this score upwards p is 1
PIECES = 16  # parts of a stretch of e: its region is too large by what the score falls within one of them
EVERYTHING = 8.6  # standard deviations of the number of flips: the probability beyond them is below 1e-16
COARSE, FINE = 20, 40  # points of a grid of nuisance values, two of them next to its ends
PRECISION = 1e-13  # how far the supremum may be missed at a peak
HUGE = 1e290  # a sum above it would overflow


class Cases(NamedTuple):
    """Counts of tests, the intervals of their nuisance, and how exactly a p is needed; one element per test."""

    n: IntArray
    plus: IntArray
    minus: IntArray
    low: FloatArray  # the Clopper-Pearson interval of q
    high: FloatArray
    limit: FloatArray  # below 1, p - gamma need only be on the right side of it; 1 where p itself is needed

    def at(self, places: IntArray) -> "Cases":
        """The cases at these places."""
        ends = self.low[places], self.high[places]
        return Cases(self.n[places], self.plus[places], self.minus[places], *ends, self.limit[places])


def nuisances(cases: Cases, eps: FloatArray, until: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Clopper-Pearson's interval (low, high) of q with ends raised to |e|: the union over all e in [eps, until]."""
    nearest = np.where((eps < 0.0) & (until > 0.0), 0.0, np.minimum(np.abs(eps), np.abs(until)))
    return np.maximum(cases.low, nearest), np.maximum(cases.high, np.maximum(np.abs(eps), np.abs(until)))


@lru_cache(maxsize=1024)
def reach_of(limit: float) -> float:
    """Standard deviations of the number of flips beyond which no outcome can matter to a p with this limit."""
    return EVERYTHING if limit == 1.0 else min(EVERYTHING, -normal_score(1e-8 * limit))


def reaches_of(limits: FloatArray) -> FloatArray:
    """`reach_of` each limit, of which few differ."""
    return np.array([reach_of(limit) for limit in limits.tolist()])


def normal_score(p: float) -> float:
    """The normal quantile of p to 5e-4 (Abramowitz and Stegun 26.2.23): a scale to search on, never part of a p."""
    t = math.sqrt(-2.0 * math.log(max(min(p, 1.0 - p), 1e-300)))
    upper = t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1.0 + t * (1.432788 + t * (0.189269 + t * 0.001308)))
    return -upper if p < 0.5 else upper


def normal_scores(p: FloatArray) -> FloatArray:
    """`normal_score` of each p. NumPy's own logarithms have other last bits on other processors."""
    return np.array([normal_score(value) for value in p.tolist()])
