"""What every benchmark's file declares, and the loop that all of them share.

Knows no layout.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from earmark.engine.corpus.example import Example
from earmark.engine.corpus.folder import Folder
from earmark.engine.corpus.table_files import TableRow, Unusable, read
from earmark.engine.errors import InputError

ExampleOrReason = tuple[str, Example | str]  # the place in a table, and its example or why it has none


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One benchmark: how to tell its folder, how to read it, and what its own families are.

    Another benchmark is a file beside this one that ends with such a constant, listed in `corpus.corpus.BENCHMARKS`:
    MMAR = Benchmark("mmar", _tables, _read, native=("sub-category",), category=("modality", "category")), where
    `_read` mostly returns `read_examples(folder, _tables(folder), example)`.
    """

    kind: str
    tables: Callable[[Folder], list[Path]]  # what would be read; empty where the folder is another benchmark's
    read: Callable[[Folder], Iterator[ExampleOrReason]]
    native: tuple[str, ...]  # labels that together name the benchmark's own family
    category: tuple[str, ...]  # labels that together are the category string of the keyword classifier (method 6)
    columns: Mapping[str, str] = field(default_factory=dict)  # what each was taken to be, where a table did not say


def read_examples(
    folder: Folder,
    paths: Iterable[Path],
    example: Callable[[Path, TableRow], Example],
    *,
    one_by_one: bool = False,
) -> Iterator[ExampleOrReason]:
    """For each row of the tables its place, and what `example` makes of it or the reason of the Unusable it raises.

    With `one_by_one` a table that cannot be read is such a reason too; without, it is an InputError.
    """
    for path in paths:
        for row in _rows(path, folder.name(path), one_by_one):
            if not isinstance(row, TableRow):
                yield row
                continue
            try:
                yield row.where, example(path, row)
            except Unusable as reason:
                yield row.where, str(reason)


def _rows(path: Path, name: str, one_by_one: bool) -> Iterator[TableRow | tuple[str, str]]:
    try:
        yield from read(path, name)
    except InputError as error:
        if not one_by_one:
            raise
        yield name, str(error).removeprefix(f"{name}: ")
