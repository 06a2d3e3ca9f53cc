"""Reads and writes the cells and the partitions of a run folder, strictly.

A cell is complete or absent, never half. Knows nothing of what the rows mean together (pairs, reference):
that is `signoff.pair`.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from earmark.engine import files
from earmark.engine.arrays import BoolArray, FloatArray
from earmark.engine.design.keys import MOST_NAME, NOT_NEEDED, OK, PREVIEW, SPOOLED, WAVES, CellKey, refuse_close_budgets
from earmark.engine.errors import InputError, first_few
from earmark.engine.outcomes.imports import KINDS
from earmark.engine.outcomes.input_file import InputFile
from earmark.engine.outcomes.parquet_file import read_parquet, write_parquet
from earmark.engine.outcomes.schema import (
    PLAN_KEY,
    REQUIRED_COLUMNS,
    ROW,
    SCHEMA_KEY,
    SCHEMA_VERSION,
    USED_COLUMNS,
)
from earmark.engine.reading import check_inside, check_place, check_regular, check_utf8, files_below, read_bytes

CELLS = "cells"
PARTITIONS = "partitions.parquet"
SOURCE_ID = "source_id"  # in partitions.parquet: the recording, where its writer knew it
IDS = ("corpus", "sample_id", SOURCE_ID)
MOST_PARQUET_BYTES = 1 << 32
_OF_A_SWEEP = (".staging", "pending", "answers", "scores", "shards", PREVIEW, SPOOLED, WAVES)  # that is under way
_NEVER_PASSED_OVER = "a cell is never passed over: make it readable, copy it into the run folder, or remove it"


@dataclass(frozen=True, slots=True)
class Cell:
    """The validated rows of one cell, ordered by sample_id: one array per column, all of length n."""

    key: CellKey
    files: tuple[InputFile, ...]
    plan: str | None  # SHA-256 of the plan.json of the sweep that wrote it; None: no sweep did
    sample_id: pa.Array
    source_id: pa.Array
    query_family: pa.Array
    loss: FloatArray  # NaN where not ok
    nll: FloatArray  # NaN where null
    seconds: FloatArray  # of audio that was heard, NaN where null
    bits: FloatArray  # NaN where null
    tokens: FloatArray  # NaN where null
    lm_positions: FloatArray  # NaN where null
    flops: FloatArray  # NaN where null
    predicted_label: pa.Array
    correct_label: pa.Array
    n_options: FloatArray  # NaN where null
    kept_chunks: pa.Array
    kept_hash: pa.Array
    status: pa.Array

    def __len__(self) -> int:
        return len(self.sample_id)

    @property
    def ok(self) -> BoolArray:
        """The rows (n,) that have an outcome."""
        return np.asarray(pc.equal(self.status, OK).to_numpy(zero_copy_only=False), dtype=bool)

    @property
    def asked(self) -> BoolArray:
        """The rows (n,) that were not left out by a walk that was decided without them."""
        return np.asarray(pc.not_equal(self.status, NOT_NEEDED).to_numpy(zero_copy_only=False), dtype=bool)

    def only(self, rows: BoolArray) -> "Cell":
        """Some of its rows, given by a mask (n,)."""
        mask = pa.array(rows)
        columns = {field.name: getattr(self, field.name) for field in fields(self)}
        some: dict[str, Any] = {
            name: column[rows] if isinstance(column, np.ndarray) else column.filter(mask)
            for name, column in columns.items()
            if isinstance(column, np.ndarray | pa.Array)
        }
        return replace(self, **some)


class CellThereError(InputError):
    """A cell that is complete already is not written again."""


# Writing ---------------------------------------------------------------------------------------------------


def write_cell(run: Path, key: CellKey, rows: pa.Table | Mapping[str, Sequence[Any]], plan: str | None = None) -> Path:
    """Write one complete cell; refuses rows that could not be read back, and a cell that is already there.

    `plan` is the SHA-256 of the sweep's plan.json, where a sweep writes.
    """
    table = _typed(rows if isinstance(rows, pa.Table) else pa.table(dict(rows)), str(key))
    _check_rows(table, str(key))
    final = run / str(key)
    if has_cell(run, key):
        raise _taken(final)
    with files.staged(run, final) as staging:
        folder = staging / final.name
        folder.mkdir()
        _write_parquet(table, folder / "part-0.parquet", {} if plan is None else {PLAN_KEY: plan.encode()})
        files.flush(folder)
        place_cell(folder, run, key)
    return final


def replace_rows(run: Path, key: CellKey, rows: pa.Table, plan: str) -> None:
    """Write a complete cell anew, in one file, at once: some of its rows were not asked, and are now."""
    table = _typed(rows, str(key))
    _check_rows(table, str(key))
    (path,) = files_below(run / str(key), ".parquet", run, _NEVER_PASSED_OVER)
    check_inside(path, run, "put a copy there, and no link")
    with files.staged(run, path) as staging:
        _write_parquet(table, staging / path.name, {PLAN_KEY: plan.encode()})
        os.replace(staging / path.name, path)
    files.flush(path.parent)


def place_cell(folder: Path, run: Path, key: CellKey) -> None:
    """Move a complete cell to its place; InputError where another one, or anything else, is there or on the way."""
    final = run / str(key)
    check_place(final, run)
    final.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.rename(folder, final)
    except OSError:
        if has_cell(run, key):  # another writer was faster
            raise _taken(final) from None
        if os.path.lexists(final):
            raise InputError(final, "is in the way of a cell, and is none", "move it away") from None
        raise
    files.flush(final.parent)


def _taken(final: Path) -> InputError:
    return CellThereError(final, "the cell is already complete", "remove the folder to write it again")


def write_partitions(
    run: Path,
    corpus: str,
    sample_ids: Sequence[str],
    partitions: Mapping[str, Sequence[str]],
    source_ids: Sequence[str] | None = None,
    metadata: Mapping[bytes, bytes] | None = None,
) -> Path:
    """Write `partitions.parquet` for one corpus, keeping the rows of other corpora that are there already.

    A partition that only the replaced rows had goes with them. `source_ids` name the recording of each sample,
    `metadata` is written beside the schema's version.
    """
    sources = {} if source_ids is None else {SOURCE_ID: list(source_ids)}
    table = pa.table(
        {"corpus": [corpus] * len(sample_ids), "sample_id": list(sample_ids), **sources}
        | {k: list(v) for k, v in partitions.items()}
    )
    table = _check_partitions(table)
    path = run / PARTITIONS
    existing = read_partitions(run)
    if existing is not None:
        other_rows = existing[0].filter(pc.field("corpus") != corpus)
        names = [name for name in partition_names(other_rows) if other_rows[name].null_count < len(other_rows)]
        ids = [name for name in IDS if name in other_rows.column_names]
        other_rows = other_rows.select([*ids, *names])
        table = pa.concat_tables([other_rows, table] if len(other_rows) else [table], promote_options="default")
    with files.staged(run, path) as staging:
        _write_parquet(table, staging / PARTITIONS, metadata or {})
        os.replace(staging / PARTITIONS, path)
    files.flush(run)
    return path


def _write_parquet(table: pa.Table, path: Path, metadata: Mapping[bytes, bytes]) -> None:
    """Write a table, with the schema's version beside the metadata, and flush it to the disk."""
    stamped = table.replace_schema_metadata({SCHEMA_KEY: SCHEMA_VERSION.encode(), **metadata})
    write_parquet(stamped, path)
    files.flush(path)


# Reading ---------------------------------------------------------------------------------------------------


def has_cell(run: Path, key: CellKey) -> bool:
    """Whether a cell is complete: an empty folder is not; InputError where what is named like its file is no file."""
    parts = [path for path in (run / str(key)).glob("*.parquet") if path.name[0] not in "._"]
    for path in parts:
        check_regular(path, _NEVER_PASSED_OVER)
    return bool(parts)


def is_signed_off(name: str) -> bool:
    """Whether a file of a run folder, by its name from there, is read once its cells are whole."""
    return name.partition("/")[0] not in _OF_A_SWEEP


def check_is_folder(run: Path) -> None:
    """InputError where a run folder is nowhere, or is a file, which may be a log that was never imported."""
    if os.path.isdir(run):
        return
    if not os.path.lexists(run):
        raise InputError(run, "there is no such folder", "name a run folder, one that holds cells/")
    suffix = run.suffix[1:].lower()
    kind = suffix if suffix in KINDS else "KIND"
    raise InputError(run, "is a file, and a run folder is wanted", f"`earmark import {kind}` makes one of logs")


def find_cells(run: Path) -> dict[CellKey, tuple[Path, ...]]:
    """The Parquet files of every complete cell of a run, ordered by the cells' keys; opens no file.

    InputError where there is no cell, a folder cannot be listed, a link leads out of the run or round in a circle, two
    folders are the same cell, or two budgets are almost the same.
    """
    root = run / CELLS
    check_utf8(run, "rename the folder: a certificate names it")
    check_is_folder(run)
    files_of_cell: dict[CellKey, tuple[Path, ...]] = {}
    folder_of: dict[CellKey, Path] = {}
    by_folder: dict[Path, list[Path]] = {}
    for path in files_below(root, ".parquet", run, _NEVER_PASSED_OVER):
        by_folder.setdefault(path.parent, []).append(path)
    for folder, paths in by_folder.items():
        key = CellKey.from_path(PurePosixPath(folder.relative_to(root)))
        if key in files_of_cell:
            raise InputError(
                folder.relative_to(run),
                f"is the same cell as {folder_of[key].relative_to(run)}",
                "keep one of the two",
            )
        files_of_cell[key], folder_of[key] = tuple(paths), folder
    if not files_of_cell:
        raise InputError(
            run,
            "holds no outcomes (no cells/answerer=.../corpus=.../method=.../budget=.../part-*.parquet)",
            "run a sweep or `earmark import` first",
        )
    refuse_close_budgets(run, (key.budget for key in files_of_cell))
    return dict(sorted(files_of_cell.items()))


def read_rows(run: Path, key: CellKey) -> pa.Table:
    """The rows of a complete cell in the order of its files, with every column of `ROW`; InputError as `read_cell`."""
    return _rows_of(run, key, files_below(run / str(key), ".parquet", run, _NEVER_PASSED_OVER)).table


def read_cell(run: Path, key: CellKey, files: Iterable[Path]) -> Cell:
    """Read one cell; every defect is an error that names the file, the column and the first offenders."""
    rows = _rows_of(run, key, files)
    table = rows.table.take(pc.sort_indices(rows.table["sample_id"]))  # the order in a file carries no meaning
    column = {name: _whole(table[name]) for name in ROW.names}
    return Cell(
        key=key,
        files=rows.files,
        plan=rows.plan,
        sample_id=column["sample_id"],
        source_id=column["source_id"],
        query_family=column["query_family"],
        loss=_floats(column["loss"]),
        nll=_floats(column["nll"]),
        seconds=_floats(column["seconds_heard"]),
        bits=_floats(column["bits_sent"]),
        tokens=_floats(column["num_audio_tokens"]),
        lm_positions=_floats(column["lm_positions"]),
        flops=_floats(column["flops"]),
        predicted_label=column["predicted_label"],
        correct_label=column["correct_label"],
        n_options=_floats(column["n_options"]),
        kept_chunks=column["kept_chunks"],
        kept_hash=column["kept_hash"],
        status=column["status"],
    )


class _CellRows(NamedTuple):
    """What the files of a cell hold, checked."""

    table: pa.Table  # with exactly the columns of ROW
    files: tuple[InputFile, ...]
    plan: str | None


def _rows_of(run: Path, key: CellKey, files: Iterable[Path]) -> _CellRows:
    tables: list[pa.Table] = []
    inputs: list[InputFile] = []
    plans: list[str | None] = []
    for path in files:
        table, file = read_table(run, path)
        name = file.path
        missing = [column for column in REQUIRED_COLUMNS if column not in table.column_names]
        if missing:
            raise InputError(name, f"no column {', '.join(missing)}", f"every cell has {', '.join(REQUIRED_COLUMNS)}")
        plans.append(_plan(table))
        if plans[-1] != plans[0]:
            raise InputError(
                name, f"is of another plan than {inputs[0].path}", "keep the parts that one sweep wrote, in one folder"
            )
        table = _typed(table, name)
        _check_rows(table, name)
        tables.append(table)
        inputs.append(file)
    if not tables:
        raise InputError(run / str(key), "there is no complete cell", "run the sweep again")
    table = pa.concat_tables(tables).combine_chunks()
    if len(tables) > 1:
        _check_unique(table, str(key))
    return _CellRows(table, tuple(inputs), next(iter(plans), None))


def read_table(run: Path, path: Path) -> tuple[pa.Table, InputFile]:
    """A valid Parquet table of a known schema version in a run folder, and what a certificate says of its file."""
    name = path.relative_to(run).as_posix()
    check_inside(path, run, "copy it into the run folder, or certify the folder that it is in")
    data = read_bytes(path, "write it again", MOST_PARQUET_BYTES, name)  # hashed and parsed from the same bytes
    table = read_parquet(data, name, "write it again")
    version = (table.schema.metadata or {}).get(SCHEMA_KEY, SCHEMA_VERSION.encode()).decode(errors="replace")
    if version != SCHEMA_VERSION:
        raise InputError(name, f"schema version '{version}' is unknown", f"this Earmark reads {SCHEMA_VERSION}")
    return table, InputFile(name, hashlib.sha256(data).hexdigest(), len(table))


def read_partitions(run: Path) -> tuple[pa.Table, InputFile] | None:
    """`partitions.parquet` of a run and its file, or None where there is none.

    The table has corpus, sample_id, perhaps source_id, and one column per partition, all of them strings.
    """
    path = run / PARTITIONS
    if not os.path.lexists(path):
        return None
    table, file = read_table(run, path)
    return _check_partitions(table), file


def _check_partitions(table: pa.Table) -> pa.Table:
    """The table with strings in all columns; InputError where an id is missing or a sample stands twice."""
    for column in ("corpus", "sample_id"):
        if column not in table.column_names:
            raise InputError(PARTITIONS, f"no column {column}", "it has corpus, sample_id and one column per partition")
    names = partition_names(table)
    if not names:
        raise InputError(PARTITIONS, "has no partition", "add one column per partition, a family label per sample")
    table = pa.table({name: _strings(table[name], PARTITIONS, name) for name in table.column_names})
    _check_lengths(table, PARTITIONS)
    for column in ("corpus", "sample_id"):
        if table[column].null_count:
            raise InputError(
                PARTITIONS, f"column {column} has {table[column].null_count} nulls", "give every row its id"
            )
    pairs = pc.binary_join_element_wise(table["corpus"], table["sample_id"], "\x1f")
    twice = _repeated(pairs)
    if twice:
        raise InputError(
            PARTITIONS,
            f"sample_id {first_few(t.partition(chr(31))[2] for t in twice)} stands twice",
            "keep one row per sample",
        )
    return table


def _plan(table: pa.Table) -> str | None:
    """The SHA-256 of the plan that a cell's file names, or None."""
    plan = (table.schema.metadata or {}).get(PLAN_KEY)
    return None if plan is None else plan.decode(errors="replace")


# Checks ----------------------------------------------------------------------------------------------------


def _typed(table: pa.Table, where: str) -> pa.Table:
    """The table with exactly the columns of `ROW` in its types: missing optional ones are filled, others dropped."""
    names = Counter(table.column_names)
    repeated = sorted(name for name, times in names.items() if times > 1)
    if repeated:
        raise InputError(where, f"column {repeated[0]} stands twice", "keep one")
    columns: dict[str, Any] = {}
    for field in ROW:
        if field.name not in names:
            columns[field.name] = None
        elif pa.types.is_string(field.type):
            columns[field.name] = _strings(table[field.name], where, field.name)
        elif pa.types.is_list(field.type):
            columns[field.name] = _lists(table[field.name], where, field.name, field.type)
        else:
            columns[field.name] = _numbers(table[field.name], where, field.name, field.type)
    n = len(table)
    for field in ROW:
        if columns[field.name] is None:
            columns[field.name] = pa.nulls(n, field.type)
    if columns["sample_id"].null_count:
        raise InputError(
            where, f"column sample_id has {columns['sample_id'].null_count} nulls", "give every row its id"
        )
    columns["source_id"] = pc.fill_null(_whole(columns["source_id"]), _whole(columns["sample_id"]))
    columns["status"] = pc.fill_null(columns["status"], OK)
    return pa.table(columns, schema=pa.schema([field.with_nullable(True) for field in ROW]))


def _check_rows(table: pa.Table, where: str) -> None:
    """InputError for rows that contradict the schema: no rows, an id twice, a value that cannot be."""
    if len(table) == 0:
        raise InputError(where, "has no rows", "a cell has one row per sample")
    _check_unique(table, where)
    _check_lengths(table.select(["sample_id", "source_id", "query_family"]), where)
    if table["query_family"].null_count:
        raise InputError(where, f"column query_family has {table['query_family'].null_count} nulls", "label every row")
    ok = np.asarray(pc.equal(table["status"], OK))
    loss, nll, options = (_floats(_whole(table[name])) for name in ("loss", "nll", "n_options"))
    nll_is_null = np.asarray(pc.is_null(table["nll"]))
    for column, bad, problem in (
        ("loss", ok & ~((loss >= 0) & (loss <= 1)), "null, NaN or outside [0, 1]"),
        ("nll", ok & ~nll_is_null & ~((nll >= -1e-6) & np.isfinite(nll)), "NaN, infinite or negative"),
        *((name, _is_no_amount(table[name]), "negative or not finite") for name in USED_COLUMNS),
        ("n_options", options < 1, "below 1"),
    ):
        if bad.any():
            ids = table["sample_id"].filter(pa.array(bad)).to_pylist()
            raise InputError(
                where,
                f"column {column} is {problem} in {int(bad.sum())} rows (sample_id {first_few(ids)})",
                "correct them, or give the rows a status",
            )


def _is_no_amount(column: pa.ChunkedArray) -> BoolArray:
    """(n,) where a column has a value that nothing can be used of: negative, NaN or infinite."""
    values = _floats(_whole(column))
    return np.asarray(pc.is_valid(column)) & ~((values >= 0) & np.isfinite(values))


def _check_lengths(names: pa.Table, where: str) -> None:
    """InputError where a name has more characters than any has."""
    for column in names.column_names:
        longest = pc.max(pc.utf8_length(names[column])).as_py() or 0
        if longest > MOST_NAME:
            what = f"column {column} has a name of {longest:,} characters, more than {MOST_NAME:,}"
            raise InputError(where, what, "give a shorter name")


def _check_unique(table: pa.Table, where: str) -> None:
    twice = _repeated(table["sample_id"])
    if twice:
        raise InputError(where, f"column sample_id has {first_few(twice)} more than once", "keep one row per sample")


def _repeated(values: pa.ChunkedArray) -> list[str]:
    """The values that stand there more than once."""
    counts = pc.value_counts(values)
    return [str(v) for v in counts.field("values").filter(pc.greater(counts.field("counts"), 1)).to_pylist()]


def partition_names(table: pa.Table) -> list[str]:
    """The columns that are partitions: all but the ids and the row numbers that pandas leaves behind."""
    return [name for name in table.column_names if name not in IDS and not name.startswith("__index_level_")]


def _strings(values: pa.ChunkedArray, where: str, column: str) -> pa.ChunkedArray:
    """A column of texts, whole numbers or booleans as strings; InputError for any other type."""
    kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    if (
        pa.types.is_null(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
    ):
        return values.cast(kind).cast(pa.string())
    raise InputError(where, f"column {column} has type {values.type}", "write text")


def _numbers(values: pa.ChunkedArray, where: str, column: str, target: pa.DataType) -> pa.ChunkedArray:
    kind = values.type
    if (
        pa.types.is_null(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_decimal(kind)
    ):
        try:
            return (values.cast(pa.int8()) if pa.types.is_boolean(kind) else values).cast(target)
        except pa.ArrowInvalid as error:
            raise InputError(
                where,
                f"column {column} does not fit {target} ({str(error).splitlines()[0]})",
                f"write {target}",
            ) from None
    raise InputError(where, f"column {column} has type {kind}", "write numbers")


def _lists(values: pa.ChunkedArray, where: str, column: str, target: pa.DataType) -> pa.ChunkedArray:
    try:
        return values.cast(target)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise InputError(where, f"column {column} has type {values.type}", f"write {target}") from None


def _whole(values: pa.ChunkedArray | pa.Array) -> pa.Array:
    """A column in one piece."""
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values


def _floats(values: pa.Array) -> FloatArray:
    """As float64, NaN for null."""
    return np.asarray(values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)
