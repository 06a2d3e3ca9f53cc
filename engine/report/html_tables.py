"""What a table is: a caption, columns, and rows of cells that are already written.

Knows nothing of certificates; `report.html.j2` turns it into HTML.
"""

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from earmark.engine.report.numbers import NONE

CellText = str  # or Markup, which is a str and is not escaped again
_LONG = 12  # rows


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


def folded_if_long(caption: CellText, columns: Sequence[Column], rows: Sequence[Sequence[CellText]]) -> HtmlTable:
    """A table, behind its caption where it has many rows."""
    return HtmlTable(caption, columns, rows, folded=len(rows) > _LONG)


def text(*heads: str) -> list[Column]:
    """Columns of text."""
    return [Column(head, text=True) for head in heads]


def numbers(*heads: str) -> list[Column]:
    """Columns of numbers."""
    return [Column(head) for head in heads]


def under(main: CellText, below: CellText) -> CellText:
    """A cell of two lines, the second in small print; one line where there is nothing below."""
    return Markup("{}<small>{}</small>").format(main, below) if below != NONE else main
