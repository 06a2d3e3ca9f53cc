"""What every benchmark's file declares, and the loop that all of them share.

Knows no layout.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from earmark.engine.corpus.example import Example
from earmark.engine.corpus.folder import Folder
from earmark.engine.corpus.table_files import TableRow, Unusable, read
from earmark.engine.errors import InputError

Found = tuple[str, Example | str]  # the place in the table, and the example or why there is none


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One benchmark: how to tell its folder, how to read it, and what its own families are."""

    kind: str
    tables: Callable[[Folder], list[Path]]  # what would be read; empty where the folder is another benchmark's
    read: Callable[[Folder], Iterator[Found]]
    native: tuple[str, ...]  # labels that together name the benchmark's own family
    category: tuple[str, ...]  # labels that together are the category string of the keyword classifier (SPEC 6)


def each(
    folder: Folder,
    paths: Iterable[Path],
    example: Callable[[Path, TableRow], Example],
    without: Iterable[str] = (),
    *,
    one_by_one: bool = False,
) -> Iterator[Found]:
    """One example per row, or the reason why a row has none; `one_by_one`, a broken table is a reason as well."""
    for path in paths:
        for row in _rows(path, folder.name(path), without, one_by_one):
            if not isinstance(row, TableRow):
                yield row
                continue
            try:
                yield row.where, example(path, row)
            except Unusable as reason:
                yield row.where, str(reason)


def _rows(path: Path, name: str, without: Iterable[str], one_by_one: bool) -> Iterator[TableRow | tuple[str, str]]:
    try:
        yield from read(path, name, without)
    except InputError as error:
        if not one_by_one:
            raise
        yield name, str(error).removeprefix(f"{name}: ")
