"""The one family of exceptions that a person is meant to read: one line of where, what and what to do.

The command line prints that line and leaves with `exit_code`. Anything else that is raised is a bug of ours.
"""

from collections.abc import Iterable

from earmark.engine.printable import printable


class EarmarkError(Exception):
    """A refusal that a person can act on: `where: what; what to do`, on one line that a terminal shows as it is.

    `key` is the field of a description that is refused, where there is one: a file that holds it can name its line.
    """

    exit_code = 2

    def __init__(self, where: object, what: str, do: str, key: str | None = None) -> None:
        super().__init__(printable(" ".join(f"{where}: {what}; {do}".split())))
        self.what, self.do, self.key = what, do, key


class InputError(EarmarkError):
    """An input file, option or log that cannot be used as it is."""


class UncertifiableError(EarmarkError):
    """Well-formed outcomes that the declared rule does not allow to certify (errors above the declared rate, say)."""


def first_few(names: Iterable[object], limit: int = 3) -> str:
    """The first `limit` names, quoted, and how many more there are."""
    listed = [str(name) for name in names]
    shown = ", ".join(f"'{name}'" for name in listed[:limit])
    return shown + (f" and {len(listed) - limit} more" if len(listed) > limit else "")
