"""How many answers a question has to choose from, as a value in a log tells.

Knows values; no paths and no harness.
"""

from collections.abc import Mapping
from typing import Any

from earmark.engine.errors import InputError
from earmark.engine.reading import parse_json


def count_options(value: Any) -> float | None:
    """The number of options that a value tells: a number itself, or the length of a list, a mapping or a text's lines.

    A mapping with a list `text` holds columns, as in {"text": ["dog", "cat"], "label": ["A", "B"]}. None for any other
    value, a text of a single line too: what separates its options cannot be told.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        return _count_in_text(value)
    if isinstance(value, Mapping):
        texts = value.get("text")
        return float(len(texts if isinstance(texts, list) else value))
    if isinstance(value, list):
        return float(len(value))
    return _number(value)


def count_choices(*values: Any) -> int | None:
    """How many choices the first of the values has that is a list or a mapping of at least two; None if none is."""
    for value in values:
        number = count_options(value) if isinstance(value, list | Mapping) else None
        if number is not None and number >= 2:
            return int(number)
    return None


def _count_in_text(text: str) -> float | None:
    """The number that a text spells, or how many lines it has, or how many choices its JSON has."""
    number = _number(text)
    if number is not None:
        return number
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) > 1:
        return float(len(lines))
    try:
        value = parse_json(text, "options", "")  # a cell of a CSV file may hold a list
    except InputError:
        return None
    return count_options(value) if isinstance(value, list | Mapping) else None


def _number(value: Any) -> float | None:
    if not isinstance(value, str | int | float):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None
