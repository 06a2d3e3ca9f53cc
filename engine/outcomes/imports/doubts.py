"""RUN/import.json: from which logs the cells of a run folder were imported, how their recordings were told apart, what
budgets are shares of, and the doubts that a certificate must repeat.

Writes and reads that file. Knows no kind of log; whoever signs off needs this module and none of the readers.
"""

import hashlib
import json
import os
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, get_args

from earmark.engine.design.compressors import Axis
from earmark.engine.design.keys import CellKey
from earmark.engine.errors import InputError
from earmark.engine.files import write_file
from earmark.engine.outcomes.input_file import InputFile
from earmark.engine.outcomes.store import CELLS
from earmark.engine.reading import MOST_JSON_BYTES, check_inside, parse_json, read_bytes

FILE = "import.json"
SCHEMA = "earmark.import/1"

ASSUMED = "each row its own, assumed"  # nobody named the recordings
DECLARED = "each row its own, declared"  # somebody declared it with --source none
_FIELD, _COLUMN = "field ", "column "
_BY_SOURCE = "--source"
_RESTORE = "restore the file that `earmark import` wrote, or import the logs again"


@dataclass(frozen=True, slots=True)
class ImportedLog:
    """The log that a cell was imported from."""

    cell: CellKey
    log: str  # its file name
    sha256: str  # of its bytes
    source: str  # how recordings were told apart: "field PATH", "column NAME", DECLARED or ASSUMED


@dataclass(frozen=True, slots=True)
class Doubt:
    """What a person should look at before believing a cell."""

    cell: CellKey
    text: str  # a plain sentence
    by_source: bool = False  # naming the recordings, or declaring that there are none, settles it


@dataclass(frozen=True, slots=True)
class ImportRecord:
    """A validated import.json; `logs` and `doubts` are ordered by cell."""

    source: str  # how recordings were told apart; where that differs, each way once, sorted, joined by "; "
    doubts: tuple[Doubt, ...]
    logs: tuple[ImportedLog, ...]
    axes: Mapping[str, Axis]  # what budgets are shares of, by method, where somebody said it
    file: InputFile  # its rows are the logs


def by_field(path: str) -> str:
    """How recordings were told apart where a person named a field."""
    return _FIELD + path


def by_column(name: str) -> str:
    """How recordings were told apart where the log's own layout has a column for them."""
    return _COLUMN + name


def add(
    run: Path,
    logs: Iterable[ImportedLog],
    doubts: Iterable[Doubt],
    new: Collection[CellKey],
    axes: Mapping[str, Axis],
) -> None:
    """Add logs, doubts and axes to a run's import.json; the same imports give the same bytes in whatever order.

    Older entries about the `new` cells, which this import is about to write, and about cells that no longer exist are
    dropped. Cells of one answerer and corpus have the same recordings, so the firmest way in which these were told
    apart counts for all of them, and once somebody has settled it, the doubts about it are dropped. InputError where a
    method has another axis already.
    """
    logs = list(logs)
    before = read(run)
    cells = {log.cell for log in logs}

    def stays(cell: CellKey) -> bool:
        return cell not in new and (cell in cells or (run / str(cell)).exists())

    older = [log for log in (before.logs if before else ()) if stays(log.cell)]
    every_log = {*logs, *older}
    every_doubt = {*doubts, *(doubt for doubt in (before.doubts if before else ()) if stays(doubt.cell))}
    sources: dict[tuple[str, str], list[str]] = defaultdict(list)
    for log in every_log:
        sources[_group(log.cell)].append(log.source)
    firmest = {group: min(group_sources, key=_firmness) for group, group_sources in sources.items()}
    data = _content(
        sorted({replace(log, source=firmest[_group(log.cell)]) for log in every_log}, key=_log_order),
        sorted(
            (doubt for doubt in every_doubt if not doubt.by_source or firmest.get(_group(doubt.cell)) == ASSUMED),
            key=_doubt_order,
        ),
        _axes_with(before.axes if before else {}, {log.cell.method for log in older}, axes),
    )
    if before is None or hashlib.sha256(data).hexdigest() != before.file.sha256:
        write_file(run / FILE, data)


def read(run: Path) -> ImportRecord | None:
    """The import.json of a run folder, or None where nothing was imported; InputError for anything wrong in it."""
    path = run / FILE
    if not os.path.lexists(path):
        return None
    check_inside(path, run, _RESTORE)
    data = read_bytes(path, _RESTORE, MOST_JSON_BYTES)
    content = parse_json(data, path, _RESTORE)
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise _refusal(path, f"is no record of an import that this Earmark reads ({SCHEMA})")
    _check_keys(path, content, "it", {"schema", "source", "doubts", "logs"}, optional={"axes"})
    for key in ("doubts", "logs"):
        if not isinstance(content[key], list):
            raise _refusal(path, f"has in '{key}' no list")
    has_sources = any(isinstance(entry, dict) and "source" in entry for entry in content["logs"])
    logs = [_log(path, f"logs[{i}]", entry, content["source"], has_sources) for i, entry in enumerate(content["logs"])]
    doubts = [_doubt(path, f"doubts[{i}]", entry) for i, entry in enumerate(content["doubts"])]
    for key, entries in (("logs", logs), ("doubts", doubts)):
        if len(set(entries)) < len(entries):
            raise _refusal(path, f"has an entry of '{key}' twice")
    if content["source"] != _summary(logs) if has_sources else not _is_source(content["source"]):
        raise _refusal(path, "has in 'source' something else than how recordings were told")
    return ImportRecord(
        content["source"],
        tuple(sorted(doubts, key=_doubt_order)),
        tuple(sorted(logs, key=_log_order)),
        _axes(path, content.get("axes", {}), {log.cell.method for log in logs}),
        InputFile(FILE, hashlib.sha256(data).hexdigest(), len(logs)),
    )


def _axes_with(before: Mapping[str, Axis], older: Collection[str], axes: Mapping[str, Axis]) -> dict[str, Axis]:
    """The axes of methods with those that are new; of those before, which `older` logs are still of."""
    stays = {method: axis for method, axis in before.items() if method in older}
    for method, axis in axes.items():
        if stays.get(method, axis) != axis:
            what = f"the budgets of '{method}' are shares of {stays[method]} in this run folder"
            raise InputError(f"--axis {method}={axis}", what, "name that axis, or import into another run folder")
    return dict(sorted({**stays, **axes}.items()))


# Order -----------------------------------------------------------------------------------------------------


def _group(cell: CellKey) -> tuple[str, str]:
    """What cells about the same recordings have in common."""
    return cell.answerer, cell.corpus


def _firmness(source: str) -> tuple[bool, bool, str]:
    """Sort key: a named field or column first, then what was declared, then what was assumed."""
    return source == ASSUMED, source == DECLARED, source


def _log_order(log: ImportedLog) -> tuple[CellKey, str, str, str]:
    return log.cell, log.log, log.sha256, log.source


def _doubt_order(doubt: Doubt) -> tuple[CellKey, str, bool]:
    return doubt.cell, doubt.text, doubt.by_source


def _summary(logs: Iterable[ImportedLog]) -> str:
    return "; ".join(sorted({log.source for log in logs}))


# JSON ------------------------------------------------------------------------------------------------------


def _content(logs: list[ImportedLog], doubts: list[Doubt], axes: Mapping[str, Axis]) -> bytes:
    differ = len({log.source for log in logs}) > 1
    content = {
        "schema": SCHEMA,
        "source": _summary(logs),
        "doubts": [
            {"cell": str(doubt.cell), "text": doubt.text} | ({"settled_by": _BY_SOURCE} if doubt.by_source else {})
            for doubt in doubts
        ],
        "logs": [
            {"cell": str(log.cell), "log": log.log, "sha256": log.sha256} | ({"source": log.source} if differ else {})
            for log in logs
        ],
    } | ({"axes": axes} if axes else {})
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()


def _log(path: Path, where: str, entry: Any, source: Any, has_source: bool) -> ImportedLog:
    _check_keys(path, entry, where, {"cell", "log", "sha256"} | ({"source"} if has_source else set()))
    source = entry["source"] if has_source else source
    _check(path, f"{where}.log", entry["log"], _is_file_name, "the name of a file")
    _check(path, f"{where}.sha256", entry["sha256"], _is_hash, "a SHA-256")
    _check(path, f"{where}.source" if has_source else "source", source, _is_source, "how recordings were told")
    return ImportedLog(_cell(path, where, entry["cell"]), entry["log"], entry["sha256"], source)


def _doubt(path: Path, where: str, entry: Any) -> Doubt:
    _check_keys(path, entry, where, {"cell", "text"}, optional={"settled_by"})
    _check(path, f"{where}.text", entry["text"], lambda text: isinstance(text, str) and text.strip() != "", "a text")
    by_source = "settled_by" in entry
    if by_source:
        _check(path, f"{where}.settled_by", entry["settled_by"], lambda option: option == _BY_SOURCE, f"'{_BY_SOURCE}'")
    return Doubt(_cell(path, where, entry["cell"]), entry["text"], by_source)


def _axes(path: Path, axes: Any, methods: Collection[str]) -> Mapping[str, Axis]:
    if not isinstance(axes, dict):
        raise _refusal(path, "has in axes no table")
    for method, axis in axes.items():
        if method not in methods:
            raise _refusal(path, f"has in axes the method {method!r}, of which it has no log")
        _check(path, f"axes.{method}", axis, lambda axis: axis in get_args(Axis), " or ".join(get_args(Axis)))
    return axes


def _cell(path: Path, where: str, name: Any) -> CellKey:
    try:
        cell = CellKey.from_path(PurePosixPath(name).relative_to(CELLS))
    except (InputError, TypeError, ValueError):
        cell = None
    if cell is None or str(cell) != name:
        raise _refusal(path, f"has in {where}.cell something else than the folder of a cell")
    return cell


def _check(path: Path, where: str, value: Any, is_valid: Callable[[Any], bool], expected: str) -> None:
    if not is_valid(value):
        raise _refusal(path, f"has in {where} something else than {expected}")


def _check_keys(path: Path, entry: Any, where: str, keys: set[str], optional: Collection[str] = ()) -> None:
    if not isinstance(entry, dict):
        raise _refusal(path, f"has in {where} no table")
    lacking, unknown = keys - entry.keys(), entry.keys() - keys - set(optional)
    if lacking or unknown:
        problem = f"lacks '{min(lacking)}'" if lacking else f"has the unknown key '{min(unknown)}'"
        raise _refusal(path, f"{problem} in {where}")


def _is_source(text: Any) -> bool:
    return isinstance(text, str) and (
        text in (ASSUMED, DECLARED) or any(text.startswith(way) and text != way for way in (_FIELD, _COLUMN))
    )


def _is_file_name(text: Any) -> bool:
    return isinstance(text, str) and text not in ("", ".", "..") and "/" not in text


def _is_hash(text: Any) -> bool:
    return isinstance(text, str) and re.fullmatch(r"[0-9a-f]{64}", text) is not None


def _refusal(path: Path, problem: str) -> InputError:
    return InputError(path, problem, _RESTORE)
