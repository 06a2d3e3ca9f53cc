"""Where a recording is: a file, a member of an archive, a row of a table, or bytes in memory.

Each is a small value that pickles and can decode itself; how bytes become sound is `decode`'s business.
"""

import gzip
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import IO, Any

from earmark.engine.arrays import Waveform
from earmark.engine.corpus.arrow_files import ARROW, ArrowColumn
from earmark.engine.corpus.example import AudioError
from earmark.engine.errors import InputError
from earmark.engine.remote import read_object
from earmark.engine.zip_files import DAMAGE_ERRORS, unpacked

_MOST_BYTES = 1 << 29  # the largest recording that is read from an archive: a larger one is a bomb, not a clip
_ROWS_AT_A_TIME = 8  # of a Parquet file: a row may hold a recording of many MB


@dataclass(frozen=True, slots=True)
class FileAudio:
    """A recording in a file of its own."""

    path: str
    name: str

    def waveform(self) -> Waveform:
        return _waveform(self.path)

    def seconds(self) -> float:
        return _seconds(self.path)


@dataclass(frozen=True, slots=True)
class RemoteAudio:
    """A recording at a URL, which is read each time that it is heard; nothing of it stays."""

    url: str
    name: str

    def waveform(self) -> Waveform:
        return self._fetched().waveform()

    def seconds(self) -> float:
        return self._fetched().seconds()

    def _fetched(self) -> "BytesAudio":
        try:
            return BytesAudio(read_object(self.url, _MOST_BYTES), self.name)
        except InputError as error:
            raise AudioError(error.what) from None


@dataclass(frozen=True, slots=True)
class MissingAudio:
    """A recording that cannot be anywhere; decoding it raises the reason."""

    name: str
    reason: str

    def waveform(self) -> Waveform:
        raise AudioError(self.reason)

    def seconds(self) -> float:
        raise AudioError(self.reason)


@dataclass(frozen=True, slots=True)
class BytesAudio:
    """A recording whose bytes have been read already."""

    data: bytes = field(repr=False)
    name: str

    def waveform(self) -> Waveform:
        return _waveform(self.data)

    def seconds(self) -> float:
        return _seconds(self.data)


@dataclass(frozen=True, slots=True)
class ZipAudio:
    """A member of a zip archive, which may be read in any order."""

    archive: str
    member: str
    name: str

    def waveform(self) -> Waveform:
        return _waveform(self._read())

    def seconds(self) -> float:
        return _seconds(self._read())

    def _read(self) -> bytes:
        with _reading("zip archive"):
            archive = _zip(self.archive, *_version(self.archive))
            return unpacked(archive, archive.getinfo(self.member), _MOST_BYTES)


@dataclass(frozen=True, slots=True)
class TarAudio:
    """A member of a tar or tar.gz archive. A compressed one can only be read from front to back: keep that order."""

    archive: str
    offset: int  # of its bytes in the unpacked archive
    size: int
    name: str

    def waveform(self) -> Waveform:
        return self.fetched().waveform()

    def seconds(self) -> float:
        return self.fetched().seconds()

    def fetched(self) -> BytesAudio:
        """Its bytes, read by this process."""
        if self.size > _MOST_BYTES:
            raise AudioError(f"has {self.size:,} bytes in its archive, more than {_MOST_BYTES:,}")
        with _reading("tar archive"):
            if is_gzip(self.archive):
                return BytesAudio(_read_at(_gzip(self.archive, *_version(self.archive)), self), self.name)
            with open(self.archive, "rb") as file:
                return BytesAudio(_read_at(file, self), self.name)


@dataclass(frozen=True, slots=True)
class TableAudio:
    """Bytes in a row of a Parquet or Arrow file, as {bytes, path} or as a binary column; best read in order."""

    path: str
    row_group: int  # or batch
    row: int  # within it
    column: str
    name: str

    def waveform(self) -> Waveform:
        return self.fetched().waveform()

    def seconds(self) -> float:
        return self.fetched().seconds()

    def fetched(self) -> BytesAudio:
        """Its bytes, read by this process."""
        with _reading("Arrow file" if self.path.endswith(ARROW) else "Parquet file"):
            data = _column(self.path, self.column, *_version(self.path)).value(self.row_group, self.row)
        data = data.get("bytes") if isinstance(data, dict) else data
        if not isinstance(data, bytes):
            raise AudioError("holds no bytes")
        return BytesAudio(data, self.name)


def _waveform(source: str | bytes) -> Waveform:
    """The decoded recording. Decoders are imported here: reading a corpus's tables needs none of them."""
    from earmark.engine.corpus import decode

    return decode.waveform(source)


def _seconds(source: str | bytes) -> float:
    """How long the recording is."""
    from earmark.engine.corpus import decode

    return decode.seconds(source)


def is_gzip(path: str) -> bool:
    """Whether a file starts as gzip does."""
    with open(path, "rb") as file:
        return file.read(2) == b"\x1f\x8b"


# Open archives, one at a time in each process ------------------------------------------------------------


@contextmanager
def _reading(container: str) -> Iterator[None]:
    """While this context is open every error of a broken archive becomes an `AudioError`; messages name `container`."""
    try:
        yield
    except AudioError:
        raise
    except FileNotFoundError:
        raise AudioError(f"the {container} is gone") from None
    except DAMAGE_ERRORS as error:
        raise AudioError(f"cannot be read from its {container} ({' '.join(str(error).split()) or 'cut off'})") from None


def _version(path: str) -> tuple[int, int]:
    """Time and size of a file: they are part of a handle's key, so that no handle outlives a change of its file."""
    status = os.stat(path)
    return status.st_mtime_ns, status.st_size


def _read_at(file: IO[bytes] | gzip.GzipFile, audio: TarAudio) -> bytes:
    """The bytes of a member, from the unpacked archive."""
    file.seek(audio.offset)
    data = file.read(audio.size)
    if len(data) < audio.size:
        raise AudioError("is cut off in its archive")
    return data


@lru_cache(maxsize=2)
def _zip(path: str, _mtime: int, _size: int) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)


@lru_cache(maxsize=1)
def _gzip(path: str, _mtime: int, _size: int) -> gzip.GzipFile:
    return gzip.GzipFile(path)


@lru_cache(maxsize=1)
def _column(path: str, column: str, _mtime: int, _size: int) -> "ArrowColumn | _ParquetColumn":
    return ArrowColumn(path, column) if path.endswith(ARROW) else _ParquetColumn(path, column)


class _ParquetColumn:
    """One column of a Parquet file, read forward a few rows at a time: a row group may be larger than memory allows."""

    def __init__(self, path: str, column: str) -> None:
        import pyarrow.parquet as pq

        self._file = pq.ParquetFile(path, buffer_size=1 << 20)
        self._name = column
        self._group = -1
        self._first = 0  # row of the batch's first value
        self._batch: list[Any] = []
        self._batches: Iterator[Any] = iter(())

    def value(self, group: int, row: int) -> Any:
        """The value at a row of a row group; only a step back opens the group again."""
        if group != self._group or row < self._first:
            self._group, self._first, self._batch = group, 0, []
            self._batches = self._file.iter_batches(
                _ROWS_AT_A_TIME, row_groups=[group], columns=[self._name], use_threads=False
            )
        while row >= self._first + len(self._batch):
            self._first += len(self._batch)
            batch = next(self._batches, None)
            if batch is None:
                raise ValueError("it has no such row")
            self._batch = batch.column(0).to_pylist()
        return self._batch[row - self._first]
