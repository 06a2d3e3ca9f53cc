"""A plain table, one row per question: CSV, JSON lines or Parquet, by default with the column names of a cell.

Knows nothing of any harness, nor of the other arm.
"""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from earmark.engine.errors import InputError, first_few
from earmark.engine.outcomes.imports import files
from earmark.engine.outcomes.imports.rows import Fields, Log, LogRow, Record, log_row
from earmark.engine.outcomes.schema import OK

_OWN = Fields(
    id="sample_id",
    source="source_id",
    family="query_family",
    correct="correct_label",
    nll="nll",
    tokens="num_audio_tokens",
)


def read_csv(path: Path, fields: Fields) -> Log:
    """A CSV file with a header; every cell is text, an empty one is no value."""
    files.expect(path, "csv")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _log(path, _csv_records(path, file), fields)
    except OSError as error:
        raise files.unreadable(path, error) from error
    except UnicodeDecodeError as error:
        raise InputError(path, f"is not UTF-8 text ({error.reason})", "save it as UTF-8") from error


def read_jsonl(path: Path, fields: Fields) -> Log:
    """A file with one JSON object per line."""
    files.expect(path, "jsonl")
    return _log(path, files.json_lines(path), fields)


def read_parquet(path: Path, fields: Fields) -> Log:
    """A single Parquet file."""
    files.expect(path, "parquet")
    try:
        table = pq.ParquetFile(path).read()
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise InputError(path, f"is not a whole Parquet file ({reason})", "write it again") from error
    _check_header(path, table.column_names)
    return _log(path, [Record(f"{path}:row {i}", row) for i, row in enumerate(table.to_pylist(), start=1)], fields)


def _csv_records(path: Path, file: Any) -> list[Record]:
    reader = csv.reader(file)
    try:
        header = next(reader)
        _check_header(path, header)
        records = []
        for cells in reader:
            where = f"{path}:{reader.line_num}"
            if not cells:
                continue
            if len(cells) != len(header):
                raise InputError(
                    where, f"has {len(cells)} cells, the header {len(header)}", "mend the row, or quote its commas"
                )
            records.append(Record(where, {name: cell or None for name, cell in zip(header, cells, strict=True)}))
    except csv.Error as error:
        raise InputError(f"{path}:{reader.line_num}", f"is not CSV ({error})", "mend the row") from error
    return records


def _check_header(path: Path, names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(path, f"column {first_few(twice)} stands twice", "keep one")


def _log(path: Path, records: list[Record], fields: Fields) -> Log:
    return Log(path, [_row(record, fields) for record in records], fields).unique()


def _row(record: Record, fields: Fields) -> LogRow:
    status = record.optional_text(None, "status", "another column") or OK
    error = None if status == OK else status
    answer = record.optional_text(None, "predicted_label", "--predicted")
    loss = None
    if error is None:
        loss = 1 - record.share(fields.metric, "--metric") if fields.metric else record.share("loss", "--metric")
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
            "chunks_total": record.optional_count(None, "chunks_total", "another column"),
            "chunks_kept": record.optional_count(None, "chunks_kept", "another column"),
            "kept_hash": record.optional_text(None, "kept_hash", "another column"),
        },
    )
