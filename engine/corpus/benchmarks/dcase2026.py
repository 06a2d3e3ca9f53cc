"""DCASE 2026 Task 5, development set (Harland/DCASE2026-Task5-DevSet): `dev.jsonl` and `dev_audios/`.

It has no families of its own: a side file (`content_taxonomy.csv`) brings them.
"""

from collections.abc import Iterator
from pathlib import Path

from earmark.engine.corpus.benchmarks.benchmark import Benchmark, ExampleOrReason, read_examples
from earmark.engine.corpus.example import Example, Question
from earmark.engine.corpus.folder import Folder
from earmark.engine.corpus.right_answers import options, resolve
from earmark.engine.corpus.table_files import TableRow, first_fields


def _tables(folder: Folder) -> list[Path]:
    return [path for path in folder.files("*.jsonl") if {"question_text", "multi_choice"} <= first_fields(path)]


def _read(folder: Folder) -> Iterator[ExampleOrReason]:
    def example(_path: Path, row: TableRow) -> Example:
        lettered = options(row.data.get("multi_choice"))
        audio = row.text("audio_path")
        return Example(
            sample_id=row.text("id"),
            source_id=audio,
            audio=folder.audio(audio, row.where, under=("dev_audios",)),
            question=Question(
                row.text("question_text"), lettered.texts, resolve(row.data.get("answer"), lettered, texts_first=True)
            ),
            labels=row.labels(("category",)),
        )

    return read_examples(folder, _tables(folder), example)


DCASE2026 = Benchmark("dcase2026", _tables, _read, native=(), category=("category",))
