"""Where an input stands while a reader is shown it: in place of a file, of the header of weights, of a table's rows."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from fuzzing import LIMIT_S, Target

from earmark.engine.errors import InputError

Read = Callable[[], object]


def replacing(
    name: str,
    path: Path,
    read: Read,
    *,
    seeds: tuple[bytes, ...] = (),
    structured: bool = False,
    share: float = 1.0,
    limit_s: int = LIMIT_S,
    written: Callable[[bytes], bytes] = lambda data: data,
) -> Target:
    """A target whose input, as it is `written`, stands at a path while it is read; afterwards the file is as before."""
    whole = path.read_bytes()

    def shown(data: bytes) -> object:
        path.write_bytes(written(data))
        try:
            return read()
        finally:
            path.write_bytes(whole)

    return Target(name, seeds or (whole,), shown, structured, share, limit_s)


def header(name: str, path: Path, read: Read, share: float = 1.0, limit_s: int = LIMIT_S) -> Target:
    """A target whose input is the header of a file of safetensors; the numbers behind it stay."""
    whole = path.read_bytes()
    start = 8 + int.from_bytes(whole[:8], "little")

    def written(data: bytes) -> bytes:
        return len(data).to_bytes(8, "little") + data + whole[start:]

    seeds = (whole[8:start],)
    return replacing(name, path, read, seeds=seeds, structured=True, share=share, limit_s=limit_s, written=written)


def table(name: str, path: Path, read: Read, share: float = 1.0) -> Target:
    """A target whose input is the rows of a Parquet file as JSON, so that it has pages whose checksums hold."""
    file = pq.ParquetFile(path)
    whole, row_group = file.read(), file.metadata.row_group(0).num_rows
    rows = json.dumps(whole.to_pylist()).encode()

    def written(data: bytes) -> bytes:
        return _as_parquet(data, whole.schema, row_group)

    return replacing(name, path, read, seeds=(rows,), structured=True, share=share, written=written)


def _as_parquet(data: bytes, schema: pa.Schema, row_group: int) -> bytes:
    """A file of some rows, in the types of `schema` or else in their own; InputError where they make none."""
    failures = (pa.ArrowException, ValueError, TypeError, AttributeError, OverflowError, RecursionError)
    buffer = pa.BufferOutputStream()
    try:
        rows: Any = json.loads(data)
        rows = rows if isinstance(rows, list) else [rows]
        try:
            content = pa.Table.from_pylist(rows, schema)
        except failures:
            content = pa.Table.from_pylist(rows).replace_schema_metadata(schema.metadata)
        pq.write_table(content, buffer, row_group_size=row_group, write_page_checksum=True)
    except failures as error:
        raise InputError("rows", f"are no table ({error})", "show others") from None
    return buffer.getvalue().to_pybytes()
