"""Phrases that every part of the page shares: who, where, sentences, tolerances.

Knows typography only; numbers are written by `numbers`.
"""

from typing import Protocol

from markupsafe import Markup

from earmark.engine.report.numbers import Unit


class OfMethod(Protocol):
    """An entry of the certificate that is about one method and seed."""

    @property
    def method(self) -> str: ...

    @property
    def seed(self) -> int: ...


def who(result: OfMethod) -> Markup:
    """Method and seed of an entry of the certificate."""
    return Markup("<code>{}</code>, seed {}").format(result.method, result.seed)


def where(*names: str) -> Markup:
    """Names side by side, each isolated from the writing direction of the others."""
    return Markup(" · ").join(Markup("<bdi>{}</bdi>").format(name) for name in names)


def listed(names: list[str], limit: int) -> Markup:
    """The first names, each isolated, and how many more there are."""
    shown = Markup(", ").join(Markup("<bdi>{}</bdi>").format(name) for name in names[:limit])
    n_rest = len(names) - limit
    return shown + (f" and {n_rest} more" if n_rest > 0 else "")


def sentence(words: str) -> str:
    """A fragment as a sentence: a capital in front, a full stop behind."""
    return words[:1].upper() + words[1:] + ("" if words.endswith((".", "!", "?")) else ".")


def tolerance_words(tolerance: float, average: float | None, unit: Unit) -> str:
    """The tolerance of the worst family, and that of the average where it is another."""
    words = unit.tolerance(tolerance)
    return words if average is None or average == tolerance else f"{words} (average {unit.tolerance(average)})"
