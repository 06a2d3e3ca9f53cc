"""Encoder outputs, each made once: in memory while a batch of requests is answered, and within declared bytes on disk.

A file is a digest of 32 bytes, then the states as they lie in memory. What is no such file is not there: it is made
again. Knows neither models nor runs; several processes may use one folder, each within the bytes that it saw left.
"""

import hashlib
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from earmark.engine.errors import InputError
from earmark.engine.files import make_folder, staged
from earmark.engine.reading import read_bytes

RawStates = npt.NDArray[np.uint8]  # (n, bytes of a position)
DIGEST_BYTES = 32
_AGAIN = "it is made again"
_ENDING = ".states"


class Encodings:
    """States by the hash of what was encoded: in memory those that were used last, on the disk those that came first.

    Steps go through a corpus in one order: where it does not fit, the last used would be gone whenever it is needed.
    """

    def __init__(self, most_bytes: int, folder: Path | None = None, disk_bytes: int = 0) -> None:
        self._most_bytes, self._held_bytes = most_bytes, 0
        self._held: dict[str, RawStates] = {}
        self._folder, self._disk_bytes = folder, disk_bytes
        self._disk_left: int | None = None  # bytes that may still be written; None: nobody has looked

    def get(self, key: str, width: int) -> RawStates | None:
        """The states that were put there, `width` bytes a position; None where they are not there any more."""
        states = self._held.get(key)
        if states is None:
            states = self._read(key, width)
        if states is not None:
            self._hold(key, states)
        return states

    def put(self, key: str, states: RawStates) -> None:
        """Keep states, as far as there is room; what cannot be written is made again."""
        self._hold(key, states)
        if self._folder is None:
            return
        n_bytes = states.nbytes + DIGEST_BYTES
        try:
            if self._disk_left is None:
                self._disk_left = self._disk_bytes - self._bytes_there()
            path = self._folder / (key + _ENDING)
            if n_bytes <= self._disk_left and not path.exists():
                self._write(path, digest_of(key, states.tobytes()) + states.tobytes())
                self._disk_left -= n_bytes
        except (OSError, InputError):
            self._disk_left = 0

    def _hold(self, key: str, states: RawStates) -> None:
        """In memory, as the last that was used."""
        before = self._held.pop(key, None)
        self._held_bytes -= 0 if before is None else before.nbytes
        if states.nbytes <= self._most_bytes:
            self._held[key] = states
            self._held_bytes += states.nbytes
        while self._held_bytes > self._most_bytes:
            self._held_bytes -= self._held.pop(next(iter(self._held))).nbytes

    def _read(self, key: str, width: int) -> RawStates | None:
        if self._folder is None:
            return None
        try:
            data = read_bytes(self._folder / (key + _ENDING), _AGAIN, self._disk_bytes)
        except InputError:
            return None
        digest, payload = data[:DIGEST_BYTES], data[DIGEST_BYTES:]
        if digest != digest_of(key, payload) or not payload or len(payload) % width:
            return None
        return np.frombuffer(payload, np.uint8).reshape(-1, width).copy()

    def _write(self, path: Path, data: bytes) -> None:
        make_folder(path.parent)
        with staged(path.parent) as staging:
            temporary = staging / path.name
            temporary.write_bytes(data)  # what a crash leaves of it is not there
            temporary.replace(path)

    def _bytes_there(self) -> int:
        """What is written already, by this process or another."""
        assert self._folder is not None, "there is a folder"
        try:
            entries = list(os.scandir(self._folder))
        except FileNotFoundError:
            return 0
        return sum(entry.stat(follow_symlinks=False).st_size for entry in entries if entry.name.endswith(_ENDING))


def digest_of(key: str, payload: bytes) -> bytes:
    """What stands in front of the states that are kept under a key."""
    return hashlib.blake2b(key.encode() + b"\n" + payload, digest_size=DIGEST_BYTES).digest()
