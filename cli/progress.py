"""What a person sees on stderr while waiting: one line of progress, and word of a compilation."""

import sys
import time
from types import TracebackType
from typing import Self

from earmark.engine.printable import printable

_EVERY_S = 0.1


class ProgressLine:
    """A line of progress on stderr: inside a `with`, call it with (step, done, total) and it rewrites the line.

    Nothing is written where stderr is no terminal.
    """

    def __init__(self) -> None:
        self._watched = sys.stderr is not None and sys.stderr.isatty()
        self._shown = float("-inf")
        self._width = 0

    def __enter__(self) -> Self:
        from earmark.kernels._jit import announced

        self._announced = announced(self.say)
        self._announced.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()
        self._announced.__exit__(kind, error, trace)

    def __call__(self, step: str, n_done: int, n_total: int) -> None:
        now = time.monotonic()
        if not self._watched or (now - self._shown < _EVERY_S and n_done < n_total):
            return
        self._shown = now
        line = printable(f"{step} {n_done}/{n_total}")
        sys.stderr.write("\r" + line.ljust(self._width))
        sys.stderr.flush()
        self._width = len(line)

    def say(self, line: str) -> None:
        """Print a line that stays, about something that happens once and takes long."""
        if self._watched:
            self.clear()
            sys.stderr.write(printable(line) + "\n")
            sys.stderr.flush()

    def clear(self) -> None:
        """Erase the line of progress."""
        if self._width:
            sys.stderr.write("\r" + " " * self._width + "\r")
            sys.stderr.flush()
            self._width = 0
