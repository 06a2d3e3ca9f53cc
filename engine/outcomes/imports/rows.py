"""The row that every kind of log is read into, and the logs that rows make up.

Knows which fields a person named, and no file and no harness.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from earmark.engine.design.keys import ALL, OK
from earmark.engine.errors import InputError, first_few
from earmark.engine.outcomes.imports.record import Record, leaves

EACH_ITS_OWN = "none"  # as --source: a person declares that every row is a recording of its own
BY_TASK = "none"  # as --family: the questions of a task are one family
_NO_ANSWER = ("", "[invalid]")  # the second is what answer-extracting filters write when nothing matches


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of a row to read, as dotted paths (`doc.category`); None leaves it to the kind of log."""

    family: str | None = None  # BY_TASK: there is none, as a person declares
    id: str | None = None
    source: str | None = None  # EACH_ITS_OWN: there is none, as a person declares
    metric: str | None = None  # accuracy-like: the loss is 1 - metric
    predicted: str | None = None
    correct: str | None = None
    nll: str | None = None
    tokens: str | None = None
    options: str | None = None  # a number of options, or the options themselves
    filter: str | None = None  # lm-eval: which filter's rows
    scorer: str | None = None  # inspect: whose scores


@dataclass(frozen=True, slots=True)
class LogRow:
    """One question with its outcome in one log."""

    where: str  # the place in the log, for errors
    sample_id: str
    source_id: str
    family: str
    loss: float | None  # None only where status is an error
    predicted: str | None = None
    correct: str | None = None
    nll: float | None = None
    tokens: int | None = None
    n_options: int | None = None
    status: str = OK
    unparsed: bool = False  # the log says that there was no answer
    source_told: bool = False  # whether the log names the recording; where not, source_id is the sample_id
    question: Mapping[str, str] = field(default_factory=dict)  # what must be the same on raw and compressed audio
    doc_hash: str | None = None  # weaker evidence than `question`: a doc may hold its audio, compressed or not
    task: str | None = None  # where the log has several, each of which counts its samples from 0
    extra: Mapping[str, Any] = field(default_factory=dict)  # further columns of a cell


class Argument(NamedTuple):
    """An argument that an evaluation was run with, as its log has it."""

    place: str  # model_args, gen_kwargs, task_args, ...
    name: str
    value: str | int | float


class LogFile(NamedTuple):
    """One file of a log before anybody knows which fields to read: its records, and what it says of itself."""

    path: Path
    records: Sequence[Record]
    model: str | None = None
    task: str | None = None
    unnamed: str | None = None  # why a name that it has for its model is not believed
    arguments: tuple[Argument, ...] = ()
    groups: Mapping[str, frozenset[str]] = {}  # the tasks of each group that was run


class Log(NamedTuple):
    """A whole log: its rows, the names that it has for model and task, and the fields that were used to read it."""

    path: Path  # the file, or the folder of several
    rows: Sequence[LogRow]
    fields: Fields
    model: str | None = None
    task: str | None = None  # of several, the group that they make up
    unnamed: str | None = None  # why a name that the log has for its model is not believed
    own_source: str | None = None  # the column that the log's own layout has for the recording
    records: Sequence[Record] = ()  # what the rows were read from, one each; only to look at
    arguments: tuple[Argument, ...] = ()
    files: tuple[Path, ...] = ()
    lacking: Mapping[str, Path] = {}  # of several files, one without an argument that another has, by its name
    fields_of_task: Mapping[str, Fields] = {}  # where there are several tasks: how each was read

    @classmethod
    def of_file(cls, file: LogFile, rows: Sequence[LogRow], fields: Fields) -> "Log":
        """The log that one file is, with the rows that were read from its records."""
        return cls(
            file.path,
            rows,
            fields,
            model=file.model,
            task=file.task,
            unnamed=file.unnamed,
            records=file.records,
            arguments=file.arguments,
            files=(file.path,),
        )

    def unique(self, advice: str = "keep one row per sample, or name another field with --id") -> "Log":
        """The log itself; raises InputError where it is empty or a sample stands twice."""
        if not self.rows:
            raise InputError(self.path, "the log has no rows", "run the evaluation again")
        first: dict[str, LogRow] = {}
        for row in self.rows:
            if row.sample_id in first:
                raise InputError(
                    row.where, f"sample '{row.sample_id}' stands already at {first[row.sample_id].where}", advice
                )
            first[row.sample_id] = row
        return self


def by_task(log: Log) -> dict[str | None, Log]:
    """The log of each task, by its name; of a log of one task, the log itself under None."""
    if not log.fields_of_task:
        return {None: log}
    return {task: log._replace(rows=[row for row in log.rows if row.task == task]) for task in log.fields_of_task}


def log_row(
    record: Record,
    fields: Fields,
    own: Fields,
    *,
    loss: float | None,
    answer: str | None = None,
    nll: float | None = None,
    n_options: int | None = None,
    error: str | None = None,
    question: Mapping[str, str | None],
    doc_hash: str | None = None,
    task: str | None = None,
) -> LogRow:
    """One row, read from the fields that the user named, else from the log's `own`; the kind of log gives the rest.

    `answer`: "" says that there was none (it is counted wrong), None that the log does not tell. `task`: the family,
    where a person declares that no field is.
    """
    sample_id = record.name(fields.id or own.id or "", "--id")
    if fields.predicted is not None:
        answer = record.optional_text(fields.predicted, None, "--predicted") or ""
    failed = answer is not None and answer.strip() in _NO_ANSWER
    nll = record.optional_number(fields.nll, own.nll, "--nll") if nll is None or fields.nll else nll
    if nll is not None and not (nll >= 0 and math.isfinite(nll)):
        raise InputError(
            record.where, f"the negative log-likelihood is {nll:g}", "name one that is at least 0 with --nll"
        )
    source = None
    if fields.source != EACH_ITS_OWN:
        source = record.optional_name(fields.source, own.source, "--source")
    if fields.options or own.options:
        n_options = record.optional_options(fields.options, own.options, "--options")
    return LogRow(
        where=record.where,
        sample_id=sample_id,
        source_id=source or sample_id,
        family=_family(record, fields, own, task),
        loss=None if error else 1.0 if failed else loss,
        predicted=None if error or failed else answer,
        correct=record.optional_text(fields.correct, own.correct, "--correct"),
        nll=None if error else nll,
        tokens=record.optional_count(fields.tokens, own.tokens, "--tokens"),
        n_options=n_options,
        status=error or OK,
        unparsed=failed and not error,
        source_told=bool(source),
        question={name: value for name, value in question.items() if value},
        doc_hash=doc_hash,
    )


def _family(record: Record, fields: Fields, own: Fields, task: str | None) -> str:
    """The family of a row; InputError, with the short texts of the row, where nobody named its field."""
    if fields.family == BY_TASK:
        return task or ALL
    path = fields.family or own.family
    if path is None:
        texts = [name for name, value in leaves(record.data) if isinstance(value, str) and len(value) < 60]
        raise InputError(
            record.where,
            f"which field is the family of a question? (short texts are {first_few(texts, 12)})",
            "name it with --family, or --family none for a single one",
        )
    return record.name(path, "--family")
