"""Encoder outputs, each made once: in memory while a batch of requests is answered, and within declared bytes on disk.

A file is a digest of 32 bytes, then the states as they lie in memory. What is no such file is not there: it is made
again. Knows neither models nor runs; several processes may use one folder.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt

from earmark.engine.errors import InputError
from earmark.engine.faults import writing
from earmark.engine.files import make_folder, staged
from earmark.engine.reading import read_bytes

RawStates = npt.NDArray[np.uint8]  # (n, bytes of a position)
DIGEST_BYTES = 32
_AGAIN = "it is made again"
_ENDING = ".states"


class Encodings:
    """States by the hash of what was encoded; those that were used last stay."""

    def __init__(self, most_bytes: int, folder: Path | None = None, disk_bytes: int = 0) -> None:
        self._most_bytes, self._held_bytes = most_bytes, 0
        self._held: dict[str, RawStates] = {}
        self._folder, self._disk_bytes = folder, disk_bytes

    def get(self, key: str, width: int) -> RawStates | None:
        """The states that were put there, `width` bytes a position; None where they are not there any more."""
        states = self._held.pop(key, None)
        if states is None:
            states = self._read(key, width)
            if states is None:
                return None
            self._held_bytes += states.nbytes
        self._held[key] = states  # the last that was used
        self._forget()
        return states

    def put(self, key: str, states: RawStates) -> None:
        """Keep states, as far as there is room."""
        if states.nbytes <= self._most_bytes:
            self._held[key] = states
            self._held_bytes += states.nbytes
            self._forget()
        if self._folder is not None and states.nbytes + DIGEST_BYTES <= self._disk_bytes:
            data = states.tobytes()
            make_folder(self._folder)
            with staged(self._folder) as staging, writing(self._folder):
                path = staging / (key + _ENDING)
                path.write_bytes(digest_of(key, data) + data)  # what a crash leaves of it is not there
                self._make_room(len(data) + DIGEST_BYTES)
                os.replace(path, self._folder / path.name)

    def _forget(self) -> None:
        while self._held_bytes > self._most_bytes:
            first = next(iter(self._held))
            self._held_bytes -= self._held.pop(first).nbytes

    def _read(self, key: str, width: int) -> RawStates | None:
        if self._folder is None:
            return None
        path = self._folder / (key + _ENDING)
        try:
            data = read_bytes(path, _AGAIN, self._disk_bytes)
        except InputError:
            return None
        digest, payload = data[:DIGEST_BYTES], data[DIGEST_BYTES:]
        if digest != digest_of(key, payload) or not payload or len(payload) % width:
            return None
        with suppress(OSError):  # a folder that may only be read
            os.utime(path)
        return np.frombuffer(payload, np.uint8).reshape(-1, width).copy()

    def _make_room(self, n_bytes: int) -> None:
        there = sorted(self._files())
        excess = sum(size for _, _, size in there) + n_bytes - self._disk_bytes
        for _, path, size in there:
            if excess <= 0:
                return
            with suppress(OSError):
                path.unlink(missing_ok=True)  # another process may have been faster
            excess -= size

    def _files(self) -> Iterator[tuple[int, Path, int]]:
        """When each was used last, its path and its size; what else lies there is left alone."""
        assert self._folder is not None, "there is a folder"
        with suppress(FileNotFoundError):
            for entry in os.scandir(self._folder):
                with suppress(OSError):
                    if entry.name.endswith(_ENDING) and entry.is_file(follow_symlinks=False):
                        about = entry.stat(follow_symlinks=False)
                        yield about.st_mtime_ns, Path(entry.path), about.st_size


def digest_of(key: str, payload: bytes) -> bytes:
    """What stands in front of the states that are kept under a key."""
    return hashlib.blake2b(key.encode() + b"\n" + payload, digest_size=DIGEST_BYTES).digest()
