"""Slow twins of a walk that stops when it is decided: at each visit everything is computed again from its first row.

Imports nothing from earmark. A group is a list of recordings, each a list of rows, all in the declared order; what its
final test would say is asked of a function, which has a twin of its own.
"""

from collections.abc import Callable, Mapping, Sequence
from math import log, sqrt
from statistics import NormalDist, fmean, pstdev
from typing import NamedTuple

SHARE = 0.05  # of a level that may be spent early
NORMAL = NormalDist()

PValue = Callable[[Sequence[float], Sequence[float], int, float, float], float]
"""p of values and weights, the first of so many, for an excess at a level."""


class Group(NamedTuple):
    """Rows that are tested together."""

    recordings: Sequence[Sequence[int]]
    bets: bool  # on means of recordings; else one row stands for each
    fewest: Callable[[float, float], int]  # recordings that can pass, for an excess at a level

    @property
    def rows(self) -> list[int]:
        return [row for recording in self.recordings for row in recording]


class Goal(NamedTuple):
    """That these groups are safe."""

    tolerances: Mapping[int, float]
    level: float


class Asked(NamedTuple):
    """A visit."""

    budget: int
    block: int
    rows: list[int]


class End(NamedTuple):
    """How a test ended, and after how many recordings."""

    goal: int
    group: int
    budget: int
    state: str
    units: int


def log_capitals(differences: Sequence[float], eps: float) -> list[float]:
    """The logarithm of the capital before the first row and after each."""
    logs = [0.0]
    for n, d in enumerate(differences):
        mean = sum(differences[:n]) / (n + 20)
        variance = (sum(x * x for x in differences[:n]) + 20 * 0.15) / (n + 20) - mean * mean
        gap = max(eps - mean, 0.0)
        stake = min(gap / (variance + gap * gap), 0.85 / max(1.0, 1 - eps))
        logs.append(logs[-1] + log(1 - stake * (d - eps)))
    return logs


class NaiveWalk(NamedTuple):
    """All that a walk follows from."""

    groups: Sequence[Group]
    goals: Sequence[Goal]
    order: Sequence[int]  # all rows
    block: Sequence[int]  # of every row
    by_family: bool
    final: PValue  # of counts of whole differences: the exact test
    bet: PValue

    def walk(self, difference: Sequence[Sequence[float]]) -> tuple[list[Asked], list[End]]:
        """Every visit and every test that was decided; differences are by budget, and then by row."""
        visits: list[Asked] = []
        ends: list[End] = []
        alive = list(range(len(self.goals)))
        risk: dict[int, float] = {}
        for budget, column in enumerate(difference):
            pending = [(k, g) for k in alive for g in sorted(self.goals[k].tolerances)]
            seen = dict.fromkeys([g for _, g in pending], 0)  # recordings
            small = [(k, g) for k, g in pending if self._is_small(k, g)]
            for k, g in small:
                if (k, g) in pending:
                    self._end(End(k, g, budget, "failed", 0), ends, pending, alive)
            for wanted in self._turns(seen, risk):
                for block in sorted(set(self.block)):
                    there = [g for g in wanted if g in [p[1] for p in pending] and self._recordings_in(g, block)]
                    if not there:
                        continue
                    inside = {row for g in there for row in self.groups[g].rows if self.block[row] == block}
                    visits.append(Asked(budget, block, [row for row in self.order if row in inside]))
                    for g in there:
                        seen[g] += self._recordings_in(g, block)
                    for k, g in list(pending):
                        if g in there and (k, g) in pending:
                            state = self._state(self.groups[g], self.goals[k], self._early(k, g), seen[g], column)
                            self._end(End(k, g, budget, state, seen[g]), ends, pending, alive)
            risk = {g: self._risk(self._values(self.groups[g], n, column)) for g, n in seen.items()}
            if not alive:
                break
        return visits, ends

    @staticmethod
    def _end(end: End, ends: list[End], pending: list[tuple[int, int]], alive: list[int]) -> None:
        if end.state == "open":
            return
        ends.append(end)
        pending.remove((end.goal, end.group))
        if end.state in ("failed", "given up"):
            alive.remove(end.goal)
            pending[:] = [pair for pair in pending if pair[0] != end.goal]

    def _is_small(self, k: int, g: int) -> bool:
        return len(self.groups[g].recordings) < self.groups[g].fewest(self.goals[k].tolerances[g], self.goals[k].level)

    def _early(self, k: int, g: int) -> float:
        """Nothing is spent early where it would be spent in vain even if no answer changed."""
        smallest = min(goal.tolerances[g] for goal in self.goals if g in goal.tolerances)
        unchanged = log_capitals([0.0] * len(self.groups[g].recordings), smallest)
        return SHARE if max(unchanged) >= log(1 / (SHARE * self.goals[k].level)) else 0.0

    @staticmethod
    def _risk(values: Sequence[float]) -> float:
        return fmean(values) + pstdev(values) / sqrt(len(values)) if values else float("-inf")

    def _turns(self, seen: Mapping[int, int], risk: Mapping[int, float]) -> list[list[int]]:
        """Groups that are asked together, one after the other."""
        if not self.by_family:
            return [sorted(seen)]
        return [[g] for g in sorted(seen, key=lambda g: (-risk.get(g, 0.0), len(self.groups[g].recordings), g))]

    def _recordings_in(self, g: int, block: int) -> int:
        return sum(self.block[recording[0]] == block for recording in self.groups[g].recordings)

    def _values(self, group: Group, n: int, column: Sequence[float]) -> list[float]:
        if group.bets:
            return [fmean([column[row] for row in recording]) for recording in group.recordings[:n]]
        return [column[recording[0]] for recording in group.recordings[:n]]

    def _state(self, group: Group, goal: Goal, early: float, n: int, column: Sequence[float]) -> str:
        eps, level, n_in_all = goal.tolerances[self.groups.index(group)], goal.level, len(group.recordings)
        values, whole = self._values(group, n, column), n == n_in_all
        rows = [column[row] for recording in group.recordings[:n] for row in recording]
        if max(fmean(rows), fmean(values)) <= eps + 1e-9:
            if group.bets:
                passes = self.bet(values, [1.0] * n, n_in_all, eps, level) <= level
            else:
                passes = early > 0 and max(log_capitals(values, eps)) >= log(1 / (early * level))
                if whole and not passes:
                    passes = self.final(values, [1.0] * n, n_in_all, eps, level) <= (1 - early) * level
            if passes:
                return "passed" if whole else "passed early"
        if whole:
            return "failed"
        return "given up" if n >= 40 and self._chance(values, n_in_all, eps, (1 - early) * level) < 0.002 else "open"

    @staticmethod
    def _chance(values: Sequence[float], n_in_all: int, eps: float, level: float) -> float:
        n, mean = len(values), fmean(values)
        variance = (sum(x * x for x in values) + 20 * 0.15) / (n + 20) - (sum(values) / (n + 20)) ** 2
        z = NORMAL.inv_cdf(1 - level)
        ahead = eps - 1.03 * z * sqrt(variance / n_in_all) - mean
        return NORMAL.cdf(ahead / sqrt(variance * (1 / n - 1 / n_in_all)))
