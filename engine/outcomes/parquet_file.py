"""Parquet as a run folder holds it: regular files whose pages carry checksums, which are verified when they are read.

Knows PyArrow; no columns.
"""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from earmark.engine.errors import InputError
from earmark.engine.reading import is_regular


def write_parquet(table: pa.Table, where: Path | pa.BufferOutputStream, row_group_size: int | None = None) -> None:
    """Write a table with a checksum on every page; `where` is not flushed to disk."""
    pq.write_table(table, where, compression="zstd", row_group_size=row_group_size, write_page_checksum=True)


def count_rows(path: Path, do: str) -> int:
    """How many rows a file has, by its footer. InputError where it has none, FileNotFoundError where it is gone."""
    if not is_regular(path):
        raise InputError(path, "is not a regular file", do)
    try:
        return int(pq.read_metadata(path).num_rows)
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise InputError(path, f"is not a readable Parquet file ({type(error).__name__})", do) from None


def read_parquet(
    source: Path | bytes,
    where: object,
    do: str,
    *,
    columns: Sequence[str] | None = None,
    row_group: int | None = None,
    row_groups: int | None = None,
    schema: pa.Schema | None = None,
) -> pa.Table:
    """A valid table: all of a file or one row group of it, some columns or all of them.

    InputError about `where` for what is no regular file, cannot be read, holds text that is not UTF-8, has another
    `schema`, or has not so many `row_groups` of the same length. FileNotFoundError where there is no file: another
    process may have removed it.
    """
    try:
        if isinstance(source, Path) and not is_regular(source):
            raise InputError(where, "is not a regular file", do)
        # one thread: Arrow's own would race with a process that leaves at once after an error
        with pq.ParquetFile(
            pa.BufferReader(source) if isinstance(source, bytes) else source, page_checksum_verification=True
        ) as file:
            sizes = [file.metadata.row_group(place).num_rows for place in range(file.num_row_groups)]
            if row_groups is not None and (len(sizes) != row_groups or len(set(sizes)) != 1):
                raise InputError(where, f"has not {row_groups} row groups of the same length", do)
            wanted = None if columns is None else list(columns)
            if row_group is None:
                table = file.read(wanted, use_threads=False)
            else:
                table = file.read_row_group(row_group, wanted, use_threads=False)
        table.validate(full=True)  # text that is not UTF-8
        names = table.column_names
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, IndexError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(where, f"is not a readable Parquet file ({reason.rstrip('.')})", do) from None
    if schema is not None and not table.schema.equals(schema):
        raise InputError(where, f"has other columns than {', '.join(schema.names)} ({', '.join(names)})", do)
    return table
