"""How many questions it takes: the power of the tests themselves, not of a formula that comes near it.

Power is the probability that a family passes at one budget. Of the exact test it is summed over the counts that pass,
of bets it is simulated by drawing recordings. Knows rates, or recordings that were seen; no families and no files.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from scipy.special import bdtr, ndtri

from earmark.engine.arrays import FloatArray, IntArray
from earmark.engine.design.rule import gamma_of
from earmark.engine.signoff.rules.group_tests import GroupTest, fewest_units
from earmark.kernels.statistics import betting, exact

TARGET = 0.9  # the power that "enough" means
_LATTICE = 0.87, 0.95  # where counts are few, power jumps: outside of this, another number of units is looked for
_MOST_ROWS, _MOST_RECORDINGS = 200_000, 20_000  # more are not computed but extrapolated
_REACH = 6.0  # standard deviations of a count that are summed over
_COLUMNS = 24  # counts of improvements at which the edge of what passes is computed; in between it is a line
_DRAWS = 1_000
_SEED = 42


# Exact tests -------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def exact_power(n: int, excess: float, flips: float, tolerance: float, level: float) -> float:
    """Probability that n independent rows pass the exact test.

    A share `flips` of answers changes, and the share that gets worse is larger by `excess` than the share that gets
    better. It is summed over counts of improvements: given such a count, how many get worse is binomial too.
    """
    if n < fewest_units("exact", tolerance, level):
        return 0.0
    plus, minus = max(0.0, (flips + excess) / 2), max(0.0, (flips - excess) / 2)
    spread = _REACH * math.sqrt(n * minus * (1 - minus)) + 3
    low, high = max(0, math.floor(n * minus - spread)), min(n, math.ceil(n * minus + spread))
    nodes = np.unique(np.linspace(low, high, min(_COLUMNS, high - low + 1)).round().astype(np.int64))
    improved = np.arange(low, high + 1)
    worse = np.floor(np.interp(improved, nodes, _most_worse(n, nodes, tolerance, level)) + 1e-9)
    share = np.diff(bdtr(improved, n, minus), prepend=bdtr(low - 1, n, minus) if low else 0.0)
    passes = np.where(worse >= 0, bdtr(worse.clip(0), n - improved, min(1.0, plus / (1 - minus))), 0.0)
    return float(min(1.0, share @ np.where(worse >= n - improved, 1.0, passes)))


def _most_worse(n: int, improved: IntArray, tolerance: float, level: float) -> IntArray:
    """For each count of improvements the largest count of newly wrong answers that passes; -1 where 0 does not."""
    fails = np.minimum(improved + math.floor(n * tolerance) + 2, n - improved + 1)  # above the tolerance, or impossible
    passes = np.full(len(improved), -1, dtype=np.int64)
    while (fails - passes > 1).any():  # bisection, of all counts at once
        middle = (fails + passes) // 2
        tried = np.where(fails - passes > 1, middle, passes.clip(0))
        passed = exact.p_values(n, tried, improved, tolerance, gamma_of(level)) <= level
        undecided = fails - passes > 1
        passes = np.where(undecided & passed, middle, passes)
        fails = np.where(undecided & ~passed, middle, fails)
    return passes


@lru_cache(maxsize=4096)
def needed_rows(excess: float, flips: float, tolerance: float, level: float) -> int | None:
    """Independent rows for 90% power; None where the excess is not within the tolerance."""
    if excess >= tolerance:
        return None
    guess = ((float(ndtri(1 - level)) + float(ndtri(TARGET))) / (tolerance - excess)) ** 2 * flips
    return _fewest(
        lambda n: exact_power(n, excess, flips, tolerance, level),
        fewest_units("exact", tolerance, level),
        _MOST_ROWS,
        guess,
        level,
    )


# Bets --------------------------------------------------------------------------------------------------------


def needed_recordings(values: FloatArray, weights: FloatArray, tolerance: float, level: float) -> int | None:
    """Recordings like these for 90% power of a bet; None where their excess is not within the tolerance."""
    excess = values.sum() / weights.sum()
    if excess >= tolerance:
        return None
    spread = float(np.mean((values - tolerance * weights) ** 2)) - float(np.mean(values - tolerance * weights)) ** 2
    room = (tolerance - excess) * float(weights.mean())
    guess = 1.9 * ((float(ndtri(1 - level)) + float(ndtri(TARGET))) / room) ** 2 * spread  # what bets cost, about

    def power(n: int) -> float:
        return betting.pass_rate(values, weights, n, tolerance, level, draws=_DRAWS, seed=_SEED)

    return _fewest(power, fewest_units("bets", tolerance, level), _MOST_RECORDINGS, guess, level)


def recordings_like(
    sizes: Sequence[int], excess: float, flips: float, icc: float, *, draws: int = 20_000
) -> tuple[FloatArray, FloatArray]:
    """Means and weights of simulated recordings, with as many rows each as some of `sizes`, for a guess of rates.

    Two rows of a recording share their fate with probability `icc`.
    """
    rng = np.random.default_rng(_SEED)
    size = rng.choice(np.asarray(sizes, dtype=np.int64), size=draws)
    recording = np.repeat(np.arange(draws), size)
    shared = rng.random(len(recording)) < math.sqrt(icc)
    fate = np.where(shared, rng.random(draws)[recording], rng.random(len(recording)))
    change = np.where(fate < (flips + excess) / 2, 1.0, np.where(1 - fate < (flips - excess) / 2, -1.0, 0.0))
    return np.bincount(recording, weights=change) / size, np.ones(draws)


def needed(group: GroupTest, b: int, tolerance: float, level: float) -> int | None:
    """Units (rows or recordings) for 90% power, if rates are those observed in a group at its budget b."""
    if group.test == "bets":
        return needed_recordings(group.values[:, b], group.weights, tolerance, level)
    plus, minus = int(group.plus[b]), int(group.minus[b])
    return needed_rows((plus - minus) / group.n, (plus + minus) / group.n, tolerance, level)


# The search --------------------------------------------------------------------------------------------------


def _fewest(power: Callable[[int], float], least: int, most: int, guess: float, level: float) -> int:
    """About the fewest units with a power of TARGET, at least `least` and at most `most`, searched from a guess.

    Power rises with the units, but not steadily: where counts are few it falls a little between two jumps. Beyond
    `most` the number is extrapolated.
    """
    if power(least) >= TARGET:
        return least
    power_of: dict[int, float] = {}
    n = min(most, max(least + 1, round(guess)))
    for _ in range(12):
        power_of[n] = power(n)
        below = max((m for m, reached in power_of.items() if reached < TARGET), default=least)
        above = min((m for m, reached in power_of.items() if reached >= TARGET and m > below), default=None)
        if (above is not None and above - below <= max(1, above // 100)) or (n == most and power_of[n] < TARGET):
            break
        aim = round(_scaled(n, power_of[n], level) * (1.0 if power_of[n] < TARGET else 0.995))
        if above is None:
            n = min(most, max(aim, below + 1))
        else:
            n = min(max(aim, below + 1), above - 1) if len(power_of) < 6 else (below + above) // 2
    enough = [m for m, reached in power_of.items() if reached >= TARGET]
    if not enough:
        return round(_scaled(n, power_of[n], level))
    best = min(enough)
    if power_of[best] > _LATTICE[1]:  # a jump: power just before it may be nearer to TARGET
        power_near = {m: power(m) for m in np.unique(np.linspace(max(least, best // 2), best, 48).astype(int)).tolist()}
        near = [m for m, reached in power_near.items() if _LATTICE[0] <= reached <= _LATTICE[1]]
        best = min(near, key=lambda m: abs(power_near[m] - TARGET), default=best)
    return best


def _scaled(n: int, reached: float, level: float) -> float:
    """The number of units for TARGET by the normal approximation, from the power that n units reach."""
    score = float(ndtri(1 - level))
    total_score = max(0.3, score + float(ndtri(min(max(reached, 1e-4), 1 - 1e-4))))
    return n * ((score + float(ndtri(TARGET))) / total_score) ** 2
