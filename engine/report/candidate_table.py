"""The table of a claim's candidates: where the walk of each over the budgets stopped, and on what figures.

Every number is the certificate's own, rounded for reading.
"""

from collections.abc import Sequence

from earmark.engine.report.axes import CandidateAxis, candidate_axes
from earmark.engine.report.claim_card import candidate_words
from earmark.engine.report.html_tables import CellText, HtmlTable, numbers, text, under
from earmark.engine.report.numbers import NONE, count, p_value, percent
from earmark.engine.report.words import code, isolated
from earmark.engine.signoff.certificate import Certificate
from earmark.engine.signoff.claim_entry import CandidateStop, ClaimCandidate


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
