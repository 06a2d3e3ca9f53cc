"""The two pipes of a process, read and written until a deadline: whoever else holds an end of them cannot block.

A child that a compressor forked and that left its session may hold both ends for as long as it likes.
"""

import os
import subprocess
import sys
import time
from typing import Any

if sys.platform == "win32":
    import _winapi
    import msvcrt
else:
    import select

_LOOK_S = 0.2  # whether the process is there still
_MOST_BYTES = 1 << 20  # at a time


class ProcessPipes:
    """Standard input and output of a process. TimeoutError after the deadline, BrokenPipeError once it has ended."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        pipes: tuple[Any, Any] = process.stdin, process.stdout
        self._stdin, self._stdout = (pipe.fileno() for pipe in pipes)
        self._deadline = 0.0
        if sys.platform != "win32":
            for descriptor in (self._stdin, self._stdout):
                os.set_blocking(descriptor, False)

    def set_deadline(self, seconds: float) -> None:
        """From now."""
        self._deadline = time.monotonic() + seconds

    def read(self, n_bytes: int) -> bytes:
        """So many bytes; fewer where nobody has the other end any more."""
        data = bytearray()
        while len(data) < n_bytes:
            self._wait(self._stdout)
            part = os.read(self._stdout, min(n_bytes - len(data), _MOST_BYTES))
            if not part:
                break
            data += part
        return bytes(data)

    def write(self, data: bytes) -> None:
        """All of the bytes."""
        view = memoryview(data)
        while view:
            self._wait(self._stdin)
            try:
                view = view[os.write(self._stdin, view[:_MOST_BYTES]) :]
            except BlockingIOError:  # there is room, but for less than what is written whole
                time.sleep(_LOOK_S / 10)

    def _wait(self, descriptor: int) -> None:
        """Until a pipe can be read or written."""
        while (left_s := self._deadline - time.monotonic()) > 0:
            if self._is_ready(descriptor, min(left_s, _LOOK_S)):
                return
            if self._process.poll() is not None and not self._is_ready(descriptor, 0):
                raise BrokenPipeError  # another process holds the other end
        raise TimeoutError

    def _is_ready(self, descriptor: int, wait_s: float) -> bool:
        """Whether it is, after so many seconds at most."""
        if sys.platform == "win32":
            return self._is_ready_on_windows(descriptor, wait_s)
        poll = select.poll()
        poll.register(descriptor, select.POLLIN if descriptor == self._stdout else select.POLLOUT)
        return bool(poll.poll(1000 * wait_s))

    if sys.platform == "win32":

        def _is_ready_on_windows(self, descriptor: int, wait_s: float) -> bool:
            """Pipes cannot be waited for there; nor is there a fork, through which another process could hold one."""
            if descriptor == self._stdin:
                return True
            end = time.monotonic() + wait_s
            while not _winapi.PeekNamedPipe(msvcrt.get_osfhandle(descriptor), 0)[0]:
                if time.monotonic() >= end:
                    return False
                time.sleep(0.005)
            return True
