"""The first sheet of an .xlsx workbook as rows of values: texts, numbers and true/false, as far as tables need it.

A workbook is a zip of XML: sheet1.xml has the cells, sharedStrings.xml the texts that they point to. Formulas count as
the value that was last computed. Knows nothing of what the columns mean.
"""

import io
import re
import xml.etree.ElementTree as ElementTree
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from earmark.engine.errors import InputError
from earmark.engine.outcomes.imports.log_files import CHECK
from earmark.engine.reading import MOST_JSON_BYTES, read_bytes
from earmark.engine.zip_files import DAMAGE_ERRORS, unpacked

Value = str | float | bool | None

_SHEET, _TEXTS = "xl/worksheets/sheet1.xml", "xl/sharedStrings.xml"
_MOST_ROWS, _MOST_COLUMNS = 1 << 20, 1 << 14  # of a sheet, by its format
_COLUMN = re.compile(r"([A-Z]{1,3})[0-9]{1,7}")
_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")  # of a character that XML cannot hold
_SAVE_AGAIN = "save it again, or as .tsv"


def rows(path: Path) -> Iterator[tuple[int, dict[int, Value]]]:
    """The number and the values of each row of the first sheet, by column from 0; empty cells are left out."""
    try:
        with zipfile.ZipFile(io.BytesIO(read_bytes(path, CHECK, MOST_JSON_BYTES))) as archive:
            entries = {info.filename: info for info in archive.infolist()}
            if _SHEET not in entries:
                raise InputError(path, f"is no workbook: it has no {_SHEET}", _SAVE_AGAIN)
            texts = unpacked(archive, entries[_TEXTS], MOST_JSON_BYTES) if _TEXTS in entries else b"<sst/>"
            sheet = unpacked(archive, entries[_SHEET], MOST_JSON_BYTES)
        shared = [_text(item) for item in _elements(texts, "si")]
        for row in _elements(sheet, "row"):
            number = int(row.get("r") or 0)
            if not 0 < number <= _MOST_ROWS:
                raise ValueError(f"row {number}")
            yield number, _values(row, shared)
    except (*DAMAGE_ERRORS, ElementTree.ParseError) as error:
        raise InputError(path, f"is not a whole .xlsx file ({error})", _SAVE_AGAIN) from None


def _elements(xml: bytes, name: str) -> Iterator[ElementTree.Element]:
    """Each element of this name, which is emptied afterwards.

    ValueError where there are declarations, which could make a small file large: no workbook needs one.
    """
    if b"<!" in xml.replace(b"<!--", b"") or b"\x00" in xml:
        raise ValueError("it has declarations of XML, or is not UTF-8 text")
    for _, element in ElementTree.iterparse(io.BytesIO(xml), ("end",)):
        if _name(element) == name:
            yield element
            element.clear()


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _values(row: ElementTree.Element, shared: Sequence[str]) -> dict[int, Value]:
    values: dict[int, Value] = {}
    for place, cell in enumerate(row):
        value = _value(cell, shared)
        if value is not None:
            values[_column(cell.get("r"), place)] = value
    return values


def _column(reference: str | None, place: int) -> int:
    """The column that AB12 is in, from 0; without a reference, the place among the cells of the row."""
    if reference is None:
        return place
    match = _COLUMN.fullmatch(reference)
    column = 0
    for letter in match[1] if match else "":
        column = 26 * column + ord(letter) - ord("A") + 1
    if not 0 < column <= _MOST_COLUMNS:
        raise ValueError(f"cell {reference[:20]}")
    return column - 1


def _value(cell: ElementTree.Element, shared: Sequence[str]) -> Value:
    kind = cell.get("t") or "n"
    if kind == "inlineStr":
        return next((_text(part) for part in cell if _name(part) == "is"), None)
    text = next((part.text for part in cell if _name(part) == "v"), None)
    if text is None or kind == "e":
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


def _text(item: ElementTree.Element) -> str:
    """The text of an item: its own, or that of its runs; not how it is pronounced."""
    parts = [part for part in item if _name(part) == "t"]
    parts += [part for run in item if _name(run) == "r" for part in run if _name(part) == "t"]
    return _unescaped("".join(part.text or "" for part in parts))


def _unescaped(text: str) -> str:
    """The text with the characters for which _x000D_ and the like stand, halves of characters excepted."""

    def character(match: re.Match[str]) -> str:
        code = int(match[1], 16)
        return match[0] if 0xD800 <= code < 0xE000 else chr(code)

    return _ESCAPE.sub(character, text)
