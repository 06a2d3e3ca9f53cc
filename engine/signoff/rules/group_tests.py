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
from earmark.engine.signoff.rules.units import Estimand, Test, Unit, Units
from earmark.kernels.statistics import betting, bounds, exact

Bound = Callable[[Sequence["GroupTest"], float], list[FloatArray]]
_SLACK = 1e-9  # of an observed excess that is compared with a tolerance


class GroupTest(NamedTuple):
    """A group of n units and what happened to it at B budgets."""

    test: Test
    estimand: Estimand
    n: int
    unit: Unit
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
        """A smaller group cannot pass, even if no answer changes."""
        return fewest_units(self.test, tolerance, level)


def fewest_units(test: Test, tolerance: float, level: float) -> int:
    """The fewest units with which a test passes at a level if no answer changes."""
    fewest = exact.testable_size(tolerance, level, gamma_of(level))
    return max(fewest, _fewest_recordings(tolerance, level)) if test == "bets" else fewest


def fewest_rows(rule: Rule, tolerance: float) -> int:
    """A family with fewer rows is not judged at this tolerance."""
    if rule.name == "paper":
        return PAPER_MIN_FAMILY if rule.min_family is None else rule.min_family
    return exact.testable_size(tolerance, rule.look_alpha, rule.gamma)


def family_minimum(rule: Rule) -> int:
    """Families with fewer rows join their declared parent."""
    return fewest_rows(rule, min(rule.tolerances)) if rule.min_family is None else rule.min_family


@cache
def _fewest_recordings(tolerance: float, level: float) -> int:
    return betting.testable_recordings(tolerance, level)


def group_test(units: Units, difference: FloatArray) -> GroupTest:
    """The test of a group, from the paired differences (all rows, B)."""
    of_rows = difference[units.rows]
    alone = units.n == len(units.rows)
    unit: Unit = "rows" if alone else "recordings"
    sums, drawn, sizes = of_rows, of_rows, np.ones(units.n)
    if not alone:
        sizes = np.bincount(units.recording).astype(np.float64)
        firsts = (np.cumsum(sizes) - sizes).astype(np.int64)
        sums, drawn = np.add.reduceat(of_rows, firsts, axis=0), of_rows[firsts]
    means = sums / sizes[:, None] if not alone else of_rows
    by_row = of_rows.mean(axis=0)
    by_recording = means.mean(axis=0) if not alone else by_row
    about = units.estimand, units.n, unit, by_row, by_recording
    if units.test != "bets" and _are_whole(of_rows):
        counts = np.count_nonzero(drawn > 0, axis=0), np.count_nonzero(drawn < 0, axis=0)
        return GroupTest(units.test, *about, *counts, np.empty((0, difference.shape[1])), np.empty(0))
    values, weights = means, np.ones(units.n)
    if units.most_rows is not None:
        values, weights = sums / units.most_rows, sizes / units.most_rows
    none = np.empty(0, dtype=np.int64)
    return GroupTest("bets", *about, none, none, values, weights)


def _are_whole(difference: FloatArray) -> bool:
    """Whether all of these, which lie in [-1, 1], are -1, 0 or 1."""
    return bool(np.abs(difference).sum() == np.count_nonzero(difference))


def p_values(groups: Sequence[GroupTest], tolerance: float, level: float) -> list[FloatArray]:
    """(B,) of each: H0 is "the excess is at least the tolerance"; below `level` with probability at most `level`."""
    gamma = gamma_of(level)
    found = _all_at_once(
        groups,
        lambda n, plus, minus: exact.p_values(n, plus, minus, tolerance, gamma),
        lambda values, weights: betting.p_value(values, weights, tolerance),
    )
    return [
        np.ones_like(p)
        if group.n < group.fewest(tolerance, level)
        else np.where(np.maximum(group.by_row, group.by_recording) > tolerance + _SLACK, 1.0, p)
        for group, p in zip(groups, found, strict=True)
    ]


def upper_bounds(groups: Sequence[GroupTest], level: float) -> list[FloatArray]:
    """(B,) of each: too low with probability at most `level`, and never below what was observed."""
    gamma = gamma_of(level)
    found = _all_at_once(
        groups,
        lambda n, plus, minus: bounds.upper_bounds(n, plus, minus, level, gamma),
        lambda values, weights: betting.upper_bound(values, weights, level),
    )
    return [
        np.maximum(of, np.maximum(group.by_row, group.by_recording)) for group, of in zip(groups, found, strict=True)
    ]


def lower_bounds(groups: Sequence[GroupTest], level: float) -> list[FloatArray]:
    """(B,) of each: too high with probability at most `level`."""
    gamma = gamma_of(level)
    return _all_at_once(
        groups,
        lambda n, plus, minus: bounds.lower_bounds(n, plus, minus, level, gamma),
        lambda values, weights: betting.lower_bound(values, weights, level),
    )


def _all_at_once(
    groups: Sequence[GroupTest],
    of_counts: Callable[[IntArray, IntArray, IntArray], FloatArray],
    of_bets: Callable[[FloatArray, FloatArray], float],
) -> list[FloatArray]:
    """(B,) of each group; exact ones as if they were one, because the same counts come up again and again."""
    found: list[FloatArray] = [np.empty(0)] * len(groups)
    by_counts = [g for g, group in enumerate(groups) if group.test != "bets"]
    for g, group in enumerate(groups):
        if group.test == "bets":
            columns = np.ascontiguousarray(group.values.T)
            found[g] = np.array([of_bets(column, group.weights) for column in columns])
    if by_counts:
        n = np.concatenate([np.full(len(groups[g].plus), groups[g].n) for g in by_counts])
        plus, minus = (np.concatenate([getattr(groups[g], name) for g in by_counts]) for name in ("plus", "minus"))
        ends = np.cumsum([len(groups[g].plus) for g in by_counts])
        for g, of_group in zip(by_counts, np.split(of_counts(n, plus, minus), ends[:-1]), strict=True):
            found[g] = of_group
    return found
