"""What may be shipped of each candidate, before and now, both by the stricter of two rules.

A claim of a looser rule is held to the tolerance and the level of the stricter one by the p-values and the bounds that
its certificate states. Where these do not say, nothing is compared. Knows no outcomes.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from earmark.engine.signoff.certificate import Certificate
from earmark.engine.signoff.claim_entry import Claim, ClaimCandidate
from earmark.engine.signoff.diff.comparable import Method, method_of
from earmark.engine.signoff.diff.diff_entry import DecisionChange, DiffWord
from earmark.engine.signoff.result_entry import BudgetEntry, ResultEntry

Unknown = Literal["unknown"]


class _Budgets(NamedTuple):
    """What is approved in both certificates; None where nothing is."""

    before: float | None
    now: float | None


class Standard(NamedTuple):
    """What both claims are held to."""

    tolerance: float
    level: float | None  # of the tests behind a budget; None under the paper's rule


def standard(old: Certificate, new: Certificate) -> Standard:
    """The tighter tolerance and the smaller level of two claims."""
    levels = [claim.level for claim in (old.claim, new.claim) if claim.level is not None]
    return Standard(min(old.claim.tolerance, new.claim.tolerance), min(levels, default=None))


def decision_changes(old: Certificate, new: Certificate, barred: Mapping[Method, str]) -> Iterator[DecisionChange]:
    """A change for every candidate of the old certificate; `barred` says of which methods nothing can be."""
    held_to = standard(old, new)
    for candidate in old.claim.candidates:
        now, why = _counterpart(candidate, new), barred.get(method_of(candidate), "")
        if old.claim.kind != "routing":
            yield _budget_change(old, new, candidate, now, held_to, why)
        if old.claim.kind != "budget":
            yield from _routing_changes(old, new, candidate, now, held_to, why)


def _counterpart(candidate: ClaimCandidate, new: Certificate) -> ClaimCandidate | None:
    """The same method in the new claim, in as many of the seeds as there is; None where it is no candidate."""
    place = (candidate.answerer, candidate.corpus, candidate.method)
    methods = [c for c in new.claim.candidates if (c.answerer, c.corpus, c.method) == place]
    seeds = set(candidate.seeds)
    return min(methods, key=lambda c: (len(seeds - set(c.seeds)), len(c.seeds)), default=None)


def _budget_change(
    old: Certificate,
    new: Certificate,
    candidate: ClaimCandidate,
    now: ClaimCandidate | None,
    held_to: Standard,
    barred: str,
) -> DecisionChange:
    own = _Budgets(_approved(old, candidate), None if now is None else _approved(new, now))
    before, at = _budget_at(old, candidate, held_to), None if now is None else _budget_at(new, now, held_to)
    held = _Budgets(*(None if isinstance(budget, str) else budget for budget in (before, at)))
    why = barred or _incomparable(candidate, now, new.claim.kind != "routing", "a budget")
    if not why and held_to.level is None and old.claim.tolerance != new.claim.tolerance:
        why = "the paper's rule has no p-values to hold both to one tolerance"
    if not why and _average(old) != _average(new):
        why = "the average has another tolerance"
    if not why and "unknown" in (before, at):
        why = _not_stated(old, new, held_to)
    if not why and now is not None and not _declared(new, now, held.before) and _is_gone(held, _results(new, now)):
        why = f"the new certificate has no outcomes at {held.before:g}, which was approved"
    return _change(candidate, None, held_to, held, own, why)


def _declared(certificate: Certificate, candidate: ClaimCandidate, budget: float | None) -> bool:
    """Whether a candidate's walk was to go down to a budget, if it did not end above it."""
    place = (candidate.answerer, candidate.corpus, candidate.method)
    return any(
        cell.budget == budget
        for walk in certificate.walks
        if (walk.answerer, walk.corpus, walk.method) == place
        for cell in walk.asked
    )


def _is_gone(budgets: _Budgets, results: Sequence[ResultEntry]) -> bool:
    """Whether a budget that was approved is not, because it was not evaluated any more."""
    before, now = budgets
    evaluated = {entry.budget for result in results for entry in result.budgets}
    return before is not None and before not in evaluated and (now is None or now > before)


def _not_stated(old: Certificate, new: Certificate, held_to: Standard) -> str:
    """What to do where a certificate does not state what passes by the stricter rule."""
    lacks = "new" if held_to.tolerance not in new.rule.tolerances else "old"
    if held_to.tolerance in new.rule.tolerances and held_to.tolerance in old.rule.tolerances:
        return "no p-value says what passes at the stricter level"
    return f"certify the {lacks} run at a tolerance of {held_to.tolerance:g} too, or no p-value says what passes there"


def _change(
    candidate: ClaimCandidate, family: str | None, held_to: Standard, budgets: _Budgets, own: _Budgets, why: str
) -> DecisionChange:
    """The entry of a candidate, or of one family that it routes; `why` nothing can be compared, else empty."""
    moved = _Moved("not comparable", why) if why else _moved(*budgets)
    return DecisionChange(
        answerer=candidate.answerer,
        corpus=candidate.corpus,
        method=candidate.method,
        candidate=candidate.name,
        kind="budget" if family is None else "routing",
        family=family,
        tolerance=held_to.tolerance,
        before=None if why else budgets.before,
        now=None if why else budgets.now,
        before_by_own=own.before,
        now_by_own=own.now,
        verdict=moved.verdict,
        reason=moved.reason,
    )


def _incomparable(candidate: ClaimCandidate, now: ClaimCandidate | None, claimed: bool, kind: str) -> str:
    """Why the claims about a candidate cannot be compared; empty where they can."""
    if now is None:
        return "it is no candidate of the new certificate"
    if not claimed:
        return f"the new certificate does not claim {kind}"
    fewer = sorted(set(candidate.seeds) - set(now.seeds))
    return f"the new claim is of fewer seeds: not of {', '.join(map(str, fewer))}" if fewer else ""


def _average(certificate: Certificate) -> float | None:
    """The tolerance of the average where it is tested; None where it follows from the families'."""
    claim = certificate.claim
    return claim.tolerance_average if claim.tolerance_average < claim.tolerance else None


class _Moved(NamedTuple):
    """What it means that an approval moved, and the words that say so."""

    verdict: DiffWord
    reason: str


def _moved(before: float | None, now: float | None) -> _Moved:
    if before == now:
        return _Moved("same", "refused, as before" if now is None else f"approved at {now:g}, as before")
    if before is None:
        return _Moved("better", f"approved at {now:g}, refused before")
    if now is None:
        return _Moved("worse", f"refused, approved at {before:g} before")
    return _Moved("better" if now < before else "worse", f"approved at {now:g}, at {before:g} before")


# One budget for all families -----------------------------------------------------------------------------------


def _budget_at(certificate: Certificate, candidate: ClaimCandidate, held_to: Standard) -> float | Unknown | None:
    """The smallest budget that the claim approves of a candidate and that holds by the standard too.

    None where there is none, unknown where the certificate does not say.
    """
    claim = certificate.claim
    own = _approved(certificate, candidate)
    if own is None or (claim.tolerance, claim.level) == held_to:
        return own
    results = _results(certificate, candidate)
    smallest = None
    for budget in sorted({entry.budget for result in results for entry in result.budgets}, reverse=True):
        if not own <= budget < 1:
            continue
        entries = [entry for result in results for entry in result.budgets if entry.budget == budget]
        passing = [_passes(entry, held_to, claim) for entry in entries]
        if False in passing:
            if certificate.walks:
                return "unknown"  # a walk at the standard would have asked on
            break
        if None in passing:
            return "unknown"
        if all(entry.copies_of_raw != 1 for entry in entries):
            smallest = budget
    return smallest


def _approved(certificate: Certificate, candidate: ClaimCandidate) -> float | None:
    """The budget that a claim approves of a candidate by its own rule."""
    approved = certificate.claim.approved
    return next((a.budget for a in approved if a.candidate == candidate.name and a.kind == "budget"), None)


def _results(certificate: Certificate, candidate: ClaimCandidate) -> Sequence[ResultEntry]:
    place = (candidate.answerer, candidate.corpus, candidate.method)
    return [r for r in certificate.results if (r.answerer, r.corpus, r.method) == place and r.seed in candidate.seeds]


def _passes(entry: BudgetEntry, held_to: Standard, claim: Claim) -> bool | None:
    """Whether every family passes at a budget by the standard; None where the certificate does not say."""
    if held_to.level is None:
        return None
    p = next((decision.p for decision in entry.decisions if decision.tolerance == held_to.tolerance), None)
    if p is not None:
        return p <= held_to.level
    uppers = [family.upper for family in entry.families]
    if any(upper is not None and upper > held_to.tolerance for upper in uppers):
        return False  # the bounds hold at alpha, and the level is no larger
    families_decide = claim.tolerance_average >= claim.tolerance
    return True if families_decide and held_to.level == claim.alpha and None not in uppers else None


# A budget for each family --------------------------------------------------------------------------------------


def _routing_changes(
    old: Certificate,
    new: Certificate,
    candidate: ClaimCandidate,
    now: ClaimCandidate | None,
    held_to: Standard,
    barred: str,
) -> Iterator[DecisionChange]:
    """A change for every family that the old certificate routes; one where nothing can be compared."""
    before_of, now_of = _routes(old, candidate), {} if now is None else _routes(new, now)
    why = barred or _incomparable(candidate, now, new.claim.kind != "budget", "routing")
    if not why and (old.claim.tolerance, old.claim.routing_level) != (new.claim.tolerance, new.claim.routing_level):
        why = "the families' shares of alpha, or their tolerance, are others"
    for family in sorted(before_of | now_of) or [""]:
        budgets = _Budgets(before_of.get(family), now_of.get(family))
        yield _change(candidate, family, held_to, budgets, budgets, why)


def _routes(certificate: Certificate, candidate: ClaimCandidate) -> dict[str, float]:
    """The budget below 1 of each family that an approved policy sends to one."""
    if candidate.policy is None or not any(
        approved.candidate == candidate.name and approved.kind == "routing" for approved in certificate.claim.approved
    ):
        return {}
    return {route.family: route.budget for route in candidate.policy.families if route.budget < 1}
