"""A dataset as the hub gives it (`hf download ... --repo-type dataset`), or as `save_to_disk` of datasets leaves it.

Which column is what, `column_roles` says; all tables of a split have the same columns.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from pathlib import Path

from earmark.engine.corpus.audio import TableAudio
from earmark.engine.corpus.benchmarks.benchmark import Benchmark, ExampleOrReason, read_examples
from earmark.engine.corpus.example import Audio, AudioError, Example, Question
from earmark.engine.corpus.folder import Folder
from earmark.engine.corpus.hub.all_rows import look_at
from earmark.engine.corpus.hub.column_roles import Roles, Typed, roles_of, typed_columns
from earmark.engine.corpus.hub.hub_folder import HubTable, of_split, tables_of
from earmark.engine.corpus.hub.question_cells import QuestionCells
from earmark.engine.corpus.table_files import LONGEST_LABEL, TableRow, Unusable, as_text, read
from earmark.engine.errors import InputError

_CONFIG = "config"  # the label of the configuration, where there are several
_ARCHIVES = ("**/*.zip", "**/*.tar", "**/*.tar.gz", "**/*.tgz")
_ANSWERS = {None: "its text or letter", 0: "its place, from 0", 1: "its place, from 1"}


@dataclass(frozen=True, slots=True)
class _Recordings:
    """Where the recordings of a dataset are: in a column of its tables, or in files that the column names."""

    folder: Folder
    column: str
    in_tables: bool
    archives: Sequence[Path]  # through which files are looked for
    unnamed: dict[str, TableAudio] = field(default_factory=dict)  # so far, by a hash of their bytes

    def of_row(self, path: Path, row: TableRow, sample_id: str) -> tuple[Audio, str]:
        """The recording of a row, and what to call it: by its name, or where it has none by its bytes."""
        cell = row.data.get(self.column)
        name = as_text(cell.get("path") if isinstance(cell, dict) else cell)
        if self.in_tables:
            shown = f"{self.folder.name(path)}/{name or sample_id}"
            audio = TableAudio(str(path), row.row_group, row.row, self.column, shown)
            return (audio, name) if name else self._unnamed(audio, sample_id)
        if name is None:
            raise Unusable(f"no {self.column}")
        return self.folder.audio(name, row.where, beside=path.parent, archives=self.archives), name

    def _unnamed(self, audio: TableAudio, sample_id: str) -> tuple[Audio, str]:
        """The first recording with the bytes of this one, called by their hash: questions about it are not independent.

        One that has no bytes is called by its row.
        """
        try:
            name = sha256(audio.fetched().data).hexdigest()[:16]
        except AudioError:
            return audio, sample_id
        return self.unnamed.setdefault(name, audio), name


def open_hub(folder: Folder, split: str | None, declared: Mapping[str, str], paths: Sequence[Path] = ()) -> Benchmark:
    """How a dataset is read: the split of a folder, or the tables that are named.

    `declared` are columns by their roles. InputError where a split or a column cannot be told.
    """
    tables = [HubTable(path, "", path.stem) for path in paths] or of_split(folder, split)
    if pointer := folder.pointer([table.path for table in tables]):
        raise pointer
    first = tables[0].path
    columns = typed_columns(first, folder.name(first))
    for table in tables[1:]:
        _check_same(folder.name(table.path), typed_columns(table.path, folder.name(table.path)), first.name, columns)
    roles = roles_of(columns, declared, folder.name(first))
    if roles.answer_from is not None:  # then what its numbers are called says nothing
        columns[roles.answer] = columns[roles.answer]._replace(names=())
    in_tables = columns[roles.audio].is_recording and _has_bytes(folder, tables, roles.audio)
    recordings = _Recordings(folder, roles.audio, in_tables, () if in_tables else folder.files(*_ARCHIVES))
    all_rows = look_at(_rows(folder, tables), QuestionCells(columns, roles))
    roles = roles._replace(sample_id=roles.sample_id or all_rows.sample_id, answer_from=all_rows.answer_from)
    if not roles.family and _has_configs(tables):
        roles = roles._replace(family=_CONFIG)
    return replace(
        HUB,
        read=partial(_read, tables=tables, cells=QuestionCells(columns, roles), recordings=recordings),
        native=(roles.family,) if roles.family else (),
        category=(roles.category,) if roles.category else (),
        columns=_in_words(roles, in_tables, all_rows.has_numbers),
    )


def _has_configs(tables: Iterable[HubTable]) -> bool:
    return len({table.config for table in tables}) > 1


def _rows(folder: Folder, tables: Iterable[HubTable]) -> Iterator[tuple[str, TableRow]]:
    """All rows that can be read, each with the configuration that it is of."""
    for table in tables:
        for row in read(table.path, folder.name(table.path)):
            if isinstance(row, TableRow):
                yield table.config, row


def _read(
    folder: Folder, tables: Sequence[HubTable], cells: QuestionCells, recordings: _Recordings
) -> Iterator[ExampleOrReason]:
    roles, table_at, has_configs = cells.roles, {table.path: table for table in tables}, _has_configs(tables)
    labels = [
        name
        for name, typed in cells.columns.items()
        if (typed.is_value and name not in roles.columns) or name in (roles.family, roles.category)
    ]
    numbers = dict.fromkeys((table.group for table in tables), 0)  # rows of each split so far

    def example(path: Path, row: TableRow) -> Example:
        table = table_at[path]
        number = numbers[table.group]
        numbers[table.group] += 1
        name = cells.text(row, roles.sample_id) if roles.sample_id else f"{table.split}/{number}"
        if name is None:
            raise Unusable(f"no {roles.sample_id}")
        sample_id = f"{table.config}/{name}" if has_configs else name
        lettered = cells.options(row)
        question = Question(row.text(roles.question), lettered.texts, cells.right(row, lettered))
        audio, recording = recordings.of_row(path, row, sample_id)
        texts = {label: text for label in labels if (text := cells.text(row, label)) and len(text) <= LONGEST_LABEL}
        return Example(
            sample_id=sample_id,
            source_id=(cells.text(row, roles.source_id) if roles.source_id else None) or recording,
            audio=audio,
            question=question,
            labels={**texts, _CONFIG: table.config} if has_configs else texts,
        )

    return read_examples(folder, table_at, example)


def _has_bytes(folder: Folder, tables: Iterable[HubTable], column: str) -> bool:
    """Whether some row has a recording, not only the name of a file."""
    return any(
        _is_in_table(TableAudio(str(table.path), row.row_group, row.row, column, row.where))
        for table in tables
        for row in read(table.path, folder.name(table.path))
        if isinstance(row, TableRow)
    )


def _is_in_table(audio: TableAudio) -> bool:
    try:
        audio.fetched()
    except AudioError as error:
        return error.args != ("holds no bytes",)
    return True


def _check_same(name: str, columns: Mapping[str, Typed], first: str, expected: Mapping[str, Typed]) -> None:
    """InputError where a table has other columns than the first."""
    different = [column for column, typed in expected.items() if columns.get(column) != typed]
    if different:
        what = f"has no column '{different[0]}' as {first} has it"
        raise InputError(name, what, "name the folder of one configuration")


def _in_words(roles: Roles, in_tables: bool, has_numbers: bool) -> dict[str, str]:
    """Which column was taken to be what, for people."""
    answers = "its text" if has_numbers and roles.answer_from is None else _ANSWERS[roles.answer_from]
    return {
        "audio": f"{roles.audio} ({'in the table' if in_tables else 'names of files'})",
        "question": roles.question,
        "choices": ", ".join(roles.choices),
        "answer": f"{roles.answer} ({answers})",
        "sample_id": roles.sample_id or "none: rows are numbered",
        "source_id": roles.source_id or "none: the recording's name, or its bytes where it has none",
        "family": roles.family or "none",
    }


def _tables(folder: Folder) -> list[Path]:
    return [table.path for table in tables_of(folder)]


def _read_all(folder: Folder) -> Iterator[ExampleOrReason]:
    return open_hub(folder, None, {}).read(folder)


HUB = Benchmark("hub", _tables, _read_all, native=(), category=())
