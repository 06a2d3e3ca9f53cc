"""AudioMCQ and its StrongAC part (Harland/AudioMCQ-StrongAC-GeminiCoT): `data.jsonl`, audio beside it.

Several questions share a clip: its path is the source. Ids are made unique by the dataset that they come from.
"""

from collections.abc import Iterator
from pathlib import Path

from earmark.engine.corpus.benchmarks.benchmark import Benchmark, ExampleOrReason, read_examples
from earmark.engine.corpus.example import Example, Question
from earmark.engine.corpus.folder import Folder
from earmark.engine.corpus.right_answers import options, resolve
from earmark.engine.corpus.table_files import TableRow, first_fields

_FIELDS = {"source_dataset", "question_type", "audio_path", "choices"}


def _tables(folder: Folder) -> list[Path]:
    return [path for path in folder.files("*.jsonl") if first_fields(path) >= _FIELDS]


def _read(folder: Folder) -> Iterator[ExampleOrReason]:
    def example(path: Path, row: TableRow) -> Example:
        lettered = options(row.data.get("choices"))
        audio = row.text("audio_path")
        dataset = row.text("source_dataset")
        return Example(
            sample_id=f"{dataset}/{row.text('id')}",
            source_id=audio,
            audio=folder.audio(audio, row.where, beside=path.parent),
            question=Question(
                row.text("question"), lettered.texts, resolve(row.data.get("answer"), lettered, texts_first=True)
            ),
            labels=row.labels(("question_type", "source_dataset")),
        )

    return read_examples(folder, _tables(folder), example)


AUDIOMCQ = Benchmark(
    "audiomcq", _tables, _read, native=("question_type", "source_dataset"), category=("question_type",)
)
