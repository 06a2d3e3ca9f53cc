"""One log of what was run: a file, or the files of several tasks, whose families are the tasks where none are named.

Knows which kinds of logs there are; no row of any of them.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from earmark.engine.design.keys import MOST_NAME
from earmark.engine.errors import InputError, first_few
from earmark.engine.outcomes.imports import (
    harness_runs,
    inspect_eval,
    lm_eval,
    lmms_eval,
    log_files,
    plain_tables,
    vlmeval,
)
from earmark.engine.outcomes.imports.arguments import ArgumentNames, CompressedLog, told_by
from earmark.engine.outcomes.imports.rows import BY_TASK, EACH_ITS_OWN, Fields, Log, LogFile, LogRow


class LogKind(NamedTuple):
    """How logs of a kind are found and read."""

    open_file: Callable[[Path], LogFile]
    read_rows: Callable[[LogFile, Fields], Log]
    patterns: tuple[str, ...] = ()  # of the names of such files in a folder; a table is always named itself


KINDS: Mapping[str, LogKind] = {
    "lm-eval": LogKind(lm_eval.open_file, lm_eval.read_rows, ("samples_*.jsonl",)),
    "lmms-eval": LogKind(lmms_eval.open_file, lmms_eval.read_rows, ("*samples_*.jsonl",)),
    "inspect": LogKind(inspect_eval.open_file, inspect_eval.read_rows, ("*.eval", "20*T*_*.json")),
    "vlmeval": LogKind(vlmeval.open_file, vlmeval.read_rows, ("*_result.xlsx", "*_result.tsv", "*_result.json")),
    "csv": LogKind(plain_tables.open_csv, plain_tables.read_rows),
    "jsonl": LogKind(plain_tables.open_jsonl, plain_tables.read_rows),
    "parquet": LogKind(plain_tables.open_parquet, plain_tables.read_rows),
}


class Runs(NamedTuple):
    """The logs of an import."""

    raw: tuple[Path, ...]  # the files in the folder that is named which are of raw audio; none: all of them
    compressed: Sequence[CompressedLog]


def runs(kind: str, folder: Path, names: ArgumentNames) -> Runs:
    """The runs in a folder, told apart by the method and budget that their logs say; InputError where none is raw."""
    reader = KINDS[kind]
    files: dict[tuple[str, float] | None, list[Path]] = {}
    for path in _paths(reader, folder):
        files.setdefault(told_by(reader.open_file(path), names), []).append(path)
    raw = files.pop(None, [])
    if not (raw and files):
        what = f"holds no log {'of compressed audio: none' if raw else 'of raw audio: each'} says a '{names.budget}'"
        raise InputError(folder, what, "name the log of raw audio, then METHOD@BUDGET=LOG for each other")
    arms = [CompressedLog(None, None, 0, folder, tuple(paths)) for paths in files.values()]
    return Runs(tuple(raw), arms)


def read(
    kind: str,
    path: Path,
    fields: Fields,
    raw: Log | None = None,
    *,
    among: Sequence[Path] = (),
    same_model: bool = False,
) -> Log:
    """The log at a path: a file, a folder with the files of one run, or the results file of a run.

    Of a compressed log, every task is read as it was in the `raw` log. `among`: the files in the folder that are
    meant, where not all are. `same_model`: the caller vouches for it.
    """
    reader = KINDS[kind]
    files = [reader.open_file(file) for file in among or _paths(reader, path)]
    if len(files) == 1 and not (raw and raw.fields_of_task):
        return reader.read_rows(files[0], raw.fields if raw else fields)
    by_task = _by_task(path, files)
    if not same_model:
        _check_models(path, files)
    if fields.family is None:
        fields = replace(fields, family=BY_TASK)
    known = raw.fields_of_task if raw else {}
    logs = {task: reader.read_rows(file, known.get(task, fields)) for task, file in by_task.items()}
    return _merged(path, fields, logs, files)


def _paths(reader: LogKind, path: Path) -> list[Path]:
    if not reader.patterns:
        return [path]
    if path.is_dir():
        return log_files.logs_at(path, reader.patterns)
    return harness_runs.logs_of_run(path, reader.patterns[0])


def _by_task(path: Path, files: Sequence[LogFile]) -> dict[str, LogFile]:
    """The files by their tasks; InputError where one names none, or two name one."""
    by_task: dict[str, LogFile] = {}
    for file in files:
        if file.task is None:
            raise InputError(file.path, f"is one of {len(files)} logs, and names no task", "name one file alone")
        if file.task in by_task:
            names = first_few([by_task[file.task].path.name, file.path.name])
            do = "name one of the files, or the results file of a run, which stands for all that belong to it"
            raise InputError(path, f"holds two logs of task '{file.task}' ({names})", do)
        by_task[file.task] = file
    return dict(sorted(by_task.items()))


def _check_models(path: Path, files: Sequence[LogFile]) -> None:
    models = sorted({file.model for file in files if file.model})
    if len(models) > 1:
        do = "give the logs of one model, or the model its one name with --answerer"
        raise InputError(path, f"holds logs of {len(models)} models ({first_few(models)})", do)


def _merged(path: Path, fields: Fields, logs: Mapping[str, Log], files: Sequence[LogFile]) -> Log:
    """The logs of several tasks as one, whose samples are called TASK/ID."""
    own_recordings = fields.source in (None, EACH_ITS_OWN)
    return Log(
        path,
        [_row(row, task, own_recordings) for task, log in logs.items() for row in log.rows],
        fields,
        model=next((log.model for log in logs.values() if log.model), None),
        task=_group(frozenset(logs), files),
        unnamed=next((log.unnamed for log in logs.values() if log.unnamed), None),
        records=[record for log in logs.values() for record in log.records],
        arguments=tuple(dict.fromkeys(argument for log in logs.values() for argument in log.arguments)),
        files=tuple(file for log in logs.values() for file in log.files),
        lacking=_lacking(logs.values()),
        fields_of_task={task: log.fields for task, log in logs.items()},
    )


def _lacking(logs: Collection[Log]) -> dict[str, Path]:
    """A log without an argument that another has, by the argument's name."""
    names_of = {log.path: {argument.name for argument in log.arguments} for log in logs}
    every_name = set().union(*names_of.values())
    return {name: path for path, names in names_of.items() for name in every_name - names}


def _row(row: LogRow, task: str, own_recordings: bool) -> LogRow:
    """The row under a name that no other task has; its recording too, unless a person named a field for it."""
    sample_id = f"{task}/{row.sample_id}"
    if len(sample_id) > MOST_NAME:
        raise InputError(row.where, f"sample and task have more than {MOST_NAME:,} characters", "name shorter ones")
    source_id = row.source_id if row.source_told and not own_recordings else f"{task}/{row.source_id}"
    return replace(row, sample_id=sample_id, source_id=source_id, task=task)


def _group(tasks: frozenset[str], files: Sequence[LogFile]) -> str | None:
    """The name of the only group that is made up of these tasks, or None."""
    groups = {name for file in files for name, members in file.groups.items() if members == tasks}
    return groups.pop() if len(groups) == 1 else None
