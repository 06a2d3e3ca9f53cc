"""DCASE 2025 Audio QA (PeacefulData/2025_DCASE_AudioQA_Official): one JSON file per question, audio in folders.

Options and answer carry letters ("A. Writing"); the parts (BQA, TSQA, CQA) are folders.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

from earmark.engine.corpus.benchmarks.benchmark import Benchmark, ExampleOrReason, read_examples
from earmark.engine.corpus.example import Example, Question
from earmark.engine.corpus.folder import Folder
from earmark.engine.corpus.right_answers import options, resolve
from earmark.engine.corpus.table_files import TableRow, first_fields

_PARTS = {"bqa": "BQA", "tsqa": "TSQA", "cqa": "CQA", "part1": "BQA", "part2": "TSQA", "part3": "CQA"}


def _tables(folder: Folder) -> list[Path]:
    paths = folder.files("**/*.json")
    return paths if any({"audio_url", "question"} <= first_fields(path) for path in paths) else []


def _read(folder: Folder) -> Iterator[ExampleOrReason]:
    sounds = [path.parent for path in folder.files("**/*.wav", "**/*.flac", "**/*.mp3")]
    under = sorted({folder.name(parent) for parent in sounds})

    def example(path: Path, row: TableRow) -> Example:
        lettered = options(row.data.get("choice", row.data.get("choices")))
        audio = row.text("audio_url")
        part = _part(folder.name(path))
        example = Example(
            sample_id=PurePosixPath(folder.name(path)).with_suffix("").as_posix() + row.where.rpartition(".json")[2],
            source_id=PurePosixPath(audio.replace("\\", "/")).name,
            audio=folder.audio(audio, row.where, beside=path.parent, under=under),
            question=Question(
                row.text("question"), lettered.texts, resolve(row.data.get("answer"), lettered, texts_first=True)
            ),
            labels=row.labels(("question_type", "category")),
        )
        return replace(example, labels={**example.labels, "part": part}) if part else example

    return read_examples(folder, _tables(folder), example, one_by_one=True)


def _part(path: str) -> str | None:
    """Which of the three parts a file belongs to, by the folders it is in."""
    words = [word for step in path.lower().split("/")[:-1] for word in step.replace("-", "_").split("_")]
    return next((_PARTS[word] for word in words if word in _PARTS), None)


DCASE2025 = Benchmark("dcase2025", _tables, _read, native=("question_type",), category=("question_type",))
