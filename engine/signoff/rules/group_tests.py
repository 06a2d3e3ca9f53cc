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
from earmark.engine.signoff.rules.judgement import Estimand, SampleUnit, Test
from earmark.engine.signoff.rules.units import Units
from earmark.kernels.statistics import betting, bounds, exact

Bound = Callable[[Sequence["GroupTest"], float], list[FloatArray]]
_SLACK = 1e-9  # of an observed excess that is compared with a tolerance


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

    @property
    def observed(self) -> FloatArray:
        """(B,) of the excess that is tested."""
        return self.by_row if self.estimand == "rows" else self.by_recording

    def fewest(self, tolerance: float, level: float) -> int:
        """The fewest units of a group that can pass: those that do if no answer changes."""
        return fewest_units(self.test, tolerance, level)


@cache
def fewest_units(test: Test, tolerance: float, level: float) -> int:
    """The fewest units with which a test passes at a level if no answer changes."""
    fewest = exact.testable_size(tolerance, level, gamma_of(level))
    return max(fewest, _fewest_recordings(tolerance, level)) if test == "bets" else fewest


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
    gamma = gamma_of(level)
    p_of_groups = _all_at_once(
        groups,
        lambda n, plus, minus: exact.p_values(n, plus, minus, tolerance, gamma),
        lambda values, weights, among: betting.p_value(values, weights, tolerance, among),
    )
    return [
        np.ones_like(p)
        if group.n < group.fewest(tolerance, level)
        else np.where(np.maximum(group.by_row, group.by_recording) > tolerance + _SLACK, 1.0, p)
        for group, p in zip(groups, p_of_groups, strict=True)
    ]


def upper_bounds(groups: Sequence[GroupTest], level: float) -> list[FloatArray]:
    """(B,) of each group: too low with probability at most `level`, and never below what was observed."""
    gamma = gamma_of(level)
    bounds_of_groups = _all_at_once(
        groups,
        lambda n, plus, minus: bounds.upper_bounds(n, plus, minus, level, gamma),
        lambda values, weights, among: betting.upper_bound(values, weights, level, among),
    )
    return [
        np.maximum(bound, np.maximum(group.by_row, group.by_recording))
        for group, bound in zip(groups, bounds_of_groups, strict=True)
    ]


def lower_bounds(groups: Sequence[GroupTest], level: float) -> list[FloatArray]:
    """(B,) of each group: too high with probability at most `level`."""
    gamma = gamma_of(level)
    return _all_at_once(
        groups,
        lambda n, plus, minus: bounds.lower_bounds(n, plus, minus, level, gamma),
        lambda values, weights, among: betting.lower_bound(values, weights, level, among),
    )


def _all_at_once(
    groups: Sequence[GroupTest],
    exact_test: Callable[[IntArray, IntArray, IntArray], FloatArray],
    bet: Callable[[FloatArray, FloatArray, int], float],
) -> list[FloatArray]:
    """(B,) of each group; exact tests of all groups in one call, where equal counts are computed once."""
    columns_of_groups: list[FloatArray] = [np.empty(0)] * len(groups)
    among = sum(group.values.size for group in groups)  # what is bet on in all
    by_counts = [g for g, group in enumerate(groups) if group.test != "bets"]
    for g, group in enumerate(groups):
        if group.test == "bets":
            values = np.ascontiguousarray(group.values.T)
            columns_of_groups[g] = np.array([bet(column, group.weights, among) for column in values])
    if by_counts:
        n = np.concatenate([np.full(len(groups[g].plus), groups[g].n) for g in by_counts])
        plus, minus = (np.concatenate([getattr(groups[g], name) for g in by_counts]) for name in ("plus", "minus"))
        ends = np.cumsum([len(groups[g].plus) for g in by_counts])
        for g, group_columns in zip(by_counts, np.split(exact_test(n, plus, minus), ends[:-1]), strict=True):
            columns_of_groups[g] = group_columns
    return columns_of_groups
