"""The certified rule: tests per family, all of which must pass, walked from the largest budget down.

A false certificate must pass the first unsafe budget of the walk, so its probability is at most the level of the
tests, whatever the dependence between budgets and families. It assumes independent rows (or recordings), and families,
budgets and compressor that were not chosen on these rows. A declared budget without outcomes ends the walk: what is
left out could be the unsafe one. Knows tests and families; no files.
"""

from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from earmark.engine.arrays import FloatArray
from earmark.engine.design.rule import Rule
from earmark.engine.signoff import power
from earmark.engine.signoff.excess import Observed
from earmark.engine.signoff.families import Families
from earmark.engine.signoff.pair import Curve, CurveKey, Rows
from earmark.engine.signoff.rules import group_tests, routing
from earmark.engine.signoff.rules.group_tests import GroupTest
from earmark.engine.signoff.rules.judgement import RAW_ITSELF, Failure, Interval, Judgement, Policy, Verdict
from earmark.engine.signoff.rules.routing import AlphaShares
from earmark.engine.signoff.rules.units import units_of

Subject = tuple[CurveKey, str]  # a curve under a partition
Key = TypeVar("Key", bound=Hashable)


class Levels(NamedTuple):
    """What a test may spend: for an arm's own verdict, and for its part in the one guarantee."""

    look: float
    budget: float | None  # None: no budget is claimed
    routing: float  # or would be, if it were claimed


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


class Walk(NamedTuple):
    """How far the budgets pass, from the largest down."""

    passes: npt.NDArray[np.bool_]  # (B,) this budget and every larger one
    stopped: int | None  # at this budget, whose tests fail
    missing: float | None  # or at this one, which was declared and has no cell


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
    upper = _each(group_tests.upper_bounds, subjects, levels.look)
    lower: dict[Subject, FloatArray] = {}
    for name, families in families_of.items():
        rejecting = len(families.names) + any(map(rule.tests_average, rule.tolerances))
        of_partition = {subject: groups for subject, groups in subjects.items() if subject[1] == name}
        lower |= _each(group_tests.lower_bounds, of_partition, levels.look / rejecting)
    p = {t: p_values(subjects, t, levels.look, rule) for t in rule.tolerances}
    routes = {t: routed(subjects, t, levels.look) for t in rule.tolerances}
    first = rule.tolerances[0]
    of_claim = {subject: groups for subject, groups in subjects.items() if subject[0] in claimed}
    by_budget = p_values(of_claim, first, levels.budget, rule) if levels.budget is not None else {}
    to_route = {subject: groups for subject, groups in of_claim.items() if subject[1] == claimed_partition}
    by_family = routed(to_route, first, levels.routing)
    return {
        subject: Tested(
            groups,
            {t: p[t][subject] for t in rule.tolerances},
            lower[subject],
            upper[subject],
            {t: routes[t][subject] for t in rule.tolerances},
            by_budget.get(subject),
            by_family.get(subject),
        )
        for subject, groups in subjects.items()
    }


def groups_of(
    curves: Sequence[Curve], rows: Rows, families_of: Mapping[str, Families], rule: Rule
) -> dict[Subject, list[GroupTest]]:
    """The families of every curve under every partition, and then all rows, each with the test that its names allow."""
    everyone = np.arange(len(rows.source))
    subjects: dict[Subject, list[GroupTest]] = {}
    for name, families in families_of.items():
        members = [*(np.flatnonzero(families.code == f) for f in range(len(families.names))), everyone]
        units = [units_of(group, rows.source, rows.place, rule) for group in members]
        for curve in curves:
            subjects[curve.key, name] = [group_tests.group_test(of_group, curve.difference) for of_group in units]
    return subjects


def _each(bound: group_tests.Bound, subjects: Mapping[Key, Sequence[GroupTest]], level: float) -> dict[Key, FloatArray]:
    """(G, B) of every subject; all groups at once, because the same counts come up at other seeds and partitions."""
    found = iter(bound([group for groups in subjects.values() for group in groups], level))
    return {subject: np.stack([next(found) for _ in groups]) for subject, groups in subjects.items()}


def p_values(
    subjects: Mapping[Key, list[GroupTest]], tolerance: float, level: float, rule: Rule
) -> dict[Key, FloatArray]:
    """(G, B) of every subject; the average at its own tolerance, or 0 where its families imply it."""
    families = {subject: groups[:-1] for subject, groups in subjects.items()}
    p = _each(lambda groups, alpha: group_tests.p_values(groups, tolerance, alpha), families, level)
    average = {subject: np.zeros((1, of.shape[1])) for subject, of in p.items()}
    if rule.tests_average(tolerance):
        limit = rule.average_tolerance(tolerance)
        everyone = {subject: groups[-1:] for subject, groups in subjects.items()}
        average = _each(lambda groups, alpha: group_tests.p_values(groups, limit, alpha), everyone, level)
    return {subject: np.concatenate([of, average[subject]]) for subject, of in p.items()}


def routed(subjects: Mapping[Key, list[GroupTest]], tolerance: float, level: float) -> dict[Key, Routed]:
    """Tests of every family at its share of a level."""
    split = {subject: _shares(groups[:-1], tolerance, level) for subject, groups in subjects.items()}
    found: dict[Key, Routed] = {}
    for share in dict.fromkeys(of.each for of in split.values()):
        families = {subject: groups[:-1] for subject, groups in subjects.items() if split[subject].each == share}
        p = _each(lambda groups, alpha: group_tests.p_values(groups, tolerance, alpha), families, share)
        found |= {subject: Routed(split[subject], of) for subject, of in p.items()}
    return found


def _shares(families: Sequence[GroupTest], tolerance: float, level: float) -> AlphaShares:
    def fewest(f: int, share: float) -> int:
        return families[f].fewest(tolerance, share)

    return routing.shares(level, [family.n for family in families], fewest)


# Judging -----------------------------------------------------------------------------------------------------


def walk(p: FloatArray, curve: Curve, level: float) -> Walk:
    """From the largest budget down to the first at which some test fails, or that has no cell."""
    budgets, missing = curve.budgets, max(curve.missing, default=None)
    failing = np.flatnonzero((p > level).any(axis=0))
    stopped = int(failing[-1]) if len(failing) else None
    if missing is not None and (stopped is None or missing > budgets[stopped]):
        return Walk(budgets > missing, None, missing)
    return Walk(np.arange(len(budgets)) > (-1 if stopped is None else stopped), stopped, None)


def judge_curve(curve: Curve, families: Families, observed: Observed, found: Tested, rule: Rule) -> Judgement:
    """Bounds of every family, and the walk over the budgets for every tolerance."""
    raw = is_raw(curve)  # the difference is 0 there by definition
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
    kept = mean_kept(curve, families)
    for tolerance in rule.tolerances:
        p = np.where(raw, 0.0, found.p[tolerance])
        way = walk(p, curve, rule.look_alpha)
        verdicts[tolerance] = [
            RAW_ITSELF if raw[b] else _verdict(b, p, way, by_group, curve, found.groups, families, tolerance, rule)
            for b in range(len(curve.budgets))
        ]
        p_of[tolerance] = p[:-1].tolist()
        failures[tolerance] = failure(way, p, curve, families, observed, found.groups, tolerance, rule.look_alpha, rule)
        if len(families.names) > 1:
            policies.append(policy(curve, families, found.routed[tolerance], kept, tolerance))
    return Judgement(by_group[-1], worst, by_group[:-1], verdicts, p_of, failures, policies, found.groups)


def is_raw(curve: Curve) -> npt.NDArray[np.bool_]:
    """(B,) which budgets are the reference itself."""
    return np.array([curve.is_raw(b) for b in range(len(curve.budgets))])


def policy(curve: Curve, families: Families, routed: Routed, kept: FloatArray, tolerance: float) -> Policy:
    """Where every family goes; a budget below one that is missing cannot be reached."""
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


def failure(
    way: Walk,
    p: FloatArray,
    curve: Curve,
    families: Families,
    observed: Observed,
    groups: Sequence[GroupTest],
    tolerance: float,
    level: float,
    rule: Rule,
) -> Failure | None:
    """Where a walk stopped, and how many units like these would have been enough; None where it went to the end."""
    if way.missing is not None:
        return absent(way.missing)
    if way.stopped is None:
        return None
    b = way.stopped
    g = _binding(p, groups, b)
    is_family = g < len(families.names)
    plus, minus = (of[g, b] if is_family else of[:, b].sum() for of in (observed.plus, observed.minus))
    limit = tolerance if is_family else rule.average_tolerance(tolerance)
    return Failure(
        budget=float(curve.budgets[b]),
        family=families.names[g] if is_family else None,
        n=int(families.size[g]) if is_family else len(families.code),
        plus=int(plus),
        minus=int(minus),
        p=float(p[g, b]),
        units=groups[g].n,
        unit=groups[g].unit,
        needed=power.needed(groups[g], b, limit, level),
        reason=doubt(families.names[g] if is_family else None, groups[g], b, float(p[g, b]), limit, level),
    )


def _binding(p: FloatArray, groups: Sequence[GroupTest], b: int) -> int:
    """The group that is furthest from passing at a budget; among equal p the one that was seen to suffer most."""
    return max(range(len(groups)), key=lambda g: (p[g, b], float(groups[g].observed[b])))


def absent(budget: float, whose: str | None = None) -> Failure:
    """A walk that stops where nothing was evaluated; `whose` lacks what others have, else it was declared."""
    reason = f"{whose} has no outcomes there" if whose else f"budget {budget:g} was declared and has no outcomes"
    return Failure(budget, None, 0, 0, 0, 1.0, 0, "rows", None, reason, missing=True)


# Words -------------------------------------------------------------------------------------------------------


def _verdict(
    b: int,
    p: FloatArray,
    way: Walk,
    intervals: list[list[Interval]],
    curve: Curve,
    groups: Sequence[GroupTest],
    families: Families,
    tolerance: float,
    rule: Rule,
) -> Verdict:
    at_budget, adjusted = float(p[:, b].max()), float(p[:, b:].max())
    if way.missing is not None and curve.budgets[b] < way.missing:
        adjusted = 1.0
    if way.passes[b]:
        reach = max(intervals[f][b].upper for f in range(len(families.names)))
        reason = (
            f"every test passes here and at every larger budget (p = {adjusted:.2g}, largest upper bound {reach:.4f})"
        )
        return Verdict("approve", reason, at_budget, adjusted)
    for g, of_group in enumerate(intervals):
        is_family = g < len(families.names)
        if not is_family and not rule.tests_average(tolerance):
            continue
        limit = tolerance if is_family else rule.average_tolerance(tolerance)
        if of_group[b].lower > limit:
            reason = f"{_name(g, families)} is above {limit:g} (lower bound {of_group[b].lower:.4f})"
            return Verdict("reject", reason, at_budget, adjusted)
    if at_budget <= rule.look_alpha:
        reason = f"passes by itself, but the walk from the largest budget stopped at {stop_of(way, curve):g}"
        if way.missing is not None:
            reason += ", which was declared and has no outcomes"
        return Verdict("inconclusive", reason, at_budget, adjusted)
    g = _binding(p, groups, b)
    is_family = g < len(families.names)
    limit = tolerance if is_family else rule.average_tolerance(tolerance)
    why = doubt(families.names[g] if is_family else None, groups[g], b, float(p[g, b]), limit, rule.look_alpha)
    return Verdict("inconclusive", f"{why}, upper bound {intervals[g][b].upper:.4f}", at_budget, adjusted)


def stop_of(way: Walk, curve: Curve) -> float:
    """The budget at which a walk stopped."""
    return float(curve.budgets[way.stopped]) if way.missing is None else way.missing


def doubt(family: str | None, group: GroupTest, b: int, p: float, tolerance: float, level: float) -> str:
    """Why a group of rows does not pass at a budget; `family` None: the average."""
    name = f"'{family}'" if family is not None else "the average"
    fewest = group.fewest(tolerance, level)
    if group.n < fewest:
        return f"{name} has {group.n} {group.unit}; {fewest} are needed even if no answer changes"
    seen = max(float(group.by_row[b]), float(group.by_recording[b]))
    if seen > tolerance:
        return f"the excess of {name} that was seen is {seen:.4f}, above {tolerance:g}"
    return f"{name} may be above {tolerance:g}: p = {p:.2g} at level {level:.2g}"


def _name(g: int, families: Families) -> str:
    return f"'{families.names[g]}'" if g < len(families.names) else "the average"
