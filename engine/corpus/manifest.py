"""A manifest: a table of our own for everything that is no known benchmark (JSON lines, Parquet or CSV).

Columns: sample_id, audio, question, choices, answer; source_id if several rows share a recording; every other column
of short texts is a label.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from earmark.engine.corpus.audio import TableAudio
from earmark.engine.corpus.benchmarks.benchmark import Benchmark, ExampleOrReason, read_examples
from earmark.engine.corpus.example import Audio, Example, Question
from earmark.engine.corpus.folder import Folder
from earmark.engine.corpus.hub.column_roles import USUAL_NAMES
from earmark.engine.corpus.right_answers import options, resolve
from earmark.engine.corpus.table_files import LONGEST_LABEL, TableRow, Unusable, as_text, parquet_columns
from earmark.engine.errors import InputError, first_few, instead
from earmark.engine.printable import shortened
from earmark.engine.reading import parse_json

_NAMES = ("manifest.jsonl", "manifest.parquet", "manifest.csv")
_OWN = {"sample_id", "source_id", "audio", "question", "choices", "answer"}
_OPTION = re.compile("choice_[A-Za-z]")
_MOST_NAMED = 8  # columns
_MOST_SHOWN = 30  # characters of a column's name


def _tables(folder: Folder) -> list[Path]:
    return folder.files(*_NAMES)


def read_tables(folder: Folder, paths: list[Path]) -> Iterator[ExampleOrReason]:
    """The examples of these tables, or why a row has none."""
    tables_with_audio = {
        path for path in paths if path.suffix.lower() == ".parquet" and "audio" in parquet_columns(path)
    }

    def example(path: Path, row: TableRow) -> Example:
        _check_columns(row, has_audio=path in tables_with_audio)
        sample_id = row.text("sample_id")
        lettered = options(*_choices(row))
        audio, recording = _recording(folder, path, row, sample_id, has_audio=path in tables_with_audio)
        return Example(
            sample_id=sample_id,
            source_id=row.optional("source_id") or recording,
            audio=audio,
            question=Question(row.text("question"), lettered.texts, resolve(row.data.get("answer"), lettered)),
            labels={
                name: text
                for name, text in row.labels(name for name in row.data if name not in _OWN).items()
                if len(text) <= LONGEST_LABEL and not _OPTION.fullmatch(name)
            },
        )

    return read_examples(folder, paths, example)


def _check_columns(row: TableRow, *, has_audio: bool) -> None:
    """Unusable where a row lacks a column: with those that it has, and the one that was probably meant."""
    has_options = any(_OPTION.fullmatch(name) for name in row.data)
    own = ["sample_id", *([] if has_audio else ["audio"]), "question", *([] if has_options else ["choices"]), "answer"]
    lacking = next((name for name in own if name not in row.data), None)
    if lacking is not None:
        names = [shortened(name, _MOST_SHOWN) for name in row.data]
        columns = f", only the columns {first_few(names, _MOST_NAMED)}" if names else ""
        raise Unusable(f"no {lacking}{columns}{_meant(lacking, [name for name in row.data if name not in _OWN])}")


def _meant(lacking: str, columns: list[str]) -> str:
    """The question whether one of these columns is the one that is lacking; empty where none looks like it."""
    usual = next((name for name in USUAL_NAMES.get(lacking, ()) if name in columns), None)
    if usual is not None:
        return f"; did you mean {usual}?"
    close = instead(lacking, columns, "")
    return f"; {close}" if close else ""


def _choices(row: TableRow) -> tuple[Any, list[str] | None]:
    """The options of a row, and the letters that its table declares for them (None where it declares none).

    Options are a list, a JSON list in a cell of text, or the columns choice_a, choice_b, ..., which declare letters.
    """
    choices = row.data.get("choices")
    if choices is None or (isinstance(choices, str) and not choices.strip()):
        columns = sorted(name for name in row.data if _OPTION.fullmatch(name))
        return [row.data[name] for name in columns] or None, [name[-1] for name in columns]
    if isinstance(choices, str):
        try:
            return parse_json(choices, row.where, ""), None
        except InputError:
            raise Unusable('its choices are not a JSON list: write ["a", "b"]') from None
    return choices, None


def _recording(folder: Folder, path: Path, row: TableRow, sample_id: str, *, has_audio: bool) -> tuple[Audio, str]:
    """The audio of a row, and what to call the recording; `has_audio`: its table holds recordings themselves."""
    cell = row.data.get("audio")
    if has_audio and (cell is None or isinstance(cell, dict)):
        name = as_text(cell.get("path")) if isinstance(cell, dict) else None
        name = name or sample_id
        return TableAudio(str(path), row.row_group, row.row, "audio", f"{folder.name(path)}/{name}"), name
    reference = row.text("audio")
    return folder.audio(reference, row.where, beside=path.parent), reference


def _read(folder: Folder) -> Iterator[ExampleOrReason]:
    return read_tables(folder, _tables(folder))


MANIFEST = Benchmark("manifest", _tables, _read, native=("family",), category=("category",))
