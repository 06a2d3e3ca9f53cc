"""A scored table of VLMEvalKit: `<model>_<dataset>_<judge>_result.xlsx`, or .tsv or .json; one row per question.

Its columns are those of the data set (index, question, A, B, ..., answer, category, ...), prediction, hit and log.
Knows nothing of the table that it is paired with.
"""

import json
import re
import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from earmark.engine.corpus.table_files import check_width
from earmark.engine.errors import InputError, first_few
from earmark.engine.outcomes.imports import log_files, plain_tables, xlsx
from earmark.engine.outcomes.imports.option_counts import count_choices
from earmark.engine.outcomes.imports.record import Record, leaves
from earmark.engine.outcomes.imports.rows import Fields, Log, LogFile, LogRow, log_row
from earmark.engine.reading import MOST_JSON_BYTES, read_bytes

_OWN = Fields(id="index", family="category", correct="answer")
_HIT = "hit"
_FAILED = "Failed to obtain answer"  # how a prediction begins that the model did not give
_GUESSED = "randomly generate"  # in the log of a row whose prediction the judge could not read
_RESULT = re.compile(r"(?P<evaluated>.+?)(?:_(?P<judge>[^_]+|exact_matching))?_result")
_AS_WRITTEN = "give the table that VLMEvalKit's evaluation wrote (*_result.xlsx)"


def open_file(path: Path) -> LogFile:
    """The rows of a table, and the model and data set that its name and its folders tell apart."""
    readers = {".xlsx": _xlsx_records, ".tsv": _tsv_records, ".json": _json_records}
    if path.suffix.lower() not in readers:
        raise InputError(path, "is no .xlsx, .tsv or .json: a .csv of VLMEvalKit has averages, not rows", _AS_WRITTEN)
    log_files.expect(path, "vlmeval")
    model, dataset = _names(path)
    return LogFile(path, readers[path.suffix.lower()](path), model=model, task=dataset)


def read_rows(file: LogFile, fields: Fields) -> Log:
    """All rows; raises InputError where nobody has scored the predictions."""
    records = file.records
    metric = fields.metric or _HIT
    if records and not any(record.has(metric) for record in records):
        columns = first_few((name for name, _ in leaves(records[0].data)), 12)
        raise InputError(
            file.path,
            f"has no column '{metric}' (there are {columns}): nothing says which predictions are right",
            f"{_AS_WRITTEN}, or name a column of scores with --metric",
        )
    by_category = fields.family is not None or all(record.get(_OWN.family or "") for record in records)
    own = _OWN if by_category else Fields(id=_OWN.id, correct=_OWN.correct)
    return Log.of_file(file, [_row(record, fields, own, metric, file.task) for record in records], fields).unique()


def _row(record: Record, fields: Fields, own: Fields, metric: str, task: str | None) -> LogRow:
    prediction = record.optional_text(None, "prediction", "--predicted")
    failed = prediction is not None and prediction.startswith(_FAILED)
    guessed = _GUESSED in (record.optional_text(None, "log", "another column") or "")
    options = {letter: record.get(letter) for letter in string.ascii_uppercase if record.get(letter) is not None}
    return log_row(
        record,
        fields,
        own,
        loss=None if failed else 1 - record.share(metric, "--metric"),
        answer="" if guessed else prediction or "",
        n_options=count_choices(options),
        error=f"error: {prediction.splitlines()[0]}" if failed and prediction else None,
        question={
            "prompt": record.optional_text(None, "question", "another column"),
            "choices": json.dumps(options) if options else None,
            "target": record.optional_text(None, "answer", "--correct"),
        },
        task=task,
    )


def _names(path: Path) -> tuple[str | None, str | None]:
    """Model and data set, which `_` joins: one of the two folders above is called like the model."""
    match = _RESULT.fullmatch(path.stem)
    evaluated = match["evaluated"] if match else path.stem
    for folder in path.absolute().parents[:2]:
        if folder.name and evaluated.startswith(f"{folder.name}_"):
            return folder.name, evaluated.removeprefix(f"{folder.name}_") or None
    return None, None


def _xlsx_records(path: Path) -> list[Record]:
    rows = xlsx.rows(path)
    _, header = next(rows, (0, {}))
    names = {column: str(name) for column, name in header.items()}
    check_width(path, list(names.values()))
    return [
        Record(f"{path}:{number}", {name: values.get(column) for column, name in names.items()})
        for number, values in rows
        if values
    ]


def _tsv_records(path: Path) -> list[Record]:
    return plain_tables.delimited(path, "\t")


def _json_records(path: Path) -> list[Record]:
    rows = log_files.parse(read_bytes(path, log_files.CHECK, MOST_JSON_BYTES), str(path))
    if not _is_table(rows):
        raise InputError(path, "is no list of rows", _AS_WRITTEN)
    return [Record(f"{path}[{place}]", row) for place, row in enumerate(rows)]


def _is_table(rows: Any) -> bool:
    return isinstance(rows, Sequence) and not isinstance(rows, str) and all(isinstance(row, dict) for row in rows)
