"""Which paths are URLs, how messages show them, and that nothing is written to one. Opens nothing.

A URL may have become a `Path` on its way, which makes s3://bucket/run into s3:/bucket/run: both forms are the same.
What has been copied here lies in one temporary folder, where a file's path says its URL: FOLDER/s3/bucket/run.
"""

import os
import re
from pathlib import Path

from earmark.engine.printable import printable

SCHEMES = ("s3", "gs", "gcs", "hf", "memory", "http", "https", "file")
_ANY = re.compile(r"([a-z][a-z0-9+.]+):/+(.*)", re.DOTALL)
_COLLAPSED = re.compile(rf"\b({'|'.join(SCHEMES)}):/(?=[^/\s])")
_SECRETS = re.compile(
    rf"\b((?:{'|'.join(SCHEMES)})://)(?:[^/\s@]+@)?([^\s?'\"`]*)(?:\?[^\s'\"`]*?(?=[:;,.)]*(?:[\s'\"`]|$)))?"
)
_folders: list[str] = []  # of copies; at most one in a process


def url_in(path: str | Path) -> str | None:
    """The URL that a path is, scheme://rest; None where it is a path of this machine."""
    match = _ANY.fullmatch(str(path).replace(os.sep, "/"))
    return f"{match[1]}://{match[2]}" if match else None


def note_copies(folder: str) -> None:
    """From now on what lies in `folder` is shown as the URL that it is a copy of."""
    _folders.append(folder)


def url_of_copy(path: str | Path) -> str | None:
    """The URL whose copy lies at a path, or would lie there; None for any other path."""
    text = os.path.normpath(path)
    for folder in _folders:
        if text.startswith(folder + os.sep):
            scheme, _, rest = text[len(folder) + 1 :].replace(os.sep, "/").partition("/")
            return f"{scheme}://{rest}"
    return None


def with_urls(text: object) -> str:
    """A text in which copies and collapsed URLs are URLs as they were typed, without the secrets in them."""
    shown = str(text)
    for folder in _folders:
        shown = re.sub(re.escape(printable(folder + os.sep)) + r"(\w+)/", r"\1://", shown)
    if ":/" not in shown:
        return shown
    return _SECRETS.sub(r"\1\2", _COLLAPSED.sub(r"\1://", shown))
