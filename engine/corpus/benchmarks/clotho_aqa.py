"""ClothoAQA (Zenodo 6473207): `clotho_aqa_{train,val,test}.csv` and `audio_files/`, or its zip.

Six questions per clip, and three people answered each. The yes/no questions on which they agree are examples; the
others are left out.
"""

from collections.abc import Iterator
from pathlib import Path

from earmark.engine.corpus.benchmarks.benchmark import Benchmark, ExampleOrReason
from earmark.engine.corpus.example import Example, Question
from earmark.engine.corpus.folder import Folder
from earmark.engine.corpus.table_files import TableRow, Unusable, csv_rows

_TABLES = ("clotho_aqa_train.csv", "clotho_aqa_val.csv", "clotho_aqa_test.csv")  # not clotho_aqa_metadata.csv
_OPTIONS = ("yes", "no")


def _tables(folder: Folder) -> list[Path]:
    return folder.files(*_TABLES)


def _read(folder: Folder) -> Iterator[ExampleOrReason]:
    archives = folder.files("*.zip")
    for path in _tables(folder):
        rows_of_question: dict[tuple[str, str], list[TableRow]] = {}
        for row in csv_rows(path, folder.name(path), _encoding(path)):
            if not isinstance(row, TableRow):
                yield row
                continue
            try:
                rows_of_question.setdefault((row.text("file_name"), row.text("QuestionText")), []).append(row)
            except Unusable as reason:
                yield row.where, str(reason)
        n_questions: dict[str, int] = {}
        for (file_name, question), rows in rows_of_question.items():
            n_questions[file_name] = n_questions.get(file_name, 0) + 1
            sample_id = f"{file_name}#{n_questions[file_name]}"
            try:
                yield rows[0].where, _example(folder, path, rows, sample_id, file_name, question, archives)
            except Unusable as reason:
                yield rows[0].where, str(reason)


def _encoding(path: Path) -> str:
    """The encoding of a table: UTF-8, or Latin-1, as some copies were saved."""
    try:
        path.read_bytes().decode()
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8-sig"


def _example(
    folder: Folder,
    path: Path,
    rows: list[TableRow],
    sample_id: str,
    file_name: str,
    question: str,
    archives: list[Path],
) -> Example:
    answers = [row.text("answer").lower() for row in rows]
    if any(answer not in _OPTIONS for answer in answers):
        raise Unusable("not multiple choice: its answers are not yes or no")
    if len(set(answers)) > 1:
        raise Unusable(f"people disagree about the answer ({', '.join(answers)})")
    return Example(
        sample_id=sample_id,
        source_id=file_name,
        audio=folder.audio(file_name, rows[0].where, under=("audio_files",), archives=archives),
        question=Question(question, _OPTIONS, _OPTIONS.index(answers[0])),
        labels={"split": path.stem.removeprefix("clotho_aqa_")},
    )


CLOTHO_AQA = Benchmark("clotho-aqa", _tables, _read, native=(), category=())
