"""Rows of a corpus's own tables: JSON lines, JSON, CSV, Parquet and Arrow, each row with its place.

A row that cannot be read has a reason; a file that cannot be read is an error. Knows no benchmark.
"""

import codecs
import csv
import io
import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, KeysView, Mapping
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from earmark.engine.corpus.arrow_files import ARROW, checked, numbered_batches, open_arrow
from earmark.engine.errors import InputError, first_few
from earmark.engine.reading import MOST_JSON_BYTES, check_regular, lines, parse_json, read_bytes

LONGEST_LABEL = 200  # characters of a text that may name a family
_LONGEST_CELL = 1 << 24  # characters in a cell of a CSV file; where there are more, a closing quote is missing
_MOST_COLUMNS = 10_000
_MOST_ROWS = 1_000_000
_ROWS_AT_A_TIME = 1_000  # of a Parquet or Arrow file
_DEEPEST_TYPE = 4  # lists and structs in each other


class Unusable(Exception):  # noqa: N818 - a reason, not an error: the row is listed and the run goes on
    """A row that cannot become an example: its message is the reason."""


class TableRow(NamedTuple):
    """One row before anybody knows what its fields mean."""

    where: str
    data: Mapping[str, Any]
    row_group: int = 0  # or batch
    row: int = 0  # within it

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


def read(path: Path, name: str, data: bytes | None = None) -> Iterator[TableRow | tuple[str, str]]:
    """The rows of a table, or (place, reason) for those that cannot be read; errors call the file `name`.

    `data` is the content of the file, where it was read already.
    """
    if path.suffix.lower() == ARROW:
        return arrow_rows(path, name)
    readers = {".jsonl": json_lines, ".json": json_list, ".csv": csv_rows, ".parquet": parquet_rows}
    return readers[path.suffix.lower()](path if data is None else data, name)


def json_lines(source: Path | bytes, name: str) -> Iterator[TableRow | tuple[str, str]]:
    """One JSON object per line."""
    for number, line in lines(source, "check the file", name):
        where = f"{name}:{number}"
        if not line.strip().removeprefix(codecs.BOM_UTF8):
            continue
        try:
            value = parse_json(line, where, "", constants=True)
        except InputError as error:
            yield where, error.what
        else:
            yield TableRow(where, value) if isinstance(value, dict) else (where, "is not a JSON object")


def json_list(source: Path | bytes, name: str) -> Iterator[TableRow | tuple[str, str]]:
    """A JSON list of objects, one object, or an object with the list under `tasks` or `data`."""
    do = "download it again, or name a folder of the declared kind"
    data = source if isinstance(source, bytes) else read_bytes(source, do, MOST_JSON_BYTES, name)
    value = parse_json(data, name, do, constants=True)
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


def csv_rows(source: Path | bytes, name: str, encoding: str = "utf-8-sig") -> Iterator[TableRow | tuple[str, str]]:
    """A CSV file with a header; an empty cell is no value."""
    reader = csv.reader(csv_lines(source, name, encoding, "surrogateescape"))
    try:
        header = [cell.strip() for cell in _cells(reader) or []]
    except csv.Error as error:
        raise InputError(name, f"is not CSV ({error})", "correct its header") from None
    if any(not _is_unicode(cell) for cell in header):
        raise InputError(name, "is not UTF-8 text", "save it as UTF-8")
    check_width(name, header)
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


def csv_lines(source: Path | bytes, name: str, encoding: str = "utf-8-sig", errors: str = "strict") -> Iterator[str]:
    """The lines of a CSV file with their ends, which may be those of any system."""
    for number, line in lines(source, "check the file", name):
        text = line.decode(encoding if number == 1 else encoding.removesuffix("-sig"), errors)
        yield from io.StringIO(text, newline="")


def check_width(where: object, columns: Collection[str]) -> None:
    """InputError for a table with more columns than any has, or one of them twice."""
    if len(columns) > _MOST_COLUMNS:
        raise InputError(
            where, f"has {len(columns):,} columns, more than {_MOST_COLUMNS:,}", "keep those that are read"
        )
    twice = sorted(name for name, times in Counter(columns).items() if times > 1)
    if twice:
        raise InputError(where, f"column {first_few(twice)} stands twice", "keep one")


def _cells(reader: Iterator[list[str]]) -> list[str] | None:
    """The next row, whose cells may be long; None at the end."""
    limit_before = csv.field_size_limit(_LONGEST_CELL)
    try:
        return next(reader, None)
    finally:
        csv.field_size_limit(limit_before)


def _is_unicode(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)


def parquet_rows(source: Path | bytes, name: str) -> Iterator[TableRow]:
    """The rows of a Parquet file, some at a time, without its binary columns; of an embedded recording only the name.

    Columns of other types than texts, numbers, truths and lists or structs of these are passed over.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    do = "write it again, or download it again"
    if isinstance(source, Path):
        check_regular(source, do)
    n_rows = 0
    try:
        with pq.ParquetFile(pa.BufferReader(source) if isinstance(source, bytes) else source) as file:
            check_width(name, file.schema_arrow.names)
            _check_rows(name, file.metadata.num_rows)
            columns = list(_light_columns(file.schema_arrow))
            for group in range(file.num_row_groups):
                batches = file.iter_batches(_ROWS_AT_A_TIME, row_groups=[group], columns=columns, use_threads=False)
                for row, data in enumerate(chain.from_iterable(batch.to_pylist() for batch in batches)):
                    yield TableRow(f"{name}:row {group}.{row}", data, group, row)
                    n_rows += 1
                    _check_rows(name, n_rows)  # what the file says of itself need not be true
    except (pa.ArrowException, OSError, ValueError, OverflowError, LookupError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise InputError(name, f"is not a whole Parquet file ({reason})", do) from None


def arrow_rows(path: Path, name: str) -> Iterator[TableRow]:
    """The rows of an Arrow file as `parquet_rows` has them: without binary columns, of a recording only the name."""
    n_rows = 0
    with open_arrow(path, name) as reader:
        check_width(name, reader.schema.names)
        for number, batch in numbered_batches(reader, name):
            n_rows += batch.num_rows
            _check_rows(name, n_rows)
            batch.validate()  # as much of it as `_light_batch` trusts
            light = checked(_light_batch(batch))
            parts = (light.slice(first, _ROWS_AT_A_TIME) for first in range(0, len(light), _ROWS_AT_A_TIME))
            for row, data in enumerate(chain.from_iterable(part.to_pylist() for part in parts)):
                yield TableRow(f"{name}:row {number}.{row}", data, number, row)


def _light_batch(batch: Any) -> Any:
    """The columns of a batch that are read; of a struct, such as an embedded recording, the parts that are."""
    import pyarrow as pa

    columns = {}
    for field, column in zip(batch.schema, batch.columns, strict=True):
        if pa.types.is_struct(field.type):
            parts = [part for part in field.type if _is_plain(part.type)]
            values = [column.field(part.name) for part in parts]
            if parts:
                columns[field.name] = pa.StructArray.from_arrays(values, fields=parts, mask=column.is_null())
        elif _is_plain(field.type):
            columns[field.name] = column
    return pa.RecordBatch.from_pydict(columns) if columns else batch.select([])


def _check_rows(name: str, n_rows: int) -> None:
    if n_rows > _MOST_ROWS:
        raise InputError(name, f"has more than {_MOST_ROWS:,} rows", "keep those that are asked")


def _light_columns(schema: Any) -> Iterator[str]:
    """The columns that are read; of a struct, such as an embedded recording, the parts that are."""
    import pyarrow.types as types

    for field in schema:
        if types.is_struct(field.type):
            yield from (f"{field.name}.{part.name}" for part in field.type if _is_plain(part.type))
        elif _is_plain(field.type):
            yield field.name


def _is_plain(kind: Any, depth: int = _DEEPEST_TYPE) -> bool:
    """Whether a type is of texts, numbers or truths, or of lists and structs of them in each other.

    What takes no bytes, nulls and structs of nothing, is not in a list: a few bytes would claim any number of them.
    """
    import pyarrow.types as types

    if types.is_dictionary(kind):
        return _is_plain(kind.value_type, depth)
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return depth > 0 and _is_plain(kind.value_type, depth - 1)
    if types.is_struct(kind):
        return depth > 0 and kind.num_fields > 0 and all(_is_plain(part.type, depth - 1) for part in kind)
    of_text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    of_numbers = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)
    of_nothing = types.is_null(kind) and depth == _DEEPEST_TYPE
    return bool(of_text or of_numbers or types.is_boolean(kind) or of_nothing)


def parquet_columns(path: Path) -> set[str]:
    """The names of the columns of a Parquet file; none where it is not one."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        check_regular(path, "check the file")
        return set(pq.read_schema(path).names)
    except (InputError, pa.ArrowException, OSError, ValueError):
        return set()


def first_fields(path: Path) -> KeysView[str]:
    """The fields of the first row of a table in their order, by which benchmarks tell theirs; none without a row."""
    row: TableRow | None = None
    with suppress(InputError, Unusable):
        row = next((row for row in read(path, path.name) if isinstance(row, TableRow)), None)
    return (row.data if row else {}).keys()
