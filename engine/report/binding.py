"""The facts that decide about a candidate: what it saves, the family that binds it, and what routing would keep.

Every number is the certificate's own. Takes the bounds of families as they are, alone and uncorrected, and says so.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from markupsafe import Markup

from earmark.engine.report.numbers import Unit, count, percent, significant
from earmark.engine.report.wording import Wording
from earmark.engine.report.words import isolated, listed
from earmark.engine.signoff.certificate import Certificate
from earmark.engine.signoff.claim_entry import CandidatePolicy, ClaimCandidate
from earmark.engine.signoff.result_entry import BudgetEntry, FamilyAtBudget, Next, ResultEntry, ResultFamily, Used

_SAVED = {
    "seconds": "seconds",
    "bits": "bits",
    "positions": "audio positions",
    "lm_positions": "positions in the model",
    "flops": "operations",
}
_NOTICED = 0.0005  # a share that is written as 0
_NAMED = 5  # families for which a method is to be changed


class Fact(NamedTuple):
    """A term, what holds of it, and small print."""

    term: str
    value: Markup
    small: Markup = Markup()


class BindingFamily(NamedTuple):
    """A family at the budget where it decides, in one seed and under one partition."""

    at_budget: FamilyAtBudget
    of_result: ResultFamily
    partition: str
    seed: int

    @property
    def excess(self) -> float:
        """The excess that is tested: over recordings, where that is what is tested."""
        over_recordings = self.at_budget.excess_recordings
        tested = over_recordings if self.of_result.estimand == "recordings" else None
        return self.at_budget.excess if tested is None else tested


def results_of(candidate: ClaimCandidate, certificate: Certificate) -> list[ResultEntry]:
    """The results of a candidate, in all its seeds and partitions."""
    place = (candidate.answerer, candidate.corpus, candidate.method)
    return [r for r in certificate.results if (r.answerer, r.corpus, r.method) == place and r.seed in candidate.seeds]


def binding(candidate: ClaimCandidate, results: Sequence[ResultEntry], budget: float) -> BindingFamily | None:
    """The family that decides at a budget: the one that stopped the walk there, else the one that may be hurt most."""
    families = [*_families_at(results, budget)]
    stop = candidate.stopped
    if stop is not None and stop.budget == budget and stop.family is not None:
        stopping = (stop.family, stop.seed, stop.partition or "")
        named = [f for f in families if (f.at_budget.family, f.seed, f.partition if stop.partition else "") == stopping]
        families = named or families
    return max(families, key=_reach, default=None)


def decided_at(candidate: ClaimCandidate) -> float | None:
    """The budget that a candidate is judged by: the smallest that passes, else the one at which its walk stopped."""
    if candidate.budget is not None:
        return candidate.budget
    return None if candidate.stopped is None else candidate.stopped.budget


def binding_routed(results: Sequence[ResultEntry], policy: CandidatePolicy) -> tuple[BindingFamily, float] | None:
    """The family that may be hurt most at the budget that it is routed to, and that budget; None where all is raw."""
    routed = [
        (family, route.budget)
        for route in policy.families
        if route.budget < 1
        for family in _families_at(results, route.budget)
        if (family.partition, family.at_budget.family) == (policy.partition, route.family)
    ]
    return max(routed, key=lambda entry: _reach(entry[0]), default=None)


def _families_at(results: Sequence[ResultEntry], budget: float) -> Iterator[BindingFamily]:
    for result in results:
        of_result = {family.family: family for family in result.families}
        for entry in result.budgets:
            if entry.budget == budget:
                for family in entry.families:
                    if family.family in of_result:
                        yield BindingFamily(family, of_result[family.family], result.partition, result.seed)


def _reach(family: BindingFamily) -> tuple[float, float]:
    upper = family.at_budget.upper
    return (float("inf") if upper is None else float(upper), float(family.excess))


def family_facts(family: BindingFamily, several: bool, tolerance: float, unit: Unit) -> list[Fact]:
    """Which family binds, how often raw audio is right there, and how much worse it is.

    `several`: there are families of more than one partition.
    """
    partition = Markup(" ({})").format(isolated(family.partition)) if several else Markup()
    name = Markup("<strong>{}</strong>{}").format(isolated(family.at_budget.family), partition)
    right, chance = family.of_result.raw_accuracy, family.of_result.chance
    guessed = f" ({percent(chance)} by guessing)" if chance is not None else ""
    raw = "" if right is None else f": {percent(right)} right on raw audio{guessed}"
    harm = Fact("Its harm", _harm(family, tolerance, unit), _counts(family.at_budget))
    return [Fact("Worst family", name + raw), harm]


def _harm(family: BindingFamily, tolerance: float, unit: Unit) -> Markup:
    excess, upper, lower = family.excess, family.at_budget.upper, family.at_budget.lower
    verb = "better" if excess < 0 else "worse"
    bound, side = (lower, "least") if excess > tolerance else (upper, "most")
    reach = "" if bound is None else f", at {side} {unit.number(bound)}"
    allowed = unit.tolerance(tolerance)
    words = f"{unit.words(abs(excess))} {verb}{reach}; {allowed} {'is' if allowed == '1 point' else 'are'} allowed"
    return Markup("{}").format(words)


def _counts(family: FamilyAtBudget) -> Markup:
    words = f"{count(family.plus)} of {count(family.n)} rows worse, {count(family.minus)} better"
    return Markup("{}").format(words)


def saved(results: Sequence[ResultEntry], budget: float) -> Markup:
    """What a question saves at a budget against raw audio, in a sentence: shares of everything that was measured.

    Of several seeds that which saves least. Empty where nothing was measured.
    """
    pairs = [pair for result in results for pair in _raw_and_kept(result, budget)]
    saved_of = {words: share for name, words in _SAVED.items() if (share := _least_saved(name, pairs)) is not None}
    by_share: dict[str, list[str]] = {}
    for words, share in saved_of.items():
        if abs(share) >= _NOTICED:
            of_share = f"{significant(100 * abs(share), 3)}% {'more' if share < 0 else 'of its'}"
            by_share.setdefault(of_share, []).append(words)
    if not saved_of:
        return Markup()
    savings = "; ".join(f"{share} {_joined(words)}" for share, words in by_share.items())
    return Markup("{}").format(savings or "nothing of what was measured")


def _joined(words: Sequence[str]) -> str:
    return ", ".join(words[:-1]) + " and " + words[-1] if len(words) > 1 else words[0]


def _raw_and_kept(result: ResultEntry, budget: float) -> Iterator[tuple[Used, Used]]:
    def at(wanted: float) -> BudgetEntry | None:
        return next((entry for entry in result.budgets if entry.budget == wanted), None)

    raw, kept = at(1.0), at(budget)
    if raw is not None and kept is not None:
        yield raw.used, kept.used


def _least_saved(name: str, pairs: Sequence[tuple[Used, Used]]) -> float | None:
    """The smallest share of an amount that is saved; None where it was not measured."""
    known = [(getattr(raw, name), getattr(kept, name)) for raw, kept in pairs]
    return min((1 - kept / raw for raw, kept in known if raw and kept is not None), default=None)


# Of a candidate ------------------------------------------------------------------------------------------------


def figures(candidate: ClaimCandidate, budget: float, certificate: Certificate, unit: Unit) -> list[Fact]:
    """What is saved at a budget, and how the family that binds fares there."""
    saving = saved(results_of(candidate, certificate), budget)
    facts = harm_facts(candidate, budget, certificate, unit)
    return [Fact("A question saves", saving), *facts] if saving else facts


def harm_facts(candidate: ClaimCandidate, budget: float, certificate: Certificate, unit: Unit) -> list[Fact]:
    """How the family that binds a candidate at a budget fares there; empty where there is none."""
    family = binding(candidate, results_of(candidate, certificate), budget)
    several = len(certificate.rule.partitions) > 1
    if family is None:
        return _stop_facts(candidate)
    return family_facts(family, several, certificate.claim.tolerance, unit)


def _stop_facts(candidate: ClaimCandidate) -> list[Fact]:
    """What was seen of the family that ended a walk before every other was looked at; empty where nothing was."""
    stop = candidate.stopped
    if stop is None or stop.family is None or not stop.plus + stop.minus:
        return []
    seen = f"{count(stop.plus)} of {count(stop.units)} {stop.unit} worse, {count(stop.minus)} better"
    name = Markup("<strong>{}</strong>").format(isolated(stop.family))
    return [Fact("Stopped by", name), Fact("Its harm", Markup("{}").format(seen))]


def routed_facts(candidate: ClaimCandidate, certificate: Certificate, unit: Unit) -> list[Fact]:
    """How the family fares that may be hurt most at the budget that a policy sends it to; empty where all is raw."""
    policy = candidate.policy
    routed = None if policy is None else binding_routed(results_of(candidate, certificate), policy)
    if routed is None:
        return []
    family, budget = routed
    several = len(certificate.rule.partitions) > 1
    worst, *harm = family_facts(family, several, certificate.claim.tolerance, unit)
    return [worst._replace(small=Markup("at {}, where it is sent").format(percent(budget))), *harm]


def following(candidate: ClaimCandidate, certificate: Certificate, wording: Wording) -> Markup:
    """The step that helps a candidate whose walk stopped: new rows at the level of the claim, or the result's own."""
    stop = candidate.stopped
    if stop is None or candidate.budget is not None or candidate.deaf:
        return Markup()
    if stop.needed is not None:
        whose = Markup(" of '{}'").format(isolated(stop.family)) if stop.family else ""
        words = Markup("About {} new {}{}, certified alone, would pass with 90% power.")
        return words.format(count(stop.needed), stop.unit, whose)
    for result in results_of(candidate, certificate):
        if (result.seed, result.partition) == (stop.seed, stop.partition):
            for entry in result.certified:
                if entry.tolerance == certificate.claim.tolerance and entry.next.action != "ship":
                    return _advice(entry.next, candidate, wording)
    return Markup()


def _advice(step: Next, candidate: ClaimCandidate, wording: Wording) -> Markup:
    """The step of a result in the units of the page; without routing where a policy would send every family to raw."""
    if step.action == "route" and candidate.policy is not None and candidate.policy.retained == 1:
        return Markup("Harm is local: change the method for {}.").format(listed(step.families, _NAMED))
    return wording.sentence(step.text)
