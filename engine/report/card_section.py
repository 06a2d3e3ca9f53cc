"""The section of a model card that says what a certificate does: a decision, its evidence, its caveats.

It has no date and no path, so that a certificate has one section. Takes every number as the certificate has it.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from earmark.engine.design.compressors import AXIS_WORDS
from earmark.engine.errors import InputError, first_few
from earmark.engine.reading import read_bytes
from earmark.engine.report.axes import CandidateAxis, candidate_axes, share_words
from earmark.engine.report.binding import BindingFamily, binding, binding_routed, decided_at, results_of
from earmark.engine.report.markdown import markdown, markdown_table
from earmark.engine.report.numbers import Unit, count, percent
from earmark.engine.report.policy_places import stops, untold
from earmark.engine.report.walk_words import asked_words
from earmark.engine.report.wording import Wording, wording_of
from earmark.engine.report.words import sentence, tolerance_words
from earmark.engine.signoff.certificate import CERTIFICATE_FILE, Certificate
from earmark.engine.signoff.claim_entry import CandidatePolicy, ClaimCandidate, Shipped
from earmark.engine.signoff.result_entry import ResultEntry
from earmark.engine.signoff.walk_entry import WalkEntry

BEGIN, END = "<!-- earmark: begin -->", "<!-- earmark: end -->"
_TITLE = "## Audio compression"
_MOST_BYTES = 1 << 24  # of a card
_NAMED = 12  # families that go to one place


def section(certificate: Certificate, sha256: str) -> list[str]:
    """The lines of the section, markers included; `sha256` is that of the certificate's file."""
    _check_approved(certificate)
    claim, wording, axes = certificate.claim, wording_of(certificate), candidate_axes(certificate)
    lines = [BEGIN, _TITLE, "", f"**{markdown(_decision(certificate, axes, wording.unit))}**", ""]
    approved = [candidate for candidate in claim.candidates if candidate.name in {a.candidate for a in claim.approved}]
    for candidate in approved or claim.candidates:
        facts = list(_facts(certificate, candidate, axes[candidate.name], wording))
        lines += [f"### {markdown(candidate.name)}", "", *markdown_table(("", ""), facts), ""]
    lines += [
        f"The compressed audio was compared with raw audio, question by question, under one frozen model. "
        f"{markdown(_chance(certificate))}",
        "",
        *(f"- Refused: {words}" for words in _refused_beside(certificate, approved, wording)),
        *(f"- Caveat: {markdown(caveat)}" for caveat in _caveats(certificate, wording)),
        "",
        f"Recompute it from the outcomes: `earmark verify {CERTIFICATE_FILE}`, whose SHA-256 is `{sha256}`.",
        END,
    ]
    return lines


def _check_approved(certificate: Certificate) -> None:
    """Refuse a certificate that approves what is no candidate of it."""
    names = [candidate.name for candidate in certificate.claim.candidates]
    for approved in certificate.claim.approved:
        if names.count(approved.candidate) != 1:
            what = f"approves '{approved.candidate}', which is not the name of one candidate"
            raise InputError(CERTIFICATE_FILE, what, "it was edited: make it again")


def read_card(path: Path) -> str:
    """The text of a card, line ends as they are; InputError where it is no text."""
    data = read_bytes(path, "name a model card, or a new file", _MOST_BYTES)
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise InputError(path, "is not UTF-8 text", "name a model card, or a new file") from None


def placed(card: str, lines: Sequence[str], where: object) -> str:
    """A card with the section between its markers, or behind everything where there are none yet.

    Nothing else is touched. InputError where the markers are not one pair; `where` is what it calls the card.
    """
    newline = "\r\n" if "\r\n" in card else "\n"
    text = newline.join(lines)
    begins, ends = card.count(BEGIN), card.count(END)
    if begins == ends == 0:
        gap = "" if not card or card.endswith(newline * 2) else newline if card.endswith("\n") else newline * 2
        return card + gap + text + newline
    begin, end = card.find(BEGIN), card.find(END)
    if (begins, ends) != (1, 1) or end < begin:
        what = f"has {begins} of {BEGIN} and {ends} of {END}, and they are no pair"
        raise InputError(where, what, "leave the first before the second, once each, or neither")
    return card[:begin] + text + card[end + len(END) :]


# What it says --------------------------------------------------------------------------------------------------


def _decision(certificate: Certificate, axes: Mapping[str, CandidateAxis], unit: Unit) -> str:
    """What may be shipped, in a sentence; or that nothing may."""
    claim = certificate.claim
    if not claim.approved:
        return "Nothing is approved."
    within = tolerance_words(claim.tolerance, claim.tolerance_average, unit)
    ships = [_ships(approved, certificate, axes[approved.candidate]) for approved in claim.approved]
    start = "Approved" if claim.guaranteed else "Passed without a guarantee"
    return f"{start}: {', and '.join(ships)}, every kind of question within {within} of raw audio."


def _ships(approved: Shipped, certificate: Certificate, axis: CandidateAxis) -> str:
    if approved.budget is not None:
        return f"{approved.candidate} at {axis.share(approved.budget)}"
    (candidate,) = (c for c in certificate.claim.candidates if c.name == approved.candidate)
    return (
        f"{approved.candidate} routed by family, keeping {axis.retained(percent(approved.retained), candidate.policy)}"
    )


def _facts(
    certificate: Certificate, candidate: ClaimCandidate, axis: CandidateAxis, wording: Wording
) -> Iterator[tuple[str, str]]:
    """What is known of one candidate: terms and values."""
    claim, unit = certificate.claim, wording.unit
    approved = [entry for entry in claim.approved if entry.candidate == candidate.name]
    results = results_of(candidate, certificate)
    compressor = next((r.compressor for r in results if r.compressor), None) or candidate.method
    what = f", whose budgets are shares of {AXIS_WORDS[axis.axis]}" if axis.axis else ""
    yield "Compressor", f"{compressor}{what}"
    passed = "approved" if claim.guaranteed else "passed, without a guarantee"
    yield "Decision", passed if approved else f"refused: {_refusal(certificate, candidate, wording)}"
    for entry in approved:
        yield "Kept", _kept(entry, candidate, axis)
    routed = candidate.policy if any(entry.kind == "routing" for entry in approved) else None
    if routed is not None:
        yield from _policy(certificate, candidate, routed)
    worst = _worst(candidate, results, approved, routed)
    if worst is not None:
        yield "Worst family", _worst_words(*worst, axis, unit)
    yield "Tolerance", f"{tolerance_words(claim.tolerance, claim.tolerance_average, unit)} in every family"
    if results:
        first = results[0]
        about = f"{count(first.n)} about {count(first.sources)} recordings"
        n_families = len(first.families)
        families = "one family" if n_families == 1 else f"{n_families} families"
        yield "Questions", f"{about} of {candidate.corpus}, in {families}"
    walks = [walk for walk in certificate.walks if _is_of(walk, candidate)]
    if walks:
        yield "Asked", asked_words(walks, certificate.preview)
    yield "Answerer", _answerer(certificate, candidate.answerer)


def _is_of(walk: WalkEntry, candidate: ClaimCandidate) -> bool:
    place = (candidate.answerer, candidate.corpus, candidate.method)
    return (walk.answerer, walk.corpus, walk.method) == place and walk.seed in candidate.seeds


def _policy(certificate: Certificate, candidate: ClaimCandidate, policy: CandidatePolicy) -> Iterator[tuple[str, str]]:
    """Where each family goes, and whether a deployment can tell families apart."""
    places = [f"{stop.place}: {first_few(stop.families, _NAMED)}" for stop in stops(policy)]
    yield "Policy", "; ".join([*places, "any other question: raw audio"])
    place = (candidate.answerer, candidate.corpus, candidate.method, candidate.seeds)
    for deployed in certificate.claim.policies:
        if (deployed.answerer, deployed.corpus, deployed.method, deployed.seeds) == place:
            why = untold(deployed)
            yield (
                "Deployable",
                f"not as it is: {why}" if why else f"yes: families are told from {deployed.tell.get('of')}",
            )


def _refused_beside(certificate: Certificate, approved: Sequence[ClaimCandidate], wording: Wording) -> list[str]:
    """Why each candidate is refused that has no table of its own."""
    refused = [c for c in certificate.claim.candidates if approved and c not in approved]
    return [markdown(f"{c.name}: {_refusal(certificate, c, wording)}") for c in refused]


def _refusal(certificate: Certificate, candidate: ClaimCandidate, wording: Wording) -> str:
    withheld = certificate.claim.withheld
    return wording.unmarked(withheld[0] if withheld else candidate.reason)


def _kept(approved: Shipped, candidate: ClaimCandidate, axis: CandidateAxis) -> str:
    """The share that is kept, with its unit."""
    if approved.budget is None:
        return axis.retained(percent(approved.retained), candidate.policy)
    return axis.share(approved.budget)


def _worst(
    candidate: ClaimCandidate,
    results: Sequence[ResultEntry],
    approved: Sequence[Shipped],
    policy: CandidatePolicy | None,
) -> tuple[BindingFamily, float] | None:
    """The family that binds, as on the page, and its budget: the approved one, where the walk stopped, or its route."""
    budgets = [entry.budget for entry in approved if entry.budget is not None]
    if policy is not None and not budgets:
        return binding_routed(results, policy)
    below = [entry.budget for result in results for entry in result.budgets if entry.budget < 1]
    budget = next((b for b in (*budgets, decided_at(candidate), max(below, default=None)) if b is not None), None)
    family = None if budget is None else binding(candidate, results, budget)
    return None if family is None or budget is None else (family, budget)


def _worst_words(family: BindingFamily, budget: float, axis: CandidateAxis, unit: Unit) -> str:
    """The worst family: how right it is on raw audio and by guessing, and how much worse it gets."""
    right, chance = family.of_result.raw_accuracy, family.of_result.chance
    raw = "no raw answer" if right is None else f"{percent(round(right, 3))} right on raw audio"
    guessed = "unknown" if chance is None else percent(round(chance, 3))
    upper = family.at_budget.upper
    reach = "" if upper is None else f", at most {unit.words(upper)}"
    return (
        f"'{family.at_budget.family}' ({raw}, chance {guessed}): {unit.number(family.excess, signed=True)} {unit.name} "
        f"of error{reach}, at {share_words(budget, axis.axis)}"
    )


def _answerer(certificate: Certificate, name: str) -> str:
    """Who answered: the model, and what its answers depend on as it says itself."""
    entry = next((entry for entry in certificate.answerers if entry.answerer == name), None)
    if entry is None:
        return f"{name} (outcomes were imported: known by name only)"
    return f"{entry.model} (identity {entry.identity})"


def _chance(certificate: Certificate) -> str:
    """The guarantee in one sentence."""
    claim, follows = certificate.claim, certificate.follows
    if not claim.guaranteed:
        return "No chance of error is guaranteed."
    among = f", over all {claim.k} candidates together" if claim.k > 1 else ""
    chain = f" With the certificates before it is at most {percent(follows.alpha_spent)}." if follows else ""
    return f"The chance of any false approval is at most {percent(claim.alpha)} (alpha){among}.{chain}"


def _caveats(certificate: Certificate, wording: Wording) -> list[str]:
    """What a reader must know before believing the rest."""
    declared = (
        []
        if certificate.declared.plan
        else ["Nothing was declared beforehand; the certificate takes its maker's word."]
    )
    caveats = dict.fromkeys([*certificate.claim.withheld, *certificate.warnings, *declared])
    return [wording.unmarked(sentence(words)) for words in caveats]
