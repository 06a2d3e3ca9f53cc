"""ClothoAQA (Zenodo 6473207): `clotho_aqa_{train,val,test}.csv` and `audio_files/`; six questions per clip.

Three people answered each question. The yes/no questions on which they agree are examples; the others are left out.
"""

from collections.abc import Iterator
from pathlib import Path

from earmark.engine.corpus.benchmarks.benchmark import Benchmark, Found
from earmark.engine.corpus.example import Example
from earmark.engine.corpus.folder import Folder
from earmark.engine.corpus.tables import Row, Unusable, read

_OPTIONS = ("yes", "no")


def _tables(folder: Folder) -> list[Path]:
    return folder.files("clotho_aqa_*.csv")


def _read(folder: Folder) -> Iterator[Found]:
    for path in _tables(folder):
        asked: dict[tuple[str, str], list[Row]] = {}
        for row in read(path, folder.name(path)):
            if not isinstance(row, Row):
                yield row
                continue
            try:
                asked.setdefault((row.text("file_name"), row.text("QuestionText")), []).append(row)
            except Unusable as reason:
                yield row.where, str(reason)
        number: dict[str, int] = {}
        for (file_name, question), rows in asked.items():
            number[file_name] = number.get(file_name, 0) + 1
            sample_id = f"{file_name}#{number[file_name]}"
            try:
                yield rows[0].where, _example(folder, path, rows, sample_id, file_name, question)
            except Unusable as reason:
                yield rows[0].where, str(reason)


def _example(folder: Folder, path: Path, rows: list[Row], sample_id: str, file_name: str, question: str) -> Example:
    answers = [row.text("answer").lower() for row in rows]
    if any(answer not in _OPTIONS for answer in answers):
        raise Unusable("not multiple choice: its answers are not yes or no")
    if len(set(answers)) > 1:
        raise Unusable(f"people disagree about the answer ({', '.join(answers)})")
    return Example(
        sample_id=sample_id,
        source_id=file_name,
        audio=folder.audio(file_name, rows[0].where, under=("audio_files",)),
        question=question,
        choices=_OPTIONS,
        answer=_OPTIONS.index(answers[0]),
        labels={"split": path.stem.removeprefix("clotho_aqa_")},
    )


CLOTHO_AQA = Benchmark("clotho-aqa", _tables, _read, native=(), category=())
