"""`earmark import` on one screen: read the raw log, read and pair each compressed one, then write their cells.

Nothing is written before everything is checked. A cell that is already there with the same rows is left alone.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from earmark.engine.errors import InputError
from earmark.engine.outcomes import store
from earmark.engine.outcomes.imports import inspect_eval, lm_eval, lmms_eval, pairs, tables
from earmark.engine.outcomes.imports.rows import Fields, Log, LogRow
from earmark.engine.outcomes.schema import OK, ROW, UNCOMPRESSED, CellKey

_READERS: Mapping[str, Callable[[Path, Fields], Log]] = {
    "lm-eval": lm_eval.read,
    "lmms-eval": lmms_eval.read,
    "inspect": inspect_eval.read,
    "csv": tables.read_csv,
    "jsonl": tables.read_jsonl,
    "parquet": tables.read_parquet,
}


@dataclass(frozen=True, slots=True)
class Arm:
    """A log of compressed audio: which method, at which budget, from which training seed."""

    method: str
    budget: float
    seed: int
    path: Path


class ImportedCell(NamedTuple):
    """One cell of an import and what is in it."""

    key: CellKey
    log: Path
    rows: int
    families: int
    errors: int  # rows with an error status
    unanswered: int  # rows without an answer, where the log tells answers at all
    mean_loss: float | None  # over the rows without an error
    written: bool  # False: it was already there


class Imported(NamedTuple):
    """What an import did, and what a person should look at before believing it."""

    cells: tuple[ImportedCell, ...]
    doubts: tuple[str, ...]


def import_logs(
    kind: str,
    raw: Path,
    compressed: Sequence[Arm],
    fields: Fields,
    out: Path,
    *,
    answerer: str | None = None,
    corpus: str | None = None,
) -> Imported:
    """Read paired logs of one kind, check the pairing, and write one cell per log into the run folder `out`."""
    _check_options(kind, fields, out)
    pairs.refuse_same_file(raw, [arm.path for arm in compressed])
    read = _READERS[kind]
    reference = read(raw, fields)
    if all(row.loss in (1, None) for row in reference.rows):
        raise InputError(
            reference.path,
            "not one answer to raw audio is right",
            "check --metric, and --predicted if answers are empty",
        )
    name = answerer or _named(reference, reference.model, "model", "--answerer")
    task = corpus or _named(reference, reference.task, "task", "--corpus")
    logs = {CellKey(name, task, UNCOMPRESSED): reference}
    doubts: list[str] = []
    for arm in compressed:
        key = CellKey(name, task, arm.method, seed=arm.seed, budget=arm.budget)
        if key in logs:
            raise InputError(
                arm.path,
                f"{arm.method}@{arm.budget:g} is also {logs[key].path}",
                "give each log its own budget or seed",
            )
        log = read(arm.path, reference.fields)
        pairs.check(reference, log, same_model=answerer is not None, same_task=corpus is not None)
        doubts += pairs.doubts(reference, log, keeps_all=arm.budget == 1)
        logs[key] = log
    cells = {key: _table(log.rows) for key, log in logs.items()}
    present = {key for key, table in cells.items() if _already_there(out, key, table)}
    for key, table in cells.items():
        if key not in present:
            store.write_cell(out, key, table)
    return Imported(tuple(_summary(key, log, key not in present) for key, log in logs.items()), tuple(doubts))


def parse_arm(text: str) -> Arm:
    """`METHOD@BUDGET=LOG` or `METHOD@BUDGET@SEED=LOG`."""
    name, equals, path = text.partition("=")
    method, *numbers = name.split("@")
    if not (equals and method and path and len(numbers) in (1, 2)):
        raise InputError(f"'{text}'", "is not METHOD@BUDGET=LOG", "write for instance energy@0.4=samples.jsonl")
    try:
        budget, seed = float(numbers[0]), int(numbers[1]) if len(numbers) == 2 else 0
    except ValueError:
        raise InputError(
            f"'{text}'",
            f"'{'@'.join(numbers)}' is not a budget in (0, 1], with or without @ and a whole seed",
            "write for instance energy@0.4=samples.jsonl",
        ) from None
    return Arm(method, budget, seed, Path(path))


def _check_options(kind: str, fields: Fields, out: Path) -> None:
    for option, value, belongs in (("--filter", fields.filter, "lm-eval"), ("--scorer", fields.scorer, "inspect")):
        if value is not None and kind != belongs:
            raise InputError(option, f"belongs to {belongs} logs, not to {kind}", "drop it")
    if out.exists() and not out.is_dir():
        raise InputError(out, "is not a folder", "name a run folder, new or existing, with --out")


def _named(log: Log, name: str | None, what: str, option: str) -> str:
    if not name:
        raise InputError(log.path, f"does not name its {what}", f"name it with {option}")
    return name


def _table(rows: Iterable[LogRow]) -> pa.Table:
    """The rows as a cell, ordered by sample."""
    return pa.Table.from_pylist(
        [
            {
                "sample_id": row.sample_id,
                "source_id": row.source_id,
                "query_family": row.family,
                "loss": row.loss,
                "nll": row.nll,
                "num_audio_tokens": row.tokens,
                "predicted_label": row.predicted,
                "correct_label": row.correct,
                "status": row.status,
                **row.extra,
            }
            for row in sorted(rows, key=lambda row: row.sample_id)
        ],
        schema=ROW,
    )


def _already_there(out: Path, key: CellKey, table: pa.Table) -> bool:
    """Whether the cell is complete with these very rows; raises InputError where it has others."""
    folder = out / str(key)
    if not folder.exists():
        return False
    try:
        parts = [pq.ParquetFile(path).read() for path in sorted(folder.glob("*.parquet"))]
        there = pa.concat_tables(parts).select(ROW.names).cast(ROW).sort_by("sample_id")
        same = there.equals(table)
    except (pa.ArrowException, OSError, KeyError):
        same = False
    if not same:
        raise InputError(
            folder, "the cell is already there, with other rows", "remove it, or import into another run folder"
        )
    return True


def _summary(key: CellKey, log: Log, written: bool) -> ImportedCell:
    losses = [row.loss for row in log.rows if row.loss is not None]
    tells = any(row.predicted is not None for row in log.rows)
    return ImportedCell(
        key=key,
        log=log.path,
        rows=len(log.rows),
        families=len({row.family for row in log.rows}),
        errors=sum(row.status != OK for row in log.rows),
        unanswered=sum(row.status == OK and row.predicted is None for row in log.rows) if tells else 0,
        mean_loss=sum(losses) / len(losses) if losses else None,
        written=written,
    )
