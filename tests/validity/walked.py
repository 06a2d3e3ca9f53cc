"""What the shipped walks make of evaluation sets: the plan that would be declared, and the tests that walks end with.

Everything that decides is called: the order of the walk, its blocks, its replay. Only files and bounds are left out.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import numpy as np

from earmark.engine.design.keys import ANCHOR
from earmark.engine.design.rule import Rule
from earmark.engine.design.steps import Arm, Place, Step
from earmark.engine.outcomes.plan_file import PlanFile, PlannedCorpus, PlannedWalk
from earmark.engine.signoff.families import Families
from earmark.engine.signoff.pair import Curve, Rows
from earmark.engine.signoff.rules import replay
from earmark.engine.signoff.rules.certified import Subject, Tested
from earmark.engine.signoff.rules.declared_walk import DeclaredRows, DeclaredWalk, goes_family_by_family, order
from earmark.engine.signoff.rules.sequential import TestRecord
from earmark.engine.signoff.rules.spending import Levels

WINDOW = 64  # recordings of a block, as specs have it by default


class Walked(NamedTuple):
    """What the walks of an evaluation set end with, and which share of all evaluations they asked."""

    tested: dict[Subject, Tested]
    share: float  # raw audio and silence counted


def plan_of(
    answerer: str,
    rows: Rows,
    families: Mapping[str, Families],
    arms: Sequence[tuple[str, int]],
    budgets: Sequence[float],
    rule: Rule,
) -> PlanFile:
    """The plan of a sweep of these rows by methods in their seeds."""
    declared = DeclaredRows(rows.source, rows.place, families)
    walk = PlannedWalk(goes_family_by_family(declared, rule), block_sizes(rows.source[order(declared, rule)], WINDOW))
    steps = tuple(
        Step("walk", (Place(Arm(method, seed, ANCHOR), budget),))
        for method, seed in arms
        for budget in sorted(budgets, reverse=True)
    )
    corpus = PlannedCorpus(rows.corpus, len(rows.source), rows.n_sources, len(walk.blocks), "")
    return PlanFile(Path("plan.json"), {}, "", "", "", corpus, WINDOW, (answerer,), {}, {}, steps, walk, {}, {})


def block_sizes(source: np.ndarray, window: int) -> tuple[int, ...]:
    """Numbers of rows, where so many recordings in a row are answered together."""
    recording = np.cumsum(np.diff(source, prepend=source[0]) != 0)
    return tuple(np.bincount(recording // window).tolist())


def walked(
    curves: Sequence[Curve],
    rows: Rows,
    families: Mapping[str, Families],
    rule: Rule,
    levels: Levels,
    plan: PlanFile,
) -> Walked:
    """Go the walks of some curves."""
    with mock.patch.object(replay, "_bounds", return_value=(np.empty(0), np.empty(0))):  # which decide nothing
        replayed = replay.replay(curves, rows, families, rule, levels, plan)
    compressed = sum(rows_asked(replayed.walk, records) for records in replayed.records.values())
    (needed,) = replayed.needed.values()
    share = (compressed + 2 * int(needed.sum())) / ((len(plan.steps) + 2) * len(rows.source))
    return Walked(replayed.tested, share)


def rows_asked(walk: DeclaredWalk, records: Sequence[TestRecord]) -> int:
    """Rows of all budgets that a walk of a single partition looked at."""
    units_asked: dict[tuple[int, int], int] = {}
    for record in records:
        at = record.budget, record.group
        units_asked[at] = max(units_asked.get(at, 0), record.asked)
    return sum(
        int(np.searchsorted(walk.design.groups[group].recording, units)) for (_, group), units in units_asked.items()
    )
