"""How numbers and names are written for reading: percent points, shares of the audio, intervals, p values.

Knows rounding and typography only. What does not exist is written as n/a, never as 0.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

NONE = "n/a"
_PREFIXES = ("", "k", "M", "G", "T", "P", "E")
_MINUS = "\N{MINUS SIGN}"


class Unit(NamedTuple):
    """How an excess or a loss is written: `factor` times the number, rounded to `digits` decimals."""

    factor: float
    digits: int
    name: str

    def number(self, value: float | None, signed: bool = False) -> str:
        """The bare number; `signed` puts a plus before what is above zero."""
        return NONE if value is None else _fixed(self.factor * value, self.digits, signed)

    def words(self, value: float | None) -> str:
        """The number with its unit."""
        return NONE if value is None else f"{self.number(value)} {self.name}"

    def interval(self, lower: float | None, upper: float | None, signed: bool = False) -> str:
        return between(lower, upper, lambda value: self.number(value, signed))

    def tick(self, value: float) -> str:
        """The number at a tick of an axis, without superfluous zeros."""
        return significant(self.factor * value)

    def tolerance(self, value: float) -> str:
        """A tolerance as it was declared, with its unit: `5 points`."""
        written = self.tick(value)
        return f"{written} {self.name.removesuffix('s') if written == '1' else self.name}"


POINTS = Unit(100, 2, "points")
NATS = Unit(1, 3, "nats")
TOKENS = Unit(1, 1, "tokens")
RATIO = Unit(1, 3, "")


def unit_of(loss: str) -> Unit:
    """The unit of the rule's loss: percentage points of answers, or nats."""
    return NATS if loss == "nll" else POINTS


def unit_of_axis(axis: str) -> Unit:
    """The unit of a gain: percentage points of the budget, or audio tokens."""
    return TOKENS if axis == "tokens" else POINTS


def percent(share: float | None) -> str:
    """A share, four significant digits: .125 is 12.5%."""
    return NONE if share is None else f"{significant(100 * share)}%"


def percents(lower: float | None, upper: float | None) -> str:
    return between(lower, upper, percent)


def between(lower: float | None, upper: float | None, write: Callable[[float], str]) -> str:
    """`lower to upper`; n/a where an end is missing."""
    if lower is None or upper is None:
        return NONE
    return f"{write(lower)} to {write(upper)}"


def amount(value: float | None) -> str:
    """A large amount, three significant digits and a prefix: 1,280,000 is 1.28M."""
    if value is None:
        return NONE
    power = next((power for power in range(len(_PREFIXES) - 1, 0, -1) if value >= 1000**power * 0.9995), 0)
    return f"{significant(value / 1000**power, 3)}{_PREFIXES[power]}"


def count(value: int | None) -> str:
    return NONE if value is None else f"{value:,}"


def p_value(p: float | None) -> str:
    if p is None:
        return NONE
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def significant(value: float, digits: int = 4) -> str:
    """At most `digits` significant digits, without an exponent for everyday magnitudes; rounding errors are 0."""
    value = 0.0 if abs(value) < 1e-9 else value
    return _clean(f"{value:.{digits}g}")


def plain(value: Any) -> str:
    """Any JSON value in words, for fields that are shown as they are."""
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return significant(value, 6)
    if isinstance(value, list | tuple):
        return ", ".join(plain(item) for item in value) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{name} {plain(item)}" for name, item in value.items()) or "none"
    return str(value)


def _fixed(value: float, digits: int, signed: bool) -> str:
    text = f"{value:.{digits}f}"
    if not text.strip("-0."):
        return text.lstrip("-")  # -0.00 is 0.00
    return "+" + text if signed and value > 0 else _clean(text)


def _clean(text: str) -> str:
    return text.replace("-", _MINUS, 1) if text.startswith("-") else text
