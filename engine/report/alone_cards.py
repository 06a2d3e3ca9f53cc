"""The cards of what passes alone: one for all groups and tolerances of which the page would say the same.

Compares what is shown, and knows nothing of what it means.
"""

from collections.abc import Iterable
from typing import NamedTuple

from markupsafe import Markup

from earmark.engine.report.decisions import DecisionCard, Group
from earmark.engine.report.meaning import ReaderQuestion


class AloneCard(NamedTuple):
    """A decision, what it means, and the groups and tolerances of which it tells."""

    decision: DecisionCard
    meaning: list[ReaderQuestion]
    places: list[Markup]
    tolerances: list[float]


def merged(entries: Iterable[tuple[Group, DecisionCard, list[ReaderQuestion]]]) -> list[AloneCard]:
    """The cards in the order of their first groups."""
    by_content: dict[str, AloneCard] = {}
    for group, decision, meaning in entries:
        content = _content(decision, meaning)
        card = by_content.setdefault(content, AloneCard(decision, meaning, [], []))
        if group.where not in card.places:
            card.places.append(group.where)
        if decision.tolerance not in card.tolerances:
            card.tolerances.append(decision.tolerance)
    return [*by_content.values()]


def _content(decision: DecisionCard, meaning: list[ReaderQuestion]) -> str:
    """All that a card shows, but for where it is and within which tolerance."""
    evidence = decision.evidence
    figures = evidence and (
        evidence.budget,
        evidence.worst_family,
        evidence.excess_family,
        evidence.excess_average,
        evidence.hidden_damage,
    )
    place = (decision.result.answerer, decision.result.corpus, decision.result.method, decision.result.seed)
    shown = (decision.axis, decision.headline, decision.passes_at, decision.corrected, decision.teller, decision.rivals)
    return repr((place, shown, figures, decision.reason, decision.next_step, decision.unnamed, meaning))
