"""The certified rule: exact tests per family, all of which must pass, walked from the largest budget down.

A false certificate must pass the first unsafe budget of the walk, so its probability is at most alpha, whatever the
dependence between budgets and families. It assumes independent rows (or recordings), and families, budgets and
compressor that were not chosen on these rows. Knows counts and losses; no files.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from earmark.engine.signoff.excess import Observed
from earmark.engine.signoff.families import Families
from earmark.engine.signoff.paired import Curve, Rows
from earmark.engine.signoff.rule import RAW_ITSELF, Failure, Interval, Judgement, Rule, Verdict, gamma_of
from earmark.kernels import betting, bounds, exact

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_POWER_SCORE = 1.282  # the 90% point of the normal distribution
_POWER_MARGIN = 1.05  # STATISTICS 2: exact tests need a little more than the normal formula says


class Tests(Protocol):
    """Tests of the excess of G groups of rows at B budgets; the last group is all rows, the others are families."""

    def p(self, tolerance: float, alpha: float) -> FloatArray:
        """(G, B) of H0: the excess is at least the tolerance; at most alpha with probability at most alpha."""

    def upper(self, alpha: float) -> FloatArray:
        """(G, B) bounds that are too low with probability at most alpha."""

    def lower(self, alpha: float) -> FloatArray:
        """(G, B) bounds that are too high with probability at most alpha."""


class ExactTests(NamedTuple):
    """Exact unconditional tests for differences in {-1, 0, 1}: counts are all they need."""

    n: IntArray  # (G, 1)
    plus: IntArray  # (G, B)
    minus: IntArray  # (G, B)

    def p(self, tolerance: float, alpha: float) -> FloatArray:
        p = exact.p_values(self.n, self.plus, self.minus, tolerance, gamma_of(alpha))
        # Too few rows to pass without a changed answer: untestable, even if answers happened to improve.
        return np.where(self.n < exact.testable_size(tolerance, alpha, gamma_of(alpha)), 1.0, p)

    def upper(self, alpha: float) -> FloatArray:
        return bounds.upper_bounds(self.n, self.plus, self.minus, alpha, gamma_of(alpha))

    def lower(self, alpha: float) -> FloatArray:
        return bounds.lower_bounds(self.n, self.plus, self.minus, alpha, gamma_of(alpha))


class BettingTests(NamedTuple):
    """Betting on sums per recording: recordings may be shared by rows, differences may be any number in [-1, 1]."""

    sums: Sequence[FloatArray]  # G times (S_g, B)
    sizes: Sequence[IntArray]  # G times (S_g,)

    def p(self, tolerance: float, alpha: float) -> FloatArray:  # noqa: ARG002
        return self._each(lambda sums, sizes: betting.p_value(sums, sizes, tolerance))

    def upper(self, alpha: float) -> FloatArray:
        return self._each(lambda sums, sizes: betting.upper_bound(sums, sizes, alpha))

    def lower(self, alpha: float) -> FloatArray:
        return self._each(lambda sums, sizes: betting.lower_bound(sums, sizes, alpha))

    def _each(self, test: Callable[[FloatArray, IntArray], float]) -> FloatArray:
        return np.array(
            [
                [test(np.ascontiguousarray(column), sizes) for column in sums.T]
                for sums, sizes in zip(self.sums, self.sizes, strict=True)
            ]
        )


# Judging -----------------------------------------------------------------------------------------------------


def judge_curve(curve: Curve, rows: Rows, families: Families, observed: Observed, rule: Rule) -> Judgement:
    """Bounds of every family, and the walk over the budgets for every tolerance.

    Upper bounds hold one by one, because all of them must pass; lower bounds hold together, because one rejects.
    """
    tests = tests_of(curve, rows, families, rule)
    raw = np.array([curve.is_raw(b) for b in range(len(curve.budgets))])  # the difference is 0 there by definition
    upper = np.where(raw, 0.0, tests.upper(rule.alpha))
    lower = np.where(raw, 0.0, tests.lower(rule.alpha / len(upper)))
    point = np.vstack([observed.family, observed.average])
    by_group = [
        [Interval(*map(float, ends)) for ends in zip(*of_group, strict=True)]
        for of_group in zip(point, lower, upper, strict=True)
    ]
    worst = [
        Interval(*map(float, ends))
        for ends in zip(observed.worst, lower[:-1].max(axis=0), upper[:-1].max(axis=0), strict=True)
    ]
    verdicts, p_of = {}, {}
    failures: dict[float, Failure | None] = {}
    for tolerance in rule.tolerances:
        p = tests.p(tolerance, rule.alpha)
        if rule.average_tolerance(tolerance) != tolerance:
            p[-1] = tests.p(rule.average_tolerance(tolerance), rule.alpha)[-1]
        p = np.where(raw, 0.0, p)
        failing = first_failure(p, rule.alpha)
        verdicts[tolerance] = [
            RAW_ITSELF if raw[b] else _verdict(b, p, failing, by_group, curve, families, tolerance, rule)
            for b in range(len(curve.budgets))
        ]
        p_of[tolerance] = p[:-1].tolist()
        failures[tolerance] = None
        if failing is not None:
            failures[tolerance] = _failure(failing, p, curve, families, observed, tolerance, rule)
    return Judgement(by_group[-1], worst, by_group[:-1], verdicts, p_of, failures)


def first_failure(p: FloatArray, alpha: float) -> int | None:
    """The largest budget (an index of p (G, B)) at which some test does not pass; the walk stops there."""
    failing = np.flatnonzero((p > alpha).any(axis=0))
    return int(failing[-1]) if len(failing) else None


def needed_rows(excess: float, flips: float, tolerance: float, alpha: float) -> int | None:
    """Rows for 90% power at a true excess and share of changed answers; None where the excess is not within."""
    if excess >= tolerance:
        return None
    room = (float(ndtri(1 - alpha)) + _POWER_SCORE) / (tolerance - excess)
    return max(math.ceil(_POWER_MARGIN * room**2 * flips), exact.testable_size(tolerance, alpha, gamma_of(alpha)))


def tests_of(curve: Curve, rows: Rows, families: Families, rule: Rule) -> Tests:
    """Exact tests where rows are independent and losses are 0 or 1; else betting."""
    groups = [np.flatnonzero(families.code == f) for f in range(len(families.names))]
    groups.append(np.arange(len(families.code)))
    source = rows.source
    if rule.clustering == "one-row":
        groups = [_one_row_each(group, source, rule.seed) for group in groups]
    elif rule.clustering == "ignore":
        source = np.arange(len(source))
    independent = rule.clustering == "one-row" or len(np.unique(source)) == len(source)
    if independent and np.isin(curve.difference, (-1.0, 0.0, 1.0)).all():
        return ExactTests(
            np.array([[len(group)] for group in groups]),
            np.array([(curve.difference[group] > 0).sum(axis=0) for group in groups]),
            np.array([(curve.difference[group] < 0).sum(axis=0) for group in groups]),
        )
    recordings = [np.unique(source[group], return_inverse=True)[1] for group in groups]
    return BettingTests(
        [
            np.stack([np.bincount(recording, weights=column) for column in curve.difference[group].T], axis=1)
            for group, recording in zip(groups, recordings, strict=True)
        ],
        [np.bincount(recording) for recording in recordings],
    )


def _one_row_each(group: IntArray, source: IntArray, seed: int) -> IntArray:
    """One row of each recording in the group, by a draw that looks at nothing but the seed."""
    shuffled = np.random.default_rng(seed).permutation(group)
    return shuffled[np.unique(source[shuffled], return_index=True)[1]]


# Words -------------------------------------------------------------------------------------------------------


def _verdict(
    b: int,
    p: FloatArray,
    failing: int | None,
    intervals: list[list[Interval]],
    curve: Curve,
    families: Families,
    tolerance: float,
    rule: Rule,
) -> Verdict:
    at_budget, adjusted = float(p[:, b].max()), float(p[:, b:].max())
    if failing is None or b > failing:
        reach = max(intervals[f][b].upper for f in range(len(families.names)))
        reason = (
            f"every test passes here and at every larger budget (p = {adjusted:.2g}, largest upper bound {reach:.4f})"
        )
        return Verdict("approve", reason, at_budget, adjusted)
    for g, of_group in enumerate(intervals):
        limit = rule.average_tolerance(tolerance) if g == len(intervals) - 1 else tolerance
        if of_group[b].lower > limit:
            reason = f"{_name(g, families)} is above {limit:g} (lower bound {of_group[b].lower:.4f})"
            return Verdict("reject", reason, at_budget, adjusted)
    if at_budget <= rule.alpha:
        reason = f"passes by itself, but the walk from the largest budget stopped at {curve.budgets[failing]:g}"
        return Verdict("inconclusive", reason, at_budget, adjusted)
    g = int(p[:, b].argmax())
    return Verdict("inconclusive", _doubt(g, intervals[g][b], p[g, b], families, tolerance, rule), at_budget, adjusted)


def _doubt(g: int, interval: Interval, p: float, families: Families, tolerance: float, rule: Rule) -> str:
    if g < len(families.names):
        fewest = exact.testable_size(tolerance, rule.alpha, rule.gamma)
        if families.size[g] < fewest:
            return f"{_name(g, families)} has {families.size[g]} rows; {fewest} are needed even if no answer changes"
    else:
        tolerance = rule.average_tolerance(tolerance)
    return f"{_name(g, families)} may be above {tolerance:g} (upper bound {interval.upper:.4f}, p = {p:.2g})"


def _name(g: int, families: Families) -> str:
    return f"'{families.names[g]}'" if g < len(families.names) else "the average"


def _failure(
    b: int, p: FloatArray, curve: Curve, families: Families, observed: Observed, tolerance: float, rule: Rule
) -> Failure:
    g = int(p[:, b].argmax())
    if g < len(families.names):
        name, n = families.names[g], int(families.size[g])
        plus, minus = int(observed.plus[g, b]), int(observed.minus[g, b])
        excess, limit = float(observed.family[g, b]), tolerance
    else:
        name, n = None, len(families.code)
        plus, minus = int(observed.plus[:, b].sum()), int(observed.minus[:, b].sum())
        excess, limit = float(observed.average[b]), rule.average_tolerance(tolerance)
    needed = needed_rows(excess, (plus + minus) / n, limit, rule.alpha)
    return Failure(float(curve.budgets[b]), name, n, plus, minus, float(p[g, b]), needed)
