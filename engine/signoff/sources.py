"""Which recording a row is about: its source_id, or the column that was declared; and columns that may be that one.

Rows of one recording are not independent, and a column that is never looked at would be taken for nothing. Reads the
columns that users' raw cells have beside ours; no losses.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from earmark.engine.errors import InputError, first_few, instead
from earmark.engine.outcomes import store
from earmark.engine.outcomes.schema import ROW
from earmark.engine.reading import read_bytes

NONE = "none"  # declared: every row has a recording of its own
_NAMES = re.compile(
    r"(^|[_.\s-])(recordings?|audios?|clips?|wavs?|sounds?|sources?|files?|filenames?|paths?|tracks?|videos?|"
    r"utterances?|segments?|speakers?|sessions?|youtube|urls?)($|[_.\s-])",
    re.IGNORECASE,
)
_AUDIO = re.compile(r"\.(wav|flac|mp3|ogg|opus|m4a|aac|mp4|webm|aiff?)$", re.IGNORECASE)
_MOSTLY = 0.5  # of a column's values


class Suspect(NamedTuple):
    """A column of a raw cell that looks like recordings, and repeats."""

    cell: str
    column: str
    n_values: int  # different ones
    n_rows: int
    overruled: bool = False  # it is the cell's own source_id, and rows were declared to be independent

    @property
    def words(self) -> str:
        """The sentence that a reader sees."""
        if self.overruled:
            return (
                f"{self.cell} names {self.n_values} recordings of {self.n_rows} rows, and --source none declares "
                "every row independent of the others."
            )
        return (
            f"Column '{self.column}' of {self.cell} looks like the recording of a question and repeats "
            f"({self.n_values} values in {self.n_rows} rows), but every row is taken as independent: "
            f"name it with --source {self.column}, or declare --source none."
        )


class SourceColumn(NamedTuple):
    """The recording of every row of a cell, and what else might be one."""

    source_id: pa.Array
    suspects: tuple[Suspect, ...]


def of_cell(cell: store.Cell, files: Iterable[Path], declared: str | None) -> SourceColumn:
    """The recordings of a raw cell's rows, by its source_id or a declared column; raises InputError."""
    if declared in (NONE, "sample_id"):
        n_recordings = len(cell.source_id.unique())
        overruled = (
            (Suspect(str(cell.key), "source_id", n_recordings, len(cell), True),) if n_recordings < len(cell) else ()
        )
        return SourceColumn(cell.sample_id, overruled)
    if declared is not None and declared != "source_id":
        return SourceColumn(_column(cell, files, declared), ())
    if not cell.source_id.equals(cell.sample_id):
        return SourceColumn(cell.source_id, ())
    foreign = _foreign_columns(cell, files)
    suspects = []
    for name in foreign.column_names:
        values = foreign[name].drop_null().unique().to_pylist()
        if 1 < len(values) < len(foreign) and _looks_like_recordings(name, values):
            suspects.append(Suspect(str(cell.key), name, len(values), len(foreign)))
    return SourceColumn(cell.source_id, tuple(suspects))


def looks_like_a_name(column: str) -> bool:
    """Whether a column has a name that recordings usually have."""
    return bool(_NAMES.search(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", column)))


def _looks_like_recordings(name: str, values: Sequence[str]) -> bool:
    return looks_like_a_name(name) or sum(bool(_AUDIO.search(value)) for value in values) > _MOSTLY * len(values)


def _foreign_columns(cell: store.Cell, files: Iterable[Path]) -> pa.Table:
    """The text columns that are not among the columns of a cell."""
    tables = []
    for file in _opened(cell, files):
        names = [
            field.name
            for field in file.schema_arrow
            if field.name not in ROW.names
            and (pa.types.is_string(field.type) or pa.types.is_large_string(field.type) or _is_text_dictionary(field))
        ]
        table = file.read(names, use_threads=False)
        tables.append(pa.table({name: table[name].cast(pa.string()) for name in names}))
    return pa.concat_tables(tables, promote_options="default")


def _opened(cell: store.Cell, files: Iterable[Path]) -> Iterator[pq.ParquetFile]:
    """The files of a cell again, for the columns that a cell does not have; InputError where one has changed since."""
    again = "leave the run as it is, and run the same command again"
    for path, file in zip(files, cell.files, strict=True):
        data = read_bytes(path, again, store.MOST_PARQUET_BYTES, file.path)
        if hashlib.sha256(data).hexdigest() != file.sha256:
            raise InputError(file.path, "was changed while it was read", again)
        yield pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True)


def _is_text_dictionary(field: pa.Field) -> bool:
    return bool(pa.types.is_dictionary(field.type)) and bool(pa.types.is_string(field.type.value_type))


def _column(cell: store.Cell, files: Iterable[Path], name: str) -> pa.Array:
    """A declared column, in the order of the cell's rows."""
    tables = []
    for file in _opened(cell, files):
        if name not in file.schema_arrow.names:
            names = [n for n in file.schema_arrow.names if n not in ("sample_id", "loss")]
            what = f"{cell.key} has no such column (it has {first_few(names, 12)})"
            raise InputError(f"--source {name}", what, instead(name, names, "name one, or none"))
        tables.append(file.read(["sample_id", name], use_threads=False))
    table = pa.concat_tables(tables)
    try:
        values = table[name].cast(pa.string()).combine_chunks()
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        raise InputError(f"--source {name}", f"holds {table[name].type}, not names", "name a column of text") from None
    if values.null_count:
        raise InputError(f"--source {name}", f"is null in {values.null_count} rows of {cell.key}", "fill the column")
    ids = table["sample_id"].cast(pa.string()).combine_chunks()
    return values.take(pc.index_in(cell.sample_id, value_set=ids))
