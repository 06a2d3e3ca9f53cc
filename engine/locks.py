"""Locks between processes: held through an open file, and gone with the process that held it, whatever ended it.

Who holds one is judged by the lock alone, never by names: two containers may share host name and process ids. Where
there is `fcntl` it is flock, on Windows msvcrt. Knows no file's content but a lock's own.
"""

import os
import socket
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from earmark.engine.errors import InputError
from earmark.engine.faults import fault, writing

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


class NoLocksError(InputError):
    """A file system without locks between processes."""


_MOST_BYTES = 200  # of a holder's name


def acquire(descriptor: int) -> bool:
    """Lock an open file until it is closed; False where somebody else has it, OSError where there are no locks."""
    try:
        if sys.platform == "win32":
            os.lseek(descriptor, 1 << 30, os.SEEK_SET)  # a byte far behind the content, which others may read
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


@contextmanager
def alone(path: Path, where: object, do: str) -> Iterator[None]:
    """Hold the lock file `path` and remove it afterwards; InputError about `where` while another process holds it."""
    with writing(path):
        descriptor = open_locked(path)
    if descriptor is None:
        raise InputError(where, f"{holder(path)} is at it", do)
    try:
        with writing(path):
            os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode(errors="replace"))
        yield
    finally:
        release(path, descriptor)


def open_locked(path: Path) -> int | None:
    """A descriptor of the lock file `path`, made where it is missing, which holds the lock; None: somebody else does.

    NoLocksError where the file system has none, InputError where something else than a lock file is there, or one that
    this user may not open. Whoever may write into its folder may lock it, as far as the umask lets them.
    """
    while True:
        descriptor = _opened(path)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise InputError(path, "is not a regular file", "remove it")
        try:
            locked = acquire(descriptor)
        except OSError as error:
            os.close(descriptor)
            what = f"cannot be locked ({error.strerror}): its file system has no locks between processes"
            raise NoLocksError(path, what, "choose a place on another one") from None
        if locked and _is_there(path, descriptor):
            os.ftruncate(descriptor, 0)
            return descriptor
        os.close(descriptor)
        if not locked:
            return None  # otherwise its holder removed it meanwhile: this lock is of no file


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
    except FileNotFoundError:  # its folder was removed meanwhile
        raise
    except OSError as error:
        if fault(error) is not None:
            raise
        reason = "it is a link" if path.is_symlink() else error.strerror
        do = "remove it if nobody is at it, or choose another place"
        raise InputError(path, f"cannot be opened as a lock ({reason})", do) from None


def is_held(path: Path) -> bool:
    """Whether another process holds a lock file; it is neither made nor changed."""
    try:
        descriptor = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
    except OSError:  # it is not there, or not for us to open
        return False
    try:
        if sys.platform == "win32":
            return not acquire(descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # two that look do not see each other
    except BlockingIOError:
        return True
    except OSError:  # there are no locks
        return False
    finally:
        os.close(descriptor)
    return False


def release(path: Path, descriptor: int) -> None:
    """Remove a lock file and let its lock go."""
    if sys.platform == "win32":  # an open file cannot be removed there
        os.close(descriptor)
        with suppress(OSError):
            path.unlink()
        return
    with suppress(OSError):
        path.unlink()
    os.close(descriptor)


def holder(path: Path) -> str:
    """Who holds a lock file, in words: `process 12 on host`."""
    try:
        with path.open("rb") as file:
            words = file.read(_MOST_BYTES).decode(errors="replace")
    except OSError:
        words = ""
    return words or "another process"


def _is_there(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False
