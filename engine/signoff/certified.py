"""The certified rule: exact tests per family, all of which must pass, walked from the largest budget down.

A false certificate must pass the first unsafe budget of the walk, so its probability is at most alpha, whatever the
dependence between budgets and families. It assumes independent rows (or recordings), and families, budgets and
compressor that were not chosen on these rows. Knows counts and losses; no files.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from earmark.engine.signoff import routing
from earmark.engine.signoff.excess import Observed
from earmark.engine.signoff.families import Families
from earmark.engine.signoff.paired import Curve, CurveKey, Rows
from earmark.engine.signoff.rule import RAW_ITSELF, Failure, Interval, Judgement, Rule, Verdict, gamma_of
from earmark.kernels import betting, bounds, exact

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Subject = tuple[CurveKey, str]  # a curve under a partition

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


class Tested(NamedTuple):
    """What the tests say of G groups of rows at B budgets; the last group is all rows, the others are families."""

    p: Mapping[float, FloatArray]  # (G, B) by tolerance; of the average, at its own tolerance
    lower: FloatArray  # (G, B) too high with probability at most alpha / G
    upper: FloatArray  # (G, B) too low with probability at most alpha
    routing: Mapping[float, FloatArray]  # (G - 1, B) of the families by tolerance, at each one's share of alpha


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


def tested(
    curves: Sequence[Curve],
    rows: Rows,
    families_of: Mapping[str, Families],
    observed: Mapping[Subject, Observed],
    rule: Rule,
) -> dict[Subject, Tested]:
    """The tests and bounds of every curve under every partition.

    Upper bounds hold one by one, because all of them must pass; lower bounds hold together, because one rejects.
    """
    tests = {
        (curve.key, name): tests_of(curve, rows, families, observed[curve.key, name], rule)
        for curve in curves
        for name, families in families_of.items()
    }
    upper = _all_at_once(tests, lambda of: of.upper(rule.alpha))
    lower: dict[Subject, FloatArray] = {}
    split: dict[float, dict[Subject, FloatArray]] = {tolerance: {} for tolerance in rule.tolerances}
    for name, families in families_of.items():
        of_partition = {subject: of for subject, of in tests.items() if subject[1] == name}
        lower |= _all_at_once(of_partition, _lower_at(rule.alpha / (len(families.names) + 1)))
        for tolerance, of_tolerance in split.items():
            of_tolerance |= _all_at_once(of_partition, _p_at(tolerance, routing.split(rule.alpha, families)))
    p = {
        tolerance: _all_at_once(tests, _p_at(tolerance, rule.alpha))
        for tolerance in {*rule.tolerances, *map(rule.average_tolerance, rule.tolerances)}
    }
    return {
        subject: Tested(
            {t: np.vstack([p[t][subject][:-1], p[rule.average_tolerance(t)][subject][-1:]]) for t in rule.tolerances},
            lower[subject],
            upper[subject],
            {t: split[t][subject][:-1] for t in rule.tolerances},
        )
        for subject in tests
    }


def _lower_at(alpha: float) -> Callable[[Tests], FloatArray]:
    return lambda of: of.lower(alpha)


def _p_at(tolerance: float, alpha: float) -> Callable[[Tests], FloatArray]:
    return lambda of: of.p(tolerance, alpha)


def _all_at_once(tests: Mapping[Subject, Tests], evaluate: Callable[[Tests], FloatArray]) -> dict[Subject, FloatArray]:
    """Evaluate tests; exact ones as if they were one, because counts come up again at other seeds and partitions."""
    found = {subject: evaluate(of) for subject, of in tests.items() if not isinstance(of, ExactTests)}
    counts = {
        subject: np.stack(np.broadcast_arrays(*of)) for subject, of in tests.items() if isinstance(of, ExactTests)
    }
    if counts:
        n, plus, minus = np.concatenate([of.reshape(3, -1) for of in counts.values()], axis=1)
        ends = np.cumsum([of[0].size for of in counts.values()])
        pieces = np.split(evaluate(ExactTests(n, plus, minus)), ends[:-1])
        found |= {
            subject: piece.reshape(of[0].shape) for (subject, of), piece in zip(counts.items(), pieces, strict=True)
        }
    return found


def judge_curve(curve: Curve, families: Families, observed: Observed, found: Tested, rule: Rule) -> Judgement:
    """Bounds of every family, and the walk over the budgets for every tolerance."""
    raw = np.array([curve.is_raw(b) for b in range(len(curve.budgets))])  # the difference is 0 there by definition
    upper, lower = np.where(raw, 0.0, found.upper), np.where(raw, 0.0, found.lower)
    point = np.vstack([observed.family, observed.average])
    by_group = [
        [Interval(*ends) for ends in zip(*of_group, strict=True)]
        for of_group in zip(point.tolist(), lower.tolist(), upper.tolist(), strict=True)
    ]
    worst = [
        Interval(*map(float, ends))
        for ends in zip(observed.worst, lower[:-1].max(axis=0), upper[:-1].max(axis=0), strict=True)
    ]
    verdicts, p_of, policies = {}, {}, []
    failures: dict[float, Failure | None] = {}
    for tolerance in rule.tolerances:
        p = np.where(raw, 0.0, found.p[tolerance])
        failing = first_failure(p, rule.alpha)
        verdicts[tolerance] = [
            RAW_ITSELF if raw[b] else _verdict(b, p, failing, by_group, curve, families, tolerance, rule)
            for b in range(len(curve.budgets))
        ]
        p_of[tolerance] = p[:-1].tolist()
        failures[tolerance] = None
        if failing is not None:
            failures[tolerance] = _failure(failing, p, curve, families, observed, tolerance, rule)
        if len(families.names) > 1:
            split = np.where(raw, 0.0, found.routing[tolerance])
            kept = _kept(curve, families)
            policies.append(routing.policy(split, curve.budgets.tolist(), kept, families, tolerance, rule.alpha))
    return Judgement(by_group[-1], worst, by_group[:-1], verdicts, p_of, failures, policies)


def _kept(curve: Curve, families: Families) -> FloatArray:
    """(F, B) mean share of a clip's chunks that was kept; the budget itself where that is not known."""
    shares = [curve.kept_share(b) for b in range(len(curve.budgets))]
    return np.stack(
        [
            np.full(len(families.size), budget)
            if share is None
            else np.bincount(families.code, weights=share, minlength=len(families.size)) / families.size
            for budget, share in zip(curve.budgets, shares, strict=True)
        ],
        axis=1,
    )


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


def tests_of(curve: Curve, rows: Rows, families: Families, observed: Observed, rule: Rule) -> Tests:
    """Exact tests where rows are independent and losses are 0 or 1; else betting."""
    source = np.arange(len(rows.source)) if rule.clustering == "ignore" else rows.source
    zero_one = np.array_equal(curve.difference, np.sign(curve.difference))
    if zero_one and (rule.clustering == "ignore" or rows.n_sources == len(source)):
        size, plus, minus = families.size[:, None], observed.plus, observed.minus
        return ExactTests(*(np.concatenate([of, of.sum(axis=0, keepdims=True)]) for of in (size, plus, minus)))
    groups = [np.flatnonzero(families.code == f) for f in range(len(families.names))]
    groups.append(np.arange(len(families.code)))
    if rule.clustering == "one-row":
        groups = [_one_row_each(group, source, rule.seed) for group in groups]
        if zero_one:
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
