"""One description of every key: what may stand there, what holds where nothing does, and what it is for.

The fields of a dataclass carry it (`field(...)`). From there come the checks of a TOML file, the options of a command,
the tables of docs/run.md and the report's words. Knows no section and no command; imports only the standard library.
"""

import dataclasses
import math
import numbers
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

NEEDED = dataclasses.MISSING  # the default of a key that must be given
_MOST_SHOWN = 60  # characters of a value that is refused


class Field(NamedTuple):
    """What is known of one key. `check` returns the value, or raises ValueError or TypeError."""

    check: "Check"
    about: str  # one sentence: docs/run.md has it, and the help of a command
    many: bool = False  # a list of values, each checked
    default: str = ""  # in words, where what holds is not the value itself
    label: str = ""  # what the report calls it
    absent: str = ""  # what the report says where it is null or empty
    option: str = ""  # of `earmark certify`; empty: it has none
    metavar: str = ""
    formerly: tuple[str, ...] = ()  # names that it had: a spec that has one is refused with the name of today

    @property
    def in_plain_words(self) -> str:
        """`about` without Markdown, for a terminal or a comment."""
        return re.sub(r" \(\[[^]]*\]\([^)]*\)\)", "", self.about).replace("`", "")


def field(check: "Check", about: str, value: Any = NEEDED, *, factory: Any = NEEDED, **words: Any) -> Any:
    """The field of a dataclass with what is known of its key; `value` or `factory` is what holds where none is given.

    Example: `window: int = field(Whole(1, 100_000), "recordings that are answered together", 64)`.
    """
    known = {"field": Field(check, about, **words)}
    return dataclasses.field(default=value, default_factory=factory, metadata=known)


def fields_of(described: Any) -> dict[str, Field]:
    """The keys of a dataclass, in order; fields that are no keys are left out."""
    return {f.name: f.metadata["field"] for f in dataclasses.fields(described) if "field" in f.metadata}


def default_of(described: Any, key: str) -> Any:
    """What holds where a key is not given; NEEDED where it must be."""
    (entry,) = (f for f in dataclasses.fields(described) if f.name == key)
    return entry.default if entry.default_factory is dataclasses.MISSING else entry.default_factory()


def shown(value: object) -> str:
    """A value that is refused, for an error: cut short."""
    try:
        text = str(value)
    except ValueError:  # more digits than Python writes
        text = "a huge number"
    return text if len(text) <= _MOST_SHOWN else text[: _MOST_SHOWN - 3] + "..."


# Checks ----------------------------------------------------------------------------------------------------


class Check:
    """What may stand at a key: called with the value, it returns the value or raises. `wanted` says it in words."""

    wanted: str

    def __call__(self, value: Any) -> Any:
        raise NotImplementedError

    def schema(self) -> dict[str, Any]:
        """The same as JSON Schema says it."""
        raise NotImplementedError


@dataclass(frozen=True)
class Text(Check):
    """Some text."""

    wanted: str

    def __call__(self, value: Any) -> str:
        if not isinstance(value, str) or not value.strip():
            raise TypeError
        value.encode()  # UnicodeEncodeError, a ValueError: bytes of the command line that are not UTF-8
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": r"\S"}


@dataclass(frozen=True)
class Flag(Check):
    """true or false."""

    wanted: str = "true or false"

    def __call__(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise TypeError
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


@dataclass(frozen=True)
class Whole(Check):
    """A whole number (of `unit`) within bounds, both included; one of NumPy's is one, true and false are none."""

    low: int
    high: int
    unit: str = ""
    wanted: str = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        what = f"a whole number of {self.unit}" if self.unit else "a whole number"
        object.__setattr__(self, "wanted", f"{what} from {self.low} to {self.high}")

    def __call__(self, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, numbers.Integral):
            raise TypeError
        number = int(value)
        if not self.low <= number <= self.high:
            raise ValueError
        return number

    def schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


@dataclass(frozen=True)
class Number(Check):
    """A finite number, at least `low`, less than `below` and at most `most`; one of NumPy's is one, a truth is none."""

    low: float = -math.inf
    below: float = math.inf
    most: float = math.inf
    wanted: str = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        within = f" from {self.low:g}"
        if math.isfinite(self.below):
            within = f" in [{self.low:g}, {self.below:g})"
        elif math.isfinite(self.most):
            within = f" in [{self.low:g}, {self.most:g}]"
        object.__setattr__(self, "wanted", "a number" + (within if math.isfinite(self.low) else ""))

    def __call__(self, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise TypeError
        try:  # a number of 32 bits is the decimal as which it is written
            number = float(value if isinstance(value, int | float) else str(value))
        except OverflowError:
            raise ValueError from None
        if not (math.isfinite(number) and self.low <= number < self.below and number <= self.most):
            raise ValueError
        return number

    def schema(self) -> dict[str, Any]:
        bounds = {"minimum": self.low, "exclusiveMaximum": self.below, "maximum": self.most}
        return {"type": "number"} | {name: bound for name, bound in bounds.items() if math.isfinite(bound)}


class Share(Number):
    """A share: more than 0, at most 1."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "wanted", "a share in (0, 1]")

    def __call__(self, value: Any) -> float:
        share = super().__call__(value)
        if not 0 < share <= 1:
            raise ValueError
        return share

    def schema(self) -> dict[str, Any]:
        return {"type": "number", "exclusiveMinimum": 0, "maximum": 1}


class Word(Check):
    """One of a few words."""

    def __init__(self, *words: str) -> None:
        self.words = words
        self.wanted = ", ".join((*words[:-2], " or ".join(words[-2:])))

    def __call__(self, value: Any) -> str:
        if not isinstance(value, str) or value not in self.words:
            raise ValueError
        return str(value)

    def schema(self) -> dict[str, Any]:
        return {"enum": list(self.words)}


@dataclass(frozen=True)
class Form(Check):
    """A text of a certain form."""

    pattern: str
    wanted: str

    def __call__(self, value: Any) -> str:
        if not isinstance(value, str):
            raise TypeError
        if not re.fullmatch(self.pattern, value):
            raise ValueError
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": f"^(?:{self.pattern})$"}


@dataclass(frozen=True)
class Texts(Check):
    """A table that maps texts to texts."""

    wanted: str

    def __call__(self, value: Any) -> dict[str, str]:
        text = Text(self.wanted)
        return {text(name): text(content) for name, content in dict(value).items()}

    def schema(self) -> dict[str, Any]:
        text = Text(self.wanted).schema()
        return {"type": "object", "propertyNames": text, "additionalProperties": text}


@dataclass(frozen=True)
class Either(Check):
    """A word that stands for a value, or a list of values."""

    words: Mapping[str, Any]
    each: Check
    wanted: str

    def __call__(self, value: Any) -> Any:
        if isinstance(value, str):
            if value not in self.words:
                raise ValueError
            return self.words[value]
        raise TypeError

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [{"enum": list(self.words)}, many_schema(self.each)]}


COUNT = Whole(0, 2**63 - 1)
PROPORTION = Number(0, most=1)
BUDGET = Share()
SHA256 = Form("[0-9a-f]{64}", "a SHA-256, 64 hexadecimal digits")


def many_schema(check: Check) -> dict[str, Any]:
    """The schema of a list of values, each as `check` has it."""
    return {"type": "array", "items": check.schema(), "minItems": 1, "uniqueItems": True}
