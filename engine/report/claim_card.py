"""The claim of a certificate for a reader: its headline, what is approved, what is not and why, what was not claimed.

The claim alone approves anything; verdicts of single methods are in `decisions`. Takes every number and reason as
the certificate has them, and decides nothing.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from markupsafe import Markup

from earmark.engine.report.axes import CandidateAxis, candidate_axes
from earmark.engine.report.binding import Fact, decided_at, figures, following, harm_facts, routed_facts
from earmark.engine.report.evidence import evidence
from earmark.engine.report.family_tables import NotListening, not_listening
from earmark.engine.report.numbers import Unit, percent
from earmark.engine.report.policy_places import PolicyPlace, stops, untold
from earmark.engine.report.wording import Wording
from earmark.engine.report.words import code, sentence, tolerance_words, where
from earmark.engine.signoff.certificate import Certificate
from earmark.engine.signoff.claim_entry import (
    Claim,
    ClaimCandidate,
    DeployedPolicy,
    Shipped,
)

NOTHING = Markup("Nothing is approved")
_LISTED = 2  # approvals in a headline
_OF_SEVERAL = "Verdicts of single methods"  # a warning that doubts no claim
CLAIMS = {
    "budget": "one budget for all families",
    "routing": "a budget for each family (routing)",
    "both": "one budget for all families, and a budget for each (routing)",
}


class Routing(NamedTuple):
    """What a budget for each family would keep, or keeps."""

    words: str
    stops: list[PolicyPlace]  # where the families go, of a claim that was not made; else empty
    declare: str  # what to declare for it beforehand; else empty


class Approval(NamedTuple):
    """Something that may be shipped."""

    candidate: ClaimCandidate
    words: Markup
    kept: str  # share of the chunks, where the budget does not say it; else empty
    facts: list[Fact]
    stops: list[PolicyPlace]  # of a routing policy; else empty
    untold: str  # why families cannot be told from a question; else empty
    routing: Routing | None


class Refusal(NamedTuple):
    """Candidates that are not approved, for the same reason and by the same figures."""

    candidates: list[ClaimCandidate]
    passed: str  # what the tests show all the same; else empty
    reason: Markup
    facts: list[Fact]
    routing: Routing | None

    @property
    def names(self) -> Markup:
        """The names of the candidates, side by side."""
        return Markup(", ").join(code(candidate.name) for candidate in self.candidates)


class ClaimCard(NamedTuple):
    """Everything that the claim's card says."""

    headline: Markup
    approvals: list[Approval]
    withheld: list[str]
    refusals: list[Refusal]
    facts: list[tuple[str, str, str]]  # a term, its value, and small print
    chance: str  # the guarantee, or that there is none
    warnings: list[Markup]  # that are not in `withheld`
    not_listening: NotListening | None


def card_of(certificate: Certificate, unit: Unit, wording: Wording) -> ClaimCard:
    """The card of a certificate's claim."""
    claim = certificate.claim
    by_name = {candidate.name: candidate for candidate in claim.candidates}
    axis_of = candidate_axes(certificate)
    shipped = {approved.candidate for approved in claim.approved}
    refusals = [
        _refusal(candidate, axis_of[name], certificate, unit, wording)
        for name, candidate in by_name.items()
        if name not in shipped
    ]
    return ClaimCard(
        headline=headline(claim, axis_of, unit),
        approvals=[
            _approval(entry, by_name[entry.candidate], axis_of[entry.candidate], certificate, unit)
            for entry in claim.approved
        ],
        withheld=list(claim.withheld),
        refusals=_merged(refusals),
        facts=_facts(certificate, unit),
        chance=_chance(certificate),
        warnings=_warnings(certificate, wording),
        not_listening=not_listening(certificate.results),
    )


def _warnings(certificate: Certificate, wording: Wording) -> list[Markup]:
    """What casts doubt on the claim; last what is so of every certificate with several verdicts."""
    warnings = [warning for warning in certificate.warnings if warning not in certificate.claim.withheld]
    ordered = sorted(warnings, key=lambda warning: warning.startswith(_OF_SEVERAL))
    doubts = [Markup("{}: {}.").format(line.term, line.words) for line in evidence(certificate) if line.doubted]
    return [*doubts, *map(wording.words, ordered)]


def _merged(refusals: Sequence[Refusal]) -> list[Refusal]:
    """Refusals that say the same as one that names all of its candidates."""
    by_content: dict[str, Refusal] = {}
    for refusal in refusals:
        content = repr(refusal[1:])
        candidates = by_content[content].candidates if content in by_content else []
        by_content[content] = refusal._replace(candidates=candidates + refusal.candidates)
    return [*by_content.values()]


def headline(claim: Claim, axis_of: Mapping[str, CandidateAxis], unit: Unit) -> Markup:
    """The one sentence on top of the page; `axis_of` each candidate, by its name."""
    approved = claim.approved
    by_name = {candidate.name: candidate for candidate in claim.candidates}
    if not approved:
        return NOTHING
    of_average = all(entry.kind == "budget" for entry in approved)  # routing claims nothing of a tighter average
    within = tolerance_words(claim.tolerance, claim.tolerance_average if of_average else None, unit)
    start = "Approved" if claim.guaranteed else "No guarantee: the paper's rule passes"
    colon = ":" if claim.guaranteed else ""
    if len(approved) <= _LISTED:
        ships = [_ships(entry, by_name[entry.candidate], axis_of[entry.candidate]) for entry in approved]
        shipped = Markup(", and ").join(ships)
        return Markup("{}{} {}, within {}").format(start, colon, shipped, within)
    names = {entry.candidate for entry in approved}
    return Markup("{}{} {} of {} candidates, within {}").format(start, colon, len(names), claim.k, within)


def _ships(approved: Shipped, candidate: ClaimCandidate, axis: CandidateAxis) -> Markup:
    """What is shipped, and how much it keeps."""
    if approved.budget is not None:
        return Markup("{} at {}").format(code(approved.candidate), axis.share(approved.budget))
    kept = axis.retained(percent(approved.retained), candidate.policy)
    return Markup("{} routed by family, keeping {}").format(code(approved.candidate), kept)


def seeds_of(candidate: ClaimCandidate | DeployedPolicy) -> str:
    """The training seeds that a candidate is in."""
    seeds = candidate.seeds
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"


def candidate_words(candidate: ClaimCandidate | DeployedPolicy) -> Markup:
    """Where a candidate was tried, and in which seeds: all of them have to pass."""
    return Markup("{} · {}").format(where(candidate.answerer, candidate.corpus), seeds_of(candidate))


# What became of candidates ---------------------------------------------------------------------------------


def _approval(
    approved: Shipped, candidate: ClaimCandidate, axis: CandidateAxis, certificate: Certificate, unit: Unit
) -> Approval:
    claim = certificate.claim
    routed = approved.kind == "routing"
    budget_says_it = approved.budget is None or abs(approved.budget - approved.retained) < 1e-9
    if approved.budget is None:
        facts = routed_facts(candidate, certificate, unit)
    else:
        facts = figures(candidate, approved.budget, certificate, unit)
    policy = next((p for p in claim.policies if routed and _is_of(p, candidate)), None)
    return Approval(
        candidate,
        _ships(approved, candidate, axis),
        "" if budget_says_it else f"{percent(approved.retained)} of the chunks are kept on average",
        facts,
        stops(candidate.policy) if routed else [],
        untold(policy) if policy else "",
        None if routed else _routing(candidate, axis, claim),
    )


def _is_of(policy: DeployedPolicy, candidate: ClaimCandidate) -> bool:
    names = ("answerer", "corpus", "method", "seeds")
    return all(getattr(policy, name) == getattr(candidate, name) for name in names)


def _refusal(
    candidate: ClaimCandidate, axis: CandidateAxis, certificate: Certificate, unit: Unit, wording: Wording
) -> Refusal:
    passed = "" if candidate.budget is None else f"passes its tests at {axis.share(candidate.budget)}"
    budget = decided_at(candidate)
    facts = [] if budget is None else harm_facts(candidate, budget, certificate, unit)
    next_step = following(candidate, certificate, wording)
    if next_step:
        facts.append(Fact("Next", next_step))
    return Refusal(
        [candidate], passed, wording.sentence(candidate.reason), facts, _routing(candidate, axis, certificate.claim)
    )


def _routing(candidate: ClaimCandidate, axis: CandidateAxis, claim: Claim) -> Routing | None:
    """What a budget for each family would keep; None where it was claimed, or there is nothing to say of it."""
    policy = candidate.policy
    if policy is None or claim.kind != "budget" or claim.withheld:
        return None
    would_keep = axis.retained(percent(policy.retained), policy)
    not_made = next((entry for entry in claim.not_made if entry.candidate == candidate.name), None)
    if not_made is not None:
        declare = sentence(f"to claim it, declare {not_made.declare}")
        return Routing(f"would keep {would_keep}; it was not claimed", stops(policy), declare)
    if candidate.deaf:
        return None
    if candidate.budget is None:
        return Routing("would not help: no family would go below raw audio", [], "") if policy.retained == 1 else None
    return Routing(f"would keep {would_keep}; it was not claimed", [], "")


# What it rests on ------------------------------------------------------------------------------------------


def _facts(certificate: Certificate, unit: Unit) -> list[tuple[str, str, str]]:
    """What the claim rests on: a term, its value, and small print."""
    claim = certificate.claim
    average = claim.tolerance_average
    apart = average != claim.tolerance
    routed = "" if claim.kind == "budget" else "of one budget; routing claims nothing of the average"
    names = [candidate.name for candidate in claim.candidates]
    undeclared = "none were declared: every method, the baselines only where there is nothing else"
    return [
        ("Claimed", CLAIMS[claim.kind], ""),
        ("Tolerance", f"{unit.tolerance(claim.tolerance)} in every family", ""),
        *([("On average", unit.tolerance(average), routed)] if apart else []),
        (
            "Candidates",
            f"{claim.k}: {', '.join(names)}" if names else "none",
            "declared" if claim.declared else undeclared,
        ),
        *([("Tested at", _levels(claim), "")] if claim.guaranteed else []),
        *((line.term, line.words, line.place) for line in evidence(certificate) if not line.doubted),
    ]


def _levels(claim: Claim) -> str:
    """What each test may spend, in words."""
    each = " for each candidate" if claim.k > 1 else ""
    if claim.level is None:
        return f"{percent(claim.routing_level)}{each}, shared by its families"
    routing = "" if claim.routing_level is None else f", and {percent(claim.routing_level)} for routing it"
    return f"{percent(claim.level)}{each}{routing}"


def _chance(certificate: Certificate) -> str:
    """The guarantee in one sentence."""
    claim, follows = certificate.claim, certificate.follows
    if not claim.guaranteed:
        return (
            "There is no guarantee: the paper's rule looks for the smallest passing budget among several and pays "
            "nothing for the search, so that a false approval may be likelier than its alpha."
        )
    among = f", over all {claim.k} candidates together" if claim.k > 1 else ""
    chain = f" With the certificates before this one it is at most {percent(follows.alpha_spent)}." if follows else ""
    start = "" if claim.approved else "Keep all of the audio for now. "
    return f"{start}The chance that anything here is a false approval is at most {percent(claim.alpha)}{among}.{chain}"
