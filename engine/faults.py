"""Faults of the machine as refusals: a full or read-only disk, no more open files, processes or memory.

Nothing that was written before is lost by one, so that the same command goes on once it is mended.
"""

import errno
import os
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
def writing(where: object) -> Iterator[None]:
    """Turn faults of the machine meanwhile into refusals that name what was to be written."""
    try:
        yield
    except OSError as error:
        refusal = fault(error, where)
        if refusal is None:
            raise
        raise refusal from error
