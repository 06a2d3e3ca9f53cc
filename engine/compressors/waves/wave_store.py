"""Coded waves on disk, within declared bytes: what was made of a clip is not made again. Those used last stay.

A file is one line of JSON, then the samples as 32-bit floats. What is no such file, or one of another wave, is not
there: it is made again. Knows no run; several processes may use one folder.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from earmark.engine.compressors.waves.messages import MOST_SENT_S
from earmark.engine.compressors.waves.wave_method import Sent
from earmark.engine.corpus.example import SAMPLE_RATE
from earmark.engine.errors import InputError
from earmark.engine.faults import writing
from earmark.engine.files import make_folder, staged
from earmark.engine.reading import parse_json, read_bytes

SCHEMA = "earmark.wave/1"
_NAME = re.compile(r"[0-9a-f]{32}\.wave")
_MOST_LINE = 1 << 10
_FLOAT = np.dtype("<f4")
_MOST_FILE_BYTES = _MOST_LINE + MOST_SENT_S * SAMPLE_RATE * _FLOAT.itemsize
_AGAIN = "it is made again"


class WaveKey(NamedTuple):
    """What a wave depends on."""

    identity: str  # of the method, and on which axis
    budget: float
    clip: str  # hash

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{_hash(json.dumps(self).encode())}.wave"


class WaveStore:
    """A folder of coded waves."""

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._folder = folder
        self._most_bytes = most_bytes  # of all waves together; 0 keeps none

    def get(self, key: WaveKey) -> Sent | None:
        """A wave as it was put there; None where it is not there any more, or is not what was put there."""
        path = self._folder / key.file
        try:
            data = read_bytes(path, _AGAIN, _MOST_FILE_BYTES)
            sent = _unpacked(data, key, path)
        except InputError:
            return None
        with suppress(OSError):  # a folder that may only be read
            os.utime(path)  # it is used now
        return sent

    def put(self, waves: Mapping[WaveKey, Sent]) -> None:
        """Keep waves, as many as fit; those that were not used for longest make room for them."""
        fitting = {key: sent for key, sent in waves.items() if sent.samples.nbytes < self._most_bytes}
        if not fitting:
            return
        make_folder(self._folder)
        with staged(self._folder) as folder, writing(self._folder):
            n_bytes = 0
            for key, sent in fitting.items():
                line, payload = _packed(key, sent)
                size = len(line) + len(payload)
                if n_bytes + size <= self._most_bytes:
                    with open(folder / key.file, "wb") as file:  # not forced to disk: what a crash leaves is not there
                        file.write(line)
                        file.write(payload)
                    n_bytes += size
            self._make_room(n_bytes)
            for path in sorted(folder.iterdir()):
                os.replace(path, self._folder / path.name)

    def _make_room(self, n_bytes: int) -> None:
        waves = sorted(self._waves())
        excess = sum(size for _, _, size in waves) + n_bytes - self._most_bytes
        for _, path, size in waves:
            if excess <= 0:
                return
            with suppress(OSError):
                path.unlink(missing_ok=True)  # another process may have been faster
            excess -= size

    def _waves(self) -> Iterator[tuple[int, Path, int]]:
        """When each wave was used last, its file and its size; what else lies there is left alone."""
        with suppress(FileNotFoundError):
            for entry in os.scandir(self._folder):
                with suppress(OSError):
                    if _NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                        about = entry.stat(follow_symlinks=False)
                        yield about.st_mtime_ns, Path(entry.path), about.st_size


def _packed(key: WaveKey, sent: Sent) -> tuple[bytes, bytes]:
    """The line and the samples of a file."""
    payload = np.ascontiguousarray(sent.samples, _FLOAT).tobytes()
    line = {"schema": SCHEMA, "bits": sent.bits, "hash": _content_hash(key, sent.bits, payload)}
    return json.dumps(line).encode() + b"\n", payload


def _unpacked(data: bytes, key: WaveKey, path: Path) -> Sent:
    """The wave in a file; InputError where it is another one's, cut off or changed."""
    line, _, payload = data.partition(b"\n")
    words = parse_json(line[:_MOST_LINE], path, _AGAIN)
    bits = words.get("bits") if isinstance(words, dict) else None
    is_whole = isinstance(words, dict) and len(payload) % _FLOAT.itemsize == 0 and len(payload) > 0
    if (
        not is_whole
        or words.get("schema") != SCHEMA
        or not (bits is None or (type(bits) is int and bits >= 0))
        or words.get("hash") != _content_hash(key, bits, payload)
    ):
        raise InputError(path, "is not the wave that was put there", _AGAIN)
    samples = np.frombuffer(payload, _FLOAT).astype(np.float32)
    if not np.isfinite(samples).all():
        raise InputError(path, "holds NaN or infinity", _AGAIN)
    return Sent(samples, bits)


def _content_hash(key: WaveKey, bits: int | None, payload: bytes) -> str:
    return _hash(json.dumps([SCHEMA, key, bits]).encode() + b"\n", payload)


def _hash(*parts: bytes) -> str:
    """128 bits of BLAKE2b of what lies one behind the other."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()
