"""MMAR (BoJack/MMAR): `MMAR-meta.jsonl` and `mmar-audio.tar.gz`, which need not be unpacked.

Several questions were cut from one video: its url is the source.
"""

from collections.abc import Iterator
from pathlib import Path

from earmark.engine.corpus.benchmarks.benchmark import Benchmark, ExampleOrReason, read_examples
from earmark.engine.corpus.example import Example, Question
from earmark.engine.corpus.folder import Folder
from earmark.engine.corpus.right_answers import options, resolve
from earmark.engine.corpus.table_files import TableRow

_LABELS = ("modality", "category", "sub-category", "language", "source")


def _tables(folder: Folder) -> list[Path]:
    return folder.files("MMAR-meta.jsonl", "MMAR-meta.json")


def _read(folder: Folder) -> Iterator[ExampleOrReason]:
    archives = folder.files("*.tar.gz", "*.zip")

    def example(_path: Path, row: TableRow) -> Example:
        lettered = options(row.data.get("choices"))
        path = row.text("audio_path")
        return Example(
            sample_id=row.text("id"),
            source_id=row.optional("url") or path,
            audio=folder.audio(path, row.where, archives=archives),
            question=Question(
                row.text("question"), lettered.texts, resolve(row.data.get("answer"), lettered, texts_first=True)
            ),
            labels=row.labels(_LABELS),
        )

    return read_examples(folder, _tables(folder), example)


MMAR = Benchmark("mmar", _tables, _read, native=("sub-category",), category=("modality", "category"))
