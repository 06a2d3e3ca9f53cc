"""Opens logs: JSON lines, a samples file inside a folder, and what kind of log a file looks like.

Every defect of a file is one InputError that says where. Knows no field of any harness but those that tell their
logs apart.
"""

import os
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from earmark.engine import reading
from earmark.engine.errors import InputError, first_few
from earmark.engine.outcomes.imports.record import Record

CHECK = "name the file of the log, and see that it can be read"
_MOST_VALUES = 1 << 22  # in one line, or one entry of an archive
_MOST_FILES = 100_000  # below a folder that is looked into for a log


def json_lines(path: Path) -> list[Record]:
    """The objects of a JSON-lines file, each with its line."""
    return [
        Record(f"{path}:{number}", _json_object(f"{path}:{number}", line))
        for number, line in reading.lines(path, CHECK, path)
        if line.strip()
    ]


def _json_object(where: str, line: bytes) -> dict[str, Any]:
    value = parse(line, where)
    if not isinstance(value, dict):
        raise InputError(where, f"holds {type(value).__name__}, not an object", "write one {...} per line")
    return value


def parse(data: bytes, where: str) -> Any:
    """The content of a piece of JSON in a log; harnesses write NaN and Infinity."""
    do = "give a log as its harness wrote it; if it is cut off, copy it again"
    return reading.parse_json(data, where, do, constants=True, most_values=_MOST_VALUES)


def logs_at(path: Path, patterns: Sequence[str]) -> list[Path]:
    """The file itself, or all files below a folder that match a pattern; InputError where none does."""
    if not path.is_dir():
        return [path]
    files = _files_in(path)
    logs = [file for file in files if any(fnmatch(file.name, pattern) for pattern in patterns)]
    if logs:
        return logs
    others = first_few((file.relative_to(path) for file in files), 4)
    what = f"holds no {' or '.join(patterns)}" + (f" (but {others})" if others else "")
    raise InputError(path, what, "name the log itself")


def _files_in(folder: Path) -> list[Path]:
    """The files below a folder, sorted; links to folders are not followed."""
    paths: list[Path] = []
    for parent, _, names in os.walk(folder):
        paths += (Path(parent, name) for name in names)
        if len(paths) > _MOST_FILES:
            raise InputError(folder, f"holds more than {_MOST_FILES:,} files", "name the log itself")
    return sorted(paths)


def expect(path: Path, kind: str) -> None:
    """Raises InputError for no regular file, a name that is no text, an empty log, or plainly another kind of log."""
    reading.check_utf8(path, "rename it")
    apparent_kind = _looks_like(path)
    if apparent_kind is not None and apparent_kind != kind:
        raise InputError(
            path, f"looks like {_CALLED[apparent_kind]}, not {_CALLED[kind]}", f"import it as {apparent_kind}"
        )


_CALLED = {
    "lm-eval": "an lm-eval samples log",
    "lmms-eval": "an lmms-eval samples log",
    "inspect": "an inspect log",
    "vlmeval": "a table of VLMEvalKit",
    "csv": "a CSV table",
    "jsonl": "a table of JSON lines",
    "parquet": "a Parquet table",
}


_PARQUET, _ZIP = b"PAR1", b"PK\x03\x04"


def _looks_like(path: Path) -> str | None:
    """The kind that a file plainly is, or None where that cannot be told."""
    with reading.open_regular(path, CHECK, reading.MOST_TABLE_BYTES) as file:
        start = file.read(4)
        if start == _PARQUET:
            return "parquet"
        if start == _ZIP:
            return "vlmeval" if path.suffix.lower() == ".xlsx" else "inspect"
        line = start + file.readline(reading.MOST_LINE_BYTES)
    if not line.strip():
        raise InputError(path, "the log is empty", "run the evaluation again")
    if not line.lstrip(b"\xef\xbb\xbf \t").startswith((b"{", b"[")):
        return _kind_of_header(line)
    try:
        row = parse(line, str(path))
    except InputError:
        return None
    return _kind_of_row(row) if isinstance(row, dict) else None


def _kind_of_header(line: bytes) -> str | None:
    """The kind of table that a first line of plain text plainly belongs to, or None."""
    if b"\x00" in line:
        return None
    columns = {column.strip(b'"\xef\xbb\xbf\r\n ') for column in line.split(b"\t")}
    return "vlmeval" if {b"index", b"prediction"} <= columns else None if len(columns) > 1 else "csv"


def _kind_of_row(row: Mapping[str, Any]) -> str | None:
    """The kind of JSON lines that a first row plainly belongs to, or None."""
    if {"eval", "samples"} <= row.keys():
        return "inspect"
    if {"doc_id", "filtered_resps"} <= row.keys():
        return "lm-eval" if "doc" in row else "lmms-eval"
    return "jsonl"
