"""What the shipped code makes of evaluation sets: its order, its choice of tests, its p-values, its claim.

Everything that decides is called, nothing is written again here; only files and words are left out.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple
from unittest import mock

import numpy as np
import pyarrow as pa
from populations import Draw, Population
from walked import plan_of, walked

from earmark.engine.design.keys import ANCHOR, CellKey
from earmark.engine.design.rule import Rule
from earmark.engine.outcomes.schema import ROW
from earmark.engine.outcomes.store import Cell
from earmark.engine.signoff import pair
from earmark.engine.signoff.excess import observe
from earmark.engine.signoff.families import Families, families_of
from earmark.engine.signoff.pair import Curve, CurveKey, Rows
from earmark.engine.signoff.rules import certified, claim, spending
from earmark.engine.signoff.rules.certified import Subject, Tested
from earmark.engine.signoff.rules.group_tests import GroupTest, family_minimum

_CHUNK = 200  # evaluation sets whose tests are evaluated together
_SLACK = 1e-12
ANSWERER, CORPUS = "answerer", "corpus"


class Verdicts(NamedTuple):
    """Per evaluation set: whether something unsafe was approved, and what was approved at all."""

    false: np.ndarray  # (repeats,)
    approved: np.ndarray  # (repeats,) any budget or policy
    budget: np.ndarray  # (repeats,) the smallest approved budget, 1 where none is
    retained: np.ndarray  # (repeats,) what the best policy keeps, 1 where none is
    each: np.ndarray  # (repeats, K) what is kept of every candidate by what is approved of it
    share: np.ndarray  # (repeats,) of all evaluations that were asked


class Outcome(NamedTuple):
    """`Verdicts` of one evaluation set."""

    false: bool
    approved: bool
    budget: float
    retained: float
    each: list[float]
    share: float


class Set(NamedTuple):
    """One evaluation set on its way through the sign-off."""

    rows: Rows
    curves: dict[str, Curve]
    families: dict[str, Families]
    groups: dict[Subject, list[GroupTest]]  # empty where walks are gone


class Tests(NamedTuple):
    """What the tests of an evaluation set show."""

    tested: Mapping[Subject, Tested]
    share: float  # of all evaluations that were asked


def verdicts(of: Population, repeats: int, seed: int, *, decided: bool = False) -> Verdicts:
    """The claims about so many evaluation sets; those of walks that stop when they are `decided`, or of all rows."""
    rng, rule = np.random.default_rng(seed), Rule(**of.rule)  # type: ignore[arg-type]
    found: list[Outcome] = []
    names: tuple[Rows, dict[str, Families]] | None = None
    with mock.patch.object(certified.power, "needed", return_value=None):  # words of advice, which decide nothing
        while len(found) < repeats:
            sets = []
            for _ in range(min(_CHUNK, repeats - len(found))):
                drawn = of.draw(rng)
                if names is None or not of.same_names:
                    names = _named(drawn, rule)
                sets.append(_set(drawn, *names, of, rule, decided=decided))
            found += _claims(sets, of, rule, decided=decided)
    return Verdicts(*(np.array(column) for column in zip(*found, strict=True)))


def _named(drawn: Draw, rule: Rule) -> tuple[Rows, dict[str, Families]]:
    """Rows ordered by sample_id, as cells are read, and their families under every partition."""
    order = sorted(range(len(drawn.samples)), key=drawn.samples.__getitem__)
    samples, recordings = ([of[i] for i in order] for of in (drawn.samples, drawn.recordings))
    labels = {name: [of[i] for i in order] for name, of in drawn.labels.items()}
    rows = Rows.of(CORPUS, pa.array(samples), pa.array(recordings), next(iter(labels.values())))
    return rows, {name: families_of(of, rule.parents, family_minimum(rule), rows.source) for name, of in labels.items()}


def _set(drawn: Draw, rows: Rows, families: dict[str, Families], of: Population, rule: Rule, *, decided: bool) -> Set:
    order = np.argsort(np.array(drawn.samples), kind="stable")
    curves = {}
    for arm, difference in drawn.differences.items():
        method, _, seed = arm.partition("@")
        key = CurveKey(ANSWERER, CORPUS, method, int(seed or 0), ANCHOR)
        failed = None if drawn.failed is None else drawn.failed[arm][order]
        curves[arm] = _curve(key, of, difference[order], failed, rule)
    groups = {} if decided else certified.groups_of(list(curves.values()), rows, families, rule)
    return Set(rows, curves, families, groups)


def _curve(key: CurveKey, of: Population, difference: np.ndarray, failed: np.ndarray | None, rule: Rule) -> Curve:
    if failed is not None:
        difference = np.stack([_paired(key, *columns, rule) for columns in zip(difference.T, failed.T, strict=True)], 1)
    unknown = np.full(len(of.budgets), np.nan)
    budgets = np.array(of.budgets)
    there = ~np.isin(budgets, of.missing)
    return Curve(
        key, "uncompressed", budgets[there], False, np.ascontiguousarray(difference[:, there]), 0.0, unknown[there],
        unknown[there], unknown[there], (None,) * int(there.sum()), missing=tuple(of.missing),
    )  # fmt: skip


def _paired(key: CurveKey, difference: np.ndarray, failed: np.ndarray, rule: Rule) -> np.ndarray:
    """The difference as it comes from cells, some rows of which have no answer."""
    raw = (difference < 0).astype(float)
    cells = [_cell(key, loss, bad) for loss, bad in ((raw, np.zeros_like(failed)), (raw + difference, failed))]
    reference = pair._raw("uncompressed", cells[0], rule)
    return pair._join(cells[1], reference, None, rule).difference


def _cell(key: CurveKey, loss: np.ndarray, failed: np.ndarray) -> Cell:
    n = len(loss)
    columns = {field.name: pa.nulls(n, field.type) for field in ROW}
    unknown = np.full(n, np.nan)
    return Cell(
        key=CellKey(key.answerer, key.corpus, key.method, key.seed, key.stream, 0.5),
        files=(), plan=None, sample_id=columns["sample_id"], source_id=columns["source_id"],
        query_family=columns["query_family"], loss=np.where(failed, np.nan, loss), nll=unknown, seconds=unknown,
        bits=unknown, tokens=unknown, lm_positions=unknown, flops=unknown,
        predicted_label=columns["predicted_label"], correct_label=columns["correct_label"], n_options=unknown,
        kept_chunks=columns["kept_chunks"], kept_hash=columns["kept_hash"],
        status=pa.array(np.where(failed, "out of memory", "ok")),
    )  # fmt: skip


def _claims(sets: Sequence[Set], of: Population, rule: Rule, *, decided: bool) -> Iterator[Outcome]:
    """Every set's claim."""
    arms = {claim.CandidateCurve(*curve.key[:4]) for curve in sets[0].curves.values()}
    candidates = claim.candidates(rule.candidates, arms)
    levels = spending.levels(rule, len(candidates), decided=decided)
    tests_of = _tests_of_walks(sets, of, rule, levels) if decided else _tests_of_all_rows(sets, rule, levels)
    for one, tests in zip(sets, tests_of, strict=True):
        judged: dict[CurveKey, list[claim.Judged]] = {}
        for (key, name), tested in tests.tested.items():
            curve = next(curve for curve in one.curves.values() if curve.key == key)
            families = one.families[name]
            corrected = claim.corrected(curve, families, observe(curve, families), tested, rule, levels)
            judged.setdefault(key, []).append(claim.Judged(curve, name, families, tested, corrected))
        hearing = {name: [] for name in one.families}
        false, budgets, retained = False, [], []
        for candidate in candidates:
            keys = sorted(claim.curve_keys([candidate], ANCHOR))
            ours = [j for key in keys for j in judged[key]]
            verdict = claim.decide(candidate, ours, hearing, rule, levels)
            shipped = claim.shipped(verdict, rule)
            budgets.append(min((each.budget or 1.0 for each in shipped if each.kind == "budget"), default=1.0))
            retained.append(min((each.retained for each in shipped if each.kind != "budget"), default=1.0))
            false |= _is_false(of, verdict, ours, rule)
        each = np.minimum(budgets, retained).tolist()
        yield Outcome(false, min(each) < 1.0, min(budgets), min(retained), each, tests.share)


def _tests_of_all_rows(sets: Sequence[Set], rule: Rule, levels: spending.Levels) -> Iterator[Tests]:
    """Of every set, evaluated for all sets at once."""
    subjects = {(i, *subject): groups for i, one in enumerate(sets) for subject, groups in one.groups.items()}
    first, tolerance = next(iter(sets[0].families)), rule.tolerances[0]
    by_budget = certified.p_values(subjects, tolerance, levels.budget, rule) if levels.budget is not None else {}
    routed = {}
    if rule.claim != "budget":
        to_route = {subject: groups for subject, groups in subjects.items() if subject[2] == first}
        routed = certified.routed(to_route, tolerance, levels.routing)
    for i, one in enumerate(sets):
        tested = {
            subject: Tested(
                groups, {}, np.empty(0), np.empty(0), {}, by_budget.get((i, *subject)), routed.get((i, *subject))
            )
            for subject, groups in one.groups.items()
        }
        yield Tests(tested, 1.0)


def _tests_of_walks(sets: Sequence[Set], of: Population, rule: Rule, levels: spending.Levels) -> Iterator[Tests]:
    """Of every set, as far as its walks went."""
    rows = plan = None
    for one in sets:
        curves = list(one.curves.values())
        if plan is None or one.rows is not rows:
            rows, arms = one.rows, [(curve.key.method, curve.key.seed) for curve in curves]
            plan = plan_of(ANSWERER, rows, one.families, arms, of.budgets, rule)
        yield Tests(*walked(curves, rows, one.families, rule, levels, plan))


def _is_false(of: Population, decided: claim.Decided, judged: Sequence[claim.Judged], rule: Rule) -> bool:
    """Whether a claim says of something unsafe that it is safe, on any budget on the way to what it approves."""
    for one in judged:
        arm = one.curve.key.method + (f"@{one.curve.key.seed}" if one.curve.key.seed else "")
        for f, family in enumerate(one.families.names):
            unsafe = _truth(of, arm, one, f, family) > rule.tolerances[0] + _SLACK
            reached = 1.0 if decided.budget is None else decided.budget
            if unsafe[one.curve.budgets >= reached].any():
                return True
            if rule.claim != "budget" and decided.policy is not None and one.tested.claimed_routing is not None:
                routes = {route.family: route.budget for route in decided.policy.families}
                if unsafe[one.curve.budgets >= routes.get(family, 1.0)].any():
                    return True
        if decided.budget is not None and rule.tests_average(rule.tolerances[0]):
            estimand = one.tested.groups[-1].estimand
            average = getattr(of.average[arm], estimand)[: len(one.curve.budgets)]
            limit = rule.average_tolerance(rule.tolerances[0])
            if (average > limit + _SLACK)[one.curve.budgets >= decided.budget].any():
                return True
    return False


def _truth(of: Population, arm: str, one: claim.Judged, f: int, family: str) -> np.ndarray:
    """True excess of a family in the sense that its test names, at the budgets that have outcomes."""
    truth = getattr(of.truth[arm, one.partition, family], one.tested.groups[f].estimand)
    return np.asarray(truth)[~np.isin(np.array(of.budgets), of.missing)]
