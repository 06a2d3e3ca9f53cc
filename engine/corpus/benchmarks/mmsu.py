"""MMSU (ddwang2000/MMSU): Parquet shards with the audio in them, or the older `question/mmsu.jsonl` beside `audio/`.

The answer is an option's text. Two-option items are padded with nulls, anywhere; the text "None" is a real option.
"""

from collections.abc import Iterator
from pathlib import Path

from earmark.engine.corpus.audio import TableAudio
from earmark.engine.corpus.benchmarks.benchmark import Benchmark, ExampleOrReason, read_examples
from earmark.engine.corpus.example import Audio, Example, Question
from earmark.engine.corpus.folder import Folder
from earmark.engine.corpus.right_answers import options, resolve
from earmark.engine.corpus.table_files import TableRow, as_text, parquet_columns

_LABELS = ("task_name", "category", "sub-category", "sub-sub-category", "linguistics_sub_discipline")
_CHOICES = ("choice_a", "choice_b", "choice_c", "choice_d")


def _tables(folder: Folder) -> list[Path]:
    shards = folder.files("data/*.parquet", "*.parquet")
    shards_of_mmsu = [path for path in shards if {"task_name", "answer_gt", "audio"} <= parquet_columns(path)]
    return shards_of_mmsu or folder.files("question/mmsu.jsonl")


def _read(folder: Folder) -> Iterator[ExampleOrReason]:
    def example(path: Path, row: TableRow) -> Example:
        sample_id = row.text("id")
        lettered = options([row.data.get(choice) for choice in _CHOICES])
        audio, source = _recording(folder, path, row, sample_id)
        return Example(
            sample_id=sample_id,
            source_id=source,
            audio=audio,
            question=Question(
                row.text("question"), lettered.texts, resolve(row.data.get("answer_gt"), lettered, texts_first=True)
            ),
            labels=row.labels(_LABELS),
        )

    return read_examples(folder, _tables(folder), example)


def _recording(folder: Folder, path: Path, row: TableRow, sample_id: str) -> tuple[Audio, str]:
    """The audio of a row, in its Parquet cell or in a file, and what to call the recording."""
    if path.suffix == ".parquet":
        cell = row.data.get("audio")
        source = as_text(cell.get("path") if isinstance(cell, dict) else None) or sample_id
        return TableAudio(str(path), row.row_group, row.row, "audio", f"{folder.name(path)}/{source}"), source
    source = row.text("audio_path", "audio")
    return folder.audio(source, row.where, under=("audio",)), source


MMSU = Benchmark("mmsu", _tables, _read, native=("task_name",), category=("task_name", "category"))
