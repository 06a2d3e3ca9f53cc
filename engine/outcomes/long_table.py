"""A long table of outcomes as a run folder: one row per question, method and budget, however the table is held.

Takes PyArrow tables, what pandas and Polars hold, and mappings of columns. Knows the names of the columns; how rows are
checked, `store` knows.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from earmark.engine.design.keys import ALL, OK, UNCOMPRESSED, CellKey
from earmark.engine.errors import InputError
from earmark.engine.files import make_folder
from earmark.engine.outcomes import store
from earmark.engine.outcomes.schema import ROW

WHERE = "the table"
NEEDED = ("sample_id", "loss", "method", "budget")
DEFAULTS: Mapping[str, Any] = {"family": ALL, "seed": 0, "answerer": "answerer", "corpus": "corpus"}
OPTIONAL = ("source", "n_options")


def as_table(table: Any) -> pa.Table:
    """Any of the kinds of table as a PyArrow one; InputError where it is none, or its columns differ in length."""
    try:
        if isinstance(table, pa.Table):
            return table
        if isinstance(table, Mapping):
            return pa.table({name: pa.array(column) for name, column in table.items()})
        if type(table).__module__.startswith("pandas"):
            return pa.Table.from_pandas(table, preserve_index=False)
        if hasattr(table, "to_arrow"):  # Polars
            return table.to_arrow()
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise InputError(WHERE, f"cannot be read ({error})", "give columns of equal length") from None
    what = f"is a {type(table).__name__}"
    raise InputError(WHERE, what, "give a PyArrow table, a pandas or Polars frame, or a dict of columns")


def write_run(run: Path, outcomes: Any) -> Path:
    """The cells of a long table as a run folder, which `earmark certify` and `earmark verify` read."""
    table = _checked(as_table(outcomes))
    make_folder(run)
    keys = ("answerer", "corpus", "method", "seed", "budget")
    for group in table.group_by(list(keys)).aggregate([]).sort_by([(key, "ascending") for key in keys]).to_pylist():
        chosen = table
        for key in keys:
            chosen = chosen.filter(pc.equal(chosen[key], pa.scalar(group[key], chosen.schema.field(key).type)))
        rows = {
            "sample_id": chosen["sample_id"],
            "query_family": chosen["family"],
            "loss": chosen["loss"],
            "status": pa.array([OK] * len(chosen)),
        }
        if "source" in chosen.column_names:
            rows["source_id"] = chosen["source"]
        if "n_options" in chosen.column_names:
            rows["n_options"] = chosen["n_options"]
        cell = CellKey(
            str(group["answerer"]),
            str(group["corpus"]),
            str(group["method"]),
            int(group["seed"]),
            budget=group["budget"],
        )
        store.write_cell(run, cell, pa.table(rows))
    return run


def _checked(table: pa.Table) -> pa.Table:
    """The table with all columns, each of its type; InputError for what no run can hold."""
    known = (*NEEDED, *DEFAULTS, *OPTIONAL)
    missing = [name for name in NEEDED if name not in table.column_names]
    if missing:
        raise InputError(WHERE, f"has no column {', '.join(missing)}", f"columns are {', '.join(known)}")
    unknown = [name for name in table.column_names if name not in known]
    if unknown:
        raise InputError(f"{WHERE}, column {unknown[0]}", "is unknown", f"columns are {', '.join(known)}")
    if not len(table):
        raise InputError(WHERE, "has no rows", "give one for each question, method and budget")
    if pa.types.is_boolean(table["loss"].type):
        raise InputError(
            f"{WHERE}, column loss", "is true or false", "a loss is 1 where the answer is wrong: give 1 - correct"
        )
    columns: dict[str, Any] = {}
    types = {"loss": pa.float64(), "budget": pa.float64(), "seed": pa.int64(), "n_options": ROW.field("n_options").type}
    for name in known:
        if name in table.column_names:
            columns[name] = _typed(name, table[name], types.get(name, pa.string()))
        elif name in DEFAULTS:
            columns[name] = pa.array([DEFAULTS[name]] * len(table), types.get(name, pa.string()))
    checked = pa.table(columns)
    raw = pc.equal(checked["method"], UNCOMPRESSED)
    if not pc.any(raw).as_py():
        raise InputError(
            f"{WHERE}, column method", f"has no rows of '{UNCOMPRESSED}'", "raw audio is that method, at budget 1"
        )
    return checked


def _typed(name: str, column: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    if column.null_count:
        raise InputError(
            f"{WHERE}, column {name}", f"has {column.null_count} rows without a value", "fill or drop them"
        )
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    try:
        return column.cast(wanted)
    except pa.ArrowException as error:
        raise InputError(f"{WHERE}, column {name}", f"is not {wanted} ({error})", "convert it") from None
