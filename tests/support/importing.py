"""`earmark import` through its command line, what it refuses, and the rows that it wrote."""

import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from click.testing import CliRunner, Result

from earmark.cli.import_logs import import_logs
from earmark.engine.errors import InputError
from earmark.engine.outcomes import store

Rows = list[dict[str, Any]]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(import_logs, [str(argument) for argument in arguments], catch_exceptions=True)


def imported(*arguments: object) -> Result:
    result = run(*arguments)
    assert result.exception is None, result.exception
    return result


def refused(*arguments: object) -> str:
    """The one line of the InputError."""
    result = run(*arguments)
    assert isinstance(result.exception, InputError), result.output
    line = str(result.exception)
    assert "\n" not in line
    assert re.fullmatch(r".+: .+; .+", line), line  # where: what; what to do
    return line


def cells(out: Path) -> dict[str, Rows]:
    """The rows of each cell, by method@budget@seed."""
    found = {}
    for key, files in store.find_cells(out).items():
        store.read_cell(out, key, files)
        rows = pq.ParquetFile(files[0]).read().to_pylist()
        found[f"{key.method}@{key.budget:g}@{key.seed}"] = rows
    return found


def column(rows: Rows, name: str) -> list[Any]:
    return [row[name] for row in rows]
