"""`earmark import`: read the raw log, read and pair each compressed one, then write their cells.

Nothing is written before everything is checked, and import.json, which keeps the doubts, before the cells that they
are about. A cell that is already there with the same rows is left alone.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple, cast, get_args

import pyarrow as pa

from earmark.engine import files
from earmark.engine.design.compressors import Axis
from earmark.engine.design.keys import OK, SILENCE, UNCOMPRESSED, CellKey
from earmark.engine.errors import InputError, choose, first_few
from earmark.engine.outcomes import store
from earmark.engine.outcomes.imports import doubts, log_files, pairs, plausible, task_logs, unnamed_recordings
from earmark.engine.outcomes.imports.arguments import ArgumentNames, CompressedLog, check_raw, settle
from earmark.engine.outcomes.imports.common_rows import CommonRows, common_rows
from earmark.engine.outcomes.imports.rows import BY_TASK, EACH_ITS_OWN, Fields, Log, LogRow
from earmark.engine.outcomes.schema import ROW
from earmark.engine.progress import Report, silent
from earmark.engine.reading import check_utf8, sha256
from earmark.engine.remote import local
from earmark.engine.urls import url_in

_NUMBER = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)"
_BUDGET = re.compile(rf"{_NUMBER}(?:[eE][+-]?[0-9]+)?|{_NUMBER}%")
_SEED = re.compile(r"[0-9]{1,19}")
_WITH_ARGUMENTS = ("lm-eval", "lmms-eval", "inspect")


@dataclass(frozen=True, slots=True)
class Declarations:
    """What a person says about the logs of an import, beside which fields are read."""

    answerer: str | None = None  # vouches that all logs are of one model
    corpus: str | None = None  # ... of one task
    arguments: ArgumentNames = field(default_factory=ArgumentNames)
    common: bool = False  # questions that not all logs have are left out
    axes: Mapping[str, str] = field(default_factory=dict)  # what budgets are shares of, by method


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
    arguments: str | None  # those of the log that say its method or budget, where nobody typed them


class Imported(NamedTuple):
    """What an import did, and what a person should look at before believing it."""

    cells: tuple[ImportedCell, ...]
    source: str  # how recordings were told apart, as import.json has it
    families: str | None  # which they are, where the tasks are
    doubts: tuple[str, ...]  # each begins with the log that it is about


def import_logs(
    kind: str,
    raw: Path,
    compressed: Sequence[CompressedLog],
    fields: Fields,
    out: Path,
    declared: Declarations,
    report: Report = silent,
) -> Imported:
    """Read paired logs of one kind, check the pairing, and write one cell per log into the run folder `out`."""
    _check_options(kind, compressed, fields, out)
    raw = local(raw, report=report)
    compressed = [replace(arm, path=local(arm.path, report=report)) for arm in compressed]
    pairs.refuse_same_file(raw, [arm.path for arm in compressed])
    runs = task_logs.Runs((), compressed) if compressed else _runs(kind, raw, declared, report)
    every_log, read = _read(kind, raw, runs, fields, declared, report)
    axes = _axes_of(every_log, declared.axes)
    report("comparing logs", 0, 0)
    logs, left_out = common_rows(every_log) if declared.common else CommonRows(every_log, None)
    reference_key, reference = next(iter(logs.items()))
    for key, log in logs.items():
        if key != reference_key:
            pairs.check(reference, log, same_model=declared.answerer is not None, same_task=declared.corpus is not None)
    source = _source(reference)
    doubtful = [doubt for key, log in logs.items() for doubt in _doubts(key, log, reference, source, declared.answerer)]
    if left_out:
        doubtful.append(doubts.Doubt(reference_key, left_out))
    cells = {key: _table(log.rows) for key, log in logs.items()}
    new = {key for key, table in cells.items() if not _already_there(out, key, table)}
    imported = [
        doubts.ImportedLog(key, path.name, sha256(path, log_files.CHECK), source)
        for key, log in logs.items()
        for path in log.files
    ]
    files.tidy(out)
    doubts.add(out, imported, doubtful, new, axes)
    for key, table in cells.items():
        if key in new:
            store.write_cell(out, key, table)
    return Imported(
        tuple(_summary(key, log, key in new, read.get(key)) for key, log in logs.items()),
        source,
        _families(reference),
        tuple(f"{logs[doubt.cell].path}: {doubt.text}" for doubt in doubtful),
    )


def parse_arm(text: str) -> CompressedLog:
    """The log that `METHOD@BUDGET=LOG` or `METHOD@BUDGET@SEED=LOG` names, or `METHOD=LOG`, or LOG alone.

    What is there, or begins like a URL, is a log, whatever its name looks like; of the last two the log itself must
    say the rest. silence=LOG
    is the control: the same questions about silence, as long as raw audio.
    """
    name, equals, path = text.partition("=")
    if not equals or url_in(name) or Path(text).exists():
        return CompressedLog(None, None, 0, Path(text))
    method, *numbers = name.split("@")
    if not (method and path and len(numbers) <= 2):
        raise _no_arm(text)
    if not all(form.fullmatch(number) for form, number in zip((_BUDGET, _SEED), numbers, strict=False)):
        raise InputError(
            f"'{text}'",
            f"'{'@'.join(numbers)}' is not a budget in (0, 1], with or without @ and a whole seed",
            "write for instance energy@0.4=samples.jsonl, or energy@40%",
        )
    budget = _typed_budget(numbers[0]) if numbers else None
    if method == SILENCE:
        if budget not in (None, 1):
            raise InputError(f"'{text}'", "the silence control is as long as raw audio", f"write {SILENCE}={path}")
        budget = 1.0
    return CompressedLog(method, budget, int(numbers[1]) if len(numbers) == 2 else 0, Path(path))


def _typed_budget(text: str) -> float:
    """The share that a budget is as it is typed: 0.4, or 40%."""
    return float(Decimal(text[:-1]) / 100) if text.endswith("%") else float(text)


def parse_axes(texts: Iterable[str]) -> dict[str, str]:
    """The axes by method that `METHOD=AXIS` texts say; InputError for another text, and for two of one method."""
    axes: dict[str, str] = {}
    for text in texts:
        method, _, axis = text.rpartition("=")
        if not method or not axis:
            raise InputError(f"--axis {text}", "is not METHOD=AXIS", "write for instance --axis opus=bits")
        if axes.setdefault(method, axis) != axis:
            raise InputError(f"--axis {text}", f"'{method}' was given {axes[method]} before", "keep one of them")
    return axes


def _axes_of(keys: Iterable[CellKey], axes: Mapping[str, str]) -> dict[str, Axis]:
    """The axes by method; InputError for one that there is not, or of a method that no log is of."""
    methods = sorted({key.method for key in keys} - {UNCOMPRESSED, SILENCE})
    for method, axis in axes.items():
        if method not in methods:
            raise InputError(f"--axis {method}={axis}", f"no log is of the method '{method}'", choose(method, methods))
        if axis not in get_args(Axis):
            raise InputError(f"--axis {method}={axis}", f"'{axis}' is no axis", choose(axis, get_args(Axis)))
    return {method: cast(Axis, axis) for method, axis in axes.items()}


def _no_arm(text: object) -> InputError:
    return InputError(f"'{text}'", "is not METHOD@BUDGET=LOG", "write for instance energy@0.4=samples.jsonl")


def _runs(kind: str, folder: Path, declared: Declarations, report: Report) -> task_logs.Runs:
    """The runs in a folder, where that is all that was named; InputError for anything but a folder of such logs."""
    if kind not in _WITH_ARGUMENTS or not folder.is_dir():
        do = "name the log of raw audio, then METHOD@BUDGET=LOG for each other"
        raise InputError(folder, "is the only log that is named", do)
    report(f"looking into {folder.name}", 0, 0)
    return task_logs.runs(kind, folder, declared.arguments)


def _read(
    kind: str, raw: Path, runs: task_logs.Runs, fields: Fields, declared: Declarations, report: Report
) -> tuple[dict[CellKey, Log], dict[CellKey, str | None]]:
    """The logs by their cells, that of raw audio first, and what was read of their budgets, for people."""
    vouched = declared.answerer is not None
    report(f"reading {raw.name}", 0, len(runs.compressed) + 1)
    reference = task_logs.read(kind, raw, fields, among=runs.raw, same_model=vouched)
    _check_some_are_right(reference)
    check_raw(reference, declared.arguments)
    answerer, corpus = _names(reference, declared)
    logs = {CellKey(answerer, corpus, UNCOMPRESSED): reference}
    read: dict[CellKey, str | None] = {}
    for n_done, arm in enumerate(runs.compressed, 1):
        report(f"reading {arm.path.name}", n_done, len(runs.compressed) + 1)
        if arm.budget is not None and arm.method is not None:
            _refuse_twice(arm.path, CellKey(answerer, corpus, arm.method, seed=arm.seed, budget=arm.budget), logs)
        log = task_logs.read(kind, arm.path, fields, reference, among=arm.files, same_model=vouched)
        log = log._replace(records=())
        pairs.check_tasks(reference, log)
        key, note = settle(arm, log, declared.arguments, answerer, corpus)
        _refuse_twice(arm.path, key, logs)
        logs[key], read[key] = log, note
    paths = [path for log in logs.values() for path in log.files]
    pairs.refuse_same_file(paths[0], paths[1:])
    return logs, read


def _refuse_twice(path: Path, key: CellKey, logs: Mapping[CellKey, Log]) -> None:
    if key in logs:
        what = f"{key.method}@{key.budget:g} is also {logs[key].path}"
        raise InputError(path, what, "give each log its own budget or seed")


def _check_options(kind: str, compressed: Sequence[CompressedLog], fields: Fields, out: Path) -> None:
    """InputError for what another kind of log has: an option, arguments; and for an `out` that is a file."""
    for arm in compressed:
        if (arm.method is None or arm.budget is None) and kind not in _WITH_ARGUMENTS:
            raise _no_arm(arm.path if arm.method is None else f"{arm.method}={arm.path}")
    for option, value, belongs in (("--filter", fields.filter, "lm-eval"), ("--scorer", fields.scorer, "inspect")):
        if value is not None and kind != belongs:
            raise InputError(option, f"belongs to {belongs} logs, not to {kind}", "drop it")
    files.check_is_local(out)
    check_utf8(out, "name another run folder with --out")
    if out.exists() and not out.is_dir():
        raise InputError(out, "is not a folder", "name a run folder, new or existing, with --out")


def _check_some_are_right(raw: Log) -> None:
    """InputError where no answer to raw audio is right, which a wrong metric looks like."""
    if all(row.loss in (1, None) for row in raw.rows):
        raise InputError(
            raw.path, "not one answer to raw audio is right", "check --metric, and --predicted if answers are empty"
        )


def _names(raw: Log, declared: Declarations) -> tuple[str, str]:
    """The names of model and task; InputError for those that nobody gives, or that are not believed."""
    several = f" (it has several: {first_few(raw.fields_of_task)})" if raw.fields_of_task else ""
    distrust = f" ({raw.unnamed})" if raw.unnamed else ""
    names = {
        "--answerer": (declared.answerer or raw.model, f"its model{distrust}"),
        "--corpus": (declared.corpus or raw.task, f"its task{several}"),
    }
    lacking = {option: noun for option, (name, noun) in names.items() if not name}
    if lacking:
        do = f"name {'it' if len(lacking) == 1 else 'them'} with {' and '.join(lacking)}"
        raise InputError(raw.path, f"does not name {' nor '.join(lacking.values())}", do)
    answerer, corpus = (str(name) for name, _ in names.values())
    return answerer, corpus


def _families(raw: Log) -> str | None:
    """Which families the tasks of the logs are, for people; None where a field or column is the family."""
    if raw.fields.family != BY_TASK:
        return None
    names = sorted({row.family for row in raw.rows})
    return f"by task ({first_few(names, 8)}); --family would name a field"


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


def _summary(key: CellKey, log: Log, written: bool, arguments: str | None) -> ImportedCell:
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
        arguments=arguments,
    )
