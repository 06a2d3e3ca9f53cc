"""MMAU-Pro (gamma-lab-umd/MMAU-Pro): `test.parquet` and `data.zip`, which need not be unpacked.

Open-ended questions have no options, and a question about several clips has no one recording: both are left out.
"""

from collections.abc import Iterator
from pathlib import Path

from earmark.engine.corpus.benchmarks.benchmark import Benchmark, ExampleOrReason, read_examples
from earmark.engine.corpus.example import Example, Question
from earmark.engine.corpus.folder import Folder
from earmark.engine.corpus.right_answers import options, resolve
from earmark.engine.corpus.table_files import TableRow, Unusable, as_text, parquet_columns

_COLUMNS = {"audio_path", "choices", "answer", "length_type"}
_OPEN = ("open", "instruction following")  # whatever stands among their choices
_LABELS = ("category", "length_type", "sub-cat", "task_identifier")


def _tables(folder: Folder) -> list[Path]:
    return [path for path in folder.files("*.parquet", "data/*.parquet") if parquet_columns(path) >= _COLUMNS]


def _read(folder: Folder) -> Iterator[ExampleOrReason]:
    archives = folder.files("*.zip")

    def example(_path: Path, row: TableRow) -> Example:
        category = row.optional("category")
        if category and category.lower() in _OPEN:
            raise Unusable(f"open-ended: its category is '{category}'")
        lettered = options(row.data.get("choices"))
        audio = _only(row.data.get("audio_path"))
        return Example(
            sample_id=row.text("id"),
            source_id=audio,
            audio=folder.audio(audio, row.where, archives=archives),
            question=Question(
                row.text("question"), lettered.texts, resolve(row.data.get("answer"), lettered, texts_first=True)
            ),
            labels=row.labels(_LABELS),
        )

    return read_examples(folder, _tables(folder), example)


def _only(cell: object) -> str:
    """The one recording that a question is about; raises Unusable for none or several."""
    paths = [text for path in (cell if isinstance(cell, list) else [cell]) if (text := as_text(path))]
    if len(paths) != 1:
        raise Unusable("has no recording" if not paths else f"is about {len(paths)} recordings, not one")
    return paths[0]


MMAU_PRO = Benchmark("mmau-pro", _tables, _read, native=("category",), category=("category",))
