"""Files that somebody else may have written: regular files only, within a size, and JSON that says everything once.

Every refusal is an InputError that names the file and what to do. Knows no format but JSON.

Links are followed as far as the folder that was named: what leads out of it, or round in a circle, is refused.
"""

import hashlib
import io
import json
import math
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, NoReturn

from earmark.engine.errors import InputError

MOST_DEPTH = 64  # of lists and objects in each other
MOST_JSON_BYTES = 1 << 28
MOST_JSON_VALUES = 1 << 23  # some 600 MB of lists; a certificate of 10,000 families has a quarter of it
MOST_TABLE_BYTES = 1 << 32  # of a file that is read line by line
MOST_LINE_BYTES = 1 << 26


def read_json(path: Path, do: str, most_bytes: int = MOST_JSON_BYTES) -> Any:
    """The content of a JSON file."""
    return parse_json(read_bytes(path, do, most_bytes), path, do)


def parse_json(
    data: bytes | str, where: object, do: str, *, constants: bool = False, most_values: int = MOST_JSON_VALUES
) -> Any:
    """The content of some JSON: no key twice, no number that is none, nothing deeper than MOST_DEPTH.

    `constants` lets NaN and Infinity pass, which Python and pandas write; `most_values` bounds how many commas and
    brackets there may be, and so the memory that the values take.
    """
    try:
        text = data.decode("utf-8-sig") if isinstance(data, bytes) else data
        if text.count(",") + text.count("[") + text.count("{") > most_values:
            raise InputError(where, f"holds more than {most_values:,} values", do)
        content = json.loads(
            text,
            object_pairs_hook=_without_repeats,
            parse_constant=float if constants else _refuse_constant,
            parse_float=_finite,
        )
        _check(content)
    except UnicodeDecodeError as error:
        raise InputError(where, f"is not UTF-8 text ({error.reason})", do) from None
    except UnicodeEncodeError:
        raise InputError(where, "holds text that is not Unicode", do) from None
    except (ValueError, RecursionError) as error:
        reason = f"nested deeper than {MOST_DEPTH}" if isinstance(error, RecursionError) else error
        raise InputError(where, f"is not JSON ({reason})", do) from None
    return content


def read_bytes(path: Path, do: str, most_bytes: int, where: object = None) -> bytes:
    """All of a regular file; `where` is what errors call it, its path where nothing is given."""
    with open_regular(path, do, most_bytes, where) as file:
        return file.read()


def sha256(path: Path, do: str) -> str:
    """The hash of a regular file, however large."""
    with open_regular(path, do, MOST_TABLE_BYTES) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def lines(source: Path | bytes, do: str, where: object) -> Iterator[tuple[int, bytes]]:
    """The lines of a regular file and their numbers from 1; InputError for a line longer than MOST_LINE_BYTES."""
    with io.BytesIO(source) if isinstance(source, bytes) else open_regular(source, do, MOST_TABLE_BYTES, where) as file:
        for number in count(1):
            line = file.readline(MOST_LINE_BYTES + 1)
            if len(line) > MOST_LINE_BYTES:
                what = f"is a line of more than {MOST_LINE_BYTES:,} bytes"
                raise InputError(f"{where}:{number}", what, do)
            if not line:
                return
            yield number, line


@contextmanager
def open_regular(
    path: Path, do: str, most_bytes: int, where: object = None
) -> Iterator[io.BufferedReader | io.BytesIO]:
    """A regular file, open to be read; what has no size, as in /proc, is empty: it may wait or go on for ever.

    InputError for anything else, and for an OSError meanwhile.
    """
    where = path if where is None else where
    try:
        descriptor = _descriptor(path, where, do)
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            os.close(descriptor)
            raise InputError(where, "is a folder" if stat.S_ISDIR(about.st_mode) else "is not a regular file", do)
        with open(descriptor, "rb") as file:
            if about.st_size > most_bytes:
                raise InputError(where, f"has {about.st_size:,} bytes, more than {most_bytes:,}", do)
            yield file if about.st_size else io.BytesIO()
    except OSError as error:
        raise InputError(where, f"cannot be read ({error.strerror or error})", do) from None


def _descriptor(path: Path, where: object, do: str) -> int:
    """A file that was opened without waiting: a FIFO would wait for a writer, a device never end."""
    try:
        return os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        raise InputError(where, "there is no such file", do) from None
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise InputError(where, f"cannot be read ({getattr(error, 'strerror', None) or error})", do) from None


def is_regular(path: Path | str) -> bool:
    """Whether it is a file that ends and does not wait; OSError where nothing is there."""
    return stat.S_ISREG(os.stat(path).st_mode)


def check_regular(path: Path, do: str) -> None:
    """Refuse what is no regular file, before a library opens it."""
    try:
        regular = is_regular(path)
    except (OSError, ValueError) as error:
        raise InputError(path, f"cannot be read ({getattr(error, 'strerror', None) or error})", do) from None
    if not regular:
        raise InputError(path, "is not a regular file", do)


def check_inside(path: Path, folder: Path, do: str) -> None:
    """Refuse what a link leads out of `folder`, whether or not anything is there."""
    real, home = os.path.realpath(path), os.path.realpath(folder)
    if os.path.commonpath([real, home]) != home:
        raise InputError(path, f"leads out of {folder}, to {real}", do)


def check_place(path: Path, folder: Path) -> None:
    """Refuse a path below `folder` of our own where a link is on the way, or anything else but folders.

    What is written there would be somewhere else, even where that is in `folder` too.
    """
    do = "move it away, and put no link there"
    way = [place for place in (path, *path.parents) if folder in place.parents]
    for place in reversed(way):
        try:
            mode = os.lstat(place).st_mode
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            raise InputError(place, f"cannot be used ({getattr(error, 'strerror', None) or error})", do) from None
        if stat.S_ISLNK(mode):
            raise InputError(place, f"is a link, and leads to {os.path.realpath(place)}", do)
        if place != path and not stat.S_ISDIR(mode):
            raise InputError(place, "is no folder", do)


def files_below(root: Path, suffix: str, within: Path, do: str, *, hidden: bool = False) -> Iterator[Path]:
    """The files whose names end with `suffix`, folder by folder in the order of their names; none where `root` is not.

    Names that begin with a dot or an underscore are passed over unless they are asked for (`hidden`). A folder with the
    name of such a file is among them, for its reader to refuse. InputError where a folder cannot be listed,
    a link leads out of `within` or to a folder that is read anyway, or a name is not UTF-8.
    """
    waiting = [root] if os.path.lexists(root) else []
    visited: dict[tuple[int, int], Path] = {}
    while waiting:
        folder = waiting.pop()
        try:
            about = os.stat(folder)
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
            kinds = [(entry, _is_looked_into(entry, suffix), entry.is_symlink()) for entry in entries]
        except OSError as error:
            raise InputError(error.filename or folder, f"cannot be read ({error.strerror})", do) from None
        before = visited.setdefault((about.st_dev, about.st_ino), folder)
        if before != folder and about.st_ino:  # 0: a file system that has no such numbers
            raise InputError(folder, f"is the folder {before} again", "remove the link")
        subfolders = []
        for entry, is_folder, is_link in kinds:
            path = Path(entry.path)
            if (not hidden and entry.name.startswith((".", "_"))) or not (is_folder or entry.name.endswith(suffix)):
                continue
            check_utf8(path, do)
            if is_link or folder == root:
                check_inside(path, within, do)
            if is_folder:
                subfolders.append(path)
            else:
                yield path
        waiting += reversed(subfolders)


def _is_looked_into(entry: os.DirEntry[str], suffix: str) -> bool:
    """Whether it is a folder, and none that is named like a file; a key's folder (LEVEL=NAME) may end with anything."""
    is_named_like_a_file = bool(suffix) and entry.name.endswith(suffix) and "=" not in entry.name
    return entry.is_dir() and not is_named_like_a_file


def check_utf8(path: Path, do: str) -> None:
    """Refuse a name that is no text, which nothing could be written about."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise InputError(repr(str(path)), "has a name that is not UTF-8", do) from None


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
