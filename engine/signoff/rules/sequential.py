"""The certified rule where answers come bit by bit: what is asked next, until every family of a budget is decided.

A walk of one method goes down its budgets. At each it looks at rows in an order that was fixed beforehand, block by
block, and of a block only at those of families that are still open. A family passes early where its evidence is strong
enough at any moment (a small share of its level), else on all of its rows by the exact test (the rest of its level):
looking costs nothing more (method 9.9). Whoever has the answers sends them in, the sweep as they come, the sign-off
from cells, and both see the same walk. Knows no files.
"""

import math
from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Literal, NamedTuple

import numpy as np

from earmark.engine.arrays import FloatArray, IntArray
from earmark.engine.design.rule import gamma_of
from earmark.engine.signoff.rules.group_tests import SLACK, early_share, fewest_units
from earmark.engine.signoff.rules.judgement import State
from earmark.engine.signoff.rules.units import Units
from earmark.kernels.statistics import betting, exact
from earmark.kernels.statistics.evidence import PRIOR_ROWS, PRIOR_VARIANCE, Evidence

FUTILE = 0.002  # a family is given up when the chance that it still passes falls below this
_POINTS = 40  # of a path that are kept, about
_LEAST = 40  # units before anything is given up
_INFLATED = 1.03  # how much wider than normal the exact test is
_NORMAL = NormalDist()


class Goal(NamedTuple):
    """What a walk wants to show at every budget on its way: that all these groups are safe."""

    kind: Literal["budget", "routing"]
    tolerances: Mapping[int, float]  # by group
    level: float  # of each test


class Visit(NamedTuple):
    """Rows of a block whose answers at a budget are wanted next."""

    budget: int
    block: int
    rows: IntArray


class TestRecord(NamedTuple):
    """How the test of a group at a budget ended, and what it saw until then."""

    goal: int
    group: int
    budget: int
    state: State
    asked: int  # units
    of: int
    plus: int  # units that got worse, of those asked; exact tests only
    minus: int
    peak: float  # the highest logarithm of the capital
    peak_at: int  # after how many units
    p: float  # passes where it is at most the level
    passing_peak: float | None  # the peak that passes early; None where no units so few could reach it
    path: tuple[tuple[int, float], ...]  # the logarithm of the capital after so many units, at each visit


@dataclass(frozen=True)
class Design:
    """What was declared of a walk before its first answer, the same for every method."""

    groups: Sequence[Units]
    goals: Sequence[Goal]
    place: IntArray  # (n,) of every row in the constant order
    block: IntArray  # (n,) of every row
    by_family: bool  # one group after the other; else all of them block by block

    def early_share(self, group: int, level: float) -> float:
        """The share of a level that may be spent before all units of a group are in, whichever tolerance it is for."""
        smallest = min(goal.tolerances[group] for goal in self.goals if group in goal.tolerances)
        return early_share(self.groups[group].n, smallest, level)

    def passing_peak(self, group: int, level: float) -> float | None:
        """The logarithm of the capital that passes at any moment; None where only all units of a group can pass."""
        if self.groups[group].test == "bets":
            return -math.log(level)
        early = self.early_share(group, level)
        return -math.log(early * level) if early else None

    def rows_by_block(self, group: int) -> dict[int, IntArray]:
        """The rows of a group, in the constant order, by block."""
        rows = self.groups[group].rows
        blocks = self.block[rows]  # rising, as rows are
        portions = np.split(rows, np.flatnonzero(np.diff(blocks)) + 1)
        return {int(self.block[portion[0]]): portion for portion in portions}


class _GroupSoFar:
    """A group at one budget, as far as it was looked at."""

    def __init__(self, units: Units, tolerances: Collection[float]) -> None:
        self.units = units
        self.n = 0  # units that were looked at
        self._n_rows = 0  # that were looked at
        self._next_row = 0  # of the group: past those that were looked at and those that another process has
        self._differences = np.empty(len(units.rows))
        self._values, self._weights = np.empty(units.n), np.empty(units.n)  # of whole units
        self._paths: dict[float, list[tuple[int, float]]] = {tolerance: [] for tolerance in tolerances}
        self.evidence = {tolerance: Evidence(tolerance) for tolerance in tolerances} if self.exact else {}

    @property
    def exact(self) -> bool:
        return self.units.test != "bets"

    @property
    def all_seen(self) -> bool:
        return self.n == self.units.n

    def skip(self, n_rows: int) -> None:
        """Leave the next rows of the group, whole recordings of them, to another process."""
        self._next_row += n_rows

    def feed(self, differences: FloatArray) -> None:
        """Look at the next rows of the group, whole recordings of them."""
        recording = self.units.recording[self._next_row : self._next_row + len(differences)]
        self._differences[self._n_rows : self._n_rows + len(differences)] = differences
        self._n_rows += len(differences)
        self._next_row += len(differences)
        starts = np.flatnonzero(np.diff(recording, prepend=-1))
        first, self.n = self.n, self.n + len(starts)
        if self.exact:
            values = self._values[first : self.n] = differences[starts]
            for tolerance, evidence in self.evidence.items():
                evidence.feed(values)
                self._paths[tolerance].append((self.n, evidence.log_capital))
            return
        sums, sizes = np.add.reduceat(differences, starts), np.diff(starts, append=len(differences))
        most = self.units.most_rows
        self._values[first : self.n] = sums / (sizes if most is None else most)
        self._weights[first : self.n] = 1.0 if most is None else sizes / most
        for tolerance, path in self._paths.items():
            path.append((self.n, -math.log(self._p_of_bets(tolerance))))

    def path(self, tolerance: float) -> tuple[tuple[int, float], ...]:
        """The logarithm of the capital, of bets its highest so far, at some of the visits."""
        path = self._paths[tolerance]
        every = -(-len(path) // _POINTS)
        return tuple(path[:: max(1, every)] + (path[-1:] if every > 1 else []))

    @property
    def values(self) -> FloatArray:
        """Of the units that were looked at."""
        return self._values[: self.n]

    def counts(self) -> tuple[int, int]:
        """Units that got worse, and wholly better; bets count none. What is between counts as the next worse."""
        if not self.exact:
            return 0, 0
        return int(np.count_nonzero(self.values > 0)), int(np.count_nonzero(self.values <= -1))

    def p(self, tolerance: float, level: float, early: float) -> float:
        """p of "the excess is the tolerance or more", for a test at this level, a share of which may go early."""
        if not self.n or self.units.n < fewest_units(self.units.test, tolerance, level):
            return 1.0
        if max(float(self._differences[: self._n_rows].mean()), float(self.values.mean())) > tolerance + SLACK:
            return 1.0
        if not self.exact:
            return self._p_of_bets(tolerance)
        p = math.exp(-self.evidence[tolerance].peak) / early if early else 1.0
        if p > level and self.all_seen:
            at_end = exact.p_values(self.n, *self.counts(), tolerance, gamma_of(level))
            p = min(p, float(at_end) / (1 - early))
        return min(1.0, p)

    def _p_of_bets(self, tolerance: float) -> float:
        return min(1.0, betting.p_of_first(self.values, self._weights[: self.n], self.units.n, tolerance))

    def futile(self, tolerance: float, level: float, early: float) -> bool:
        """Whether it will hardly pass with all units: by a normal approximation, which binds nobody."""
        if self.n < _LEAST or self.all_seen:
            return False
        n, n_in_all, values = self.n, self.units.n, self.values
        mean = float(values.mean())
        # with what bets assume before the first row: above 0 even where all rows are alike
        mean_square = (float((values * values).sum()) + PRIOR_ROWS * PRIOR_VARIANCE) / (n + PRIOR_ROWS)
        variance = mean_square - (float(values.sum()) / (n + PRIOR_ROWS)) ** 2
        z = _NORMAL.inv_cdf(1 - (1 - early) * level)
        ahead = tolerance - _INFLATED * z * math.sqrt(variance / n_in_all) - mean
        return _NORMAL.cdf(ahead / math.sqrt(variance * (1 / n - 1 / n_in_all))) < FUTILE

    @property
    def risk(self) -> float:
        """How harmful it may be: the mean and a standard deviation of it."""
        values = self.values
        return float(values.mean() + values.std() / math.sqrt(len(values))) if len(values) else -math.inf


@dataclass
class Walker:
    """A method's way down its budgets, which ends where nothing is left to be shown."""

    design: Design
    n_budgets: int  # from the largest down
    records: list[TestRecord] = field(default_factory=list)
    _alive: set[int] = field(init=False)  # goals
    _open: set[tuple[int, int]] = field(default_factory=set)  # goal and group
    _closed: dict[tuple[int, int], TestRecord] = field(default_factory=dict)  # at the present budget
    _looked: dict[int, _GroupSoFar] = field(default_factory=dict)  # by group, at the present budget
    _answers_end: bool = False  # at the present budget
    _rows_of: dict[int, dict[int, IntArray]] = field(default_factory=dict)  # by group and block, for who looks ahead

    def __post_init__(self) -> None:
        self._alive = set(range(len(self.design.goals)))

    def walk(self) -> Generator[Visit, FloatArray | None, None]:
        """Every visit; its differences are sent back, in the order of its rows.

        None: another process has them. Fewer than rows, of whole recordings: the answers about these groups end here,
        as those of a preview do; those about others at this budget may go on.
        """
        risk: dict[int, float] = {}
        for budget in range(self.n_budgets):
            self._begin(budget)
            try:
                if self.design.by_family:
                    yield from self._family_by_family(budget, risk)
                else:
                    yield from self._block_by_block(budget)
            finally:
                self._close(sorted(self._open), "open", budget)
                self.records += [record for _, record in sorted(self._closed.items())]
            risk = {group: looked.risk for group, looked in self._looked.items()}
            if not self._alive or self._answers_end:
                return

    def following(self, visit: Visit, n: int) -> list[Visit]:
        """The n visits that come after one at the same budget, if nothing is decided meanwhile, or fewer."""
        groups = sorted({group for _, group in self._open})
        if self.design.by_family:  # the group that is looked at now
            groups = [group for group in groups if visit.rows[0] in self.design.groups[group].rows]
        for group in groups if n else ():
            if group not in self._rows_of:
                self._rows_of[group] = self.design.rows_by_block(group)
        by_block = [self._rows_of[group] for group in groups if n]
        later = sorted({block for of_group in by_block for block in of_group if block > visit.block})[:n]
        rows_of = {block: np.unique(np.concatenate([g[block] for g in by_block if block in g])) for block in later}
        return [
            Visit(visit.budget, block, rows[np.argsort(self.design.place[rows])]) for block, rows in rows_of.items()
        ]

    def _begin(self, budget: int) -> None:
        """At a new budget everything that is wanted is open, but for what is too small to pass."""
        goals = self.design.goals
        self._open = {(goal, group) for goal in self._alive for group in goals[goal].tolerances}
        self._closed = {}
        tolerances: dict[int, list[float]] = {}
        for goal, group in sorted(self._open):
            tolerances.setdefault(group, []).append(goals[goal].tolerances[group])
        self._looked = {
            group: _GroupSoFar(self.design.groups[group], dict.fromkeys(wanted)) for group, wanted in tolerances.items()
        }
        for goal, group in sorted(self._open):
            units = self.design.groups[group]
            is_open = (goal, group) in self._open  # not where another family has just ended its goal
            if is_open and units.n < fewest_units(units.test, goals[goal].tolerances[group], goals[goal].level):
                self._end(goal, group, "failed", budget)

    def _block_by_block(self, budget: int) -> Generator[Visit, FloatArray | None, None]:
        by_block = {group: self.design.rows_by_block(group) for group in self._looked}
        answers = np.full(len(self.design.place), np.nan)
        for block in range(int(self.design.block.max()) + 1):
            open_groups = sorted({group for _, group in self._open if block in by_block[group]})
            if not self._open:
                return
            if not open_groups:
                continue
            rows = np.unique(np.concatenate([by_block[group][block] for group in open_groups]))
            rows = rows[np.argsort(self.design.place[rows])]
            differences = yield Visit(budget, block, rows)
            answers[rows[: 0 if differences is None else len(differences)]] = differences
            for group in open_groups:
                of_group = answers[by_block[group][block]]
                self._look(group, len(of_group), None if differences is None else of_group[~np.isnan(of_group)])
            if differences is not None and len(differences) < len(rows):
                self._answers_end = True  # nothing is decided in the middle of a block
                return
            self._settle(open_groups, budget)

    def _family_by_family(self, budget: int, risk: Mapping[int, float]) -> Generator[Visit, FloatArray | None, None]:
        """The smallest first, and later the one that was the most harmful at the budget above."""
        order = sorted(self._looked, key=lambda group: (-risk.get(group, 0.0), self.design.groups[group].n, group))
        for group in order:
            for block, rows in self.design.rows_by_block(group).items():
                if not any(wanted == group for _, wanted in self._open):
                    break
                differences = yield Visit(budget, block, rows)
                self._look(group, len(rows), differences)
                if differences is not None and len(differences) < len(rows):
                    self._answers_end = True
                    break
                self._settle([group], budget)

    def _look(self, group: int, n_rows: int, differences: FloatArray | None) -> None:
        """Look at the next rows of a group, unless another process has them."""
        if differences is None:
            self._looked[group].skip(n_rows)
        elif len(differences):
            self._looked[group].feed(differences)

    def _settle(self, groups: Collection[int], budget: int) -> None:
        """Close what is decided."""
        for goal, group in sorted(self._open):
            if group not in groups or (goal, group) not in self._open:
                continue
            wanted, looked = self.design.goals[goal], self._looked[group]
            test = wanted.tolerances[group], wanted.level, self.design.early_share(group, wanted.level)
            if looked.p(*test) <= wanted.level:
                self._end(goal, group, "passed" if looked.all_seen else "passed early", budget)
            elif looked.all_seen:
                self._end(goal, group, "failed", budget)
            elif looked.futile(*test):
                self._end(goal, group, "given up", budget)

    def _end(self, goal: int, group: int, state: State, budget: int) -> None:
        """A test is over; where it does not pass, nothing is left to be shown of its goal, here and below."""
        self._close([(goal, group)], state, budget)
        if state in ("failed", "given up"):
            self._alive.discard(goal)
            self._close([test for test in sorted(self._open) if test[0] == goal], "open", budget)

    def _close(self, tests: Collection[tuple[int, int]], state: State, budget: int) -> None:
        """Keep how tests stand: what is looked at later, for another goal's sake, changes nothing of them."""
        for goal, group in tests:
            self._open.discard((goal, group))
            if self._looked[group].n or state != "open":
                self._closed[goal, group] = self._record(goal, group, state, budget)

    def _record(self, goal: int, group: int, state: State, budget: int) -> TestRecord:
        wanted, looked = self.design.goals[goal], self._looked[group]
        tolerance = wanted.tolerances[group]
        evidence = looked.evidence.get(tolerance)
        p = looked.p(tolerance, wanted.level, self.design.early_share(group, wanted.level))
        return TestRecord(
            goal,
            group,
            budget,
            state,
            looked.n,
            looked.units.n,
            *looked.counts(),
            evidence.peak if evidence is not None else -math.log(p),
            evidence.peak_row if evidence is not None else looked.n,
            p,
            self.design.passing_peak(group, wanted.level),
            looked.path(tolerance),
        )
