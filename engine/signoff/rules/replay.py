"""The walks of a sweep that stopped when it was decided, gone again over its cells: what they asked, and what it shows.

What was asked beyond a walk, for another's sake or to complete the run, decides nothing; a row that a walk needs and
that was not asked ends it there, and is named. Knows curves and their plan; no files.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from earmark.engine.arrays import FloatArray, IntArray
from earmark.engine.design.rule import Rule, gamma_of
from earmark.engine.design.steps import Arm
from earmark.engine.errors import InputError
from earmark.engine.outcomes.plan_file import PlanFile
from earmark.engine.signoff.families import Families
from earmark.engine.signoff.pair import Curve, CurveKey, Rows
from earmark.engine.signoff.rules.certified import Routed, Subject, Tested
from earmark.engine.signoff.rules.declared_walk import DeclaredRows, DeclaredWalk, declared_walk
from earmark.engine.signoff.rules.group_tests import EARLY, GroupTest
from earmark.engine.signoff.rules.sequential import TestRecord, Walker
from earmark.engine.signoff.rules.spending import Levels
from earmark.engine.signoff.rules.units import Units
from earmark.kernels.statistics import betting, bounds, evidence


class Unneeded(NamedTuple):
    """Rows of a curve that were answered at a budget and that its walk never looked at."""

    key: CurveKey
    budget: float
    n_rows: int
    sample: str  # the first of them, in the order of the walk


class Replayed(NamedTuple):
    """What the walks of some curves show."""

    tested: dict[Subject, Tested]
    records: dict[CurveKey, list[TestRecord]]
    walk: DeclaredWalk
    gaps: list[str]  # rows that were skipped, in sentences
    needed: dict[tuple[str, str], npt.NDArray[np.bool_]]  # (n,) rows that some walk looked at, by answerer and corpus
    unneeded: list[Unneeded]  # of curves whose walks met no gap


def replay(
    curves: Sequence[Curve],
    rows: Rows,
    families_of: Mapping[str, Families],
    rule: Rule,
    levels: Levels,
    plan: PlanFile,
    *,
    is_preview: bool = False,
) -> Replayed:
    """Walk down every curve as the plan has it; InputError where there are other rows than the plan has.

    The answers of a preview end somewhere in every family: that is no gap.
    """
    assert plan.decided is not None, "the plan is one of walks"
    if len(rows.source) != plan.corpus.examples:
        what = f"holds {len(rows.source):,} rows of {rows.corpus}, and the plan has {plan.corpus.examples:,}"
        raise InputError(plan.path, what, "restore the cells that the sweep wrote")
    walk = declared_walk(DeclaredRows(rows.source, rows.place, families_of), plan.decided.blocks, rule, levels)
    if len(np.unique(rows.source * len(plan.decided.blocks) + walk.design.block)) > rows.n_sources:
        raise InputError(
            plan.path, "cuts a recording in two in decided.blocks", "restore the plan that the sweep wrote"
        )
    tested: dict[Subject, Tested] = {}
    records: dict[CurveKey, list[TestRecord]] = {}
    gaps: list[str] = []
    needed = {(c.key.answerer, c.key.corpus): np.zeros(len(rows.source), dtype=np.bool_) for c in curves}
    unneeded: list[Unneeded] = []
    for curve in curves:
        budgets = plan.budgets(Arm(curve.key.method, curve.key.seed, curve.key.stream))
        if curve.key.answerer not in plan.answerers:
            budgets = ()
        looked_at = np.zeros(curve.difference.shape, dtype=np.bool_)
        of_curve, gap = _go(walk, curve, budgets, rows, looked_at, is_preview=is_preview)
        records[curve.key] = of_curve
        gaps += gap
        unneeded += [] if gap else _unneeded(curve, budgets, rows, looked_at)
        needed[curve.key.answerer, curve.key.corpus] |= looked_at.any(axis=1)
        for name, families in families_of.items():
            tested[curve.key, name] = _tested(walk, curve, name, families, of_curve, budgets, rule, levels)
    return Replayed(tested, records, walk, gaps, needed, unneeded)


def _go(
    walk: DeclaredWalk,
    curve: Curve,
    budgets: Sequence[float],
    rows: Rows,
    looked_at: npt.NDArray[np.bool_],
    *,
    is_preview: bool,
) -> tuple[list[TestRecord], list[str]]:
    """What a walk down these budgets finds in a curve, and where it meets a row that it needs and that is not there.

    The rows that it looks at become `looked_at` (n, B).
    """
    walker = Walker(walk.design, len(budgets))
    column = {float(budget): b for b, budget in enumerate(curve.budgets)}
    visits = walker.walk()
    visit = next(visits, None)
    while visit is not None:
        budget = budgets[visit.budget]
        if budget not in column:
            visits.close()
            break
        differences = curve.difference[visit.rows, column[budget]]
        skipped = np.flatnonzero(np.isnan(differences))
        if len(skipped) and not is_preview:
            sample = rows.sample_id[int(visit.rows[skipped[0]])].as_py()
            visits.close()
            return walker.records, [
                f"{curve.key.answerer}/{curve.key.corpus}: the walk of {curve.key.method} at {budget:g}, gone again, "
                f"needs sample '{sample}', which was not asked: an answer before it was changed, or it was skipped. "
                "What was answered after it decides nothing."
            ]
        n_there = len(differences)
        if len(skipped):  # the whole recordings before it
            source = rows.source[visit.rows]
            n_there = int(np.flatnonzero(source == source[skipped[0]])[0])
        looked_at[visit.rows[:n_there], column[budget]] = True
        try:
            visit = visits.send(differences[:n_there])
        except StopIteration:
            break
    return walker.records, []


def _unneeded(
    curve: Curve, budgets: Sequence[float], rows: Rows, looked_at: npt.NDArray[np.bool_]
) -> Iterator[Unneeded]:
    """The rows that were answered and not looked at, for each budget of a walk that has any."""
    there = ~np.isnan(curve.difference)
    for b, budget in enumerate(curve.budgets):
        beyond = np.flatnonzero(there[:, b] & ~looked_at[:, b])
        if float(budget) in budgets and len(beyond):
            first = beyond[np.argmin(rows.place[beyond])]
            yield Unneeded(curve.key, float(budget), len(beyond), rows.sample_id[int(first)].as_py())


def _tested(
    walk: DeclaredWalk,
    curve: Curve,
    partition: str,
    families: Families,
    records: Sequence[TestRecord],
    budgets: Sequence[float],
    rule: Rule,
    levels: Levels,
) -> Tested:
    """The tests of a curve's families under a partition, and then of all rows."""
    n_groups, n_budgets = len(families.names) + 1, len(curve.budgets)
    column = {float(budget): b for b, budget in enumerate(curve.budgets)}
    at = {
        (record.goal, record.group, column[budgets[record.budget]]): record
        for record in records
        if budgets[record.budget] in column
    }
    group_of = [walk.group_of.get((partition, g)) for g in range(n_groups)]
    units_of = [None if group is None else walk.design.groups[group] for group in group_of]
    longest = [[_record_of(at, group, b) for b in range(n_budgets)] for group in group_of]
    seen = _seen(curve, families, units_of, longest)
    groups = [
        _group(units, curve.difference, seen, of_group) for units, of_group in zip(units_of, longest, strict=True)
    ]
    looked: dict[float, Sequence[GroupTest]] = {}
    for tolerance, shown in walk.budget_goal.items():
        wanted = [[at.get((shown, -1 if group is None else group, b)) for b in range(n_budgets)] for group in group_of]
        looked[tolerance] = [
            _group(units, curve.difference, seen, of_group) for units, of_group in zip(units_of, wanted, strict=True)
        ]
    p: dict[float, FloatArray] = {}
    for tolerance in rule.tolerances:
        p[tolerance] = np.ones((n_groups, n_budgets))
        if not rule.tests_average(tolerance):
            p[tolerance][-1] = 0.0  # it follows from its families
        goal = walk.budget_goal.get(tolerance)
        for g in range(n_groups):
            for b in range(n_budgets):
                record = None if goal is None else at.get((goal, walk.group_of.get((partition, g), -1), b))
                if record is not None:
                    p[tolerance][g, b] = record.p
    routed = None
    if walk.shares is not None and walk.group_of.get((partition, 0)) == 0:
        routed_p = np.ones((n_groups - 1, n_budgets))
        for f, goal in walk.routing_goal.items():
            for b in range(n_budgets):
                if (goal, f, b) in at:
                    routed_p[f, b] = at[goal, f, b].p
        routed = Routed(walk.shares, routed_p)
    lower, upper = _bounds(walk, curve, partition, at, n_groups, levels, rule)
    return Tested(
        groups,
        p,
        lower,
        upper,
        {} if routed is None else {rule.tolerances[0]: routed},
        None if levels.budget is None else p[rule.tolerances[0]],
        routed,
        looked,
        seen,
    )


At = Mapping[tuple[int, int, int], TestRecord]  # by goal, group and the curve's budget


def _record_of(at: At, group: int | None, b: int) -> TestRecord | None:
    """What the walk saw of a group at a budget, for whichever goal it saw the most."""
    records = [record for (_, g, column), record in at.items() if g == group and column == b]
    return max(records, key=lambda record: (record.asked, -record.goal), default=None)


def _seen(
    curve: Curve, families: Families, units_of: Sequence[Units | None], records: Sequence[Sequence[TestRecord | None]]
) -> FloatArray:
    """(n, B) the differences that the tests of the families looked at, and where no test was begun those of a family
    all of whose rows were asked; else NaN.
    """
    seen = np.full(curve.difference.shape, np.nan)
    for members, units, of_family in zip(families.members, units_of[:-1], records[:-1], strict=True):
        rows = members if units is None else units.rows
        seen[rows] = _looked_at(units, curve.difference[rows], of_family)
    return seen


def _looked_at(units: Units | None, differences: FloatArray, records: Sequence[TestRecord | None]) -> FloatArray:
    """The differences of a group (m, B) as far as its tests looked at them, all where they did not begin; else NaN."""
    looked_at = differences.copy()
    for b, record in enumerate(records):
        if record is not None and record.asked and units is not None:
            looked_at[_n_rows(units, record.asked) :, b] = np.nan
        elif np.isnan(differences[:, b]).any():
            looked_at[:, b] = np.nan
    return looked_at


def _n_rows(units: Units, n_asked: int) -> int:
    """How many rows the first units of a group have."""
    return int(np.searchsorted(units.recording, n_asked))


def _group(
    units: Units | None, difference: FloatArray, seen: FloatArray, records: Sequence[TestRecord | None]
) -> GroupTest:
    """A group of rows, as far as a walk looked at it at each budget; without units the average of what its families
    saw.
    """
    differences = seen if units is None else _looked_at(units, difference[units.rows], records)
    known = ~np.isnan(differences)
    by_row = np.where(known, differences, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    n_budgets = len(records)
    plus, minus, n_asked = (
        np.array([0 if record is None else getattr(record, name) for record in records], dtype=np.int64)
        for name in ("plus", "minus", "asked")
    )
    return GroupTest(
        "exact" if units is None else units.test,
        "rows" if units is None else units.estimand,
        len(seen) if units is None else units.n,
        "rows" if units is None or units.n == len(units.rows) else "recordings",
        by_row,
        by_row if units is None else _by_recording(units, differences),
        plus,
        minus,
        np.empty((0, n_budgets)),
        np.empty(0),
        n_asked,
        tuple(None if record is None else record.state for record in records),
    )


def _by_recording(units: Units, differences: FloatArray) -> FloatArray:
    """(B,) mean over recordings of the means of their rows that were looked at."""
    known = ~np.isnan(differences)
    means = []
    for column, there in zip(np.where(known, differences, 0.0).T, known.T, strict=True):
        counts = np.bincount(units.recording, weights=there, minlength=units.n)
        sums = np.bincount(units.recording, weights=column, minlength=units.n)
        there = counts > 0
        means.append(float((sums[there] / counts[there]).mean()) if there.any() else 0.0)
    return np.array(means)


def _bounds(
    walk: DeclaredWalk, curve: Curve, partition: str, at: At, n_groups: int, levels: Levels, rule: Rule
) -> tuple[FloatArray, FloatArray]:
    """Lower and upper bounds (G, B) of what was asked until it was decided; they hold whenever one stops."""
    lower, upper = np.full((n_groups, len(curve.budgets)), -1.0), np.full((n_groups, len(curve.budgets)), 1.0)
    n_rejecting = n_groups - 1 + any(map(rule.tests_average, rule.tolerances))
    for g in range(n_groups):
        group = walk.group_of.get((partition, g))
        for b in range(len(curve.budgets)):
            record = None if group is None else _record_of(at, group, b)
            if group is None or record is None or not record.asked:
                continue
            units = walk.design.groups[group]
            early = walk.design.early_share(group, levels.look)  # as its test has it: they agree
            upper[g, b] = _upper(units, curve.difference[:, b], record.asked, levels.look, early)
            level = levels.look / n_rejecting
            lower[g, b] = -_upper(units, -curve.difference[:, b], record.asked, level, EARLY)
    return lower, upper


def _upper(units: Units, difference: FloatArray, n_asked: int, level: float, early: float) -> float:
    """An upper bound of the excess from the first units: at a share of the level early, at the rest from all of them.

    Of differences with the other sign it is minus a lower one; 1 where nothing is lower.
    """
    firsts: IntArray = np.flatnonzero(np.diff(units.recording, prepend=-1))
    if units.test == "bets":
        end = _n_rows(units, n_asked)
        rows = difference[units.rows[:end]]
        sums, sizes = np.add.reduceat(rows, firsts[:n_asked]), np.bincount(units.recording[:end]).astype(np.float64)
        most = units.most_rows
        values, weights = (sums / sizes, np.ones(n_asked)) if most is None else (sums / most, sizes / most)
        return max(betting.upper_bound_of_first(values, weights, units.n, level), float(values.mean()))
    values = difference[units.rows[firsts[:n_asked]]]
    bound = evidence.upper_bound(values, early * level) if early else 1.0
    if n_asked == units.n:
        n, plus, minus = (np.array([count]) for count in (n_asked, (values > 0).sum(), (values <= -1).sum()))
        at_end = bounds.upper_bounds(n, plus, minus, np.array([(1 - early) * level]), np.array([gamma_of(level)]))
        bound = min(bound, float(at_end[0]))
    return max(bound, float(values.mean()))
