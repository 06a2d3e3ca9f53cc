"""MMAU (test-mini): `mmau-test-mini.json` beside `test-mini-audios/`, or the archive of it.

Some answers carry a letter, some categories are lists of one.
"""

from collections.abc import Iterator
from pathlib import Path

from earmark.engine.corpus.benchmarks.benchmark import Benchmark, ExampleOrReason, read_examples
from earmark.engine.corpus.example import Example, Question
from earmark.engine.corpus.folder import Folder
from earmark.engine.corpus.right_answers import options, resolve
from earmark.engine.corpus.table_files import TableRow

_LABELS = ("task", "category", "sub-category", "difficulty", "dataset", "split")


def _tables(folder: Folder) -> list[Path]:
    return folder.files("mmau-test*.json")


def _read(folder: Folder) -> Iterator[ExampleOrReason]:
    archives = folder.files("*.tar.gz", "*.zip")

    def example(path: Path, row: TableRow) -> Example:
        lettered = options(row.data.get("choices"))
        audio = row.text("audio_id")
        return Example(
            sample_id=row.text("id"),
            source_id=audio,
            audio=folder.audio(audio, row.where, beside=path.parent, archives=archives),
            question=Question(
                row.text("question"), lettered.texts, resolve(row.data.get("answer"), lettered, texts_first=True)
            ),
            labels=row.labels(_LABELS),
        )

    return read_examples(folder, _tables(folder), example)


MMAU = Benchmark("mmau", _tables, _read, native=("sub-category",), category=("category",))
