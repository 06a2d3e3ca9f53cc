"""One raw row of a log, and how its fields are found by dotted paths, converted and refused.

Knows numbers, texts and options. Knows no file and no harness.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from earmark.engine.design.keys import MOST_NAME
from earmark.engine.errors import InputError, first_few
from earmark.engine.outcomes.imports.option_counts import count_options

_MISSING = object()
MOST_AMOUNT = 2**53  # of bits and operations; up to it a float is exact
_MOST_COUNT = 10**9  # of options, tokens or chunks


class Record(NamedTuple):
    """One raw row of a log, before anybody knows what its fields mean."""

    where: str
    data: Mapping[str, Any]

    def get(self, path: str) -> Any:
        """The value at a path, or None where there is none."""
        value = lookup(self.data, path)
        return None if value is _MISSING else value

    def has(self, path: str) -> bool:
        """Whether there is anything at a path, null included."""
        return lookup(self.data, path) is not _MISSING

    def own_text(self, key: str) -> str | None:
        """The text at a key of the log's own layout, or None."""
        value = self.data.get(key)
        return value if isinstance(value, str) and value else None

    def need(self, path: str, option: str) -> Any:
        """The value at a path, which must be there (it may be null)."""
        value = lookup(self.data, path)
        if value is _MISSING:
            field_names = [name for name, _ in leaves(self.data)]
            raise InputError(
                self.where, f"no field '{path}' (there are {first_few(field_names, 12)})", f"name one with {option}"
            )
        return value

    def text(self, path: str, option: str) -> str:
        """The text at a path, which must be there and say something."""
        text = self._as_text(path, self.need(path, option), option)
        if text is None or not text.strip():
            raise InputError(self.where, f"field '{path}' is empty", f"fill it, or name another one with {option}")
        return text

    def name(self, path: str, option: str) -> str:
        """The text at a path that names a sample or a family: it must be there, and not be longer than names are."""
        return self._as_name(path, self.text(path, option), option)

    def optional_name(self, user_field: str | None, own_field: str | None, option: str) -> str | None:
        """The text that names a recording, at the field that the user named, or at the log's own."""
        text = self.optional_text(user_field, own_field, option)
        return None if text is None else self._as_name(user_field or own_field or "", text, option)

    def optional_text(self, user_field: str | None, own_field: str | None, option: str) -> str | None:
        """The text at the field that the user named, which must be there, or at the log's own, which may be missing."""
        path, value = self._value_at(user_field, own_field, option)
        return self._as_text(path, value, option)

    def optional_number(self, user_field: str | None, own_field: str | None, option: str) -> float | None:
        """The number at the field that the user named, or at the log's own; None for null."""
        path, value = self._value_at(user_field, own_field, option)
        return None if _is_null(value) else self._as_number(path, value, option)

    def optional_count(
        self, user_field: str | None, own_field: str | None, option: str, most: int = _MOST_COUNT
    ) -> int | None:
        """The whole number at the field that the user named, or at the log's own; InputError unless 0, 1, 2, ..."""
        number = self.optional_number(user_field, own_field, option)
        if number is None or (0 <= number <= most and number.is_integer()):
            return None if number is None else int(number)
        raise InputError(
            self.where, f"field '{user_field or own_field}' is {number:g}, not a count", f"name one with {option}"
        )

    def optional_options(self, user_field: str | None, own_field: str | None, option: str) -> int | None:
        """How many options the field that the user named, or the log's own, holds; None for null: unknown."""
        path, value = self._value_at(user_field, own_field, option)
        if _is_null(value):
            return None
        number = count_options(value)
        if number is None:
            shown = f"'{str(value)[:40]}', neither a number nor several options"
            raise InputError(self.where, f"field '{path}' is {shown}", f"name one with {option}")
        if not (1 <= number <= _MOST_COUNT and number.is_integer()):
            raise InputError(
                self.where,
                f"field '{path}' gives {number:g} options, which is not 1, 2, 3, ...",
                f"leave it empty where nobody knows, or name another one with {option}",
            )
        return int(number)

    def share(self, path: str, option: str) -> float:
        """The number in [0, 1] at a path, which must be there."""
        number = self._as_number(path, self.need(path, option), option)
        if not 0 <= number <= 1:
            raise InputError(
                self.where, f"field '{path}' is {number:g}, not in [0, 1]", f"name a share or a yes/no with {option}"
            )
        return number

    def _value_at(self, user_field: str | None, own_field: str | None, option: str) -> tuple[str, Any]:
        """The path that is read, and the value there: the user's field must be there, the log's own may be missing."""
        if user_field is not None:
            return user_field, self.need(user_field, option)
        return own_field or "", self.get(own_field) if own_field else None

    def _as_name(self, path: str, text: str, option: str) -> str:
        if len(text) > MOST_NAME:
            what = f"field '{path}' holds a name of {len(text):,} characters, more than {MOST_NAME:,}"
            raise InputError(self.where, what, f"name another one with {option}")
        return text

    def _as_text(self, path: str, value: Any, option: str) -> str | None:
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return ", ".join(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, Mapping | list):
            raise InputError(
                self.where, f"field '{path}' holds {type(value).__name__}, not a text", f"name one with {option}"
            )
        return None if _is_null(value) else str(value)

    def _as_number(self, path: str, value: Any, option: str) -> float:
        number = as_number(value)
        if value is None or value == "":
            raise InputError(self.where, f"field '{path}' is empty", f"fill it, or name another one with {option}")
        if number is None:
            inner = [f"{path}.{name}" for name, _ in leaves(value)] if isinstance(value, Mapping) else []
            shown = f"{{{', '.join(inner[:6])}}}" if inner else f"'{str(value)[:40]}'"
            raise InputError(self.where, f"field '{path}' is {shown}, not a number", f"name a number with {option}")
        return number


def _is_null(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))  # NaN: how pandas writes "no value"


def lookup(value: Any, path: str) -> Any:
    """The value that a dotted path leads to; a step is a key (which may itself have dots) or a place in a list."""
    if isinstance(value, list):
        value = {str(place): item for place, item in enumerate(value)}
    if not isinstance(value, Mapping):
        return _MISSING
    if path in value:
        return value[path]
    for dot in (place for place, letter in enumerate(path) if letter == "."):
        if path[:dot] in value:
            inner = lookup(value[path[:dot]], path[dot + 1 :])
            if inner is not _MISSING:
                return inner
    return _MISSING


def leaves(data: Mapping[str, Any], depth: int = 2) -> Iterator[tuple[str, Any]]:
    """Paths and values of a row, down to `depth` keys."""
    for key, value in data.items():
        if isinstance(value, Mapping) and depth > 1:
            yield from ((f"{key}.{inner}", leaf) for inner, leaf in leaves(value, depth - 1))
        else:
            yield str(key), value


def as_number(value: Any) -> float | None:
    """A number, a yes/no or a text that spells one; None for anything else."""
    if isinstance(value, str):
        truth = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0}.get(value.strip().lower())
        if truth is not None:
            return truth
    if isinstance(value, str | int | float):
        try:
            return float(value)
        except (ValueError, OverflowError):
            return None
    return None


def only_metric(path: Path, records: Sequence[Record], own: Iterable[str]) -> str:
    """The one field, outside the log's `own`, that is a number in [0, 1] in every row."""
    if not records:
        raise InputError(path, "the log has no rows", "run the evaluation again")
    own = set(own)

    def is_share(value: Any) -> bool:
        return isinstance(value, int | float) and 0 <= value <= 1

    metrics = [
        name
        for name, _ in leaves({key: value for key, value in records[0].data.items() if key not in own})
        if all(is_share(record.get(name)) for record in records)
    ]
    if len(metrics) != 1:
        several = f"{len(metrics)} fields could be the metric ({first_few(metrics, 8)})"
        none = "no field is a number in [0, 1] in every row, so there is no metric"
        raise InputError(path, several if metrics else none, "name it with --metric")
    return metrics[0]
