"""Tests and bounds of the excess of groups of rows (families, or all rows) at B budgets.

Exact where every unit is a draw of -1, 0 or 1, bets elsewhere. Nothing passes whose observed excess is above the
tolerance, in rows or in recordings, nor a group so small that not even an unchanged one could. Knows no budgets' order
and no decision.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from earmark.engine.arrays import FloatArray, IntArray
from earmark.engine.design.rule import PAPER_MIN_FAMILY, Rule, gamma_of
from earmark.engine.signoff.rules.judgement import Estimand, SampleUnit, State, Test
from earmark.engine.signoff.rules.units import Units
from earmark.kernels.statistics import betting, bounds, evidence, exact

AtLevel = tuple["GroupTest", float]  # what a group is asked at this level
EARLY = 0.05  # where a walk may stop early: the share of a level that is spent on passing before all rows are in
SLACK = 1e-9  # of an observed excess that is compared with a tolerance


class GroupTest(NamedTuple):
    """A group of n units and what happened to it at B budgets."""

    test: Test
    estimand: Estimand
    n: int
    unit: SampleUnit
    by_row: FloatArray  # (B,) observed excess, every row counting alike
    by_recording: FloatArray  # (B,) every recording counting alike
    plus: IntArray  # (B,) units that got worse; exact tests only, else empty
    minus: IntArray  # (B,)
    values: FloatArray  # (n, B) in the constant order; bets only, else empty
    weights: FloatArray  # (n,)
    asked: IntArray | None = None  # (B,) units that a walk looked at before it was decided; None: all
    states: tuple[State | None, ...] = ()  # (B,) how the test ended there; None: it was not begun. Empty without a walk

    @property
    def observed(self) -> FloatArray:
        """(B,) of the excess that is tested."""
        return self.by_row if self.estimand == "rows" else self.by_recording

    def was_tested(self, b: int) -> bool:
        """Whether its test was begun at a budget; without a walk it always is."""
        return self.asked is None or self.states[b] is not None

    def fewest(self, tolerance: float, level: float) -> int:
        """The fewest units of a group that can pass: those that do if no answer changes."""
        return fewest_units(self.test, tolerance, level)


@cache
def fewest_units(test: Test, tolerance: float, level: float) -> int:
    """The fewest units with which a test passes at a level if no answer changes."""
    fewest = exact.testable_size(tolerance, level, gamma_of(level))
    return max(fewest, _fewest_recordings(tolerance, level)) if test == "bets" else fewest


@cache
def early_share(n: int, tolerance: float, level: float) -> float:
    """The share of a level that a walk spends on passing before all n rows are in; none where no n rows could."""
    return EARLY if n >= evidence.fewest_rows(tolerance, EARLY * level) else 0.0


def fewest_rows(rule: Rule, tolerance: float) -> int:
    """The fewest rows of a family that is judged at this tolerance."""
    if rule.name == "paper":
        return PAPER_MIN_FAMILY if rule.min_family is None else rule.min_family
    return exact.testable_size(tolerance, rule.look_alpha, rule.gamma)


def family_minimum(rule: Rule) -> int:
    """The fewest rows (or recordings) of a family of its own: a smaller one joins its declared parent."""
    return fewest_rows(rule, min(rule.tolerances)) if rule.min_family is None else rule.min_family


@cache
def _fewest_recordings(tolerance: float, level: float) -> int:
    return betting.testable_recordings(tolerance, level)


def group_test(units: Units, difference: FloatArray) -> GroupTest:
    """The test of a group, from the paired differences of all rows (n, B)."""
    group_difference = difference[units.rows]
    one_row_each = units.n == len(units.rows)
    unit: SampleUnit = "rows" if one_row_each else "recordings"
    sums, tested_rows, sizes = group_difference, group_difference, np.ones(units.n)
    if not one_row_each:
        sizes = np.bincount(units.recording).astype(np.float64)
        firsts = (np.cumsum(sizes) - sizes).astype(np.int64)  # rows of a recording follow one another
        sums, tested_rows = np.add.reduceat(group_difference, firsts, axis=0), group_difference[firsts]
    means = sums / sizes[:, None] if not one_row_each else group_difference
    by_row = group_difference.mean(axis=0)
    by_recording = means.mean(axis=0) if not one_row_each else by_row
    shared = units.estimand, units.n, unit, by_row, by_recording
    if units.test != "bets" and _are_whole(group_difference):
        plus_minus = np.count_nonzero(tested_rows > 0, axis=0), np.count_nonzero(tested_rows < 0, axis=0)
        return GroupTest(units.test, *shared, *plus_minus, np.empty((0, difference.shape[1])), np.empty(0))
    values, weights = means, np.ones(units.n)
    if units.most_rows is not None:
        values, weights = sums / units.most_rows, sizes / units.most_rows
    none = np.empty(0, dtype=np.int64)
    return GroupTest("bets", *shared, none, none, values, weights)


def _are_whole(difference: FloatArray) -> bool:
    """Whether all differences, which lie in [-1, 1], are -1, 0 or 1: only then their absolute sum is their count."""
    return bool(np.abs(difference).sum() == np.count_nonzero(difference))


def p_values(groups: Sequence[GroupTest], tolerance: float, level: float) -> list[FloatArray]:
    """(B,) p of each group for "the excess is at least the tolerance": then at most `level` with that probability."""
    p_of_groups = _all_at_once(
        [(group, level) for group in groups],
        lambda n, plus, minus, _: exact.p_values(n, plus, minus, tolerance, gamma_of(level)),
        lambda values, weights, _, among: betting.p_value(values, weights, tolerance, among),
    )
    return [
        np.ones_like(p)
        if group.n < group.fewest(tolerance, level)
        else np.where(np.maximum(group.by_row, group.by_recording) > tolerance + SLACK, 1.0, p)
        for group, p in zip(groups, p_of_groups, strict=True)
    ]


def bounds_of(upper: Sequence[AtLevel], lower: Sequence[AtLevel]) -> tuple[list[FloatArray], list[FloatArray]]:
    """(B,) of each group, all in one search, whose cost is mostly its number of rounds.

    Upper bounds are too low with probability at most their level, and never below what was observed; lower bounds are
    too high with probability at most theirs.
    """
    upper_bounds = _all_at_once(
        [*upper, *((_mirrored(group), level) for group, level in lower)],
        _exact_bounds,
        betting.upper_bound,
    )
    at_least_observed = [
        np.maximum(bound, np.maximum(group.by_row, group.by_recording))
        for (group, _), bound in zip(upper, upper_bounds[: len(upper)], strict=True)
    ]
    return at_least_observed, [-bound for bound in upper_bounds[len(upper) :]]


def _exact_bounds(n: IntArray, plus: IntArray, minus: IntArray, levels: FloatArray) -> FloatArray:
    return bounds.upper_bounds(n, plus, minus, levels, np.array([gamma_of(level) for level in levels.tolist()]))


def _mirrored(group: GroupTest) -> GroupTest:
    """The group, had every answer changed the other way: minus upper bounds of its excess are lower ones here."""
    return group._replace(plus=group.minus, minus=group.plus, values=-group.values)


def _all_at_once(
    groups_at_levels: Sequence[AtLevel],
    exact_test: Callable[[IntArray, IntArray, IntArray, FloatArray], FloatArray],
    bet: Callable[[FloatArray, FloatArray, float, int], float],
) -> list[FloatArray]:
    """(B,) of each group; exact tests of all groups in one call, where equal counts are computed once."""
    groups, levels = [group for group, _ in groups_at_levels], [level for _, level in groups_at_levels]
    columns_of_groups: list[FloatArray] = [np.empty(0)] * len(groups)
    among = sum(group.values.size for group in groups)  # what is bet on in all
    by_counts = [g for g, group in enumerate(groups) if group.test != "bets"]
    for g, group in enumerate(groups):
        if group.test == "bets":
            values = np.ascontiguousarray(group.values.T)
            columns_of_groups[g] = np.array([bet(column, group.weights, levels[g], among) for column in values])
    if by_counts:
        sizes = [len(groups[g].plus) for g in by_counts]
        n, level = np.repeat([groups[g].n for g in by_counts], sizes), np.repeat([levels[g] for g in by_counts], sizes)
        plus, minus = (np.concatenate([getattr(groups[g], name) for g in by_counts]) for name in ("plus", "minus"))
        columns = np.split(exact_test(n, plus, minus, level), np.cumsum(sizes)[:-1])
        for g, group_columns in zip(by_counts, columns, strict=True):
            columns_of_groups[g] = group_columns
    return columns_of_groups
