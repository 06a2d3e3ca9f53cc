"""Files and folders that appear whole or not at all, whatever happens to the writer.

Everything is written in `RUN/.staging/` first, flushed to disk, and then renamed into place.
"""

import os
import shutil
import socket
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from earmark.engine.errors import InputError

_STAGING = ".staging"


@contextmanager
def staged(root: Path) -> Iterator[Path]:
    """A fresh folder inside `root` on the same file system, removed afterwards; also removes what dead writers left."""
    staging = root / _STAGING
    folder = staging / f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex}"
    _make(folder)  # from here on nobody else can remove `staging`
    try:
        _remove_leftovers(staging)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # another writer may be using it
            staging.rmdir()


def write_file(path: Path, data: bytes) -> None:
    """Write or replace one file in one step."""
    write_files(path.parent, {path.name: data})


def write_files(root: Path, files: Mapping[str, bytes]) -> None:
    """Write or replace files by their paths inside `root`: each in one step, in their order, once all are on disk."""
    make_folder(root)
    path = root
    try:
        with staged(root) as folder:
            for name, data in files.items():
                path, temporary = root / name, folder / name
                temporary.parent.mkdir(parents=True, exist_ok=True)
                temporary.write_bytes(data)
                flush(temporary)
            for name in files:
                path = root / name
                path.parent.mkdir(parents=True, exist_ok=True)
                os.replace(folder / name, path)
        for parent in {(root / name).parent for name in files}:
            flush(parent)
    except OSError as error:
        raise InputError(path, f"cannot be written ({error.strerror})", "choose another place, or make room") from error


def make_folder(folder: Path) -> None:
    """Make a folder that can be written into, or refuse."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(folder, f"cannot be a folder ({error.strerror})", "choose another place") from error
    if not os.access(folder, os.W_OK):
        raise InputError(folder, "cannot be written into", "choose another place")


def flush(path: Path) -> None:
    """Force a file or a folder entry to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make(folder: Path) -> None:
    """Make a folder, though another writer that is done may remove its empty parent at any moment."""
    for _ in range(100):
        with suppress(FileNotFoundError):
            os.makedirs(folder)
            return
    os.makedirs(folder)


def _remove_leftovers(staging: Path) -> None:
    """Drop what writers of this machine left when they were killed; those of other machines are not ours to judge."""
    for leftover in staging.iterdir():
        host, _, rest = leftover.name.rpartition("-")[0].rpartition("-")
        if host == socket.gethostname() and rest.isdigit() and not _alive(int(rest)):
            shutil.rmtree(leftover, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
