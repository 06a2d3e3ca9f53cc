"""The first sheet of an .xlsx workbook as rows of values: texts, numbers and true/false, as far as tables need it.

A workbook is a zip of XML: sheet1.xml has the cells, sharedStrings.xml the texts that they point to. Formulas count as
the value that was last computed. No tree is made of the XML, and no declaration in it is obeyed. Knows nothing of what
the columns mean.
"""

import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol
from xml.parsers import expat

from earmark.engine.errors import InputError
from earmark.engine.outcomes.imports.log_files import CHECK
from earmark.engine.reading import MOST_JSON_BYTES, read_bytes
from earmark.engine.zip_files import DAMAGE_ERRORS, unpacked

Value = str | float | bool | None
XlsxRow = tuple[int, dict[int, Value]]

_SHEET, _TEXTS = "xl/worksheets/sheet1.xml", "xl/sharedStrings.xml"
_MOST_ROWS, _MOST_COLUMNS = 1 << 20, 1 << 14  # of a sheet, by its format
_MOST_CELLS = 1 << 22
_PIECE_BYTES = 1 << 16
_COLUMN = re.compile(r"([A-Z]{1,3})[0-9]{1,7}")
_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")  # of a character that XML cannot hold
_SAVE_AGAIN = "save it again, or as .tsv"


def rows(path: Path) -> Iterator[XlsxRow]:
    """The number and the values of each row of the first sheet, by column from 0; empty cells are left out."""
    try:
        with zipfile.ZipFile(io.BytesIO(read_bytes(path, CHECK, MOST_JSON_BYTES))) as archive:
            entries = {info.filename: info for info in archive.infolist()}
            if _SHEET not in entries:
                raise InputError(path, f"is no workbook: it has no {_SHEET}", _SAVE_AGAIN)
            texts = unpacked(archive, entries[_TEXTS], MOST_JSON_BYTES) if _TEXTS in entries else b"<sst/>"
            sheet = unpacked(archive, entries[_SHEET], MOST_JSON_BYTES)
        yield from _parsed(sheet, _SheetRows(list(_parsed(texts, _SharedTexts()))))
    except (*DAMAGE_ERRORS, expat.ExpatError) as error:
        raise InputError(path, f"is not a whole .xlsx file ({error})", _SAVE_AGAIN) from None


class _Reader(Protocol):
    """What is made of a part of a workbook: told of each element, it adds to `ready`."""

    ready: list[Any]

    def start(self, name: str, attributes: dict[str, str]) -> None: ...

    def text(self, text: str) -> None: ...

    def end(self, name: str) -> None: ...


def _parsed(xml: bytes, part: _Reader) -> Iterator[Any]:
    """What a part makes of its XML, as soon as it is ready; ValueError for declarations, which no workbook needs."""
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse_declarations
    parser.StartElementHandler = lambda name, attributes: part.start(name.rpartition(":")[2], attributes)
    parser.EndElementHandler = lambda name: part.end(name.rpartition(":")[2])
    parser.CharacterDataHandler = part.text
    for offset in range(0, len(xml), _PIECE_BYTES):
        parser.Parse(xml[offset : offset + _PIECE_BYTES], False)
        yield from part.ready
        part.ready.clear()
    parser.Parse(b"", True)
    yield from part.ready


def _refuse_declarations(*_: object) -> None:
    raise ValueError("it has declarations of XML")


class _SharedTexts:
    """The shared texts: of each item its own text, or that of its runs; not how it is pronounced."""

    def __init__(self) -> None:
        self.ready: list[str] = []
        self._parts: list[str] = []
        self._pronounced = self._in_text = False
        self._n_texts = 0

    def start(self, name: str, _: dict[str, str]) -> None:
        self._pronounced |= name == "rPh"
        self._in_text = name == "t" and not self._pronounced

    def text(self, text: str) -> None:
        if self._in_text:
            self._parts.append(text)

    def end(self, name: str) -> None:
        self._in_text = False
        if name == "rPh":
            self._pronounced = False
        elif name == "si":
            self._n_texts += 1
            _check_number(self._n_texts, "texts")
            self.ready.append(_unescaped("".join(self._parts)))
            self._parts.clear()


class _SheetRows:
    """The rows of a sheet, whose cells point to shared texts."""

    def __init__(self, shared: Sequence[str]) -> None:
        self.ready: list[XlsxRow] = []
        self._shared = shared
        self._row: XlsxRow = 0, {}
        self._kind, self._column, self._n_cells = "n", 0, 0
        self._parts: list[str] | None = None  # of the value of a cell; None outside of it

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "row":
            self._row, self._column = (self._number(attributes.get("r")), {}), -1
        elif name == "c":
            self._n_cells += 1
            _check_number(self._n_cells, "cells")
            self._kind = attributes.get("t", "n")
            self._column = _column(attributes.get("r"), self._column + 1)
        elif name == ("t" if self._kind == "inlineStr" else "v"):
            self._parts = []

    def text(self, text: str) -> None:
        if self._parts is not None:
            self._parts.append(text)

    def end(self, name: str) -> None:
        if name == "row":
            self.ready.append(self._row)
        elif self._parts is not None and name in ("t", "v"):
            value = _value(self._kind, "".join(self._parts), self._shared)
            before = self._row[1].get(self._column) if name == "t" else None  # a text in line may have several runs
            if value is not None:
                self._row[1][self._column] = value if before is None else f"{before}{value}"
            self._parts = None

    def _number(self, reference: str | None) -> int:
        number = int(reference) if reference else self._row[0] + 1
        if not self._row[0] < number <= _MOST_ROWS:
            raise ValueError(f"row {number} after row {self._row[0]}")
        return number


def _check_number(n: int, what: str) -> None:
    if n > _MOST_CELLS:
        raise ValueError(f"it has more than {_MOST_CELLS:,} {what}")


def _column(reference: str | None, following: int) -> int:
    """The column that AB12 is in, from 0; without a reference, the one that follows the cell before."""
    if reference is None:
        return following
    match = _COLUMN.fullmatch(reference)
    column = 0
    for letter in match[1] if match else "":
        column = 26 * column + ord(letter) - ord("A") + 1
    if not 0 < column <= _MOST_COLUMNS:
        raise ValueError(f"cell {reference[:20]}")
    return column - 1


def _value(kind: str, text: str, shared: Sequence[str]) -> Value:
    if kind == "e" or not text:
        return None
    if kind == "s":
        place = int(text)
        if not 0 <= place < len(shared):
            raise ValueError(f"there is no text {place}")
        return shared[place]
    if kind == "n":
        number = float(text)
        return int(number) if number.is_integer() else number
    return text == "1" if kind == "b" else _unescaped(text)


def _unescaped(text: str) -> str:
    """The text with the characters for which _x000D_ and the like stand, halves of characters excepted."""

    def character(match: re.Match[str]) -> str:
        code = int(match[1], 16)
        return match[0] if 0xD800 <= code < 0xE000 else chr(code)

    return _ESCAPE.sub(character, text)
