"""The one family of exceptions that a person is meant to read: one line of where, what and what to do.

The command line prints that line and leaves with `exit_code`. Anything else that is raised is a bug of ours.
"""

import difflib
from collections.abc import Iterable

from earmark.engine.printable import printable
from earmark.engine.urls import with_urls

_MOST_CHOICES = 20  # that are listed


class EarmarkError(Exception):
    """A refusal that a person can act on: `where: what; what to do`, on one line that a terminal shows as it is.

    `key` is the field of a description that is refused, where there is one: a file that holds it can name its line.
    """

    exit_code = 2

    def __init__(self, where: object, what: str, do: str, key: str | None = None) -> None:
        super().__init__(with_urls(printable(" ".join(f"{where}: {what}; {do}".split()))))
        self.where, self.what, self.do, self.key = str(where), what, do, key

    def __reduce__(self) -> tuple[type["EarmarkError"], tuple[str, str, str, str | None]]:
        """As it passes from one process to another."""
        return type(self), (self.where, self.what, self.do, self.key)


class InputError(EarmarkError):
    """An input file, option or log that cannot be used as it is."""


class UncertifiableError(EarmarkError):
    """Well-formed outcomes that the declared rule does not allow to certify (errors above the declared rate, say)."""


def first_few(names: Iterable[object], limit: int = 3, quote: str = "'") -> str:
    """The first `limit` names, quoted, and how many more there are."""
    listed = [str(name) for name in names]
    shown = ", ".join(f"{quote}{name}{quote}" for name in listed[:limit])
    return shown + (f" and {len(listed) - limit} more" if len(listed) > limit else "")


def instead(name: str, known: Iterable[object], otherwise: str) -> str:
    """What to do about a name that is none of those that are known: the one that was meant, whatever its capitals, or
    else `otherwise`.
    """
    by_lower = {str(other).lower(): str(other) for other in known}
    close = difflib.get_close_matches(name.lower(), by_lower, 1)
    return f"did you mean {by_lower[close[0]]}?" if close else otherwise


def choose(name: str, known: Iterable[object]) -> str:
    """The same, where the names that are known are all there is to choose from."""
    names = [str(other) for other in known]
    if not names:
        return "there is none to choose from"
    more = f" and {len(names) - _MOST_CHOICES} more" if len(names) > _MOST_CHOICES else ""
    return instead(name, names, f"choose from {', '.join(names[:_MOST_CHOICES])}{more}")
