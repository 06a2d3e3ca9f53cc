"""`earmark import`: read the raw log, read and pair each compressed one, then write their cells.

Nothing is written before everything is checked, and import.json, which keeps the doubts, before the cells that they
are about. A cell that is already there with the same rows is left alone.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from earmark.engine import files
from earmark.engine.design.keys import OK, UNCOMPRESSED, CellKey
from earmark.engine.errors import InputError
from earmark.engine.outcomes import store
from earmark.engine.outcomes.imports import (
    doubts,
    inspect_eval,
    lm_eval,
    lmms_eval,
    log_files,
    pairs,
    plain_tables,
    plausible,
    unnamed_recordings,
)
from earmark.engine.outcomes.imports.rows import EACH_ITS_OWN, Fields, Log, LogRow
from earmark.engine.outcomes.schema import ROW
from earmark.engine.reading import check_utf8, sha256

_READERS: Mapping[str, Callable[[Path, Fields], Log]] = {
    "lm-eval": lm_eval.read,
    "lmms-eval": lmms_eval.read,
    "inspect": inspect_eval.read,
    "csv": plain_tables.read_csv,
    "jsonl": plain_tables.read_jsonl,
    "parquet": plain_tables.read_parquet,
}


_BUDGET = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_SEED = re.compile(r"[0-9]{1,19}")


@dataclass(frozen=True, slots=True)
class CompressedLog:
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
    unanswered: int  # rows without an answer, where the log holds answers at all
    mean_loss: float | None  # over the rows without an error
    written: bool  # False: it was already there


class Imported(NamedTuple):
    """What an import did, and what a person should look at before believing it."""

    cells: tuple[ImportedCell, ...]
    source: str  # how recordings were told apart, as import.json has it
    doubts: tuple[str, ...]  # each begins with the log that it is about


def import_logs(
    kind: str,
    raw: Path,
    compressed: Sequence[CompressedLog],
    fields: Fields,
    out: Path,
    *,
    answerer: str | None = None,
    corpus: str | None = None,
) -> Imported:
    """Read paired logs of one kind, check the pairing, and write one cell per log into the run folder `out`."""
    _check_options(kind, fields, out)
    pairs.refuse_same_file(raw, [arm.path for arm in compressed])
    reference = _read_raw(kind, raw, fields)
    name = answerer or _named(reference, reference.model, "model", "--answerer")
    task = corpus or _named(reference, reference.task, "task", "--corpus")
    logs = {CellKey(name, task, UNCOMPRESSED): reference}
    for arm in compressed:
        key = CellKey(name, task, arm.method, seed=arm.seed, budget=arm.budget)
        if key in logs:
            raise InputError(
                arm.path,
                f"{arm.method}@{arm.budget:g} is also {logs[key].path}",
                "give each log its own budget or seed",
            )
        log = _READERS[kind](arm.path, reference.fields)._replace(records=())
        pairs.check(reference, log, same_model=answerer is not None, same_task=corpus is not None)
        logs[key] = log
    source = _source(reference)
    doubtful = [doubt for key, log in logs.items() for doubt in _doubts(key, log, reference, source, answerer)]
    cells = {key: _table(log.rows) for key, log in logs.items()}
    new = {key for key, table in cells.items() if not _already_there(out, key, table)}
    imported = [
        doubts.ImportedLog(key, log.path.name, sha256(log.path, log_files.CHECK), source) for key, log in logs.items()
    ]
    files.tidy(out)
    doubts.add(out, imported, doubtful, new)
    for key, table in cells.items():
        if key in new:
            store.write_cell(out, key, table)
    return Imported(
        tuple(_summary(key, log, key in new) for key, log in logs.items()),
        source,
        tuple(f"{logs[doubt.cell].path}: {doubt.text}" for doubt in doubtful),
    )


def parse_arm(text: str) -> CompressedLog:
    """The log that `METHOD@BUDGET=LOG` or `METHOD@BUDGET@SEED=LOG` names."""
    name, equals, path = text.partition("=")
    method, *numbers = name.split("@")
    if not (equals and method and path and len(numbers) in (1, 2)):
        raise InputError(f"'{text}'", "is not METHOD@BUDGET=LOG", "write for instance energy@0.4=samples.jsonl")
    if not all(form.fullmatch(number) for form, number in zip((_BUDGET, _SEED), numbers, strict=False)):
        raise InputError(
            f"'{text}'",
            f"'{'@'.join(numbers)}' is not a budget in (0, 1], with or without @ and a whole seed",
            "write for instance energy@0.4=samples.jsonl",
        )
    return CompressedLog(method, float(numbers[0]), int(numbers[1]) if len(numbers) == 2 else 0, Path(path))


def _check_options(kind: str, fields: Fields, out: Path) -> None:
    """InputError for an option that belongs to another kind of log, and for an `out` that is a file."""
    for option, value, belongs in (("--filter", fields.filter, "lm-eval"), ("--scorer", fields.scorer, "inspect")):
        if value is not None and kind != belongs:
            raise InputError(option, f"belongs to {belongs} logs, not to {kind}", "drop it")
    check_utf8(out, "name another run folder with --out")
    if out.exists() and not out.is_dir():
        raise InputError(out, "is not a folder", "name a run folder, new or existing, with --out")


def _read_raw(kind: str, path: Path, fields: Fields) -> Log:
    """The log of raw audio; InputError where no answer is right, which a wrong metric looks like."""
    reference = _READERS[kind](path, fields)
    if all(row.loss in (1, None) for row in reference.rows):
        raise InputError(
            reference.path,
            "not one answer to raw audio is right",
            "check --metric, and --predicted if answers are empty",
        )
    return reference


def _named(log: Log, name: str | None, noun: str, option: str) -> str:
    """The name that a log has for its model or task; InputError where it has none, or none that is believed."""
    if not name:
        distrust = f" ({log.unnamed})" if noun == "model" and log.unnamed else ""
        raise InputError(log.path, f"does not name its {noun}{distrust}", f"name it with {option}")
    return name


def _source(raw: Log) -> str:
    """How the recordings of a log are told apart, in the words of import.json."""
    if raw.fields.source == EACH_ITS_OWN:
        return doubts.DECLARED
    if raw.fields.source is not None:
        return doubts.by_field(raw.fields.source)
    return doubts.ASSUMED if raw.own_source is None else doubts.by_column(raw.own_source)


def _doubts(key: CellKey, log: Log, raw: Log, source: str, answerer: str | None) -> list[doubts.Doubt]:
    """All doubts about a log: about itself, about its pairing with the raw one, and about unnamed recordings.

    The latter are looked for in the raw log alone, as all logs of an import have the same questions.
    """
    source_told = source not in (doubts.ASSUMED, doubts.DECLARED)
    texts = plausible.doubts(log, raw=key.is_reference, source_told=source_told)
    if not key.is_reference:
        texts += pairs.doubts(raw, log, keeps_all=key.budget == 1, same_model=answerer is not None)
    doubtful = [doubts.Doubt(key, text) for text in texts]
    if key.is_reference and source == doubts.ASSUMED:
        doubtful += [doubts.Doubt(key, text, by_source=True) for text in unnamed_recordings.doubts(log)]
    return doubtful


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
                "n_options": row.n_options,
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
    if not store.has_cell(out, key):
        return False
    try:
        same = store.read_rows(out, key).cast(ROW).sort_by("sample_id").equals(table)
    except InputError:
        same = False
    if not same:
        do = "remove it, or import into another run folder"
        raise InputError(out / str(key), "the cell is already there, with other rows", do)
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
        unanswered=sum(row.status == OK and row.predicted is None and (tells or row.unparsed) for row in log.rows),
        mean_loss=sum(losses) / len(losses) if losses else None,
        written=written,
    )
