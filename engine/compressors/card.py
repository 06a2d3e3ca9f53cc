"""The card of a learned selector: where it comes from, and which recordings trained it. Knows no run."""

import hashlib
from collections.abc import Iterable
from typing import Any

SCHEMA = "earmark.selector/1"
CARD = "card.json"  # in a selector's folder

Card = dict[str, Any]


def fingerprints(names: Iterable[str]) -> list[str]:
    """BLAKE2b-64 of each name, sorted, each once: enough to recognise a source, too little to tell what it is."""
    return sorted({hashlib.blake2b(name.encode(), digest_size=8).hexdigest() for name in names})


def names_sources(card: Card) -> bool:
    """Whether a card says which sources trained its selector, in the form that the guard against leakage reads."""
    trained_on = card.get("trained_on")
    return isinstance(trained_on, list) and all(
        isinstance(entry, dict)
        and isinstance(entry.get("corpus"), str)
        and all(isinstance(entry.get(key), list) for key in ("sources", "recordings"))
        for entry in trained_on
    )
