"""Files that somebody else may have written: regular files only, within a size, and JSON that says everything once.

Every refusal is an InputError that names the file and what to do. Knows no format but JSON.
"""

import json
import math
import os
import stat
from pathlib import Path
from typing import Any, NoReturn

from earmark.engine.errors import InputError

MOST_DEPTH = 64  # of lists and objects in each other
MOST_JSON_BYTES = 1 << 28


def read_json(path: Path, do: str, most_bytes: int = MOST_JSON_BYTES) -> Any:
    """The content of a JSON file."""
    return parse_json(read_bytes(path, do, most_bytes), path, do)


def parse_json(data: bytes | str, where: object, do: str) -> Any:
    """The content of some JSON: no key twice, no number that is none, nothing deeper than MOST_DEPTH."""
    try:
        text = data.decode("utf-8-sig") if isinstance(data, bytes) else data
        content = json.loads(
            text, object_pairs_hook=_without_repeats, parse_constant=_refuse_constant, parse_float=_finite
        )
        _check(content)
    except (ValueError, RecursionError) as error:
        raise InputError(where, f"is not JSON ({error})", do) from None
    return content


def read_bytes(path: Path, do: str, most_bytes: int) -> bytes:
    """All of a regular file."""
    try:
        # a FIFO would wait for a writer, a device never end
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with open(descriptor, "rb") as file:
            about = os.fstat(descriptor)
            if not stat.S_ISREG(about.st_mode):
                raise InputError(path, "is not a regular file", do)
            if about.st_size > most_bytes:
                raise InputError(path, f"has {about.st_size:,} bytes, more than {most_bytes:,}", do)
            return file.read(most_bytes)
    except FileNotFoundError:
        raise InputError(path, "there is no such file", do) from None
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise InputError(path, f"cannot be read ({getattr(error, 'strerror', None) or error})", do) from None


def check_regular(path: Path, do: str) -> None:
    """Refuse what is no regular file, before a library opens it."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:
        raise InputError(path, f"cannot be read ({getattr(error, 'strerror', None) or error})", do) from None
    if not stat.S_ISREG(mode):
        raise InputError(path, "is not a regular file", do)


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for key, value in pairs:
        if key in table:
            raise ValueError(f"the key {key!r} stands twice")
        table[key] = value
    return table


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits[:20]} is no number")
    return number


def _check(content: Any) -> None:
    """No text that cannot be written, and no list or object too deep."""
    layer, depth = [content], 0
    while layer:
        if depth > MOST_DEPTH:
            raise ValueError(f"nested deeper than {MOST_DEPTH}")
        deeper: list[Any] = []
        for value in layer:
            if isinstance(value, str):
                value.encode()  # half of a surrogate pair cannot be written again
            elif isinstance(value, dict):
                for key in value:
                    key.encode()
                deeper += value.values()
            elif isinstance(value, list):
                deeper += value
        layer, depth = deeper, depth + 1
