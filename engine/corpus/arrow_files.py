"""Arrow files as `save_to_disk` of datasets writes them: batches of rows, one after the other, without a directory.

A file is mapped into memory, not read: of recordings only those come in that are asked for. Knows no corpus.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from earmark.engine.errors import InputError
from earmark.engine.reading import check_regular

ARROW = ".arrow"  # how names of such files end
_MOST_BATCHES = 1_000_000
_AGAIN = "save it again (`save_to_disk`), or download it again"


@contextmanager
def open_arrow(path: Path, where: object) -> Iterator[Any]:
    """A pyarrow.RecordBatchStreamReader of a file; InputError for what is no such file, and for damage meanwhile."""
    import pyarrow as pa

    check_regular(path, _AGAIN)
    try:
        with pa.memory_map(str(path)) as file, pa.ipc.open_stream(file) as reader:
            yield reader
    except (pa.ArrowException, OSError, ValueError, OverflowError, LookupError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise InputError(where, f"is not a whole Arrow file ({reason})", _AGAIN) from None


def checked(batch: Any) -> Any:
    """A batch of others whose values lie where they should; ValueError where one does not.

    A file says where each value begins: without this a wrong place would be read.
    """
    batch.validate(full=True)
    return batch


class ArrowColumn:
    """One column of an Arrow file, best read from front to back: only a step back opens the file again."""

    def __init__(self, path: str, name: str) -> None:
        self._path = path
        self._name = name
        self._number = -1  # of the batch that is open
        self._batches: Iterator[Any] = iter(())
        self._values: Any = None

    def value(self, batch: int, row: int) -> Any:
        """The value at a row of a batch."""
        if batch < self._number or self._number < 0:
            self._batches, self._number = self._open(), -1
        if batch > self._number:
            opened = next(islice(self._batches, batch - self._number - 1, None), None)
            if opened is None:
                raise ValueError("it has no such row")
            self._number, self._values = batch, checked(opened.select([self._name])).column(0)
        return self._values[row].as_py()

    def _open(self) -> Iterator[Any]:
        import pyarrow as pa

        return iter(pa.ipc.open_stream(pa.memory_map(self._path)))


def numbered_batches(reader: Any, where: object) -> Iterator[tuple[int, Any]]:
    """The batches of a reader and their numbers from 0; InputError where they are too many."""
    for number, batch in enumerate(reader):
        if number >= _MOST_BATCHES:
            raise InputError(where, f"has more than {_MOST_BATCHES:,} batches", "save it again in larger ones")
        yield number, batch
