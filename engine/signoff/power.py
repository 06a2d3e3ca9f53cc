"""How many questions it takes: the power of the tests themselves, not of a formula that comes near it.

Power is the probability that a family passes at one budget. Of the exact test it is summed over the counts that pass,
of bets it is simulated by drawing recordings. Knows rates, or recordings that were seen; no families and no files.
"""

import math
from collections.abc import Callable, Generator, Hashable, Mapping, Sequence
from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple, TypeVar

import numpy as np

from earmark.engine.arrays import BoolArray, FloatArray, IntArray
from earmark.engine.design.rule import gamma_of
from earmark.engine.signoff.rules.group_tests import GroupTest, fewest_units
from earmark.kernels.statistics import betting, exact
from earmark.kernels.statistics.plain.walks import binomials

TARGET = 0.9  # the power that "enough" means
_MANY = 700  # units, from which power rises steadily enough to stop the search where ...
_CLOSE = 0.003  # ... it is so close to the target, which 1% more units change it by
_LATTICE = 0.87, 0.95  # where counts are few, power jumps: outside of this, another number of units is looked for
_MOST_ROWS, _MOST_RECORDINGS = 200_000, 20_000  # more are not computed but extrapolated
_REACH = 6.0  # standard deviations of a count that are summed over
_LIKELY = 3.5  # and within which the edge of what passes is computed; beyond, it follows from its score
_COLUMNS = 24  # counts of improvements at which it is looked at; in between it is a line
_DRAWS = 1_000
_SEED = 42
_NORMAL = NormalDist()

Key = TypeVar("Key", bound=Hashable)
Search = Generator[Sequence[int], Sequence[float], int]  # asks for the powers of numbers of units, returns one


# Exact tests -------------------------------------------------------------------------------------------------


class Rates(NamedTuple):
    """What the power of an exact test depends on, besides the number of rows.

    A share `flips` of answers changes, and the share that gets worse is larger by `excess` than the share that gets
    better.
    """

    excess: float
    flips: float
    tolerance: float
    level: float


_rows_at: dict[Rates, int] = {}  # the rows that were needed wherever they were searched for


@lru_cache(maxsize=4096)
def exact_power(n: int, excess: float, flips: float, tolerance: float, level: float) -> float:
    """Probability that n independent rows pass the exact test, where answers change at `Rates`."""
    return _exact_powers([(n, Rates(excess, flips, tolerance, level))])[0]


class _Improvements(NamedTuple):
    """Counts of improvements among n rows: all that are likely enough to be summed over, and some of them."""

    n: int
    rates: Rates
    every: IntArray
    share: FloatArray  # the probability of each
    nodes: IntArray  # where the edge of what passes is looked at; in between it is a line
    likely: BoolArray  # the nodes where it is computed; elsewhere it follows from its score there


def _exact_powers(sizes: Sequence[tuple[int, Rates]]) -> list[float]:
    """The power of each number of rows at its rates, side by side, in parts that need no kernels.

    It is summed over counts of improvements: given such a count, how many get worse is binomial too.
    """
    powers = [0.0] * len(sizes)
    tested = [i for i, (n, rates) in enumerate(sizes) if n >= fewest_units("exact", rates.tolerance, rates.level)]
    work = np.cumsum([2.0 * _COLUMNS * math.sqrt(sizes[i][0]) for i in tested]) // exact.FEW
    for part in np.unique(work):
        some = [i for i, in_part in zip(tested, work, strict=True) if in_part == part]
        counts = [_improvements(*sizes[i]) for i in some]
        for i, improvements, edge in zip(some, counts, _most_worse(counts), strict=True):
            powers[i] = _power(improvements, edge)
    return powers


def _power(counts: _Improvements, edge: FloatArray) -> float:
    """The probability of passing, from the edge of what passes at each node."""
    plus, minus = _shares(counts.rates)
    worse = np.floor(np.interp(counts.every, counts.nodes, edge) + 1e-9)
    passes = _at_most(worse, counts.n - counts.every, min(1.0, plus / (1 - minus)))
    return min(1.0, float(np.add.reduce(counts.share * passes)))


def _shares(rates: Rates) -> tuple[float, float]:
    """The shares of answers that get worse, and better."""
    return max(0.0, (rates.flips + rates.excess) / 2), max(0.0, (rates.flips - rates.excess) / 2)


def _at_most(k: FloatArray, n: IntArray, share: float) -> FloatArray:
    """P(X <= k) of X ~ Bin(n, share)."""
    some = (k >= 0) & (k < n) & (0 < share < 1)
    lanes = np.full(np.count_nonzero(some), share)
    every = np.where(k < 0, 0.0, np.where((k < n) & (share == 1), 0.0, 1.0))
    every[some] = binomials(k[some], n[some].astype(np.float64), lanes, 1.0 - lanes, in_blocks=True)[0]
    return every


def _improvements(n: int, rates: Rates) -> _Improvements:
    """Counts of improvements that n rows are likely to have."""
    _, minus = _shares(rates)
    sd = math.sqrt(n * minus * (1 - minus))
    spread = _REACH * sd + 3
    low, high = max(0, math.floor(n * minus - spread)), min(n, math.ceil(n * minus + spread))
    every = np.arange(low, high + 1)
    share = np.where(every == n * minus, 1.0, 0.0)
    if 0 < minus < 1:
        lanes = np.full(len(every), minus)
        share = binomials(every.astype(np.float64), np.full(len(every), float(n)), lanes, 1 - lanes, in_blocks=True)[1]
    nodes = np.unique(np.linspace(low, high, min(_COLUMNS, high - low + 1)).round().astype(np.int64))
    likely = np.abs(nodes - n * minus) <= _LIKELY * sd + 0.5
    return _Improvements(n, rates, every, share, nodes, likely)


def _most_worse(counts: Sequence[_Improvements]) -> list[FloatArray]:
    """For each node the largest count of newly wrong answers that passes; -1 where 0 does not."""
    sizes = [len(some.nodes) for some in counts]
    n = np.repeat([some.n for some in counts], sizes)
    tolerance, level = (np.repeat([getattr(some.rates, name) for some in counts], sizes) for name in Rates._fields[2:])
    improved, likely = (np.concatenate([getattr(some, name) for some in counts]) for name in ("nodes", "likely"))
    most = np.minimum(improved + np.floor(n * tolerance).astype(np.int64) + 1, n - improved)  # within the tolerance
    normal = np.repeat([_NORMAL.inv_cdf(some.rates.level) for some in counts], sizes)
    worse = _worse_at_score(n, improved, most, tolerance, normal)
    known = np.flatnonzero(likely)
    at_known = n[known], improved[known], worse[known], most[known], tolerance[known], level[known]
    worse[known] = _last_that_passes(*at_known)
    ends = [np.flatnonzero(some.likely)[[0, -1]] for some in counts]
    nearest = np.concatenate([np.arange(size).clip(*own) for size, own in zip(sizes, ends, strict=True)])
    nearest += np.repeat(np.cumsum(sizes) - sizes, sizes)
    beside = [exact.scores(n, (worse + i).clip(0, n - improved), improved, tolerance) for i in (0, 1)]
    at_score = _worse_at_score(n, improved, most, tolerance, 0.5 * (beside[0] + beside[1])[nearest])
    worse = np.where(likely, worse, at_score)
    return np.split(worse, np.cumsum(sizes)[:-1])


def _worse_at_score(
    n: IntArray, improved: IntArray, most: IntArray, tolerance: FloatArray, score: FloatArray
) -> IntArray:
    """About the largest count of newly wrong answers, from 0 to `most`, at which Tango's score is at most `score`."""
    worse = improved + n * tolerance
    for _ in range(6):
        off = score - exact.scores(n, worse, improved, tolerance)
        worse = np.clip(worse + np.sqrt(worse + improved + 1.0) * off, 0.0, n - improved)
    return np.minimum(np.floor(worse).astype(np.int64), most)


def _last_that_passes(
    n: IntArray, improved: IntArray, guess: IntArray, most: IntArray, tolerance: FloatArray, level: FloatArray
) -> IntArray:
    """The largest count of newly wrong answers, up to `most`, with which the test passes, looked for from a guess."""
    gamma = np.array([gamma_of(value) for value in level.tolist()])
    passes, fails, tried = np.full(len(n), -1), most + 1, guess.clip(0, most)
    step = 1
    while len(i := np.flatnonzero(fails - passes > 1)):
        both = np.array([tried[i], np.minimum(tried[i] + 1, fails[i] - 1)])  # most often the edge is between the two
        first, second = exact.passes(n[i], both, improved[i], tolerance[i], level[i], gamma[i])
        passes[i] = np.where(second, both[1], np.where(first, both[0], passes[i]))
        fails[i] = np.where(first, np.where(second, fails[i], both[1]), both[0])
        onwards = tried[i] + np.where(first, 1 + step, -step)
        outside = (onwards <= passes[i]) | (onwards >= fails[i])
        tried[i] = np.where(outside, (passes[i] + fails[i]) // 2, onwards)
        step *= 2
    return passes


def needed_rows(excess: float, flips: float, tolerance: float, level: float) -> int | None:
    """Independent rows for 90% power; None where the excess is not within the tolerance."""
    rates = Rates(excess, flips, tolerance, level)
    search_rows([rates])
    return _rows_at.get(rates)


def search_rows(all_rates: Sequence[Rates]) -> None:
    """Look for the rows that are needed at each rates side by side, so that `needed_rows` has them ready."""
    wanted = {r: _search_of(r) for r in all_rates if r.excess < r.tolerance and r not in _rows_at}
    _rows_at.update(_fewest_of_each(wanted, _exact_powers))


def _search_of(rates: Rates) -> Search:
    """The search for the fewest rows, from a guess by the normal approximation."""
    score = _NORMAL.inv_cdf(1 - rates.level) + _NORMAL.inv_cdf(TARGET)
    guess = (score / (rates.tolerance - rates.excess)) ** 2 * rates.flips
    return _fewest(fewest_units("exact", rates.tolerance, rates.level), _MOST_ROWS, guess, rates.level)


# Bets --------------------------------------------------------------------------------------------------------


def needed_recordings(values: FloatArray, weights: FloatArray, tolerance: float, level: float) -> int | None:
    """Recordings like these for 90% power of a bet; None where their excess is not within the tolerance."""
    excess = values.sum() / weights.sum()
    if excess >= tolerance:
        return None
    spread = float(np.mean((values - tolerance * weights) ** 2)) - float(np.mean(values - tolerance * weights)) ** 2
    room = (tolerance - excess) * float(weights.mean())
    guess = 1.9 * ((_NORMAL.inv_cdf(1 - level) + _NORMAL.inv_cdf(TARGET)) / room) ** 2 * spread  # what bets cost, about

    def powers(sizes: Sequence[tuple[int, None]]) -> list[float]:
        return [betting.pass_rate(values, weights, n, tolerance, level, draws=_DRAWS, seed=_SEED) for n, _ in sizes]

    search = _fewest(fewest_units("bets", tolerance, level), _MOST_RECORDINGS, guess, level)
    return _fewest_of_each({None: search}, powers)[None]


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
    return needed_rows(*rates_of(group, b, tolerance, level))


def rates_of(group: GroupTest, b: int, tolerance: float, level: float) -> Rates:
    """Those that were observed in a group of an exact test at its budget b."""
    plus, minus = int(group.plus[b]), int(group.minus[b])
    return Rates((plus - minus) / group.n, (plus + minus) / group.n, tolerance, level)


# The search --------------------------------------------------------------------------------------------------


def _fewest_of_each(
    searches: Mapping[Key, Search], powers_of: Callable[[Sequence[tuple[int, Key]]], Sequence[float]]
) -> dict[Key, int]:
    """What each search ends with; in every round all of them ask for their powers at once."""
    fewest: dict[Key, int] = {}
    sizes_of = {key: next(search) for key, search in searches.items()}
    while sizes_of:
        powers = iter(powers_of([(n, key) for key, sizes in sizes_of.items() for n in sizes]))
        powers_at = {key: [next(powers) for _ in sizes] for key, sizes in sizes_of.items()}
        sizes_of = {}
        for key, answers in powers_at.items():
            try:
                sizes_of[key] = searches[key].send(answers)
            except StopIteration as end:
                fewest[key] = end.value
    return fewest


def _fewest(least: int, most: int, guess: float, level: float) -> Search:
    """About the fewest units with a power of TARGET, at least `least` and at most `most`, searched from a guess.

    Power rises with the units, but not steadily: where counts are few it falls a little between two jumps. Beyond
    `most` the number is extrapolated. It yields numbers of units, and is sent their powers.
    """
    if (yield [least])[0] >= TARGET:
        return least
    power_of: dict[int, float] = {}
    n = min(most, max(least + 1, round(guess)))
    for _ in range(12):
        power_of[n] = (yield [n])[0]
        below = max((m for m, reached in power_of.items() if reached < TARGET), default=least)
        above = min((m for m, reached in power_of.items() if reached >= TARGET and m > below), default=None)
        is_close = n >= _MANY and TARGET <= power_of[n] <= TARGET + _CLOSE
        is_between = above is not None and above - below <= max(1, above // 100)
        if is_close or is_between or (n == most and power_of[n] < TARGET):
            break
        aim = round(_scaled(n, power_of[n], level) * (1.004 if n >= _MANY else 1.0 if power_of[n] < TARGET else 0.995))
        if above is None:
            n = min(most, max(aim, below + 1))
        else:
            n = min(max(aim, below + 1), above - 1) if len(power_of) < 6 else (below + above) // 2
    enough = [m for m, reached in power_of.items() if reached >= TARGET]
    if not enough:
        return round(_scaled(n, power_of[n], level))
    best = min(enough)
    if power_of[best] > _LATTICE[1]:  # a jump: power just before it may be nearer to TARGET
        sizes = np.unique(np.linspace(max(least, best // 2), best, 48).astype(int)).tolist()
        power_near = dict(zip(sizes, (yield sizes), strict=True))
        near = [m for m, reached in power_near.items() if _LATTICE[0] <= reached <= _LATTICE[1]]
        best = min(near, key=lambda m: abs(power_near[m] - TARGET), default=best)
    return best


def _scaled(n: int, reached: float, level: float) -> float:
    """The number of units for TARGET by the normal approximation, from the power that n units reach."""
    score = _NORMAL.inv_cdf(1 - level)
    total_score = max(0.3, score + _NORMAL.inv_cdf(min(max(reached, 1e-4), 1 - 1e-4)))
    return n * ((score + _NORMAL.inv_cdf(TARGET)) / total_score) ** 2
