"""One line of progress on stderr, only where a person is watching."""

import sys
import time

_EVERY_S = 0.1


class Progress:
    """Call it with (what, done, total); it rewrites one line and clears it at the end."""

    def __init__(self) -> None:
        self._watched = sys.stderr.isatty()
        self._shown = float("-inf")
        self._width = 0

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if not self._watched or (now - self._shown < _EVERY_S and done < total):
            return
        self._shown = now
        line = f"{what} {done}/{total}"
        sys.stderr.write("\r" + line.ljust(self._width))
        sys.stderr.flush()
        self._width = len(line)

    def clear(self) -> None:
        """Wipe the line."""
        if self._watched and self._width:
            sys.stderr.write("\r" + " " * self._width + "\r")
            sys.stderr.flush()
            self._width = 0
