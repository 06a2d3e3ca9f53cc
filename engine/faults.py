"""Faults of the machine as refusals: a full or read-only disk, no more open files, processes or memory.

Nothing that was written before is lost by one, so that the same command goes on once it is mended.
"""

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from earmark.engine.errors import EarmarkError, InputError

_GOES_ON = "the same command goes on"
_REMEDIES = {  # an error that has nothing to do with what is written, and what helps
    errno.ENOSPC: "make room",
    errno.EDQUOT: "make room",
    errno.EFBIG: "allow larger files (ulimit -f), or choose another place",
    errno.EROFS: "make it writable, or choose another place",
    errno.EIO: "check the disk",
    errno.EMFILE: "allow more open files (ulimit -n)",
    errno.ENFILE: "close other programs",
    errno.EAGAIN: "allow more processes (ulimit -u)",
    errno.ENOMEM: "close other programs, or take a machine with more memory",
}
_THREAD_SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
_IN_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)  # nothing else makes these


def fault(error: BaseException, where: object = None) -> EarmarkError | None:
    """The refusal that says which fault of the machine an error is; None where it is another error.

    `where` is what was to be written, if the error's own file is not it.
    """
    if isinstance(error, OSError) and error.errno in _REMEDIES:
        place = where or error.filename or "this machine"
        why = os.strerror(error.errno)  # libraries have words of their own
        verb = "cannot be written" if where or error.errno in _IN_WRITING else "cannot be used"
        what = f"{verb} ({why})" if place != "this machine" else f"gives no more ({why})"
        return InputError(place, what, f"{_REMEDIES[error.errno]}: {_GOES_ON}")
    if isinstance(error, MemoryError):
        return InputError("this machine", "has no memory left", f"{_REMEDIES[errno.ENOMEM]}: {_GOES_ON}")
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        return InputError("this machine", "starts no more threads", f"{_REMEDIES[errno.EAGAIN]}: {_GOES_ON}")
    return None


@contextmanager
def writing(where: object, otherwise: str | None = None) -> Iterator[None]:
    """Turn faults of the machine meanwhile into refusals that name what was to be written.

    Any other OSError too where it is said what holds `otherwise`: "cannot be written".
    """
    try:
        yield
    except OSError as error:
        refusal = fault(error, where)
        if refusal is None and otherwise is not None:
            refusal = InputError(where, f"{otherwise} ({error.strerror})", "choose another place")
        if refusal is None:
            raise
        raise refusal from error


def check_threads() -> None:
    """InputError where this process may not start the threads that the libraries start, which end it without a word."""
    done = threading.Event()
    started: list[threading.Thread] = []
    try:
        for _ in range(_most_threads()):
            thread = threading.Thread(target=done.wait, daemon=True)
            thread.start()
            started.append(thread)
    except RuntimeError:  # of Thread.start
        names = " ".join(f"{name}=1" for name in _THREAD_SETTINGS)
        do = f"end some, raise the limit (ulimit -u, or the container's), or set {names}"
        raise InputError("threads", f"the limit on threads and processes leaves room for {len(started)}", do) from None
    finally:
        done.set()
        for thread in started:
            thread.join()


def _most_threads() -> int:
    """How many NumPy, SciPy, the kernels and torch start between them, and two for reading files."""
    cores = os.cpu_count() or 1
    counts = [int(value) if value.isdecimal() else cores for value in map(os.environ.get, _THREAD_SETTINGS, [""] * 3)]
    return 3 * min(max(counts), cores) + 2
