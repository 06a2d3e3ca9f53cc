"""Opens logs: JSON lines, a samples file inside a folder, and what kind of log a file looks like.

Every defect of a file is one InputError that says where. Knows no field of any harness but those that tell their
logs apart.
"""

import os
import re
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

from earmark.engine import reading
from earmark.engine.errors import InputError, first_few
from earmark.engine.outcomes.imports.rows import Record

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


def find_log(path: Path, pattern: str) -> Path:
    """The file itself, or the only file below a folder that matches the pattern."""
    if not path.is_dir():
        return path
    files = _files_in(path)
    logs = [file for file in files if fnmatch(file.name, pattern)]
    if len(logs) == 1:
        return logs[0]
    if logs:
        names = first_few((file.relative_to(path) for file in logs), 4)
        raise InputError(path, f"holds {len(logs)} logs {pattern} ({names})", "name one of the files")
    others = first_few((file.relative_to(path) for file in files), 4)
    raise InputError(path, f"holds no {pattern}" + (f" (but {others})" if others else ""), "name the log itself")


def _files_in(folder: Path) -> list[Path]:
    """The files below a folder, sorted; links to folders are not followed."""
    paths: list[Path] = []
    for parent, _, names in os.walk(folder):
        paths += (Path(parent, name) for name in names)
        if len(paths) > _MOST_FILES:
            raise InputError(folder, f"holds more than {_MOST_FILES:,} files", "name the log itself")
    return sorted(paths)


class ModelName(NamedTuple):
    """What the results file of a run calls its model; neither field is set where there is no such name."""

    name: str | None = None
    distrust: str | None = None  # why a name that is there is not believed


def model_beside(log: Path, date: str | None) -> ModelName:
    """The model that the results file of the same run, beside a samples file, names.

    lm-eval draws a random name where its model_args have none of the keys that it looks for (pretrained, model, ...),
    so a name is believed only where the model_args have it too.
    """
    for path in sorted(log.parent.glob(f"*{date}*.json")) if date else []:
        try:
            results = parse(reading.read_bytes(path, CHECK, reading.MOST_LINE_BYTES), str(path))
        except InputError:
            continue  # only a hint: without it --answerer is asked for
        name = results.get("model_name") if isinstance(results, dict) else None
        if not (isinstance(name, str) and name):
            continue
        if _in_model_args(name, results.get("config")):
            return ModelName(name)
        return ModelName(distrust=f"the results file calls it '{name}', which its model_args do not: it may be random")
    return ModelName()


def _in_model_args(name: str, config: Any) -> bool:
    """Whether a name, or the last part of its path, stands as a whole in the model_args: a text, or a mapping."""
    model_args = config.get("model_args") if isinstance(config, Mapping) else None
    text = ",".join(map(str, model_args.values())) if isinstance(model_args, Mapping) else str(model_args or "")
    parts = {name, name.rstrip("/").rpartition("/")[2]} - {""}
    return any(re.search(rf"(?<![\w.-]){re.escape(part)}(?![\w.-])", text) for part in parts)


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
    "inspect": "an inspect .eval log",
    "csv": "a CSV table",
    "jsonl": "a table of JSON lines",
    "parquet": "a Parquet table",
}


_MAGIC = {b"PK\x03\x04": "inspect", b"PAR1": "parquet"}


def _looks_like(path: Path) -> str | None:
    """The kind that a file plainly is, or None where that cannot be told."""
    with reading.open_regular(path, CHECK, reading.MOST_TABLE_BYTES) as file:
        start = file.read(4)
        if start in _MAGIC:
            return _MAGIC[start]
        line = start + file.readline(reading.MOST_LINE_BYTES)
    if not line.strip():
        raise InputError(path, "the log is empty", "run the evaluation again")
    if not line.lstrip(b"\xef\xbb\xbf \t").startswith((b"{", b"[")):
        return "csv" if b"\x00" not in line else None
    try:
        row = parse(line, str(path))
    except InputError:
        return None
    return _kind_of_row(row) if isinstance(row, dict) else None


def _kind_of_row(row: Mapping[str, Any]) -> str | None:
    """The kind of JSON lines that a first row plainly belongs to, or None."""
    if {"eval", "samples"} <= row.keys():
        return None  # inspect's JSON format, or a report of some other kind
    if {"doc_id", "filtered_resps"} <= row.keys():
        return "lm-eval" if "doc" in row else "lmms-eval"
    return "jsonl"
