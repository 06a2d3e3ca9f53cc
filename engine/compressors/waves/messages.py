"""What a pool and its processes say to one another: JSON and samples, in frames. Nothing is ever unpickled.

8 bytes  length of the JSON | 8 bytes  number of samples | JSON | samples as 32-bit floats, little endian
"""

import json
import struct
from typing import Any, NamedTuple, Protocol

import numpy as np

from earmark.engine.arrays import Waveform
from earmark.engine.corpus.example import SAMPLE_RATE
from earmark.engine.errors import InputError
from earmark.engine.reading import parse_json

MOST_SENT_S = 240  # of what arrives of a clip: twice the longest clip
_MOST_JSON = 1 << 20
_LENGTHS = struct.Struct("<QQ")
_FLOAT = np.dtype("<f4")
_NOTHING = np.zeros(0, np.float32)


class MessageError(Exception):
    """What came is no message."""


class Readable(Protocol):
    """Where messages come from."""

    def read(self, n_bytes: int, /) -> bytes:
        """So many bytes; fewer at its end."""


class Writable(Protocol):
    """Where messages go."""

    def write(self, data: bytes, /) -> object:
        """All of the bytes."""


class Message(NamedTuple):
    """One message."""

    words: dict[str, Any]
    samples: Waveform


def write_message(file: Writable, words: dict[str, Any], samples: Waveform = _NOTHING) -> None:
    """Send a message, whole; an OSError where nobody reads any more."""
    data = json.dumps(words).encode()
    file.write(_LENGTHS.pack(len(data), len(samples)) + data + np.ascontiguousarray(samples, _FLOAT).tobytes())


def read_message(file: Readable) -> Message | None:
    """The next message; None where the other side has gone, MessageError where something else was written."""
    lengths = file.read(_LENGTHS.size)
    if len(lengths) < _LENGTHS.size:
        return None
    n_json, n_samples = _LENGTHS.unpack(lengths)
    if n_json > _MOST_JSON or n_samples > MOST_SENT_S * SAMPLE_RATE:
        raise MessageError
    data, payload = file.read(n_json), file.read(_FLOAT.itemsize * n_samples)
    if len(data) < n_json or len(payload) < _FLOAT.itemsize * n_samples:
        return None
    try:
        words = parse_json(data, "a message", "write no other")
    except InputError:
        raise MessageError from None
    samples = np.frombuffer(payload, _FLOAT).astype(np.float32)  # a copy, which may be written to
    if not (isinstance(words, dict) and np.isfinite(samples).all()):
        raise MessageError
    return Message(words, samples)
