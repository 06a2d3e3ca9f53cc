"""The bytes of an ONNX graph, read once: what is hashed, tried and run is one and the same.

A graph is all in its file: data that it would load from other files could change without changing the hash, so that a
graph that names any is refused. Knows the wire format of ONNX as far as that takes; runs nothing.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from earmark.engine.errors import InputError
from earmark.engine.reading import read_bytes

MOST_GRAPH_BYTES = 1 << 29
_MOST_FIELDS = 1 << 20  # of messages: an exported graph has some thousands, and these take a second to look at
EXPORT_AGAIN = "export the selector again"

# Fields of messages in onnx.proto3 that hold messages: all ways from a model to its tensors.
_TENSOR, _SPARSE, _GRAPH, _NODE, _ATTRIBUTE, _FUNCTION, _TRAINING, _MODEL = range(8)
_MESSAGES: dict[int, dict[int, int]] = {
    _TENSOR: {},
    _SPARSE: {1: _TENSOR, 2: _TENSOR},
    _GRAPH: {1: _NODE, 5: _TENSOR, 15: _SPARSE},
    _NODE: {5: _ATTRIBUTE},
    _ATTRIBUTE: {5: _TENSOR, 6: _GRAPH, 10: _TENSOR, 11: _GRAPH, 22: _SPARSE, 23: _SPARSE},
    _FUNCTION: {7: _NODE, 11: _ATTRIBUTE},
    _TRAINING: {1: _GRAPH, 2: _GRAPH},
    _MODEL: {7: _GRAPH, 20: _TRAINING, 25: _FUNCTION},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14  # of a tensor
_OP_TYPE = 4  # of a node
_COMPILED_ELSEWHERE = b"EPContext"  # a node that loads what another runtime compiled, from a file of its own
_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5


class GraphError(InputError):
    """A graph, or what lies beside it, that is not what an export wrote: it must not be shipped."""


class GraphFile(NamedTuple):
    """A graph as it was read."""

    path: Path  # for what is said about it; nothing is read from there again, but tokenizer.json beside it
    data: bytes
    sha256: str  # of the data


def read_graph_file(path: Path) -> GraphFile:
    """All of a file; whether it is a graph, `check_whole` says."""
    data = read_bytes(path, "name a graph that `earmark selector export` wrote", MOST_GRAPH_BYTES)
    return GraphFile(path, data, hashlib.sha256(data).hexdigest())


def check_whole(graph: GraphFile) -> None:
    """GraphError where the file is no graph, or one that loads anything from elsewhere."""
    try:
        outside = _outside(graph.data)
    except (IndexError, ValueError) as error:
        why = "it ends too early" if isinstance(error, IndexError) else error
        raise GraphError(graph.path, f"cannot be loaded (it is no ONNX graph: {why})", EXPORT_AGAIN) from None
    if outside is not None:
        raise GraphError(graph.path, f"{outside}, which can change without it", f"{EXPORT_AGAIN}, as one file")


def _outside(data: bytes) -> str | None:
    """What a model takes from elsewhere; None where it is whole. ValueError or IndexError for what is no model."""
    waiting = [(_MODEL, 0, len(data))]
    fields_left = _MOST_FIELDS
    while waiting:
        message, start, stop = waiting.pop()
        for number, wire, value, end in _fields(data, start, stop):
            fields_left -= 1
            if fields_left < 0:
                raise ValueError(f"more than {_MOST_FIELDS:,} fields")
            if message == _TENSOR and (number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value != 0)):
                return "loads tensors from another file"
            if message == _NODE and number == _OP_TYPE and data[value:end] == _COMPILED_ELSEWHERE:
                return "loads a compiled graph from another file"
            if wire == _LENGTH and number in _MESSAGES[message]:
                waiting.append((_MESSAGES[message][number], value, end))
    return None


def _fields(data: bytes, start: int, stop: int) -> Iterator[tuple[int, int, int, int]]:
    """Number and wire type of each field of a message, and its value, or where its bytes start and end."""
    at = start
    while at < stop:
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        value = at
        if wire == _VARINT:
            value, at = _varint(data, at)
        elif wire == _LENGTH:
            length, value = _varint(data, at)
            at = value + length
        elif wire in (_EIGHT_BYTES, _FOUR_BYTES):
            at += 8 if wire == _EIGHT_BYTES else 4
        else:
            raise ValueError("a group, which ONNX does not have")
        if at > stop or number == 0:
            raise ValueError("a field that does not end with its message")
        yield number, wire, value, at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A whole number in groups of seven bits, the lowest first, and where the next byte is."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
        if shift > 63:
            raise ValueError("a number of more than 64 bits")
