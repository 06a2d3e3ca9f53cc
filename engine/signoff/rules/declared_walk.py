"""What a walk that stops when it is decided follows from: names, sizes and the rule, all of them there beforehand.

Knows families, recordings and levels; no outcome and no file.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from earmark.engine.arrays import IntArray
from earmark.engine.design.rule import Rule
from earmark.engine.signoff.families import Families
from earmark.engine.signoff.rules import routing
from earmark.engine.signoff.rules.group_tests import fewest_units
from earmark.engine.signoff.rules.routing import AlphaShares
from earmark.engine.signoff.rules.sequential import Design, Goal
from earmark.engine.signoff.rules.spending import Levels
from earmark.engine.signoff.rules.units import Units, units_of


class DeclaredRows(NamedTuple):
    """The rows that are asked about, before any of them is: codes of their recordings, places, and families."""

    source: IntArray  # (n,)
    place: IntArray  # (n,) in the constant order
    families_of: Mapping[str, Families]  # by partition


class DeclaredWalk(NamedTuple):
    """A design, and what its goals and groups are."""

    rows: DeclaredRows
    design: Design
    group_of: Mapping[tuple[str, int], int]  # by partition and family; the average of all rows is the last family
    budget_goal: Mapping[float, int]  # by tolerance; empty where no budget is claimed
    routing_goal: Mapping[int, int]  # by family of the first partition; empty where nothing is routed
    shares: AlphaShares | None  # of the routing


def goes_family_by_family(rows: DeclaredRows, rule: Rule) -> bool:
    """Whether one family is asked after the other; where recordings have several, all of them come together."""
    if len(rows.families_of) > 1 or any(map(rule.tests_average, rule.tolerances)):
        return False
    (families,) = rows.families_of.values()
    pairs = np.unique(np.stack([rows.source, families.code]), axis=1)
    return bool(len(np.unique(pairs[0])) == pairs.shape[1])


def order(rows: DeclaredRows, rule: Rule) -> IntArray:
    """(n,) the rows in the order in which they are asked about."""
    if not goes_family_by_family(rows, rule):
        return np.argsort(rows.place)
    (families,) = rows.families_of.values()
    rank = np.empty(len(families.names), dtype=np.int64)
    rank[families.by_size] = np.arange(len(families.names))
    return np.lexsort((rows.place, rank[families.code]))


def declared_walk(rows: DeclaredRows, block_sizes: Sequence[int], rule: Rule, levels: Levels) -> DeclaredWalk:
    """The walk of every method; `block_sizes` are numbers of rows, in the order that they are asked in."""
    groups: list[Units] = []
    group_of: dict[tuple[str, int], int] = {}
    everyone = np.arange(len(rows.source))
    for name, families in rows.families_of.items():
        for f, members in enumerate(families.members):
            group_of[name, f] = len(groups)
            groups.append(units_of(members, rows.source, rows.place, rule))
    tests_average = any(map(rule.tests_average, rule.tolerances))
    if tests_average:
        group_of |= {(name, len(families.names)): len(groups) for name, families in rows.families_of.items()}
        groups.append(units_of(everyone, rows.source, rows.place, rule))
    goals: list[Goal] = []
    budget_goal: dict[float, int] = {}
    if levels.budget is not None:
        n_families = len(groups) - tests_average
        for tolerance in rule.tolerances:
            tolerances = dict.fromkeys(range(n_families), tolerance)
            if rule.tests_average(tolerance):
                tolerances[n_families] = rule.average_tolerance(tolerance)
            budget_goal[tolerance] = len(goals)
            goals.append(Goal("budget", tolerances, levels.budget))
    routing_goal: dict[int, int] = {}
    shares = None
    if rule.claim != "budget":
        n_units = [groups[f].n for f in range(len(next(iter(rows.families_of.values())).names))]
        shares = routing.shares(levels.routing, n_units, _fewest_of(groups, rule.tolerances[0]))
        for f in np.flatnonzero(shares.tested).tolist():
            routing_goal[f] = len(goals)
            goals.append(Goal("routing", {f: rule.tolerances[0]}, shares.each))
    block = np.empty(len(rows.source), dtype=np.int64)
    block[order(rows, rule)] = np.repeat(np.arange(len(block_sizes)), block_sizes)
    design = Design(groups, goals, rows.place, block, goes_family_by_family(rows, rule))
    return DeclaredWalk(rows, design, group_of, budget_goal, routing_goal, shares)


def _fewest_of(groups: Sequence[Units], tolerance: float) -> Callable[[int, float], int]:
    """How many units a family needs at a share of the level, as `routing.shares` asks for it."""
    return lambda f, share: fewest_units(groups[f].test, tolerance, share)
