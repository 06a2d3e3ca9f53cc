"""Bets on recordings in NumPy (method 9.3): many excesses, or many draws of recordings, side by side.

Products of capital, not sums of logarithms, so that the bits are the same on every processor. Knows numbers only.
"""

import math

import numpy as np

from earmark.kernels.statistics.collapse import FloatArray
from earmark.kernels.statistics.plain.draws import below, stream_keys, words
from earmark.kernels.statistics.stakes import CAP, PRIOR_RECORDINGS, PRIOR_VARIANCE, RESOLUTION, TARGET

_BLOCK = 16  # recordings whose factors are multiplied before a logarithm is taken: a product of them cannot overflow
_WAYS = 32  # parts into which a bracket is cut: 32^5 of them in [-1, 1] are as wide as 25 halvings make them
_RUINED, _RICH = 1e-280, 1e100  # a capital that never comes back, and one that is above any target


def p_values(y: FloatArray, w: FloatArray, eps: FloatArray, n: int | None = None) -> FloatArray:
    """p (E,) at each eps: one over the highest capital on the way, which starts at 1; compiled/betting.py says more.

    `n` is how many recordings there will be, where these are only the first.
    """
    uncapped = _stakes(y, w, len(y) if n is None else n)[:, None]
    factors = 1.0 - np.minimum(uncapped, CAP / (1.0 - eps)) * (y[:, None] - eps * w[:, None])
    n_blocks = -(-len(y) // _BLOCK)
    capital = np.ones((n_blocks, _BLOCK, len(eps)))
    capital.reshape(-1, len(eps))[: len(y)] = factors
    for i in range(1, _BLOCK):
        capital[:, i] *= capital[:, i - 1]
    highest, last = capital.max(axis=1).T.tolist(), capital[:, -1].T.tolist()
    return np.array([math.exp(-_log_highest(*blocks)) for blocks in zip(highest, last, strict=True)])


def _log_highest(highest: list[float], last: list[float]) -> float:
    """The logarithm of the highest capital, from the highest within each block and the last, over the block before."""
    log_capital, best = 0.0, 0.0
    for peak, end in zip(highest, last, strict=True):
        if peak > 1.0:
            best = max(best, log_capital + math.log(peak))
        log_capital += math.log(end)
    return best


def _stakes(y: FloatArray, w: FloatArray, n: int) -> FloatArray:
    """Each recording's stake before the cap, from those before it, where there will be n."""
    total = np.add.accumulate(np.append(0.0, y[:-1]))
    weight = np.add.accumulate(np.append(PRIOR_RECORDINGS, w[:-1]))
    off = y - w * total / weight
    squares = np.add.accumulate(np.append(PRIOR_RECORDINGS * PRIOR_VARIANCE, (off * off)[:-1]))
    return np.asarray(np.sqrt(2.0 * TARGET * (PRIOR_RECORDINGS + np.arange(len(y))) / (n * squares)))


def upper_bound(y: FloatArray, w: FloatArray, alpha: float, n: int | None = None) -> float:
    """The passing end of a bracket no wider than RESOLUTION: p does not increase with eps. `n` as in `p_values`."""
    fails, passes = -1.0, 1.0
    while passes - fails > RESOLUTION:
        eps: FloatArray = fails + (passes - fails) / _WAYS * np.arange(1.0, _WAYS)
        first = int(np.append(p_values(y, w, eps, n) <= alpha, True).argmax())
        ends = [fails, *eps.tolist(), passes]
        fails, passes = ends[first], ends[first + 1]
    return passes


def pass_rate(y: FloatArray, w: FloatArray, n: int, eps: float, alpha: float, draws: int, seed: int) -> float:
    """Share of `draws` resamples of n recordings that pass at alpha and have an observed excess within eps."""
    keys = stream_keys(seed, np.arange(draws))
    cap, target = CAP / (1.0 - eps), 1.0 / alpha
    total, weight, sizes = np.zeros(draws), np.full(draws, PRIOR_RECORDINGS), np.zeros(draws)
    squares, capital = np.full(draws, PRIOR_RECORDINGS * PRIOR_VARIANCE), np.ones(draws)
    passes = capital >= target
    for i in range(n):
        recording = below(words(keys, np.array([i])), len(y))
        value, size = y[recording], w[recording]
        stake = np.minimum(np.sqrt(2.0 * TARGET * (PRIOR_RECORDINGS + i) / (n * squares)), cap)
        capital *= 1.0 - stake * (value - eps * size)
        passes |= capital >= target
        capital = np.where(capital > _RUINED, np.minimum(capital, _RICH), 0.0)
        off = value - size * total / weight
        squares += off * off
        total += value
        weight += size
        sizes += size
    return float(np.count_nonzero(passes & (total <= eps * sizes))) / draws
