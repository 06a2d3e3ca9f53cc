"""The card of a learned selector: where it comes from, and which recordings trained it. Knows no run."""

import hashlib
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from earmark.engine.errors import InputError
from earmark.engine.reading import parse_json, read_bytes

SCHEMA = "earmark.selector/1"
CARD = "card.json"  # in a selector's folder

Card = dict[str, Any]

_AGAIN = "train the selector again, or copy its whole folder"
MOST_CARD_BYTES = 1 << 26
_HASH = re.compile(r"[0-9a-f]{64}")


def fingerprints(names: Iterable[str]) -> list[str]:
    """BLAKE2b-64 of each name, sorted, each once: enough to recognise a source, too little to tell what it is."""
    return sorted({hashlib.blake2b(name.encode(), digest_size=8).hexdigest() for name in names})


def read_card(path: Path) -> Card:
    """The card in a selector's folder, with all that the selector is loaded by; InputError for anything else."""
    card = parse_card(read_bytes(path, _AGAIN, MOST_CARD_BYTES), path)
    for key in ("features", "conditioned", "weights"):
        if key not in card:
            raise InputError(path, f"does not say {key}", _AGAIN, key)
    if card["conditioned"] is True and "tokenizer" not in card:
        raise InputError(path, "does not name its tokenizer", _AGAIN, "tokenizer")
    return card


def parse_card(data: bytes, where: object) -> Card:
    """A card whose fields, as far as it has them, are what docs/selectors.md says; InputError for anything else."""
    card = parse_json(data, where, _AGAIN)
    if not isinstance(card, dict) or card.get("schema") != SCHEMA:
        raise InputError(where, f"is no card of {SCHEMA}", "train the selector with this version")
    for key, (is_valid, words) in _FIELDS.items():
        if key in card and not is_valid(card[key]):
            raise InputError(where, f"has {key} that is no {words}", _AGAIN, key)
    if "trained_on" in card and not _names_sources(card["trained_on"]):
        raise InputError(where, "does not name its training sources as a card does", _AGAIN, "trained_on")
    return card


def _names_sources(trained_on: Any) -> bool:
    """Whether it says which sources trained a selector, in the form that the guard against leakage reads."""
    return isinstance(trained_on, list) and all(
        isinstance(entry, dict)
        and isinstance(entry.get("corpus"), str)
        and all(_are_texts(entry.get(key)) for key in ("sources", "recordings"))
        for entry in trained_on
    )


def _are_texts(names: Any) -> bool:
    return isinstance(names, list) and all(isinstance(name, str) for name in names)


def _is_hash(value: Any) -> bool:
    return isinstance(value, str) and _HASH.fullmatch(value) is not None


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 63


def _is_seed(value: Any) -> bool:
    return type(value) is int and abs(value) < 1 << 63


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_truth(value: Any) -> bool:
    return isinstance(value, bool)


def _is_table(value: Any) -> bool:
    return isinstance(value, dict)


def is_epoch(value: Any) -> bool:
    """Whether it is a point of the curves: losses, and by budget the share of the relevance that is kept."""
    if not isinstance(value, dict) or not isinstance(value.get("captured"), dict):
        return False
    numbers = [value.get("train_loss"), value.get("loss"), *value["captured"].values()]
    return _is_count(value.get("epoch")) and all(type(number) in (int, float) for number in numbers)


_FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "method": (_is_text, "text"),
    "features": (_is_text, "text"),
    "encoder": (_is_text, "text"),
    "conditioned": (_is_truth, "true or false"),
    "seed": (_is_seed, "whole number"),
    "parameters": (_is_count, "count"),
    "examples": (_is_count, "count"),
    "recipe": (_is_table, "table"),
    "relevance": (_is_table, "table"),
    "made_by": (_is_table, "table"),
    "data": (_is_text, "hash"),
    "weights": (_is_hash, "SHA-256"),
    "tokenizer": (_is_hash, "SHA-256"),
    "in_domain": (_is_truth, "true or false"),
    "best": (is_epoch, "epoch"),
    "curves": (lambda value: isinstance(value, list) and all(map(is_epoch, value)), "list of epochs"),
}
