"""Files and folders that appear whole or not at all, whatever happens to the writer.

Everything is written in `RUN/.staging/` first, flushed to disk, and then renamed into place.
"""

import os
import re
import shutil
import stat
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from earmark.engine.errors import InputError
from earmark.engine.faults import writing
from earmark.engine.locks import NoLocksError, open_locked, release
from earmark.engine.reading import check_place
from earmark.engine.urls import url_in

_STAGING = ".staging"
_TOKEN = re.compile(r"[0-9a-f]{32}")  # of one writer; it holds the lock beside its folder as long as it lives
_LOCK = ".lock"
_NOT_WRITTEN = "cannot be written"


@contextmanager
def staged(root: Path, target: Path | None = None) -> Iterator[Path]:
    """A fresh folder inside `root` on the same file system, removed afterwards; also removes what dead writers left.

    A fault of the disk meanwhile is a refusal that names the `target`, or `root`; so is a link on the way
    there.
    """
    staging = root / _STAGING
    if target is not None:
        check_place(target, root)
    with writing(target or root):
        folder, descriptor = _begin(staging)
    try:
        with writing(target or root):
            yield folder
    finally:
        remove_folder(folder, root)
        if descriptor is not None:
            release(_lock_of(folder), descriptor)
        with suppress(OSError):  # another writer may be using it
            staging.rmdir()


def tidy(root: Path) -> None:
    """Remove what writers left in `root` when they were killed, where nothing may be written there any more."""
    if (root / _STAGING).exists():
        with staged(root):
            pass


def write_file(path: Path, data: bytes) -> None:
    """Write or replace one file in one step."""
    write_files(path.parent, {path.name: data})


def write_files(root: Path, files: Mapping[str, bytes | None]) -> None:
    """Write or replace files by their paths inside `root`: each in one step, in their order, once all are on disk.

    A file without content is removed where it is there. Nothing is changed where one of them cannot be replaced.
    """
    make_folder(root)
    for name in files:
        check_replaceable(root / name)
        check_place(root / name, root)
    with writing(root, _NOT_WRITTEN), staged(root) as folder:
        for name, data in files.items():
            temporary = folder / name
            if data is not None:
                with writing(root / name, _NOT_WRITTEN):
                    temporary.parent.mkdir(parents=True, exist_ok=True)
                    temporary.write_bytes(data)
                    flush(temporary)
        for name, data in files.items():
            path = root / name
            with writing(path, _NOT_WRITTEN):
                if data is None:
                    path.unlink(missing_ok=True)
                    continue
                path.parent.mkdir(parents=True, exist_ok=True)
                os.replace(folder / name, path)
        for parent in {(root / name).parent for name in files}:
            flush(parent)


def write_new(path: Path, data: bytes) -> None:
    """Write one file in one step; where it is there already, perhaps since a moment ago, that one stays."""
    make_folder(path.parent)
    with staged(path.parent, path) as folder:
        temporary = folder / path.name
        temporary.write_bytes(data)
        flush(temporary)
        try:
            os.link(temporary, path)
        except FileExistsError:
            return
        except OSError:  # a file system without links
            os.replace(temporary, path)
        flush(path.parent)


def check_replaceable(path: Path) -> None:
    """Refuse to replace what is there, unless it is a regular file that is not read-only."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise InputError(path, f"{_NOT_WRITTEN} ({error.strerror})", "choose another place") from error
    if not stat.S_ISREG(mode):
        kind = "a link" if stat.S_ISLNK(mode) else "a folder" if stat.S_ISDIR(mode) else "no regular file"
        raise InputError(path, f"is {kind} and cannot be replaced", "move it away, or choose another place")
    if not mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH):
        raise InputError(path, "is read-only and is not replaced", "make it writable, or choose another place")


def check_is_local(place: Path) -> None:
    """Refuse to write to a URL."""
    url = url_in(place)
    if url is not None:
        raise InputError(
            url, "is a URL, and Earmark writes to disks only", "name a local folder with --out, and copy it there"
        )


def make_folder(folder: Path) -> None:
    """Make a folder that can be written into, or refuse."""
    check_is_local(folder)
    with writing(folder, "cannot be a folder"):
        folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise InputError(folder, "cannot be written into", "choose another place")


@contextmanager
def folder_for(folder: Path) -> Iterator[None]:
    """Make a folder that can be written into, or refuse; whatever of it was made and is empty at the end is removed."""
    lacking = [place for place in (folder, *folder.parents) if not os.path.lexists(place)]
    make_folder(folder)
    try:
        yield
    finally:
        with suppress(OSError):  # one that is not empty, and those above it
            for place in lacking:
                place.rmdir()


def remove_folder(folder: Path, within: Path) -> None:
    """Delete a folder of ours, with everything in it, if it is there; nothing else of Earmark deletes folders.

    InputError where it is not below `within`, or is anywhere else than its name says because of a link: what lies there
    is not ours, even where it is in `within` too.
    """
    real, home = os.path.realpath(folder), os.path.realpath(within)
    below = os.path.relpath(os.path.abspath(folder), os.path.abspath(within))
    if real != os.path.join(home, below):  # never so for `within` itself, or where `below` begins with ..
        what = f"leads to {real}, and not to {below} in {within}: it is not deleted"
        raise InputError(folder, what, "remove the link yourself")
    shutil.rmtree(folder, ignore_errors=True)


def flush(path: Path) -> None:
    """Force a file or a folder entry to disk; on Windows only files can be."""
    if sys.platform == "win32" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _begin(staging: Path) -> tuple[Path, int | None]:
    """A new folder in `staging`, and the descriptor of its lock, where the file system has locks.

    Another writer that is done may remove the empty `staging` at any moment, and one that cleans up may be faster with
    a lock that nobody holds yet.
    """
    check_place(staging / _LOCK, staging.parent)
    while True:
        staging.mkdir(parents=True, exist_ok=True)
        folder = staging / uuid.uuid4().hex
        try:
            with suppress(FileNotFoundError):
                descriptor = open_locked(_lock_of(folder))
                if descriptor is not None:
                    try:
                        folder.mkdir()
                        _remove_leftovers(staging)
                    except BaseException:
                        release(_lock_of(folder), descriptor)
                        raise
                    return folder, descriptor
        except NoLocksError:  # then nobody's leftovers can be judged
            _lock_of(folder).unlink(missing_ok=True)
            with suppress(FileNotFoundError):
                folder.mkdir()
                return folder, None


def _remove_leftovers(staging: Path) -> None:
    """Drop what writers left when they were killed: those whose lock nobody holds, on whatever machine they ran.

    What cannot be locked is of another user, or no writer's: it is passed over.
    """
    for name in {entry.name.removesuffix(_LOCK) for entry in staging.iterdir()}:
        leftover = staging / name
        if not _TOKEN.fullmatch(name) or leftover.is_symlink():
            continue
        try:
            descriptor = open_locked(_lock_of(leftover))
        except NoLocksError:
            raise
        except InputError:
            continue
        if descriptor is not None:
            remove_folder(leftover, staging)
            release(_lock_of(leftover), descriptor)


def _lock_of(folder: Path) -> Path:
    return folder.with_name(folder.name + _LOCK)
