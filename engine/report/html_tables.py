"""What a table is: a caption, columns, and rows of cells that are already written.

Knows nothing of certificates; `report.html.j2` turns it into HTML.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from markupsafe import Markup

from earmark.engine.printable import more_families
from earmark.engine.report.numbers import NONE

CellText = str  # or Markup, which is a str and is not escaped again
_LONG = 12  # rows
SHOWN = 100  # families of a table or a figure: a page of more is long to open, and longer to read
Weighed = TypeVar("Weighed")


class Column(NamedTuple):
    """A head and whether its cells are text (left, may wrap) or numbers (right)."""

    head: str
    text: bool = False


class HtmlTable(NamedTuple):
    """A caption, columns and rows; the first cell of a row is its header."""

    caption: CellText
    columns: Sequence[Column]
    rows: Sequence[Sequence[CellText]]
    folded: bool = False  # behind its caption until someone asks
    more: str = ""  # a sentence on the rows that are left out


def folded_if_long(
    caption: CellText, columns: Sequence[Column], rows: Sequence[Sequence[CellText]], more: str = ""
) -> HtmlTable:
    """A table, behind its caption where it has many rows."""
    return HtmlTable(caption, columns, rows, folded=len(rows) > _LONG, more=more)


def weightiest(entries: Sequence[Weighed], weight: Callable[[Weighed], float]) -> tuple[Sequence[Weighed], str]:
    """The SHOWN entries of the largest weights, in the order of the entries, and a sentence on the others.

    All of them, and no sentence, where they are not more than that.
    """
    if len(entries) <= SHOWN:
        return entries, ""
    places = sorted(range(len(entries)), key=lambda i: -weight(entries[i]))[:SHOWN]
    return [entries[i] for i in sorted(places)], more_words(len(entries) - SHOWN)


def more_words(n: int) -> str:
    """That so many families are left out, and where they are."""
    return f"and {more_families(n)}, which certificate.json has"


def text(*heads: str) -> list[Column]:
    """Columns of text."""
    return [Column(head, text=True) for head in heads]


def numbers(*heads: str) -> list[Column]:
    """Columns of numbers."""
    return [Column(head) for head in heads]


def under(main: CellText, below: CellText) -> CellText:
    """A cell of two lines, the second in small print; one line where there is nothing below."""
    return Markup("{}<small>{}</small>").format(main, below) if below != NONE else main
