"""Evidence that grows with every row: bets that the next difference is small, each made from those before it.

If the mean difference is at least eps, whatever came before, no bet gains on average: the capital ever reaches 1/a with
probability at most a, whenever anybody stops or looks (method 9.9). Knows numbers only.
"""

import math
from itertools import accumulate

import numpy as np

from earmark.kernels.statistics.collapse import FloatArray

PRIOR_ROWS, PRIOR_VARIANCE = 20.0, 0.15  # what is assumed before the first row, and how many rows that counts as
CAP = 0.85  # of a stake, as a share of the one that the worst row possible would ruin, or of 1 if that is larger
_WAYS = 16  # parts into which a bracket is cut
_BRACKET = 2.0**-16  # width of the one around a bound


class Evidence:
    """What the rows so far say against an excess of eps or more; the same in whatever portions they came."""

    def __init__(self, eps: float) -> None:
        self.eps = eps
        self.n = 0
        self.total = self.squares = 0.0  # of differences
        self.peak, self.peak_row = 0.0, 0  # the highest logarithm of the capital, and after how many rows
        self.log_capital = 0.0

    def feed(self, differences: FloatArray) -> None:
        """Bet on further rows, in their order."""
        if not len(differences):
            return
        factors = _factors(differences, np.array([self.eps]), self.n, self.total, self.squares)[:, 0]
        for row, log in enumerate(_running(self.log_capital, factors.tolist()), self.n + 1):
            if log > self.peak:
                self.peak, self.peak_row = log, row
            self.log_capital = log
        self.n += len(differences)
        self.total += float(differences.sum())
        self.squares += float((differences * differences).sum())


def _running(start: float, factors: list[float]) -> list[float]:
    """The logarithm of the capital after each factor."""
    return list(accumulate(map(math.log, factors), initial=start))[1:]


def _factors(d: FloatArray, eps: FloatArray, n: int, total: float, squares: float) -> FloatArray:
    """(n, E) by what each row multiplies the capital, from those before it."""
    count = n + np.arange(len(d)) + PRIOR_ROWS
    mean = (total + np.concatenate([[0.0], np.cumsum(d[:-1])])) / count
    mean_square = (squares + PRIOR_ROWS * PRIOR_VARIANCE + np.concatenate([[0.0], np.cumsum((d * d)[:-1])])) / count
    variance = (mean_square - mean * mean)[:, None]
    gap = np.maximum(eps - mean[:, None], 0.0)
    stake = np.minimum(gap / (variance + gap * gap), CAP / np.maximum(1.0, 1.0 - eps))
    return np.asarray(1.0 - stake * (d[:, None] - eps))


def fewest_rows(eps: float, alpha: float) -> int:
    """The fewest rows after which the capital can be 1/alpha: if no answer changes; eps in (0, 1)."""
    n, target = 64, -math.log(alpha)
    while True:
        capital = np.cumsum(np.log(_factors(np.zeros(n), np.array([eps]), 0, 0.0, 0.0)))
        if capital[-1] >= target:
            return int(np.searchsorted(capital, target)) + 1
        n *= 2


def upper_bound(differences: FloatArray, alpha: float) -> float:
    """An excess that is too low with probability at most alpha, at whatever row one looks; 1.0 where none is lower."""
    if not len(differences):
        return 1.0
    fails, passes = -1.0, 1.0
    while passes - fails > _BRACKET:
        eps: FloatArray = fails + (passes - fails) / _WAYS * np.arange(1.0, _WAYS)
        capital = np.cumsum(np.log(_factors(differences, eps, 0, 0.0, 0.0)), axis=0)
        rejected = capital.max(axis=0) >= -math.log(alpha)
        first = _WAYS - 1 - int(np.append(~rejected[::-1], True).argmax())  # all larger ones are rejected too
        ends = [fails, *eps.tolist(), passes]
        fails, passes = ends[first], ends[first + 1]
    return passes
