"""A log of inspect: its samples, one row for each epoch. A sample that failed keeps its row, with an error status.

Knows nothing of how the log lies in its file, nor of the log that it is paired with.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from earmark.engine.errors import InputError, first_few
from earmark.engine.outcomes.imports import inspect_files, log_files
from earmark.engine.outcomes.imports.arguments import of_place
from earmark.engine.outcomes.imports.option_counts import count_choices
from earmark.engine.outcomes.imports.record import Record
from earmark.engine.outcomes.imports.rows import Fields, Log, LogFile, LogRow, log_row

_PLACES = ("model_args", "task_args", "metadata", "solver_args")  # of the header: arguments of the evaluation
_OWN = Fields(id="id", source="id", correct="target")
_GRADES = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}  # N: no answer


def open_file(path: Path) -> LogFile:
    """Every sample of every epoch, and what the header says; raises InputError where the evaluation did not finish."""
    log_files.expect(path, "inspect")
    header, records = inspect_files.contents(path)
    spec = header.get("eval")
    about = Record(f"{path}:eval", spec if isinstance(spec, dict) else {})
    return LogFile(
        path,
        records,
        model=about.own_text("model"),
        task=about.own_text("task"),
        arguments=tuple(argument for place in _PLACES for argument in of_place(place, about.data.get(place))),
    )


def read_rows(file: LogFile, fields: Fields) -> Log:
    """A row of each sample and epoch; raises InputError where the scorer is not plain."""
    scorer = _scorer(file.path, file.records, fields.scorer)
    fields = replace(fields, scorer=scorer, metric=fields.metric or f"scores.{scorer}.value")
    several_epochs = any(record.data.get("epoch") != 1 for record in file.records)
    rows = [_row(record, fields, several_epochs, file.task) for record in file.records]
    return Log.of_file(file, rows, fields).unique()


def _row(record: Record, fields: Fields, several_epochs: bool, task: str | None) -> LogRow:
    metric = fields.metric or ""
    score = (record.get("scores") or {}).get(fields.scorer)
    value = record.need(metric, "--metric") if score else None
    error = _failure(record, value)
    answer, choices = (score or {}).get("answer"), record.get("choices")
    row = log_row(
        record,
        fields,
        _OWN,
        loss=None if error else 1 - _credit(record, metric, value),
        answer="" if value == "N" else None if answer is None else str(answer),
        n_options=count_choices(choices),
        error=error,
        question={
            "epoch": str(record.data.get("epoch")) if several_epochs else None,
            "prompt": _prompt(record),
            "choices": json.dumps(choices) if choices else None,
            "target": json.dumps(record.get("target")),
        },
        task=task,
    )
    return replace(row, sample_id=f"{row.sample_id}#{record.data.get('epoch')}") if several_epochs else row


def _failure(record: Record, value: Any) -> str | None:
    """The error status of a sample that has no outcome, or None where it has one."""
    error = record.get("error")
    if error is not None:
        message = str(error.get("message") if isinstance(error, Mapping) else error).strip()
        return "error: " + (message.splitlines() or ["no message"])[0].strip()
    if record.get("invalidation") is not None:
        return "error: invalidated"
    unscored = value is None or (isinstance(value, float) and math.isnan(value))  # NaN is inspect's own sign
    return "error: unscored" if unscored else None


def _credit(record: Record, metric: str, value: Any) -> float:
    """The share of a right answer that a score is worth: inspect's grades, or a number in [0, 1]."""
    grade = _GRADES.get(value) if isinstance(value, str) else None
    return record.share(metric, "--metric") if grade is None else grade


def _prompt(record: Record) -> str | None:
    """The texts of the input, without the audio; None where some of them lie elsewhere in the log."""
    sample_input = record.get("input")
    texts = [sample_input] if isinstance(sample_input, str) else []
    for message in sample_input if isinstance(sample_input, list) else []:
        content = message.get("content") if isinstance(message, Mapping) else None
        parts = [{"text": content}] if isinstance(content, str) else content if isinstance(content, list) else []
        texts += [part["text"] for part in parts if isinstance(part, Mapping) and isinstance(part.get("text"), str)]
    if any(text.startswith(("attachment://", "tc://")) for text in texts):
        return None
    return "\n".join(texts)


def _scorer(path: Path, records: Sequence[Record], scorer: str | None) -> str:
    """The name of the scorer to read: the one that the user named, or the only one; InputError for anything else."""
    names = sorted({name for record in records for name in record.data.get("scores") or {}})
    if not names:
        failed = [status for record in records if (status := _failure(record, 0)) is not None]
        if len(failed) == len(records):
            raise InputError(path, f"every sample failed ({failed[0]})", "run the evaluation again")
        raise InputError(path, "no sample has a score", "score the log first (`inspect score`)")
    if scorer is not None and scorer not in names:
        raise InputError(path, f"no scorer '{scorer}' (there are {first_few(names, 8)})", "name another --scorer")
    if scorer is None and len(names) > 1:
        raise InputError(path, f"has {len(names)} scorers ({first_few(names, 8)})", "choose one with --scorer")
    return scorer or str(names[0])
