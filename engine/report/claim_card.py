"""The claim of a certificate for a reader: its headline, what is approved, what is not and why, what was not claimed.

The claim alone approves anything; verdicts of single methods are in `decisions`. Takes every number and reason as
the certificate has them, and decides nothing.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from markupsafe import Markup

from earmark.engine.report.axes import CandidateAxis, candidate_axes
from earmark.engine.report.family_tables import NotListening, not_listening
from earmark.engine.report.html_tables import CellText, HtmlTable, numbers, text, under
from earmark.engine.report.numbers import NONE, Unit, count, p_value, percent
from earmark.engine.report.words import code, isolated, sentence, tolerance_words, where
from earmark.engine.signoff.certificate import Certificate
from earmark.engine.signoff.claim_entry import (
    CandidatePolicy,
    CandidateStop,
    Claim,
    ClaimCandidate,
    DeployedPolicy,
    Shipped,
    UnclaimedRouting,
)

NOTHING = Markup("Nothing is approved")
_LISTED = 2  # approvals in a headline
CLAIMS = {
    "budget": "one budget for all families",
    "routing": "a budget for each family (routing)",
    "both": "one budget for all families, and a budget for each (routing)",
}


class PolicyPlace(NamedTuple):
    """The families that a policy sends to one place, which is a budget or raw audio."""

    place: str
    families: list[str]


class Approval(NamedTuple):
    """Something that may be shipped."""

    candidate: ClaimCandidate
    words: Markup
    kept: str  # share of the chunks, where the budget does not say it; else empty
    stops: list[PolicyPlace]  # of a routing policy; else empty
    untold: str  # why families cannot be told from a question; else empty


class Refusal(NamedTuple):
    """A candidate that is not approved."""

    candidate: ClaimCandidate
    passed: str  # what the tests show all the same; else empty
    reason: str
    needed: str  # how many new rows would be enough, if that is known


class NotMade(NamedTuple):
    """A claim of routing that would have held, and that was not declared."""

    candidate: ClaimCandidate
    retained: str
    stops: list[PolicyPlace]
    declare: str


class ClaimCard(NamedTuple):
    """Everything that the claim's card says."""

    headline: Markup
    approvals: list[Approval]
    withheld: list[str]
    refusals: list[Refusal]
    facts: list[tuple[str, str, str]]  # a term, its value, and small print
    chance: str  # the guarantee, or that there is none
    warnings: list[str]  # that are not in `withheld`
    not_listening: NotListening | None
    not_made: list[NotMade]


def card_of(certificate: Certificate, unit: Unit) -> ClaimCard:
    """The card of a certificate's claim."""
    claim = certificate.claim
    by_name = {candidate.name: candidate for candidate in claim.candidates}
    axis_of = candidate_axes(certificate)
    approvals = [
        _approval(approved, by_name[approved.candidate], axis_of[approved.candidate], claim)
        for approved in claim.approved
    ]
    shipped = {approval.candidate.name for approval in approvals}
    return ClaimCard(
        headline=headline(claim, axis_of, unit),
        approvals=approvals,
        withheld=list(claim.withheld),
        refusals=[_refusal(candidate, axis_of[name]) for name, candidate in by_name.items() if name not in shipped],
        facts=_facts(certificate, unit),
        chance=_chance(certificate),
        warnings=[warning for warning in certificate.warnings if warning not in claim.withheld],
        not_listening=not_listening(certificate.results),
        not_made=[_not_made(entry, by_name[entry.candidate], axis_of[entry.candidate]) for entry in claim.not_made],
    )


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


def _approval(approved: Shipped, candidate: ClaimCandidate, axis: CandidateAxis, claim: Claim) -> Approval:
    routed = approved.kind == "routing"
    budget_says_it = approved.budget is None or abs(approved.budget - approved.retained) < 1e-9
    policy = next((p for p in claim.policies if routed and _is_of(p, candidate)), None)
    return Approval(
        candidate,
        _ships(approved, candidate, axis),
        "" if budget_says_it else f"{percent(approved.retained)} of the chunks are kept on average",
        stops(candidate.policy) if routed else [],
        policy.tell.get("reason", "") if policy and not policy.deployable else "",
    )


def _is_of(policy: DeployedPolicy, candidate: ClaimCandidate) -> bool:
    names = ("answerer", "corpus", "method", "seeds")
    return all(getattr(policy, name) == getattr(candidate, name) for name in names)


def _refusal(candidate: ClaimCandidate, axis: CandidateAxis) -> Refusal:
    stop = candidate.stopped
    passed = "" if candidate.budget is None else f"passes its tests at {axis.share(candidate.budget)}"
    needed = ""
    if stop is not None and stop.needed is not None and candidate.budget is None:
        whose = f" of '{stop.family}'" if stop.family else ""
        needed = f"About {count(stop.needed)} new {stop.unit}{whose}, certified alone, would pass with 90% power."
    return Refusal(candidate, passed, sentence(candidate.reason), needed)


def _not_made(entry: UnclaimedRouting, candidate: ClaimCandidate, axis: CandidateAxis) -> NotMade:
    declare = sentence(f"to claim it, declare {entry.declare}")
    retained = axis.retained(percent(entry.retained), candidate.policy)
    return NotMade(candidate, retained, stops(candidate.policy), declare)


def stops(policy: CandidatePolicy | None) -> list[PolicyPlace]:
    """The families of a policy by the place they go to, from the smallest budget up; raw audio is last."""
    places: dict[tuple[float, bool], list[str]] = {}
    for route in policy.families if policy else ():
        places.setdefault((route.budget, not route.tested), []).append(route.family)
    return [PolicyPlace(_place(budget, untested), places[budget, untested]) for budget, untested in sorted(places)]


def _place(budget: float, untested: bool) -> str:
    """Where a family goes, in words."""
    if budget < 1:
        return percent(budget)
    return "raw, untested" if untested else "raw audio"


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
    return f"The chance that anything here is a false approval is at most {percent(claim.alpha)}{among}.{chain}"


def candidates(certificate: Certificate) -> HtmlTable | None:
    """Where every candidate's walk over the budgets stopped; None where no walk was claimed."""
    claim, axis_of = certificate.claim, candidate_axes(certificate)
    if claim.level is None or not any(candidate.stopped for candidate in claim.candidates):
        return None
    rows = [
        (
            under(code(c.name), candidate_words(c)),
            _passes_at(c, axis_of[c.name]),
            *_stopped(c.stopped),
        )
        for c in claim.candidates
    ]
    columns = [
        *text("Candidate"),
        *numbers("Passes at", "Stopped at"),
        *text("In", "Family"),
        *numbers("Rows", "Worse", "Better", "p", "Independent units", "Units for 90% power"),
    ]
    caption = f"Candidates: where the walk of each stopped, every test at {percent(claim.level)}"
    return HtmlTable(caption, columns, rows, folded=True)


def _passes_at(candidate: ClaimCandidate, axis: CandidateAxis) -> CellText:
    """The budget at which a candidate passes, and how much it keeps there: what is measured, where that is far more."""
    if candidate.budget is None:
        return "none below 1"
    return under(percent(candidate.budget), f"keeps {percent(axis.exceeded.get(candidate.budget, candidate.retained))}")


def _stopped(stop: CandidateStop | None) -> Sequence[str]:
    """The nine cells on where a walk stopped."""
    if stop is None:
        return ("nowhere", *[NONE] * 8)
    place = under(f"seed {stop.seed}", stop.partition or NONE)
    if stop.missing:
        return (percent(stop.budget), place, "no outcomes", *[NONE] * 6)
    return (
        percent(stop.budget),
        place,
        isolated(stop.family) if stop.family else "the average",
        count(stop.n),
        count(stop.plus),
        count(stop.minus),
        p_value(stop.p),
        f"{count(stop.units)} {stop.unit}",
        count(stop.needed),
    )
