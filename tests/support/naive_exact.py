"""Slow twins of the exact test and of betting: every outcome is enumerated; nothing from earmark.

`a` and `c` count the rows that are +1 and -1 among `n`. Only the table of many p-values uses numpy, over outcomes and
nuisance values, because loops over all of them take minutes.
"""

from collections.abc import Sequence
from math import comb, exp, fsum, inf, log, log1p, sqrt

import numpy as np

Outcome = tuple[int, int]

TIE = 1e-9
NO_EVIDENCE = -0.5


# The exact test (method 9.2) ---------------------------------------------------------------


def tango_z(n: int, a: int, c: int, eps: float) -> float:
    """The score of step 1, with the restricted estimate of P(-1) from its likelihood equation, not its closed form."""
    zeros = n - a - c

    def slope(q: float) -> float:
        total = a / (q + eps) if a else 0.0
        total += c / q if c else 0.0
        return total - 2 * zeros / (1 - 2 * q - eps) if zeros else total

    low, high = max(0.0, -eps), (1 - eps) / 2
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if slope(middle) > 0:
            low = middle
        else:
            high = middle
    variance = n * (2 * low + eps * (1 - eps))
    difference = a - c - n * eps
    return difference / sqrt(variance) if abs(difference) > 0 else 0.0


def outcomes(n: int) -> list[Outcome]:
    return [(a, c) for a in range(n + 1) for c in range(n + 1 - a)]


def region(n: int, a: int, c: int, eps: float) -> list[Outcome]:
    """The outcomes that are no less extreme than (a, c)."""
    limit = tango_z(n, a, c, eps) + TIE
    return [(x, y) for x, y in outcomes(n) if tango_z(n, x, y, eps) <= limit]


def probability(n: int, x: int, y: int, q: float, excess: float) -> float:
    """P(x rows are +1 and y are -1) where P(d != 0) = q and P(+1) - P(-1) = excess."""
    ways = comb(n, x) * comb(n - x, y)
    return ways * ((q + excess) / 2) ** x * ((q - excess) / 2) ** y * (1 - q) ** (n - x - y)


def p_at(n: int, rejected: Sequence[Outcome], q: float, eps: float) -> float:
    return fsum(probability(n, x, y, q, eps) for x, y in rejected)


def clopper_pearson(m: int, n: int, gamma: float) -> tuple[float, float]:
    """Two-sided at level gamma, by bisection of the exact tails."""

    def at_least(q: float) -> float:
        return fsum(comb(n, k) * q**k * (1 - q) ** (n - k) for k in range(m, n + 1))

    def at_most(q: float) -> float:
        return fsum(comb(n, k) * q**k * (1 - q) ** (n - k) for k in range(m + 1))

    ends = [0.0, 1.0]
    for end, wanted in ((0, m > 0), (1, m < n)):
        low, high = 0.0, 1.0
        for _ in range(60 if wanted else 0):
            middle = (low + high) / 2
            if (at_least(middle) < gamma / 2) if end == 0 else (at_most(middle) > gamma / 2):
                low = middle
            else:
                high = middle
        ends[end] = (low + high) / 2 if wanted else ends[end]
    return ends[0], ends[1]


def nuisances(m: int, n: int, eps: float, gamma: float) -> tuple[float, float]:
    low, high = clopper_pearson(m, n, gamma)
    return max(low, abs(eps)), max(high, abs(eps))


def p_value(n: int, a: int, c: int, eps: float, gamma: float, points: int = 400) -> float:
    """p of H0: excess >= eps: the supremum over a fine grid, then over ever finer ones around the best point."""
    if tango_z(n, a, c, eps) >= NO_EVIDENCE - TIE:
        return 1.0
    rejected = region(n, a, c, eps)
    low, high = nuisances(a + c, n, eps, gamma)
    best = 0.0
    for _ in range(5):
        qs = [min(low + (high - low) * i / points, high) for i in range(points + 1)]
        values = [p_at(n, rejected, q, eps) for q in qs]
        top = max(range(len(qs)), key=lambda i: values[i])
        best = max(best, values[top])
        low, high, points = qs[max(top - 1, 0)], qs[min(top + 1, points)], 10
    return min(1.0, gamma + best)


def p_table(n: int, eps: float, gamma: float, points: int = 300) -> dict[Outcome, float]:
    """The same for every outcome of n rows; every local maximum that is nearly the best is looked at closer."""
    every = outcomes(n)
    x, y = np.array(every).T
    ways = np.array([float(comb(n, a) * comb(n - a, c)) for a, c in every])
    z = np.array([tango_z(n, a, c, eps) for a, c in every])

    def probabilities(qs: np.ndarray) -> np.ndarray:
        q = qs[:, None]
        return ways * ((q + eps) / 2) ** x * ((q - eps) / 2) ** y * (1 - q) ** (n - x - y)

    table = {}
    for m in range(n + 1):
        low, high = nuisances(m, n, eps, gamma)
        qs = np.linspace(low, high, points)
        weights = probabilities(qs)
        for a in range(m + 1):
            c = m - a
            z_observed = z[every.index((a, c))]
            if z_observed >= NO_EVIDENCE - TIE:
                table[a, c] = 1.0
                continue
            rejected = z <= z_observed + TIE
            p = weights[:, rejected].sum(axis=1)
            best = p.max()
            beside = np.maximum(np.append(p[1:], -inf), np.append(-inf, p[:-1]))
            for i in np.flatnonzero((p >= beside) & (p > best - 1e-5)) if high > low else []:
                left, right = qs[max(i - 1, 0)], qs[min(i + 1, points - 1)]
                for _ in range(4):
                    finer = np.linspace(left, right, 17)
                    values = probabilities(finer)[:, rejected].sum(axis=1)
                    top = values.argmax()
                    best = max(best, values[top])
                    left, right = finer[max(top - 1, 0)], finer[min(top + 1, 16)]
            table[a, c] = min(1.0, gamma + float(best))
    return table


# Betting -----------------------------------------------------------------------------------------------------


def betting_p_value(y: Sequence[float], w: Sequence[float], eps: float, n_in_all: int | None = None) -> float:
    """One over the largest capital on the way; each stake from the recordings before, all of them looked at again.

    There will be `n_in_all` recordings, where these are the first of them.
    """
    n = len(y)
    squares = [(y[i] - w[i] * fsum(y[:i]) / (20 + fsum(w[:i]))) ** 2 for i in range(n)]
    log_capital, highest = 0.0, 0.0
    for i in range(n):
        variance = (20 * 0.15 + fsum(squares[:i])) / (20 + i)
        stake = min(sqrt(2 * log(40) / ((n_in_all or n) * variance)), 0.95 / (1 - eps))
        log_capital += log1p(-stake * (y[i] - eps * w[i]))
        highest = max(highest, log_capital)
    return exp(-highest)


def betting_upper_bound(y: Sequence[float], w: Sequence[float], alpha: float) -> float:
    """The smallest e on a grid of 1e-3 with p(e) <= alpha; 1 if there is none."""
    passing = [e / 1000 for e in range(-999, 1000) if betting_p_value(y, w, e / 1000) <= alpha]
    return min(passing, default=1.0)


def upper_bound(n: int, a: int, c: int, alpha: float, gamma: float) -> float:
    """The last e with p(e) > alpha, to 2e-6: steps over all e from the top, and ever finer ones above the first hit."""
    step, last = 0.01, 1.0 - 1e-7
    for _ in range(4):
        e = last
        while e > -1 + 1e-9 and p_value(n, a, c, e, gamma, points=60) <= alpha:
            e -= step
        last, step = e + step, step / 20
    return last
