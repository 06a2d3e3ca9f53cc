"""What the columns of a question hold in one row: its options, and which of them is right.

Knows which column is what; no file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from earmark.engine.corpus.hub.column_roles import Roles, Typed
from earmark.engine.corpus.right_answers import LetteredOptions, options, resolve
from earmark.engine.corpus.table_files import TableRow, Unusable, as_text
from earmark.engine.errors import InputError
from earmark.engine.reading import parse_json

_MOST_DIGITS = 9  # of a place among options


class Choices(NamedTuple):
    """The options of a row as its table has them."""

    values: Any  # a list, where the row is multiple choice
    letters: list[str] | None  # that the table declares for them


@dataclass(frozen=True, slots=True)
class QuestionCells:
    """The columns of a table, what they are, and what stands in them."""

    columns: Mapping[str, Typed]
    roles: Roles

    def value(self, row: TableRow, column: str) -> Any:
        """What stands in a column; for a number that stands for a name the name, and None for -1."""
        value, names = row.data.get(column), self.columns[column].names
        if not names or isinstance(value, bool) or not isinstance(value, int):
            return value
        return names[value] if 0 <= value < len(names) else None if value == -1 else value

    def text(self, row: TableRow, column: str) -> str | None:
        """The same as text; None where nothing stands there."""
        return as_text(self.value(row, column))

    def choices(self, row: TableRow) -> Choices:
        """The options of a row: a list, JSON in a text, {text, label}, {A, B, ...}, or a column for each."""
        if len(self.roles.choices) > 1:
            names = self.roles.choices
            return Choices([self.value(row, name) for name in names], _letters([name[-1] for name in names]))
        values = row.data.get(self.roles.choices[0])
        if isinstance(values, str):
            return Choices(_listed(values, row.where), None)
        if isinstance(values, dict) and isinstance(values.get("text"), list):
            return Choices(values["text"], _letters(values.get("label")))
        if isinstance(values, dict):
            return Choices(list(values.values()), _letters(list(values)))
        return Choices(values, None)

    def options(self, row: TableRow) -> LetteredOptions:
        """The options of a row without padding; Unusable where it is not multiple choice."""
        return options(*self.choices(row))

    def number(self, row: TableRow) -> int | None:
        """The answer of a row as a number; None where it is none, or withheld (-1)."""
        number = whole(self.value(row, self.roles.answer))
        return None if number == -1 else number

    def right(self, row: TableRow, lettered: LetteredOptions) -> int:
        """The index of the right option; Unusable where the answer names none."""
        first = self.roles.answer_from
        if first is None:
            return resolve(self.value(row, self.roles.answer), lettered)
        number = self.number(row)
        if number is None:
            raise Unusable("has no answer")
        values = self.choices(row).values
        places = [place for place, value in enumerate(values, first) if as_text(value)]  # padding keeps its place
        if number not in places:
            raise Unusable(f"answer {number} is the place of no option")
        return places.index(number)


def whole(value: Any) -> int | None:
    """A whole number, or a text that is one; None for anything else."""
    if isinstance(value, str) and value.strip().isdecimal() and len(value) <= _MOST_DIGITS:
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if isinstance(value, int) or value.is_integer() else None


def _listed(text: str, where: str) -> Any:
    try:
        return parse_json(text, where, "")
    except InputError:
        raise Unusable('its options are not a JSON list: write ["a", "b"]') from None


def _letters(labels: Any) -> list[str] | None:
    """Labels of options that are letters, each another; None where they are not."""
    if not isinstance(labels, Sequence) or not all(isinstance(text, str) and len(text) == 1 for text in labels):
        return None
    letters = [text.upper() for text in labels]
    return letters if all("A" <= letter <= "Z" for letter in letters) and len(set(letters)) == len(letters) else None
