"""The certified rule: tests per family, all of which must pass, walked from the largest budget down.

A false certificate must pass the first unsafe budget of the walk, so its probability is at most the level of the
tests, whatever the dependence between budgets and families. It assumes independent rows (or recordings), and families,
budgets and compressor that were not chosen on these rows. A declared budget without outcomes ends the walk: what is
left out could be the unsafe one. Knows tests and families; no files.
"""

from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from earmark.engine.arrays import BoolArray, FloatArray
from earmark.engine.design.rule import Rule
from earmark.engine.signoff import power
from earmark.engine.signoff.excess import Observed
from earmark.engine.signoff.families import Families
from earmark.engine.signoff.pair import Curve, CurveKey, Rows
from earmark.engine.signoff.rules import group_tests, routing
from earmark.engine.signoff.rules.group_tests import GroupTest
from earmark.engine.signoff.rules.judgement import RAW_ITSELF, Failure, Interval, Judgement, Policy, Verdict
from earmark.engine.signoff.rules.routing import AlphaShares
from earmark.engine.signoff.rules.spending import Levels
from earmark.engine.signoff.rules.units import units_of

Subject = tuple[CurveKey, str]  # a curve under a partition
Key = TypeVar("Key", bound=Hashable)


class Routed(NamedTuple):
    """Tests of F families at B budgets, each at its share of alpha."""

    shares: AlphaShares
    p: FloatArray  # (F, B)


class Tested(NamedTuple):
    """What the tests say of G groups of rows at B budgets: the families, and then all rows."""

    groups: Sequence[GroupTest]
    p: Mapping[float, FloatArray]  # (G, B) by tolerance, of the arm's own verdict; 0 for an average that is implied
    lower: FloatArray  # (G, B) too high with probability at most alpha, all of those that may reject together
    upper: FloatArray  # (G, B) each too low with probability at most alpha
    routed: Mapping[float, Routed]  # by tolerance, of the arm's own policy
    claimed: FloatArray | None  # (G, B) at the first tolerance and the claim's level; None: no part of the claim
    claimed_routing: Routed | None
    looked: Mapping[float, Sequence[GroupTest]] | None = None  # by tolerance, what a walk saw; None: it saw all
    seen: FloatArray | None = None  # (n, B) the differences that estimates are of, NaN elsewhere; None: all

    def groups_at(self, tolerance: float) -> Sequence[GroupTest]:
        """The groups as far as the tests of a budget at a tolerance looked at them."""
        return self.groups if self.looked is None else self.looked.get(tolerance, self.groups)


class Walk(NamedTuple):
    """The tests of G groups at B budgets, and how far they pass from the largest budget down."""

    groups: Sequence[GroupTest]  # the families, and then all rows
    budgets: FloatArray  # (B,)
    p: FloatArray  # (G, B), 0 where a budget is the raw audio itself
    tolerance: float
    level: float
    passes: BoolArray  # (B,) this budget and every larger one
    stopped: int | None  # the index of the budget whose tests fail
    missing: float | None  # or the budget that was declared and has no cell

    @property
    def stop(self) -> float:
        """The budget at which the walk stopped."""
        assert self.missing is not None or self.stopped is not None, "it stopped"
        return float(self.budgets[self.stopped]) if self.missing is None else self.missing

    @property
    def smallest(self) -> float | None:
        """The smallest budget that passes with all larger ones; None where not even the largest does."""
        return min(self.budgets[self.passes].tolist(), default=None)


# Testing -----------------------------------------------------------------------------------------------------


def run_tests(
    curves: Sequence[Curve],
    rows: Rows,
    families_of: Mapping[str, Families],
    rule: Rule,
    levels: Levels,
    claimed: Collection[CurveKey] = (),
    claimed_partition: str | None = None,
) -> dict[Subject, Tested]:
    """The tests and bounds of every curve under every partition.

    `claimed` are the curves that the one guarantee is about, `claimed_partition` the one by whose families it routes.
    Upper bounds hold one by one, because all of them must pass; lower bounds hold together, because one rejects.
    """
    subjects = groups_of(curves, rows, families_of, rule)
    upper, lower = _bounds(subjects, families_of, rule, levels.look)
    p = {t: p_values(subjects, t, levels.look, rule) for t in rule.tolerances}
    routed_tests = {t: routed(subjects, t, levels.look) for t in rule.tolerances}
    first = rule.tolerances[0]
    claimed_subjects = {subject: groups for subject, groups in subjects.items() if subject[0] in claimed}
    claimed_p = p_values(claimed_subjects, first, levels.budget, rule) if levels.budget is not None else {}
    to_route = {subject: groups for subject, groups in claimed_subjects.items() if subject[1] == claimed_partition}
    claimed_routing = routed(to_route, first, levels.routing)
    tested = {
        subject: Tested(
            groups,
            {t: p[t][subject] for t in rule.tolerances},
            lower[subject],
            upper[subject],
            {t: routed_tests[t][subject] for t in rule.tolerances},
            claimed_p.get(subject),
            claimed_routing.get(subject),
        )
        for subject, groups in subjects.items()
    }
    by_key = {curve.key: curve for curve in curves}
    power.search_rows(
        [
            rates
            for (key, name), tests in tested.items()
            for rates in _rates_of_stops(by_key[key], families_of[name], tests, rule, levels)
        ]
    )
    return tested


def groups_of(
    curves: Sequence[Curve], rows: Rows, families_of: Mapping[str, Families], rule: Rule
) -> dict[Subject, list[GroupTest]]:
    """The families of every curve under every partition, and then all rows, each with the test that its names allow."""
    everyone = np.arange(len(rows.source))
    subjects: dict[Subject, list[GroupTest]] = {}
    for name, families in families_of.items():
        units = [units_of(group, rows.source, rows.place, rule) for group in (*families.members, everyone)]
        for curve in curves:
            subjects[curve.key, name] = [group_tests.group_test(group_units, curve.difference) for group_units in units]
    return subjects


def _bounds(
    subjects: Mapping[Subject, Sequence[GroupTest]], families_of: Mapping[str, Families], rule: Rule, level: float
) -> tuple[dict[Subject, FloatArray], dict[Subject, FloatArray]]:
    """The upper and the lower bounds (G, B) of every subject."""
    n_rejecting = {
        name: len(families.names) + any(map(rule.tests_average, rule.tolerances))
        for name, families in families_of.items()
    }
    upper = [(group, level) for groups in subjects.values() for group in groups]
    lower = [(group, level / n_rejecting[name]) for (_, name), groups in subjects.items() for group in groups]
    of_upper, of_lower = group_tests.bounds_of(upper, lower)
    return _by_subject(subjects, of_upper), _by_subject(subjects, of_lower)


def _by_subject(subjects: Mapping[Key, Sequence[GroupTest]], columns: Iterable[FloatArray]) -> dict[Key, FloatArray]:
    """(G, B) of every subject, from (B,) of one group after the other."""
    columns = iter(columns)
    return {subject: np.stack([next(columns) for _ in groups]) for subject, groups in subjects.items()}


def _p_at(subjects: Mapping[Key, Sequence[GroupTest]], tolerance: float, level: float) -> dict[Key, FloatArray]:
    """(G, B) of every subject; all groups at once, because equal counts recur at other seeds and are computed once."""
    every = [group for groups in subjects.values() for group in groups]
    return _by_subject(subjects, group_tests.p_values(every, tolerance, level))


def p_values(
    subjects: Mapping[Key, list[GroupTest]], tolerance: float, level: float, rule: Rule
) -> dict[Key, FloatArray]:
    """(G, B) of every subject; the average at its own tolerance, or 0 where its families imply it."""
    families = {subject: groups[:-1] for subject, groups in subjects.items()}
    family_p = _p_at(families, tolerance, level)
    average_p = {subject: np.zeros((1, p.shape[1])) for subject, p in family_p.items()}
    if rule.tests_average(tolerance):
        everyone = {subject: groups[-1:] for subject, groups in subjects.items()}
        average_p = _p_at(everyone, rule.average_tolerance(tolerance), level)
    return {subject: np.concatenate([p, average_p[subject]]) for subject, p in family_p.items()}


def routed(subjects: Mapping[Key, list[GroupTest]], tolerance: float, level: float) -> dict[Key, Routed]:
    """The tests of every subject's families, each at its share of a level."""
    split = {subject: _shares(groups[:-1], tolerance, level) for subject, groups in subjects.items()}
    routed_tests: dict[Key, Routed] = {}
    for share in dict.fromkeys(shares.each for shares in split.values()):  # subjects of one share are tested at once
        families = {subject: groups[:-1] for subject, groups in subjects.items() if split[subject].each == share}
        routed_tests |= {subject: Routed(split[subject], p) for subject, p in _p_at(families, tolerance, share).items()}
    return routed_tests


def _shares(families: Sequence[GroupTest], tolerance: float, level: float) -> AlphaShares:
    """How a level is split among families, by what each needs to pass."""

    def fewest(f: int, share: float) -> int:
        return families[f].fewest(tolerance, share)

    return routing.shares(level, [family.n for family in families], fewest)


# Judging -----------------------------------------------------------------------------------------------------


def walk_down(p: FloatArray, groups: Sequence[GroupTest], curve: Curve, tolerance: float, level: float) -> Walk:
    """Walk from the largest budget to the first at which some test fails, or that has no cell; p (G, B)."""
    budgets, missing = curve.budgets, max(curve.missing, default=None)
    p = np.where(is_raw(curve), 0.0, p)  # nothing was compared there: it passes by definition
    failing = np.flatnonzero((p > level).any(axis=0))
    stopped = int(failing[-1]) if len(failing) else None
    if missing is not None and (stopped is None or missing > budgets[stopped]):
        return Walk(groups, budgets, p, tolerance, level, budgets > missing, None, missing)
    passes = np.arange(len(budgets)) > (-1 if stopped is None else stopped)
    return Walk(groups, budgets, p, tolerance, level, passes, stopped, None)


def judge_curve(
    curve: Curve, families: Families, observed: Observed, tested: Tested, rule: Rule, level: float
) -> Judgement:
    """What the rule says of a curve: bounds of every family, and verdicts from a walk for every tolerance.

    `level` is that of its own verdict.
    """
    raw = is_raw(curve)  # the difference is 0 there by definition
    upper, lower = np.where(raw, 0.0, tested.upper), np.where(raw, 0.0, tested.lower)
    average = tested.groups[-1]
    looked = False if average.asked is None else average.asked > 0
    point = np.vstack([observed.family, np.where(looked, average.by_row, observed.average)])
    by_group = [
        [Interval(*ends) for ends in zip(*columns, strict=True)]
        for columns in zip(point.tolist(), lower.tolist(), upper.tolist(), strict=True)
    ]
    worst = [
        Interval(*map(float, ends))
        for ends in zip(observed.worst, lower[:-1].max(axis=0), upper[:-1].max(axis=0), strict=True)
    ]
    verdicts, p_of, policies = {}, {}, []
    failures: dict[float, Failure | None] = {}
    kept = mean_kept(curve, families)
    for tolerance in rule.tolerances:
        walk = walk_down(tested.p[tolerance], tested.groups_at(tolerance), curve, tolerance, level)
        verdicts[tolerance] = [
            RAW_ITSELF if raw[b] else _verdict(b, walk, by_group, families, rule) for b in range(len(curve.budgets))
        ]
        p_of[tolerance] = walk.p[:-1].tolist()
        failures[tolerance] = failure(walk, families, observed, rule)
        if len(families.names) > 1 and tolerance in tested.routed:
            policies.append(policy(curve, families, tested.routed[tolerance], kept, tolerance))
    return Judgement(by_group[-1], worst, by_group[:-1], verdicts, p_of, failures, policies, tested.groups, level)


def is_raw(curve: Curve) -> BoolArray:
    """(B,) which budgets are the reference itself."""
    return np.array([curve.is_raw(b) for b in range(len(curve.budgets))])


def policy(curve: Curve, families: Families, routed: Routed, kept: FloatArray, tolerance: float) -> Policy:
    """The budget of every family; none that is below a declared one without outcomes."""
    reachable = curve.budgets > max(curve.missing, default=0.0)
    p = np.where(is_raw(curve), 0.0, np.where(reachable, routed.p, 1.0))
    return routing.policy(p, curve.budgets.tolist(), kept, families, tolerance, routed.shares)


def mean_kept(curve: Curve, families: Families) -> FloatArray:
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


def failure(walk: Walk, families: Families, observed: Observed, rule: Rule) -> Failure | None:
    """Where a walk stopped, and how many units like these would have been enough; None where it went to the end."""
    if walk.missing is not None:
        return absent(walk.missing)
    if walk.stopped is None:
        return None
    b = walk.stopped
    g = _binding(walk, b)
    group, p = walk.groups[g], float(walk.p[g, b])
    is_family = g < len(families.names)
    plus, minus = (counts[g, b] if is_family else counts[:, b].sum() for counts in (observed.plus, observed.minus))
    if group.asked is not None and group.test != "bets":
        plus, minus = group.plus[b], group.minus[b]
    undecided = group.asked is not None and not _ended(walk, b)
    return Failure(
        budget=walk.stop,
        family=families.names[g] if is_family else None,
        n=int(families.size[g]) if is_family else len(families.code),
        plus=int(plus),
        minus=int(minus),
        p=p,
        units=group.n if group.asked is None else int(group.asked[b]),
        unit=group.unit,
        needed=None if undecided else _needed(group, b, _limit(g, walk, families, rule), walk.level),
        reason=_doubt(g, b, walk, families, rule),
        undecided=undecided,
    )


def _rates_of_stops(
    curve: Curve, families: Families, tested: Tested, rule: Rule, levels: Levels
) -> Iterator[power.Rates]:
    """What was observed where the walks of a curve stop, of exact tests."""
    walks = [walk_down(p, tested.groups, curve, tolerance, levels.look) for tolerance, p in tested.p.items()]
    if tested.claimed is not None and levels.budget is not None:
        walks.append(walk_down(tested.claimed, tested.groups, curve, rule.tolerances[0], levels.budget))
    for walk in walks:
        if walk.missing is None and walk.stopped is not None:
            g = _binding(walk, walk.stopped)
            if walk.groups[g].test != "bets":
                limit = _limit(g, walk, families, rule)
                yield power.rates_of(walk.groups[g], walk.stopped, limit, walk.level)


def _needed(group: GroupTest, b: int, limit: float, level: float) -> int | None:
    """How many units like those that were seen would have been enough; None where no number would, or bets stopped."""
    if group.asked is None:
        return power.needed(group, b, limit, level)
    if group.test == "bets" or not group.asked[b]:
        return None
    return power.needed(group._replace(n=int(group.asked[b]), asked=None, states=()), b, limit, level)


def _binding(walk: Walk, b: int) -> int:
    """The group that is furthest from passing at a budget; among equal p the one with the largest observed excess.

    Where a walk stopped because one did not pass, it is that one, not one that was not looked at any more.
    """
    looked_at = [g for g, group in enumerate(walk.groups) if group.asked is not None and group.asked[b]]
    return max(
        _ended(walk, b) or looked_at or range(len(walk.groups)),
        key=lambda g: (walk.p[g, b], float(walk.groups[g].observed[b])),
    )


def _ended(walk: Walk, b: int) -> list[int]:
    """The groups that ended a walk at a budget, where it stops when it is decided."""
    return [g for g, group in enumerate(walk.groups) if group.states and group.states[b] in ("failed", "given up")]


def _limit(g: int, walk: Walk, families: Families, rule: Rule) -> float:
    """The tolerance of a group: the average, which is the last group, may have one of its own."""
    return walk.tolerance if g < len(families.names) else rule.average_tolerance(walk.tolerance)


def absent(budget: float, whose: str | None = None) -> Failure:
    """The failure of a walk that stops where nothing was evaluated.

    The budget was declared, or it is one that other seeds have and `whose` seed lacks.
    """
    reason = f"{whose} has no outcomes there" if whose else f"budget {budget:g} was declared and has no outcomes"
    return Failure(budget, None, 0, 0, 0, 1.0, 0, "rows", None, reason, missing=True)


# Words -------------------------------------------------------------------------------------------------------


def _verdict(b: int, walk: Walk, intervals: list[list[Interval]], families: Families, rule: Rule) -> Verdict:
    """The decision at budget b, and why; `intervals` are by group and budget."""
    at_budget, adjusted = float(walk.p[:, b].max()), float(walk.p[:, b:].max())
    if walk.missing is not None and walk.budgets[b] < walk.missing:
        adjusted = 1.0  # a budget on the way has no outcomes
    if not _was_walked(walk, b):
        stop = f"at {walk.stop:g}" if walk.stopped is not None or walk.missing is not None else "above it"
        reason = f"was not looked at: the walk from the largest budget stopped {stop}"
        return Verdict("inconclusive", reason, at_budget, adjusted)
    if walk.passes[b]:
        reach = max(intervals[f][b].upper for f in range(len(families.names)))
        reason = (
            f"every test passes here and at every larger budget (p = {adjusted:.2g}, largest upper bound {reach:.4f})"
        )
        return Verdict("approve", reason, at_budget, adjusted)
    for g, group_intervals in enumerate(intervals):
        if g == len(families.names) and not rule.tests_average(walk.tolerance):
            continue
        limit = _limit(g, walk, families, rule)
        if group_intervals[b].lower > limit:
            reason = f"{_name(g, families)} is above {limit:g} (lower bound {group_intervals[b].lower:.4f})"
            return Verdict("reject", reason, at_budget, adjusted)
    if at_budget <= walk.level:
        reason = f"passes by itself, but the walk from the largest budget stopped at {walk.stop:g}"
        if walk.missing is not None:
            reason += ", which was declared and has no outcomes"
        return Verdict("inconclusive", reason, at_budget, adjusted)
    g = _binding(walk, b)
    reason = f"{_doubt(g, b, walk, families, rule)}, upper bound {intervals[g][b].upper:.4f}"
    return Verdict("inconclusive", reason, at_budget, adjusted)


def _was_walked(walk: Walk, b: int) -> bool:
    """Whether anything was looked at where a walk stops when it is decided; elsewhere everything is."""
    return any(group.was_tested(b) for group in walk.groups[:-1])


def _doubt(g: int, b: int, walk: Walk, families: Families, rule: Rule) -> str:
    """Why a group of rows does not pass at budget b."""
    name, group, limit = _name(g, families), walk.groups[g], _limit(g, walk, families, rule)
    fewest = group.fewest(limit, walk.level)
    if group.n < fewest:
        return f"{name} has {group.n} {group.unit}; {fewest} are needed even if no answer changes"
    if group.states and group.asked is not None:
        seen = f"{int(group.asked[b]):,} of {group.n:,} {group.unit}"
        if group.states[b] == "given up":
            return f"{name} was given up after {seen}: it would hardly have passed with all of them"
        if group.states[b] in ("passed", "passed early"):
            return f"{name} was looked at for its own routing: one budget for all families was not claimed"
        if group.states[b] != "failed":
            why = "another family had ended the walk" if _ended(walk, b) else "the answers end there"
            return f"{name} was not decided after {seen}: {why}"
    excess = max(float(group.by_row[b]), float(group.by_recording[b]))
    if excess > limit:
        return f"the excess of {name} that was seen is {excess:.4f}, above {limit:g}"
    return f"{name} may be above {limit:g}: p = {walk.p[g, b]:.2g} at level {walk.level:.2g}"


def _name(g: int, families: Families) -> str:
    """What a group is called in a sentence."""
    return f"'{families.names[g]}'" if g < len(families.names) else "the average"
