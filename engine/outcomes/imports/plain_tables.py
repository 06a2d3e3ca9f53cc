"""A plain table, one row per question: CSV, JSON lines or Parquet, by default with the column names of a cell.

Knows nothing of any harness, nor of the log that it is paired with.
"""

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from earmark.engine.corpus.table_files import check_width, csv_lines, parquet_rows
from earmark.engine.design.keys import OK
from earmark.engine.errors import InputError, first_few
from earmark.engine.outcomes.imports import log_files
from earmark.engine.outcomes.imports.record import MOST_AMOUNT, Record, leaves
from earmark.engine.outcomes.imports.rows import BY_TASK, EACH_ITS_OWN, Fields, Log, LogFile, LogRow, log_row

_OWN = Fields(
    id="sample_id",
    source="source_id",
    family="query_family",
    correct="correct_label",
    nll="nll",
    tokens="num_audio_tokens",
    options="n_options",
)
_LOSS = "loss"


def open_csv(path: Path) -> LogFile:
    """A CSV file with a header; every cell is text, an empty one is no value."""
    log_files.expect(path, "csv")
    return LogFile(path, delimited(path, ","))


def open_jsonl(path: Path) -> LogFile:
    """A file with one JSON object per line."""
    log_files.expect(path, "jsonl")
    return LogFile(path, log_files.json_lines(path))


def open_parquet(path: Path) -> LogFile:
    """A single Parquet file."""
    log_files.expect(path, "parquet")
    rows = parquet_rows(path, str(path))
    return LogFile(path, [Record(f"{path}:row {i}", row.data) for i, row in enumerate(rows, start=1)])


def read_rows(file: LogFile, fields: Fields) -> Log:
    """All rows; raises one InputError for all the fields that no row has."""
    records = file.records
    _check_fields(records, fields)
    names_recordings = any(record.get(_OWN.source or "") not in (None, "") for record in records)
    log = Log.of_file(file, [_row(record, fields) for record in records], fields)
    return log._replace(own_source=_OWN.source if names_recordings else None).unique()


def delimited(path: Path, delimiter: str) -> list[Record]:
    """The rows of a file of delimited text with a header; an empty cell is no value."""
    reader = csv.reader(csv_lines(path, str(path)), delimiter=delimiter)
    try:
        header = next(reader, [])
        check_width(path, header)
        records = []
        for cells in reader:
            where = f"{path}:{reader.line_num}"
            if not cells:
                continue
            if len(cells) != len(header):
                what = f"has {len(cells)} cells, the header {len(header)}"
                raise InputError(where, what, "correct the row, or quote what separates its cells")
            records.append(Record(where, {name: cell or None for name, cell in zip(header, cells, strict=True)}))
    except csv.Error as error:
        raise InputError(f"{path}:{reader.line_num}", f"is not CSV ({error})", "correct the row") from error
    except UnicodeDecodeError as error:
        raise InputError(path, f"is not UTF-8 text ({error.reason})", "save it as UTF-8") from error
    return records


def _check_fields(records: Sequence[Record], fields: Fields) -> None:
    """Raises one InputError for all the fields that no row has."""
    needed = {
        "--id": fields.id or _OWN.id,
        "--family": None if fields.family == BY_TASK else fields.family or _OWN.family,
        "--metric": fields.metric or _LOSS,
        "--source": None if fields.source == EACH_ITS_OWN else fields.source,
        "--predicted": fields.predicted,
        "--correct": fields.correct,
        "--nll": fields.nll,
        "--tokens": fields.tokens,
        "--options": fields.options,
    }
    missing = {
        option: name for option, name in needed.items() if name and not any(record.has(name) for record in records)
    }
    if missing and records:
        field_names = first_few((name for name, _ in leaves(records[0].data)), 12)
        raise InputError(
            records[0].where,
            f"no field {first_few(missing.values(), len(missing))} (there are {field_names})",
            f"name {'one' if len(missing) == 1 else 'others'} with {', '.join(missing)}",
        )


def _loss(record: Record, metric: str | None) -> float:
    """The loss of a row without an error; where it is empty, InputError says what a row without an answer needs."""
    path = metric or _LOSS
    if record.get(path) in (None, "") and record.has(path):
        do = "a row without an answer needs a column 'status' that says what went wrong, as 'error: no answer'"
        raise InputError(record.where, f"field '{path}' is empty", do)
    return 1 - record.share(path, "--metric") if metric else record.share(path, "--metric")


def _row(record: Record, fields: Fields) -> LogRow:
    status = record.optional_text(None, "status", "another column") or OK
    error = None if status == OK else status
    answer = record.optional_text(None, "predicted_label", "--predicted")
    loss = None if error else _loss(record, fields.metric)
    row = log_row(
        record,
        fields,
        _OWN,
        loss=loss,
        answer=answer or ("" if "predicted_label" in record.data else None),
        error=error,
        question={"correct_label": record.optional_text(fields.correct, _OWN.correct, "--correct")},
    )
    return replace(
        row,
        loss=row.loss if fields.metric else loss,  # a loss that is given is used as it is
        extra={
            "seconds_heard": record.optional_number(None, "seconds_heard", "another column"),
            **{
                name: record.optional_count(None, name, "another column", MOST_AMOUNT)
                for name in ("bits_sent", "lm_positions", "flops")
            },
            "chunks_total": record.optional_count(None, "chunks_total", "another column"),
            "chunks_kept": record.optional_count(None, "chunks_kept", "another column"),
            "kept_hash": record.optional_text(None, "kept_hash", "another column"),
        },
    )
