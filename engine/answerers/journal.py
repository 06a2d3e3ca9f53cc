"""Answers as they come, in one file that only grows: what is in it is never computed again.

A line is one result with its checksum. Whatever kills the writer, every whole line counts; a torn last line is cut off,
a damaged one is skipped, and its work is done again. The file belongs to one answerer (its weights, number format and
way of answering); another one is refused. Knows nothing of cells and rows.

    {"earmark": "answers/1", "identity": "..."}
    {"check": "8f2a61c0", "result": {"key": "...", "label": "B", ...}}
"""

import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from earmark.engine.answerers.request import Result
from earmark.engine.errors import InputError
from earmark.engine.locks import acquire

FORMAT = "answers/1"
SYNC_EVERY_S = 1.0  # a crash of the machine, not of the process, may cost that much


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
        while data:
            data = data[os.write(self._descriptor, data) :]
        self.results.update((result.key, result) for result in fresh)
        if time.monotonic() - self._synced > SYNC_EVERY_S:
            os.fsync(self._descriptor)
            self._synced = time.monotonic()


@contextmanager
def opened(path: Path, identity: str) -> Iterator[Journal]:
    """Open or begin a journal of the answerer with this identity."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        if not acquire(descriptor):
            raise InputError(path, "another process is answering into it", "wait for it, or use another file")
        whole, rest = _whole_lines(path.read_bytes())
        if rest:
            os.ftruncate(descriptor, len(whole))
        lines = whole.splitlines()
        if not lines:
            os.write(descriptor, (json.dumps({"earmark": FORMAT, "identity": identity}) + "\n").encode())
        else:
            _check_header(path, lines[0], identity)
        results = [_result(line) for line in lines[1:]]
        yield Journal(path, descriptor, {result.key: result for result in results if result is not None})
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _whole_lines(data: bytes) -> tuple[bytes, bytes]:
    end = data.rfind(b"\n") + 1
    return data[:end], data[end:]


def _check_header(path: Path, line: bytes, identity: str) -> None:
    try:
        header = json.loads(line)
    except ValueError:
        header = None
    if not isinstance(header, dict) or header.get("earmark") != FORMAT:
        raise InputError(path, "is not a journal of answers", "name another file")
    if header.get("identity") != identity:
        raise InputError(
            path,
            "holds answers of another answerer, number format or way of answering",
            "name another file, or answer as it was begun",
        )


def _line(result: Result) -> str:
    body = asdict(result)
    return json.dumps({"check": _check(body), "result": body}) + "\n"


def _check(body: dict[str, Any]) -> str:
    return hashlib.blake2b(json.dumps(body, sort_keys=True).encode(), digest_size=4).hexdigest()


def _result(line: bytes) -> Result | None:
    """The result of a line, or None where the line is damaged."""
    try:
        parsed = json.loads(line)
        body = parsed["result"]
        if parsed["check"] != _check(body):
            return None
        body["option_nll"] = tuple(body["option_nll"])
        return Result(**body)
    except (ValueError, KeyError, TypeError):
        return None
