"""Phrases that every part of the page shares: who, where, sentences, tolerances.

Knows typography only; numbers are written by `numbers`. Names that somebody gave are written by `code`, `isolated` or
`alone`.
"""

from functools import lru_cache
from typing import Protocol

from markupsafe import Markup

from earmark.engine.report.numbers import Unit
from earmark.engine.report.svg import shorten

_WIDEST = 100  # columns of a name; the whole of a longer one is its tooltip


class OfMethod(Protocol):
    """An entry of the certificate that is about one method and seed."""

    @property
    def method(self) -> str: ...

    @property
    def seed(self) -> int: ...


def code(name: str) -> Markup:
    """The name of a method, a candidate or a file."""
    return _named("code", name)


def isolated(name: str) -> Markup:
    """A name in the writing direction that it has, whatever stands around it."""
    return _named("bdi", name)


def alone(name: str) -> str:
    """A name that has a table's cell, or a line of it, for itself: style isolates it already."""
    return _named("span", name) if shorten(name, _WIDEST) != name else name


@lru_cache(maxsize=4096)  # a page writes the same few names in many tables
def _named(tag: str, name: str) -> Markup:
    short = shorten(name, _WIDEST)
    tooltip = Markup(' title="{}"').format(name) if short != name else ""
    return Markup("<{}{}>{}</{}>").format(tag, tooltip, short, tag)


def who(result: OfMethod) -> Markup:
    """Method and seed of an entry of the certificate."""
    return Markup("{}, seed {}").format(code(result.method), result.seed)


def where(*names: str) -> Markup:
    """Names side by side, each isolated from the writing direction of the others."""
    return Markup(" · ").join(map(isolated, names))


def listed(names: list[str], limit: int) -> Markup:
    """The first names, each isolated, and how many more there are."""
    shown = Markup(", ").join(map(isolated, names[:limit]))
    n_rest = len(names) - limit
    return shown + (f" and {n_rest} more" if n_rest > 0 else "")


def sentence(words: str) -> str:
    """A fragment as a sentence: a capital in front, a full stop behind."""
    return words[:1].upper() + words[1:] + ("" if words.endswith((".", "!", "?")) else ".")


def tolerance_words(tolerance: float, average: float | None, unit: Unit) -> str:
    """The tolerance of the worst family, and that of the average where it is another."""
    words = unit.tolerance(tolerance)
    return words if average is None or average == tolerance else f"{words} (average {unit.tolerance(average)})"
