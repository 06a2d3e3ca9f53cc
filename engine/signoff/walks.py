"""What the walks of a decided sweep asked and saw, in the certificate's words. Knows records of walks; no files."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from earmark.engine.design.steps import Arm
from earmark.engine.outcomes.plan_file import PlanFile
from earmark.engine.printable import more_families
from earmark.engine.signoff.families import Families
from earmark.engine.signoff.pair import Curve
from earmark.engine.signoff.result_entry import ResultEntry
from earmark.engine.signoff.rules.group_tests import SLACK
from earmark.engine.signoff.rules.replay import Replayed, Unneeded
from earmark.engine.signoff.rules.sequential import TestRecord
from earmark.engine.signoff.walk_entry import AskedRows, EvidencePoint, WalkEntry, WalkTest


def walks(
    curves: Sequence[Curve], families_of: Mapping[str, Families], replayed: Replayed, plan: PlanFile
) -> list[WalkEntry]:
    """An entry for each curve that was walked down."""
    named: dict[int, tuple[str, str | None]] = {}
    for (partition, f), group in replayed.walk.group_of.items():
        names = families_of[partition].names
        named.setdefault(group, (partition, names[f] if f < len(names) else None))
    entries = []
    for curve in curves:
        budgets = plan.budgets(Arm(curve.key.method, curve.key.seed, curve.key.stream))
        known = np.count_nonzero(~np.isnan(curve.difference), axis=0)
        column = {float(budget): b for b, budget in enumerate(curve.budgets)}
        entries.append(
            WalkEntry(
                answerer=curve.key.answerer,
                corpus=curve.key.corpus,
                method=curve.key.method,
                seed=curve.key.seed,
                asked=tuple(
                    AskedRows(budget, int(known[column[budget]]) if budget in column else 0, len(curve.difference))
                    for budget in budgets
                ),
                tests=tuple(
                    _test(replayed, record, named[record.group], budgets) for record in replayed.records[curve.key]
                ),
            )
        )
    return entries


def _test(replayed: Replayed, record: TestRecord, named: tuple[str, str | None], budgets: Sequence[float]) -> WalkTest:
    design = replayed.walk.design
    goal, units = design.goals[record.goal], design.groups[record.group]
    return WalkTest(
        partition=named[0],
        family=named[1],
        budget=budgets[record.budget],
        tolerance=goal.tolerances[record.group],
        claim=goal.kind,
        level=goal.level,
        state=record.state,
        asked=record.asked,
        of=record.of,
        unit="rows" if units.n == len(units.rows) else "recordings",
        plus=record.plus,
        minus=record.minus,
        p=record.p,
        peak=_rounded(record.peak),
        peak_at=record.peak_at,
        passing_peak=None if record.passing_peak is None else _rounded(record.passing_peak),
        path=tuple(EvidencePoint(n, _rounded(log)) for n, log in record.path),
    )


def early_passes(entries: Sequence[WalkEntry], results: Sequence[ResultEntry]) -> list[str]:
    """What part of the answers has shown already for good, in a sentence for each method and budget, with the bounds
    that hold whenever one stops.
    """
    upper = {
        (
            entry.answerer,
            entry.corpus,
            entry.method,
            entry.seed,
            entry.partition,
            family.family,
            at.budget,
        ): family.upper
        for entry in results
        for at in entry.budgets
        for family in at.families
        if family.upper is not None
    }
    sentences = []
    for entry in entries:
        for budget in dict.fromkeys(test.budget for test in entry.tests):
            tests = [test for test in entry.tests if test.budget == budget]
            early: dict[str, None] = {}
            for test in tests:
                if test.state in ("passed", "passed early"):
                    family = test.family or "all rows"
                    at = entry.answerer, entry.corpus, entry.method, entry.seed, test.partition, family, budget
                    bound = f" (at most {upper[at]:+.4f})" if at in upper else ""
                    early[f"'{family}'{bound}"] = None
            if early:
                names = ", ".join(early)
                sentences.append(
                    f"{entry.answerer}/{entry.corpus}: {entry.method} at {budget:g} has passed for good in {names}: "
                    "no later answer to this plan changes that."
                )
    return sentences


def contradicted(results: Sequence[ResultEntry], entries: Sequence[WalkEntry]) -> list[str]:
    """Where all rows of a completed run have an excess above the tolerance at which part of them passed, a sentence
    for each budget.
    """
    of_all = {
        (entry.answerer, entry.corpus, entry.method, entry.seed, entry.partition, family.family, budget.budget): family
        for entry in results
        for budget in entry.budgets
        for family in budget.families
    }
    contradictions: dict[tuple[WalkEntry, float, float], dict[str, float]] = {}
    for walk in entries:
        for test in walk.tests:
            at = walk.answerer, walk.corpus, walk.method, walk.seed, test.partition, test.family or "", test.budget
            family = of_all.get(at)
            if test.state != "passed early" or family is None or family.excess_all is None:
                continue
            if family.excess_all > test.tolerance + SLACK:
                of_budget = contradictions.setdefault((walk, test.budget, test.tolerance), {})
                of_budget[family.family] = family.excess_all
    return [
        f"{walk.answerer}/{walk.corpus}: of all rows, the excess of '{family}' under {walk.method} at {budget:g} is "
        f"{excess_of[family]:.4f}, above {tolerance:g}, at which it had passed early"
        f"{f' (so is that of {more_families(len(excess_of) - 1)})' if len(excess_of) > 1 else ''}. The verdict stands: "
        "it errs with probability at most alpha. Do not ship this before you know why."
        for (walk, budget, tolerance), excess_of in contradictions.items()
        for family in [max(excess_of, key=lambda name: excess_of[name])]
    ]


def unneeded(beyond: Sequence[Unneeded]) -> list[str]:
    """How many rows were answered that no walk looked at, in a sentence that names the first; empty without any."""
    if not beyond:
        return []
    key, budget, _, sample = beyond[0]
    n_rows = sum(entry.n_rows for entry in beyond)
    were = "1 row was" if n_rows == 1 else f"{n_rows:,} rows were"
    return [
        f"{were} answered that no walk needed (first sample '{sample}', {key.answerer}/{key.corpus}: {key.method} at "
        f"{budget:g}): what is beyond a walk decides nothing."
    ]


def _rounded(log: float) -> float:
    """To what can be seen."""
    return math.floor(log * 1e4 + 0.5) / 1e4
