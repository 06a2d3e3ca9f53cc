"""Answers as they come, in one file that only grows: what is in it is never computed again.

A line is one result with its checksum. Whatever kills the writer, every whole line counts; a torn last line is cut off,
a damaged one is skipped, and its work is done again. The file belongs to one answerer (its weights, number format and
way of answering); another one is refused. Knows nothing of cells and rows.

    {"earmark": "answers/1", "identity": "..."}
    {"check": "8f2a61c0", "result": {"key": "...", "label": "B", ...}}
"""

import hashlib
import json
import math
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from earmark.engine.answerers.request import Result
from earmark.engine.errors import InputError
from earmark.engine.faults import writing
from earmark.engine.locks import acquire
from earmark.engine.reading import parse_json, read_bytes

FORMAT = "answers/1"
_ANOTHER = "name another file"
MOST_BYTES = 1 << 36  # an oracle asks millions of questions
_MOST_COUNT = (1 << 63) - 1
SYNC_EVERY_S = 1.0  # a crash of the machine, not of the process, may cost that much
_FIELDS = tuple(field.name for field in fields(Result))
_LINES = 1 << 14  # whose results are remembered: a walk opens the journal of a block again at every budget


class Journal:
    """The results in one file, by key."""

    def __init__(self, path: Path, descriptor: int, results: dict[str, Result]) -> None:
        self.path = path
        self.results = results
        self._descriptor = descriptor
        self._synced = time.monotonic()

    def append(self, results: Iterable[Result]) -> None:
        """Write results in one go, and remember them."""
        fresh = [result for result in results if result.key not in self.results]
        data = "".join(_line(result) for result in fresh).encode()
        with writing(self.path):
            while data:
                data = data[os.write(self._descriptor, data) :]
            self.results.update((result.key, result) for result in fresh)
            if time.monotonic() - self._synced > SYNC_EVERY_S:
                os.fsync(self._descriptor)
                self._synced = time.monotonic()


@contextmanager
def opened(path: Path, identity: str) -> Iterator[Journal]:
    """Open or begin a journal of the answerer with this identity."""
    with writing(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        if not acquire(descriptor):
            raise InputError(path, "another process is answering into it", "wait for it, or use another file")
        whole, rest = _whole_lines(read_bytes(path, _ANOTHER, MOST_BYTES))
        lines = whole.split(b"\n")[:-1]
        if lines:
            _check_header(path, lines[0], identity)
        with writing(path):
            if rest:
                os.ftruncate(descriptor, len(whole))
            if not lines:
                os.write(descriptor, (json.dumps({"earmark": FORMAT, "identity": identity}) + "\n").encode())
        yield Journal(path, descriptor, {result.key: result for result in _results(lines)})
        with writing(path):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_results(path: Path, identity: str) -> list[Result]:
    """What a journal holds, which another process may be writing just now."""
    lines = _whole_lines(read_bytes(path, _ANOTHER, MOST_BYTES))[0].split(b"\n")[:-1]
    if lines:
        _check_header(path, lines[0], identity)
    return _results(lines)


def _results(lines: Sequence[bytes]) -> list[Result]:
    """The results of the lines behind the header; a damaged one is left out."""
    return [result for result in map(_result, lines[1:]) if result is not None]


def _whole_lines(data: bytes) -> tuple[bytes, bytes]:
    end = data.rfind(b"\n") + 1
    return data[:end], data[end:]


def _check_header(path: Path, line: bytes, identity: str) -> None:
    header = _parsed(line)
    if not isinstance(header, dict) or header.get("earmark") != FORMAT:
        raise InputError(path, "is not a journal of answers", _ANOTHER)
    if header.get("identity") != identity:
        raise InputError(
            path,
            "holds answers of another answerer, number format or way of answering",
            "name another file, or answer as it was begun",
        )


def _line(result: Result) -> str:
    content = json.dumps({name: getattr(result, name) for name in _FIELDS}, sort_keys=True)
    return f'{{"check": "{_check(content)}", "result": {content}}}\n'


def _check(content: str) -> str:
    """The checksum of a result, as JSON with sorted keys."""
    return hashlib.blake2b(content.encode(), digest_size=4).hexdigest()


@lru_cache(maxsize=_LINES)
def _result(line: bytes) -> Result | None:
    """The result of a line, or None where the line is damaged."""
    parsed = _parsed(line)
    body = parsed.get("result") if isinstance(parsed, dict) else None
    if not isinstance(body, dict) or not _is_result(body):
        return None
    if parsed.get("check") != _check(json.dumps(body, sort_keys=True)):
        return None
    return Result(**{**body, "option_nll": tuple(body["option_nll"])})


def _parsed(line: bytes) -> Any:
    """The content of a line, or None where it is no JSON."""
    try:
        return parse_json(line, "a journal", _ANOTHER, constants=True)
    except InputError:
        return None


def _is_result(body: dict[str, Any]) -> bool:
    """Whether the fields of a result have their types, and are what an answerer may say."""
    if body.keys() != {*_FIELDS}:
        return False
    key, label, option_nll, audio_tokens, text, status, lm_positions, flops = (body[name] for name in _FIELDS)
    return (
        isinstance(key, str)
        and isinstance(label, str | None)
        and isinstance(option_nll, list)
        and all(isinstance(nll, float) and math.isfinite(nll) for nll in option_nll)
        and _is_count(audio_tokens)
        and isinstance(text, str | None)
        and isinstance(status, str)
        and _is_count(lm_positions)
        and _is_count(flops)
    )


def _is_count(value: Any) -> bool:
    """Whether it is a count, as an outcome row can have it, or None."""
    return value is None or (type(value) is int and 0 <= value <= _MOST_COUNT)
