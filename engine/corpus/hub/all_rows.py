"""What only all rows of a split together say: which column names every row, and what numbers among the answers mean."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from earmark.engine.corpus.hub.column_roles import FROM_0, FROM_1
from earmark.engine.corpus.hub.question_cells import QuestionCells
from earmark.engine.corpus.table_files import TableRow, Unusable
from earmark.engine.errors import InputError

_IDS = ("sample_id", "id", "question_id", "questionId", "qid", "uid", "uuid", "idx", "index", "key")


class AllRows(NamedTuple):
    """What all rows say."""

    sample_id: str  # the column that names every row, each another; empty: none does
    has_numbers: bool  # every answer is a number
    answer_from: int | None  # the number of the first option, where answers are places


def look_at(rows: Iterable[tuple[str, TableRow]], cells: QuestionCells) -> AllRows:
    """What the rows say, each with the configuration that it is of.

    InputError where the numbers among their answers could mean two things.
    """
    columns = [name for name in _IDS if name in cells.columns and cells.columns[name].is_value]
    ids, numbers = _IdColumns(cells, columns), _Numbers(cells)
    for config, row in rows:
        ids.add(config, row)
        numbers.add(row)
    answer_from = cells.roles.answer_from
    return AllRows(ids.first, numbers.are_all, numbers.first_place() if answer_from is None else answer_from)


class _IdColumns:
    """Columns in which every row so far has a name of its own."""

    def __init__(self, cells: QuestionCells, columns: Sequence[str]) -> None:
        self._cells = cells
        self._names: dict[str, set[str]] = {column: set() for column in columns}

    def add(self, config: str, row: TableRow) -> None:
        """One more row: what does not name it, or names it as another, is no id."""
        for column, names in list(self._names.items()):
            before = len(names)
            name = _text(self._cells, row, column)
            names.add(f"{config}/{name}")
            if name is None or len(names) == before:
                del self._names[column]

    @property
    def first(self) -> str:
        """The one with the most usual name."""
        return next(iter(self._names), "")


def _text(cells: QuestionCells, row: TableRow, column: str) -> str | None:
    try:
        return cells.text(row, column)
    except Unusable:
        return None


class _Numbers:
    """What numbers in the column of answers can mean: texts of options, places from 0, or places from 1."""

    def __init__(self, cells: QuestionCells) -> None:
        self._cells = cells
        self._column = cells.roles.answer
        self._rows = 0
        self.are_all = True
        self._are_texts = True
        self._fits = {0: True, 1: True}

    def add(self, row: TableRow) -> None:
        """One more row; one without an answer, or without options, says nothing."""
        try:
            texts = self._cells.options(row).texts
            answer = self._cells.text(row, self._column)
        except Unusable:
            return
        number = self._cells.number(row)
        if number is None:
            self.are_all &= answer in (None, "-1")
            return
        self._rows += 1
        self._are_texts &= answer in texts
        for first in self._fits:
            self._fits[first] &= first <= number < first + len(self._cells.choices(row).values)

    def first_place(self) -> int | None:
        """The number of the first option; None where the answers are no places."""
        if not self.are_all or not self._rows or self._are_texts:
            return None
        firsts = [first for first, fits in self._fits.items() if fits]
        if len(firsts) == 1:
            return firsts[0]
        what = "could count the options from 0 or from 1" if firsts else "are neither texts nor places of the options"
        do = f"say what they are with --column {FROM_0}={self._column} or --column {FROM_1}={self._column}"
        raise InputError(f"column {self._column}", f"its answers are numbers that {what}", do)
