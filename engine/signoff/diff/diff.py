"""Compares two certificates: what may be compared at all, what may be shipped, and every family's answers.

A family is called worse or better by an exact sign test, corrected over all that are tested, so that the chance of any
false word in one direction is at most alpha. docs/ci.md says the rule.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from earmark.engine.design.keys import ANCHOR, CellKey
from earmark.engine.progress import Report, silent
from earmark.engine.signoff.certificate import Certificate, parse, read_data
from earmark.engine.signoff.diff import comparable, counts
from earmark.engine.signoff.diff.comparable import Method, ResultName, method_of, name_of
from earmark.engine.signoff.diff.decision_changes import decision_changes
from earmark.engine.signoff.diff.diff_entry import DIFF_SCHEMA, DecisionChange, Diff, DiffWord, FamilyChange
from earmark.engine.signoff.diff.paired_questions import ChangedUnits, PairedSheets, answer_sheet
from earmark.engine.signoff.diff.sign_test import corrected
from earmark.engine.signoff.pair import CurveKey
from earmark.engine.signoff.result_entry import FamilyAtBudget, ResultEntry, ResultFamily
from earmark.engine.signoff.rules.judgement import SampleUnit


class _Pairing(NamedTuple):
    """Two certificates, and their outcomes where both are there."""

    old: Certificate
    new: Certificate
    sheets: PairedSheets | None
    same_cells: frozenset[CellKey]  # whose files have the bytes of before
    notes: list[str]


class _FamilyPair(NamedTuple):
    """One family at one budget in both certificates."""

    result: ResultEntry
    family: ResultFamily
    budget: float
    before: FamilyAtBudget
    now: FamilyAtBudget
    units: ChangedUnits | str  # or why it is not known which changed


class _Scope(NamedTuple):
    """What can be compared, and what cannot."""

    pairs: list[_FamilyPair]
    obstacles: dict[str, None]  # sentences, in order
    barred: dict[Method, str]  # methods whose approvals cannot be compared, and why


def diff(old_path: Path, new_path: Path, progress: Report = silent) -> Diff:
    """What became of an old certificate in a new one; InputError where either is none."""
    old_data, new_data = read_data(old_path), read_data(new_path)
    old, new = parse(old_data, old_path), parse(new_data, new_path)
    pairing = _pairing(old, new, _folder(old_path), _folder(new_path), progress)
    scope = _scope(pairing)
    families, n_tests = _family_changes(scope.pairs, old.claim.alpha)
    looser = comparable.looser(old, new)
    decisions = [_as_loose(change, looser) for change in decision_changes(old, new, scope.barred)]
    looser_now, looser_before = comparable.evened_out(old, new)
    return Diff(
        schema=DIFF_SCHEMA,
        verdict=_overall([*decisions, *families], bool(scope.obstacles)),
        old=hashlib.sha256(old_data).hexdigest(),
        new=hashlib.sha256(new_data).hexdigest(),
        way="counts" if pairing.sheets is None else "questions",
        alpha=old.claim.alpha,
        n_tests=n_tests,
        not_comparable=tuple(scope.obstacles),
        looser=(*looser_now, *looser),
        notes=(*looser_before, *_notes(pairing, decisions, families)),
        decisions=tuple(decisions),
        families=tuple(families),
    )


def _folder(path: Path) -> Path:
    """Where the run folder of a certificate is told from, by whatever link it was named."""
    return Path(os.path.realpath(path)).parent


def _pairing(old: Certificate, new: Certificate, old_folder: Path, new_folder: Path, progress: Report) -> _Pairing:
    """Two certificates with their outcomes, or with a note that says why these are not at hand."""
    if comparable.obstacles(old, new):
        return _Pairing(old, new, None, frozenset(), [])
    partly = comparable.partly_asked(old, new)
    if partly:
        return _Pairing(old, new, None, frozenset(), [partly])
    before = answer_sheet(old, old_folder, progress)
    now = before if isinstance(before, str) else answer_sheet(new, new_folder, progress)
    if isinstance(before, str) or isinstance(now, str):
        which = "old" if isinstance(before, str) else "new"
        note = f"Counts were compared, not questions. Of the {which} certificate, {now}."
        return _Pairing(old, new, None, counts.same_cells(old, new), [note])
    sheets = PairedSheets(before, now, old.claim.alpha)
    return _Pairing(old, new, sheets, frozenset(), sheets.notes)


# What can be compared ------------------------------------------------------------------------------------------


def _scope(pairing: _Pairing) -> _Scope:
    """Every family of the old claim's candidates, at every budget that both certificates have."""
    old, new = pairing.old, pairing.new
    general = comparable.obstacles(old, new)
    scope = _Scope([], dict.fromkeys(general), {})
    before, now = _results(old), {name_of(result): result for result in new.results}
    answerers = comparable.answerer_obstacles(old, new, (result.answerer for result in before.values()))
    for result in before.values():
        where = (result.answerer, result.corpus)
        whole = list(general)
        whole += [answerers[result.answerer]] if result.answerer in answerers else []
        whole += [pairing.sheets.obstacles[where]] if pairing.sheets and where in pairing.sheets.obstacles else []
        whole = whole or comparable.result_obstacles(result, now)
        gone = comparable.lacking_families(result, now[name_of(result)]) if name_of(result) in now else []
        if whole or gone:
            _bar(scope, result, [*whole, *gone])
        if not whole and not comparable.partly_asked(old, new):
            _add_families(pairing, scope, result, now[name_of(result)])
    return scope


def _results(certificate: Certificate) -> dict[ResultName, ResultEntry]:
    """The results of a claim's candidates, by name."""
    curves = {(method_of(candidate), seed) for candidate in certificate.claim.candidates for seed in candidate.seeds}
    return {name_of(result): result for result in certificate.results if (method_of(result), result.seed) in curves}


def _bar(scope: _Scope, result: ResultEntry, sentences: Sequence[str]) -> None:
    """Note why a method cannot be compared."""
    scope.obstacles.update(dict.fromkeys(sentences))
    scope.barred.setdefault(method_of(result), sentences[0])


def _add_families(pairing: _Pairing, scope: _Scope, result: ResultEntry, now: ResultEntry) -> None:
    """Add what can be compared of one method, seed and partition, and name what cannot."""
    label = comparable.label_of(result)
    here = {family.family: family for family in now.families}
    scope.obstacles.update(dict.fromkeys(comparable.lacking_budgets(result, now)))
    before_at, now_at = _at_budgets(result), _at_budgets(now)
    for family in result.families:
        if family.family not in here:
            continue
        walked = bool(pairing.old.walks or pairing.new.walks)
        why = comparable.family_obstacle(family, here[family.family], pairing.sheets is None, walked)
        if why is None and pairing.sheets is not None:
            where = (result.answerer, result.corpus)
            same = pairing.sheets.same_members(where, result.partition, family.family)
            why = None if same else "has other questions"
        if why is not None:
            _bar(scope, result, [f"{label}: family '{family.family}' {why}."])
            continue
        for entry in result.budgets:
            before, after = (at.get((entry.budget, family.family)) for at in (before_at, now_at))
            if entry.budget < 1 and before is not None and after is not None:
                units = _units(pairing, result, family, entry.budget, before, after)
                scope.pairs.append(_FamilyPair(result, family, entry.budget, before, after, units))


def _at_budgets(result: ResultEntry) -> dict[tuple[float, str], FamilyAtBudget]:
    """The families of a result at each budget."""
    return {(entry.budget, family.family): family for entry in result.budgets for family in entry.families}


def _units(
    pairing: _Pairing,
    result: ResultEntry,
    family: ResultFamily,
    budget: float,
    before: FamilyAtBudget,
    now: FamilyAtBudget,
) -> ChangedUnits | str:
    """Which units changed, by the questions themselves or by counts; or why that is not known."""
    curve = CurveKey(result.answerer, result.corpus, result.method, result.seed, ANCHOR)
    if pairing.sheets is not None:
        return pairing.sheets.units(curve, result.partition, family.family, budget)
    if CellKey(*curve, budget) in pairing.same_cells:
        return ChangedUnits(0, 0, 0.0)
    return counts.units(family, before, now)


# What became of it ---------------------------------------------------------------------------------------------


def _family_changes(pairs: Sequence[_FamilyPair], alpha: float) -> tuple[list[FamilyChange], int]:
    """What is shown of each family at each budget, and how many were tested."""
    units = [pair.units if isinstance(pair.units, ChangedUnits) else ChangedUnits(0, 0, 0.0) for pair in pairs]
    p_worse, n_tests = corrected([(u.n_worse, u.n_better) for u in units], alpha)
    p_better, _ = corrected([(u.n_better, u.n_worse) for u in units], alpha)
    changes = [_family_change(*of_pair, alpha) for of_pair in zip(pairs, p_worse, p_better, strict=True)]
    return changes, n_tests


def _family_change(pair: _FamilyPair, p_worse: float | None, p_better: float | None, alpha: float) -> FamilyChange:
    result, family, units = pair.result, pair.family, pair.units
    unit: SampleUnit = "recordings" if family.recordings < family.n else "rows"
    verdict, reason = _shown(units, unit, p_worse, p_better, alpha)
    return FamilyChange(
        answerer=result.answerer,
        corpus=result.corpus,
        method=result.method,
        seed=result.seed,
        partition=result.partition,
        family=family.family,
        budget=pair.budget,
        n=family.n,
        units=family.recordings,
        unit=unit,
        excess_before=pair.before.excess,
        excess_now=pair.now.excess,
        n_worse=units.n_worse if isinstance(units, ChangedUnits) else None,
        n_better=units.n_better if isinstance(units, ChangedUnits) else None,
        p_worse=p_worse,
        p_better=p_better,
        verdict=verdict,
        reason=reason,
    )


def _shown(
    units: ChangedUnits | str, unit: SampleUnit, p_worse: float | None, p_better: float | None, alpha: float
) -> tuple[DiffWord, str]:
    """What the changes of a family show, and the sentence that says so."""
    if isinstance(units, str):
        return "undecided", units
    if units.n_worse == units.n_better == 0:
        return "same", f"none of its {unit} is worse or better"
    changes = f"{unit}: {units.n_worse:,} worse, {units.n_better:,} better"
    if p_worse is not None and p_worse <= alpha and units.rise > 0:
        return "worse", changes
    if p_better is not None and p_better <= alpha and units.rise < 0:
        return "better", changes
    few = p_worse is None
    return "undecided", f"{changes}: {'too few to show anything' if few else 'may be chance'}"


def _as_loose(change: DecisionChange, looser: Sequence[str]) -> DecisionChange:
    """An approval is not called better where it may come of a rule that demands less."""
    if change.verdict != "better" or not looser:
        return change
    return change._replace(verdict="undecided", reason=f"{change.reason}; the new rule demands less")


def _overall(changes: Sequence[DecisionChange | FamilyChange], obstacles: bool) -> DiffWord:
    """One word for everything: the worst that is known, then what is not known."""
    words = {change.verdict for change in changes}
    if "worse" in words:
        return "worse"
    if obstacles or "not comparable" in words:
        return "not comparable"
    if "better" in words:
        return "better"
    return "same" if words <= {"same"} else "undecided"


def _notes(pairing: _Pairing, decisions: Sequence[DecisionChange], families: Sequence[FamilyChange]) -> Iterator[str]:
    """What else a reader must know."""
    old, new = pairing.old, pairing.new
    yield from pairing.notes
    if new.claim.withheld:
        yield f"Nothing is approved now: {new.claim.withheld[0]}"
    yield from comparable.known_by_name_only(old, new)
    yield from comparable.only_now(_results(old), _results(new))
    for decision in decisions:
        same_way = [f for f in families if f.verdict == decision.verdict and method_of(f) == method_of(decision)]
        if decision.verdict in ("better", "worse") and not same_way:
            yield (
                f"What is approved of {decision.candidate} moved, and no family of it is shown to be "
                f"{decision.verdict}: where an approval is close, that may be chance."
            )
