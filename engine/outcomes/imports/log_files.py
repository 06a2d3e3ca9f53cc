"""Opens logs: JSON lines, a samples file inside a folder, and what kind of log a file looks like.

Every defect of a file is one InputError that says where. Knows no field of any harness but those that tell their
logs apart.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from earmark.engine.errors import InputError, first_few
from earmark.engine.outcomes.imports.rows import Record


def json_lines(path: Path) -> list[Record]:
    """The objects of a JSON-lines file, each with its line."""
    records = []
    try:
        with path.open(encoding="utf-8-sig", newline="\n") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    records.append(Record(f"{path}:{number}", _json_object(f"{path}:{number}", line)))
    except OSError as error:
        raise unreadable(path, error) from error
    except UnicodeDecodeError as error:
        raise InputError(path, f"is not UTF-8 text ({error.reason})", "save it as UTF-8") from error
    return records


def _json_object(where: str, line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError as error:
        raise InputError(
            where,
            f"is not JSON ({str(error).split(': line')[0]})",
            "give one {...} per line; if the log is cut off, copy it again",
        ) from error
    except RecursionError:
        raise InputError(where, "is nested too deeply", "give a log of the named kind") from None
    if not isinstance(value, dict):
        raise InputError(where, f"holds {type(value).__name__}, not an object", "write one {...} per line")
    return value


def find_log(path: Path, pattern: str) -> Path:
    """The file itself, or the only file below a folder that matches the pattern."""
    if not path.is_dir():
        return path
    logs = sorted(path.rglob(pattern))
    if len(logs) == 1:
        return logs[0]
    if logs:
        names = first_few((file.relative_to(path) for file in logs), 4)
        raise InputError(path, f"holds {len(logs)} logs {pattern} ({names})", "name one of the files")
    others = first_few(sorted(file.relative_to(path) for file in path.rglob("*") if file.is_file()), 4)
    raise InputError(path, f"holds no {pattern}" + (f" (but {others})" if others else ""), "name the log itself")


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
            results = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
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
    """Raises InputError where a file cannot be opened, is empty, or is plainly another kind of log."""
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
    try:
        with path.open("rb") as file:
            start = file.read(4)
            if start in _MAGIC:
                return _MAGIC[start]
            line = start + file.readline()
    except OSError as error:
        raise unreadable(path, error) from error
    if not line.strip():
        raise InputError(path, "the log is empty", "run the evaluation again")
    if not line.lstrip(b"\xef\xbb\xbf \t").startswith((b"{", b"[")):
        return "csv" if b"\x00" not in line else None
    try:
        row = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None
    return _kind_of_row(row) if isinstance(row, dict) else None


def _kind_of_row(row: Mapping[str, Any]) -> str | None:
    """The kind of JSON lines that a first row plainly belongs to, or None."""
    if {"eval", "samples"} <= row.keys():
        return None  # inspect's JSON format, or a report of some other kind
    if {"doc_id", "filtered_resps"} <= row.keys():
        return "lm-eval" if "doc" in row else "lmms-eval"
    return "jsonl"


def unreadable(path: Path, error: OSError) -> InputError:
    """The refusal of a file that the system does not let us read."""
    if isinstance(error, FileNotFoundError):
        return InputError(path, "there is no such file", "check the path")
    if isinstance(error, IsADirectoryError):
        return InputError(path, "is a folder", "name the log file in it")
    return InputError(path, f"cannot be read ({error.strerror or error})", "check the file and its permissions")
