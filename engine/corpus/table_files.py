"""Rows of a corpus's own tables: JSON lines, JSON, CSV and Parquet, each row with its place.

A row that cannot be read has a reason; a file that cannot be read is an error. Knows no benchmark.
"""

import codecs
import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from earmark.engine.errors import InputError

_LONGEST_CELL = 1 << 24  # characters in a cell of a CSV file; where there are more, a closing quote is missing


class Unusable(Exception):  # noqa: N818 - a reason, not an error: the row is listed and the run goes on
    """A row that cannot become an example: its message is the reason."""


class TableRow(NamedTuple):
    """One row before anybody knows what its fields mean."""

    where: str
    data: Mapping[str, Any]
    row_group: int = 0
    row: int = 0  # within the row group

    def text(self, *names: str) -> str:
        """The text of the first of these fields that has one; raises Unusable where none has."""
        for name in names:
            text = self.optional(name)
            if text is not None:
                return text
        raise Unusable(f"no {' or '.join(names)}")

    def optional(self, name: str) -> str | None:
        """The text of a field; None where it is missing, null or empty."""
        return as_text(self.data.get(name))

    def labels(self, names: Iterable[str]) -> dict[str, str]:
        """The texts of those of these fields that have one."""
        return {name: text for name in names if (text := self.optional(name)) is not None}


def as_text(value: Any) -> str | None:
    """A text, number or list of them as text without blanks around it; None for anything else and for empty text.

    Raises Unusable for text that is not Unicode.
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return None if math.isnan(value) else str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list | tuple):
        parts = [as_text(item) for item in value]
        return ", ".join(part for part in parts if part) or None
    if not isinstance(value, str):
        return None
    if not _is_unicode(value):
        raise Unusable("holds text that is not Unicode")
    return value.strip() or None


def read(path: Path, name: str) -> Iterator[TableRow | tuple[str, str]]:
    """The rows of a table, or (place, reason) for those that cannot be read; errors call the file `name`."""
    readers = {".jsonl": json_lines, ".json": json_list, ".csv": csv_rows}
    if path.suffix.lower() == ".parquet":
        return parquet_rows(path, name)
    return readers[path.suffix.lower()](path, name)


def json_lines(path: Path, name: str) -> Iterator[TableRow | tuple[str, str]]:
    """One JSON object per line."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise InputError(name, f"cannot be read ({error.strerror or error})", "check the file") from None
    with file:
        for number, line in enumerate(file, start=1):
            where = f"{name}:{number}"
            line = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
            if not line.strip():
                continue
            try:
                value = json.loads(line.decode())
            except UnicodeDecodeError as error:
                yield where, f"is not UTF-8 text ({error.reason})"
            except ValueError as error:
                yield where, f"is not JSON ({str(error).split(': line')[0].split(';')[0]})"
            except RecursionError:
                yield where, "is nested too deeply"
            else:
                yield TableRow(where, value) if isinstance(value, dict) else (where, "is not a JSON object")


def json_list(path: Path, name: str) -> Iterator[TableRow | tuple[str, str]]:
    """A JSON list of objects, one object, or an object with the list under `tasks` or `data`."""
    with _text(path, name) as file:
        try:
            value = json.loads("".join(file))
        except ValueError as error:
            raise InputError(name, f"is not JSON ({str(error).split(';')[0]})", "download it again") from None
        except RecursionError:
            raise InputError(name, "is nested too deeply", "name a folder of the declared kind") from None
    if isinstance(value, dict):
        lists = [value[key] for key in ("tasks", "data") if isinstance(value.get(key), list)]
        if not lists:
            yield TableRow(name, value)
            return
        value = lists[0]
    if not isinstance(value, list):
        raise InputError(name, "holds no list of questions", "name a folder of the declared kind")
    for number, item in enumerate(value):
        where = f"{name}[{number}]"
        yield TableRow(where, item) if isinstance(item, dict) else (where, "is not a JSON object")


def csv_rows(path: Path, name: str, encoding: str = "utf-8-sig") -> Iterator[TableRow | tuple[str, str]]:
    """A CSV file with a header; an empty cell is no value."""
    with _text(path, name, newline="", encoding=encoding, errors="surrogateescape") as file:
        reader = csv.reader(file)
        try:
            header = [cell.strip() for cell in _cells(reader) or []]
        except csv.Error as error:
            raise InputError(name, f"is not CSV ({error})", "correct its header") from None
        if any(not _is_unicode(cell) for cell in header):
            raise InputError(name, "is not UTF-8 text", "save it as UTF-8")
        if len(set(header)) < len(header):
            raise InputError(name, "has a column twice", "keep one")
        while True:
            try:
                cells = _cells(reader)
            except csv.Error as error:
                yield f"{name}:{reader.line_num}", f"is not CSV ({error})"
                continue
            where = f"{name}:{reader.line_num}"
            if cells is None:
                return
            if not all(map(_is_unicode, cells)):
                yield where, "is not UTF-8 text"
            elif cells and len(cells) != len(header):
                yield where, f"has {len(cells)} cells, the header {len(header)}"
            elif cells:
                yield TableRow(where, dict(zip(header, cells, strict=True)))


def _cells(reader: Iterator[list[str]]) -> list[str] | None:
    """The next row, whose cells may be long; None at the end."""
    limit_before = csv.field_size_limit(_LONGEST_CELL)
    try:
        return next(reader, None)
    finally:
        csv.field_size_limit(limit_before)


def _is_unicode(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)


def parquet_rows(path: Path, name: str) -> Iterator[TableRow]:
    """A Parquet file, one row group at a time; of an embedded recording only its name is read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        columns = list(_light_columns(file.schema_arrow))
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, columns=columns, use_threads=False)
            for row, data in enumerate(table.to_pylist()):
                yield TableRow(f"{name}:row {group}.{row}", data, group, row)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise InputError(name, f"is not a whole Parquet file ({reason})", "download it again") from None


def _light_columns(schema: Any) -> Iterator[str]:
    """All columns but binary ones; of a struct, such as an embedded recording, the parts that are not binary."""
    import pyarrow.types as types

    def heavy(kind: Any) -> bool:
        return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind))

    for field in schema:
        if types.is_struct(field.type):
            yield from (f"{field.name}.{part.name}" for part in field.type if not heavy(part.type))
        elif not heavy(field.type):
            yield field.name


def parquet_columns(path: Path) -> set[str]:
    """The names of the columns of a Parquet file; none where it is not one."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return set(pq.read_schema(path).names)
    except (pa.ArrowException, OSError):
        return set()


def first_fields(path: Path) -> set[str]:
    """The fields of the first row of a JSON table, by which benchmarks tell theirs; empty where there is no row."""
    try:
        row = next((row for row in read(path, path.name) if isinstance(row, TableRow)), None)
    except (InputError, Unusable):
        return set()
    return set(row.data) if row else set()


def _text(path: Path, name: str, newline: str = "\n", encoding: str = "utf-8-sig", errors: str = "strict") -> Any:
    """An open text file as `_Lines`; InputError where it cannot be opened."""
    try:
        return _Lines(name, path.open(encoding=encoding, errors=errors, newline=newline))
    except OSError as error:
        raise InputError(name, f"cannot be read ({error.strerror or error})", "check the file") from None


class _Lines:
    """An open text file whose iteration refuses what is not UTF-8."""

    def __init__(self, name: str, file: TextIO) -> None:
        self._name = name
        self._file = file

    def __enter__(self) -> "_Lines":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[str]:
        try:
            yield from self._file
        except UnicodeDecodeError as error:
            raise InputError(self._name, f"is not UTF-8 text ({error.reason})", "save it as UTF-8") from None
