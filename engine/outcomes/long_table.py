"""A long table of outcomes as a run folder: one row per question, method and budget, however the table is held.

Takes PyArrow tables, what pandas and Polars hold, and mappings of columns. Knows the names of the columns, and refuses
by column and sample what no run can hold; how a cell is written, `store` knows.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from earmark.engine import files
from earmark.engine.design.keys import (
    ALL,
    MOST_NAME,
    OK,
    PREVIEW_MARK,
    SILENCE,
    UNCOMPRESSED,
    CellKey,
    name_problem,
    refuse_close_budgets,
)
from earmark.engine.errors import InputError, first_few
from earmark.engine.outcomes import store
from earmark.engine.outcomes.columns import as_column, as_names, as_numbers
from earmark.engine.outcomes.imports.doubts import FILE as IMPORT_RECORD
from earmark.engine.outcomes.plan_file import PLAN
from earmark.engine.outcomes.run_cards import FOLDER as CARDS
from earmark.engine.reading import files_below, read_bytes

WHERE = "the table"
NEEDED = ("sample_id", "loss", "method", "budget")
DEFAULTS: Mapping[str, Any] = {"family": ALL, "seed": 0, "answerer": "answerer", "corpus": "corpus"}
OPTIONAL = ("source", "n_options")
_KNOWN = (*NEEDED, *DEFAULTS, *OPTIONAL)
_NUMBERS: Mapping[str, pa.DataType] = {
    "loss": pa.float64(),
    "budget": pa.float64(),
    "seed": pa.int64(),
    "n_options": pa.int64(),
}
_KEYS = ("answerer", "corpus", "method", "seed", "budget")  # what tells cells apart
_FOLDER_NAMES = ("answerer", "corpus", "method")
_BESIDE_CELLS = (store.PARTITIONS, PLAN, PREVIEW_MARK, IMPORT_RECORD, CARDS, "spec.toml")  # what makes a run another
_KINDS = "give a PyArrow table, a pandas or Polars frame, or a dict of columns"


def read_table(table: Any) -> pa.Table:
    """A table of any kind with all columns, each of its type; InputError for what no run can hold."""
    columns = _columns(table)
    missing = [name for name in NEEDED if name not in columns]
    if missing:
        raise InputError(WHERE, f"has no column {', '.join(missing)}", f"columns are {', '.join(_KNOWN)}")
    unknown = [name for name in columns if name not in _KNOWN]
    if unknown:
        raise InputError(f"{WHERE}, column {unknown[0]}", "is unknown", f"columns are {', '.join(_KNOWN)}")
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise InputError(
            WHERE,
            f"has columns of different lengths ({', '.join(f'{name} {n:,}' for name, n in lengths.items())})",
            "give one value for each question, method and budget",
        )
    n = lengths["sample_id"]
    if not n:
        raise InputError(WHERE, "has no rows", "give one for each question, method and budget")
    typed = {name: _typed(name, columns[name]) for name in _KNOWN if name in columns}
    for name, default in DEFAULTS.items():
        typed.setdefault(name, pa.array([default] * n, _NUMBERS.get(name, pa.string())))
    checked = pa.table({name: typed[name] for name in _KNOWN if name in typed})
    _check(checked)
    _check_pairs(checked)
    return checked


def write_run(run: Path, table: pa.Table) -> Path:
    """The cells of a table that was read as a run folder, all of them or none; `run` itself is returned.

    A folder that holds these very cells is left as it is; InputError where it holds others, or what else makes a run.
    """
    cells = run / store.CELLS
    there = os.path.lexists(cells)
    beside = [name for name in _BESIDE_CELLS if os.path.lexists(run / name)]
    if beside:
        raise InputError(run, f"holds {beside[0]} of another run", "choose another folder")
    folder: AbstractContextManager[Any]
    if there:
        folder = tempfile.TemporaryDirectory(prefix="earmark-")
    else:
        files.make_folder(run)
        folder = files.staged(run)
    with folder as staging:
        for key, rows in _cells(table):
            store.write_cell(Path(staging), key, rows)
        ours = Path(staging, store.CELLS)
        if not there:
            there = _taken(ours, cells)
        if there and _digests(ours) != _digests(cells):
            raise InputError(run, "holds cells of other outcomes", "choose another folder")
    return run


def _taken(ours: Path, cells: Path) -> bool:
    """Move cells into place, unless another writer was faster; whether it was."""
    try:
        os.rename(ours, cells)
    except OSError:
        if os.path.lexists(cells):
            return True
        raise
    files.flush(cells.parent)
    return False


def _digests(cells: Path) -> dict[Path, str]:
    """The SHA-256 of every file of some cells, by its path among them."""
    do = "choose another folder"
    return {
        path.relative_to(cells): hashlib.sha256(read_bytes(path, do, store.MOST_PARQUET_BYTES)).hexdigest()
        for path in files_below(cells, ".parquet", cells, do)
    }


def _columns(table: Any) -> dict[str, pa.Array]:
    """The columns of a table of any kind by their names."""
    if isinstance(table, pa.RecordBatch):
        table = pa.Table.from_batches([table])
    module = type(table).__module__.partition(".")[0]
    if isinstance(table, pa.Table):
        names = table.column_names
        values = table.columns
    elif isinstance(table, Mapping):
        names, values = list(table), list(table.values())
    elif module in ("pandas", "polars") and hasattr(table, "collect"):
        raise InputError(WHERE, "is lazy: it has no rows yet", "give its .collect()")
    elif module == "polars" and hasattr(table, "get_columns"):
        names, values = table.columns, table.get_columns()
    elif hasattr(table, "columns") and hasattr(table, "iloc"):  # pandas
        names, values = list(table.columns), [table.iloc[:, place] for place in range(len(table.columns))]
    else:
        raise InputError(WHERE, f"is a {type(table).__name__}", _KINDS)
    columns: dict[str, pa.Array] = {}
    for name, column in zip(names, values, strict=True):
        if not isinstance(name, str):
            raise InputError(
                f"{WHERE}, column {name!r}", "has a name that is no text", f"columns are {', '.join(_KNOWN)}"
            )
        if name in columns:
            raise InputError(f"{WHERE}, column {name}", "stands twice", "keep one")
        columns[name] = as_column(f"{WHERE}, column {name}", column)
    return columns


def _typed(name: str, column: pa.Array) -> pa.Array:
    """A column with the type that it has in a cell."""
    where = f"{WHERE}, column {name}"
    if name not in _NUMBERS:
        return as_names(where, column, MOST_NAME)
    if name == "loss" and pa.types.is_boolean(column.type):
        raise InputError(where, "is true or false", "a loss is 1 where the answer is wrong: give 1 - correct")
    return as_numbers(where, column, _NUMBERS[name])


def _check(table: pa.Table) -> None:
    """InputError for values out of their bounds, a question that stands twice, and for a table without raw audio."""
    loss, budget, seed = (table[name].to_numpy() for name in ("loss", "budget", "seed"))
    _refuse_rows(table, "loss", ~((loss >= 0) & (loss <= 1)), "is not in [0, 1]", "0 is right and 1 is wrong")
    _refuse_rows(table, "budget", ~((budget > 0) & (budget <= 1)), "is not in (0, 1]", "it is the share that is kept")
    _refuse_rows(table, "seed", seed < 0, "is below 0", "number seeds from 0")
    if "n_options" in table.column_names:
        _refuse_rows(table, "n_options", table["n_options"].to_numpy() < 1, "is below 1", "count the options")
    refuse_close_budgets(f"{WHERE}, column budget", np.unique(budget).tolist())
    for name in _FOLDER_NAMES:
        for value in table[name].unique().to_pylist():
            if problem := name_problem(value):
                raise InputError(f"{WHERE}, column {name}", f"has '{value[:40]}', which {problem}", "give another name")
    whole = pc.is_in(table["method"], pa.array([UNCOMPRESSED, SILENCE])).to_numpy()
    _refuse_rows(table, "budget", whole & (budget != 1), f"is not 1 for {UNCOMPRESSED} or {SILENCE}", "it is 1 there")
    raw = pc.equal(table["method"], UNCOMPRESSED)
    if not pc.any(raw).as_py():
        raise InputError(
            f"{WHERE}, column method", f"has no rows of '{UNCOMPRESSED}'", "raw audio is that method, at budget 1"
        )
    row = ("sample_id", *_KEYS)
    counts = table.group_by(list(row)).aggregate([([], "count_all")])
    twice = counts.filter(pc.greater(counts["count_all"], 1)).slice(0, 1).to_pylist()
    if twice:
        raise InputError(
            f"{WHERE}, column sample_id",
            f"has '{twice[0]['sample_id']}' twice for {twice[0]['method']} at budget {twice[0]['budget']:g}",
            "keep one row for each question, method and budget",
        )


def _refuse_rows(table: pa.Table, name: str, bad: Any, problem: str, do: str) -> None:
    if bad.any():
        ids = table["sample_id"].filter(pa.array(bad)).to_pylist()
        what = f"{problem} in {len(ids):,} rows (sample_id {first_few(ids)})"
        raise InputError(f"{WHERE}, column {name}", what, do)


def _check_pairs(table: pa.Table) -> None:
    """InputError where a compressor was asked other questions than raw audio, or of another family or recording."""
    groups = [(group, rows) for group, rows in _groups(table) if group["method"] != SILENCE]
    raw_rows = {(group["answerer"], group["corpus"]): rows for group, rows in groups if group["method"] == UNCOMPRESSED}
    compressed = [(group, rows) for group, rows in groups if group["method"] != UNCOMPRESSED]
    if not compressed:
        raise InputError(f"{WHERE}, column method", "has no rows of a compressor", "add at least one beside raw audio")
    for group, rows in compressed:
        raw = raw_rows.get((group["answerer"], group["corpus"]))
        if raw is not None:
            _check_pair(f"{group['method']} at budget {group['budget']:g}", rows, raw)


def _check_pair(name: str, rows: pa.Table, raw: pa.Table) -> None:
    ids, raw_ids = rows["sample_id"], raw["sample_id"]
    places = pc.index_in(ids, raw_ids)
    alone = ids.filter(pc.is_null(places)).to_pylist()
    lacking = raw_ids.filter(pc.invert(pc.is_in(raw_ids, ids))).to_pylist()
    for problem, names in (("has {}, which raw audio lacks", alone), ("lacks {}, which raw audio has", lacking)):
        if names:
            what = f"{name} {problem.format(f'{len(names):,} questions ({first_few(names)})')}"
            raise InputError(f"{WHERE}, column sample_id", what, "ask both the same questions")
    for column in [name for name in ("family", "source") if name in rows.column_names]:
        other = ids.filter(pc.not_equal(rows[column], raw[column].take(places))).to_pylist()
        if other:
            what = f"{name} has another one than raw audio in {len(other):,} rows (sample_id {first_few(other)})"
            raise InputError(f"{WHERE}, column {column}", what, f"give a question one {column}")


def _groups(table: pa.Table) -> Iterator[tuple[dict[str, Any], pa.Table]]:
    """What names each cell, and its rows, in the order of the names."""
    groups = table.group_by(list(_KEYS)).aggregate([]).sort_by([(key, "ascending") for key in _KEYS])
    for group in groups.to_pylist():
        rows = table
        for key in _KEYS:
            rows = rows.filter(pc.equal(rows[key], pa.scalar(group[key], rows.schema.field(key).type)))
        yield group, rows


def _cells(table: pa.Table) -> Iterator[tuple[CellKey, pa.Table]]:
    """Each cell and its rows."""
    for group, rows in _groups(table):
        columns = {
            "sample_id": rows["sample_id"],
            "query_family": rows["family"],
            "loss": rows["loss"],
            "status": pa.array([OK] * len(rows)),
        }
        if "source" in rows.column_names:
            columns["source_id"] = rows["source"]
        if "n_options" in rows.column_names:
            columns["n_options"] = rows["n_options"]
        yield (
            CellKey(group["answerer"], group["corpus"], group["method"], group["seed"], budget=group["budget"]),
            pa.table(columns),
        )
