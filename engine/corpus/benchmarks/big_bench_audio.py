"""Big Bench Audio (ArtificialAnalysis/big_bench_audio): `metadata.jsonl` and `data/question_N.mp3`.

The question is spoken and has no options: the text only says to answer it, and each category's options are declared
here.
"""

from collections.abc import Iterator
from pathlib import Path

from earmark.engine.corpus.benchmarks.benchmark import Benchmark, ExampleOrReason, read_examples
from earmark.engine.corpus.example import Example, Question
from earmark.engine.corpus.folder import Folder
from earmark.engine.corpus.right_answers import options, resolve
from earmark.engine.corpus.table_files import TableRow, Unusable, first_fields

QUESTION = "Listen to the recording and answer the question that is asked in it."
OPTIONS = {
    "formal_fallacies": ("valid", "invalid"),
    "navigate": ("Yes", "No"),
    "object_counting": tuple(str(count) for count in range(26)),  # as many as there are letters
    "web_of_lies": ("Yes", "No"),
}


def _tables(folder: Folder) -> list[Path]:
    return [path for path in folder.files("metadata.jsonl") if "official_answer" in first_fields(path)]


def _read(folder: Folder) -> Iterator[ExampleOrReason]:
    def example(_path: Path, row: TableRow) -> Example:
        category = row.text("category")
        if category not in OPTIONS:
            raise Unusable(f"no options are declared for category '{category}'")
        lettered = options(OPTIONS[category])
        file_name = row.text("file_name").replace("\\", "/")
        return Example(
            sample_id=row.text("id"),
            source_id=file_name,
            audio=folder.audio(file_name, row.where, under=("data",)),
            question=Question(
                QUESTION, lettered.texts, resolve(row.data.get("official_answer"), lettered, texts_first=True)
            ),
            labels={"category": category},
        )

    return read_examples(folder, _tables(folder), example)


BIG_BENCH_AUDIO = Benchmark("big-bench-audio", _tables, _read, native=("category",), category=("category",))
