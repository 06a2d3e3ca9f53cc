"""The row that every kind of log is read into, and how its fields are found, converted and refused.

Knows dotted paths, numbers and texts. Knows no file and no harness.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from earmark.engine.design.keys import ALL, MOST_NAME, OK
from earmark.engine.errors import InputError, first_few
from earmark.engine.outcomes.imports.option_counts import count_options

EACH_ITS_OWN = "none"  # as --source: a person declares that every row is a recording of its own
BY_TASK = "none"  # as --family: the questions of a task are one family
_NO_ANSWER = ("", "[invalid]")  # the second is what answer-extracting filters write when nothing matches
_MISSING = object()
MOST_AMOUNT = 2**53  # of bits and operations; up to it a float is exact
_MOST_COUNT = 10**9  # of options, tokens or chunks


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
    records: Sequence["Record"]
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
    records: Sequence["Record"] = ()  # what the rows were read from, one each; only to look at
    arguments: tuple[Argument, ...] = ()
    files: tuple[Path, ...] = ()
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


class Record(NamedTuple):
    """One raw row of a log, before anybody knows what its fields mean."""

    where: str
    data: Mapping[str, Any]

    def get(self, path: str) -> Any:
        """The value at a path, or None where there is none."""
        value = lookup(self.data, path)
        return None if value is _MISSING else value

    def has(self, path: str) -> bool:
        """Whether there is anything at a path, null included."""
        return lookup(self.data, path) is not _MISSING

    def own_text(self, key: str) -> str | None:
        """The text at a key of the log's own layout, or None."""
        value = self.data.get(key)
        return value if isinstance(value, str) and value else None

    def need(self, path: str, option: str) -> Any:
        """The value at a path, which must be there (it may be null)."""
        value = lookup(self.data, path)
        if value is _MISSING:
            field_names = [name for name, _ in leaves(self.data)]
            raise InputError(
                self.where, f"no field '{path}' (there are {first_few(field_names, 12)})", f"name one with {option}"
            )
        return value

    def text(self, path: str, option: str) -> str:
        """The text at a path, which must be there and say something."""
        text = self._as_text(path, self.need(path, option), option)
        if text is None or not text.strip():
            raise InputError(self.where, f"field '{path}' is empty", f"fill it, or name another one with {option}")
        return text

    def name(self, path: str, option: str) -> str:
        """The text at a path that names a sample or a family: it must be there, and not be longer than names are."""
        return self._as_name(path, self.text(path, option), option)

    def optional_name(self, user_field: str | None, own_field: str | None, option: str) -> str | None:
        """The text that names a recording, at the field that the user named, or at the log's own."""
        text = self.optional_text(user_field, own_field, option)
        return None if text is None else self._as_name(user_field or own_field or "", text, option)

    def optional_text(self, user_field: str | None, own_field: str | None, option: str) -> str | None:
        """The text at the field that the user named, which must be there, or at the log's own, which may be missing."""
        path, value = self._value_at(user_field, own_field, option)
        return self._as_text(path, value, option)

    def optional_number(self, user_field: str | None, own_field: str | None, option: str) -> float | None:
        """The number at the field that the user named, or at the log's own; None for null."""
        path, value = self._value_at(user_field, own_field, option)
        return None if _is_null(value) else self._as_number(path, value, option)

    def optional_count(
        self, user_field: str | None, own_field: str | None, option: str, most: int = _MOST_COUNT
    ) -> int | None:
        """The whole number at the field that the user named, or at the log's own; InputError unless 0, 1, 2, ..."""
        number = self.optional_number(user_field, own_field, option)
        if number is None or (0 <= number <= most and number.is_integer()):
            return None if number is None else int(number)
        raise InputError(
            self.where, f"field '{user_field or own_field}' is {number:g}, not a count", f"name one with {option}"
        )

    def optional_options(self, user_field: str | None, own_field: str | None, option: str) -> int | None:
        """How many options the field that the user named, or the log's own, holds; None for null: unknown."""
        path, value = self._value_at(user_field, own_field, option)
        if _is_null(value):
            return None
        number = count_options(value)
        if number is None:
            shown = f"'{str(value)[:40]}', neither a number nor several options"
            raise InputError(self.where, f"field '{path}' is {shown}", f"name one with {option}")
        if not (1 <= number <= _MOST_COUNT and number.is_integer()):
            raise InputError(
                self.where,
                f"field '{path}' gives {number:g} options, which is not 1, 2, 3, ...",
                f"leave it empty where nobody knows, or name another one with {option}",
            )
        return int(number)

    def share(self, path: str, option: str) -> float:
        """The number in [0, 1] at a path, which must be there."""
        number = self._as_number(path, self.need(path, option), option)
        if not 0 <= number <= 1:
            raise InputError(
                self.where, f"field '{path}' is {number:g}, not in [0, 1]", f"name a share or a yes/no with {option}"
            )
        return number

    def _value_at(self, user_field: str | None, own_field: str | None, option: str) -> tuple[str, Any]:
        """The path that is read, and the value there: the user's field must be there, the log's own may be missing."""
        if user_field is not None:
            return user_field, self.need(user_field, option)
        return own_field or "", self.get(own_field) if own_field else None

    def _as_name(self, path: str, text: str, option: str) -> str:
        if len(text) > MOST_NAME:
            what = f"field '{path}' holds a name of {len(text):,} characters, more than {MOST_NAME:,}"
            raise InputError(self.where, what, f"name another one with {option}")
        return text

    def _as_text(self, path: str, value: Any, option: str) -> str | None:
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return ", ".join(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, Mapping | list):
            raise InputError(
                self.where, f"field '{path}' holds {type(value).__name__}, not a text", f"name one with {option}"
            )
        return None if _is_null(value) else str(value)

    def _as_number(self, path: str, value: Any, option: str) -> float:
        number = as_number(value)
        if number is None:
            inner = [f"{path}.{name}" for name, _ in leaves(value)] if isinstance(value, Mapping) else []
            shown = f"{{{', '.join(inner[:6])}}}" if inner else f"'{str(value)[:40]}'"
            raise InputError(self.where, f"field '{path}' is {shown}, not a number", f"name a number with {option}")
        return number


def _is_null(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))  # NaN: how pandas writes "no value"


def lookup(value: Any, path: str) -> Any:
    """The value that a dotted path leads to; a step is a key (which may itself have dots) or a place in a list."""
    if isinstance(value, list):
        value = {str(place): item for place, item in enumerate(value)}
    if not isinstance(value, Mapping):
        return _MISSING
    if path in value:
        return value[path]
    for dot in (place for place, letter in enumerate(path) if letter == "."):
        if path[:dot] in value:
            inner = lookup(value[path[:dot]], path[dot + 1 :])
            if inner is not _MISSING:
                return inner
    return _MISSING


def leaves(data: Mapping[str, Any], depth: int = 2) -> Iterator[tuple[str, Any]]:
    """Paths and values of a row, down to `depth` keys."""
    for key, value in data.items():
        if isinstance(value, Mapping) and depth > 1:
            yield from ((f"{key}.{inner}", leaf) for inner, leaf in leaves(value, depth - 1))
        else:
            yield str(key), value


def as_number(value: Any) -> float | None:
    """A number, a yes/no or a text that spells one; None for anything else."""
    if isinstance(value, str):
        truth = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0}.get(value.strip().lower())
        if truth is not None:
            return truth
    if isinstance(value, str | int | float):
        try:
            return float(value)
        except (ValueError, OverflowError):
            return None
    return None


def only_metric(path: Path, records: Sequence[Record], own: Iterable[str]) -> str:
    """The one field, outside the log's `own`, that is a number in [0, 1] in every row."""
    if not records:
        raise InputError(path, "the log has no rows", "run the evaluation again")
    own = set(own)

    def is_share(value: Any) -> bool:
        return isinstance(value, int | float) and 0 <= value <= 1

    metrics = [
        name
        for name, _ in leaves({key: value for key, value in records[0].data.items() if key not in own})
        if all(is_share(record.get(name)) for record in records)
    ]
    if len(metrics) != 1:
        several = f"{len(metrics)} fields could be the metric ({first_few(metrics, 8)})"
        none = "no field is a number in [0, 1] in every row, so there is no metric"
        raise InputError(path, several if metrics else none, "name it with --metric")
    return metrics[0]


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
