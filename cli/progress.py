"""What a person sees on stderr while waiting: what is being done, how much of it, how fast, how long it will take yet.

On a terminal one line is rewritten; elsewhere a whole line comes after 10 s, then ever rarer, at last every minute.
EARMARK_PROGRESS=0 says none of it.
"""

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple, Self, TextIO

from earmark.cli.say import columns, fitted
from earmark.engine.printable import printable, shortened
from earmark.engine.progress import AtMost

_REDRAWN_S = 0.1
_TICK_S = 0.1
_FIRST_LINE_S, _MOST_BETWEEN_S = 10.0, 60.0
_ELAPSED_FROM_S = 2.0  # work of unknown length says from then on how long it has taken
_PACE_S = 60.0  # the rate is that of the last minute
_FEWEST_OF_NAME = 8  # characters


class ProgressLine:
    """Progress on stderr: inside a `with`, call it with (step, done, total) whenever some is done.

    A total of 0 says that nobody knows how much there is: `progress("loading torch", 0, 0)`.
    """

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream or sys.stderr  # None where there is none: a program without a console
        self._silent = os.environ.get("EARMARK_PROGRESS") == "0"
        self._watched = self._stream is not None and self._stream.isatty() and not self._silent
        self._clock = clock
        self._lock = threading.RLock()  # the main thread reports, another one notices that time passes
        self._ended = threading.Event()
        self._notes: deque[str] = deque()
        self._pace = _Speedometer()
        self._step, self._done, self._total = "", 0, 0
        self._step_began = 0.0
        self._drawn = float("-inf")
        self._width = 0  # of what stands on the terminal's line
        self._last_line = ""
        self._between_s = _FIRST_LINE_S
        self._due = clock() + _FIRST_LINE_S

    def __enter__(self) -> Self:
        from earmark.kernels.compilation import announced

        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        self._announced = announced(self.say)
        self._announced.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self.tick()  # notes that nobody has printed yet
        self.clear()
        if self._last_line and self._last_line != (last := self._words(columns(self._stream))):
            self._write(last + "\n")
        self._announced.__exit__(kind, error, trace)

    def __call__(self, step: str, n_done: int, n_total: int) -> None:
        with self._lock:
            now = self._clock()
            if step != self._step:
                self._step_began = now
            self._step, self._done, self._total = step, n_done, n_total
            if n_total:
                self._pace.note(now, n_done, n_total)
            else:
                self._pace.pause(now)
            if not self._watched:
                self._print_if_due(now)
            elif now - self._drawn >= _REDRAWN_S or n_done >= n_total:
                self._draw(now)

    def say(self, line: str) -> None:
        """On a terminal, print a line that stays, about something that happens once and takes long."""
        with self._lock:
            if self._watched:
                self._write_sentence(line)

    def note(self, line: str) -> None:
        """Print a line that stays, soon and whatever the main thread is at: a signal's handler may call this."""
        self._notes.append(line)

    def clear(self) -> None:
        """Erase the terminal's line, until more is done."""
        with self._lock:
            if self._width:
                self._write("\r" + " " * self._width + "\r")
                self._width = 0

    def tick(self) -> None:
        """Print what time alone makes due: notes, whole lines where there is no terminal, how long a step has taken."""
        with self._lock:
            now = self._clock()
            while self._notes:
                self._write_sentence(self._notes.popleft())
            if not self._watched:
                self._print_if_due(now)
            elif self._width and not self._total and now - self._drawn >= 1:
                self._draw(now)

    def _watch(self) -> None:
        while not self._ended.wait(_TICK_S):
            self.tick()

    def _print_if_due(self, now: float) -> None:
        if self._step and now >= self._due and not self._silent:
            self._last_line = self._words(columns(self._stream))
            self._write(self._last_line + "\n")
            self._between_s = min(2 * self._between_s, _MOST_BETWEEN_S)
            self._due = now + self._between_s

    def _draw(self, now: float) -> None:
        line = self._words(columns(self._stream) - 1)
        self._write("\r" + line.ljust(self._width))
        self._drawn, self._width = now, len(line)

    def _words(self, width: int) -> str:
        """The line: a name that is too long is cut in the middle, figures that do not fit are left out, none is cut."""
        now = self._clock()
        if not self._total:
            took = now - self._step_began
            elapsed = f" {duration(took)}" if took >= _ELAPSED_FROM_S else ""
            return f"{shortened(printable(self._step), width - len(elapsed) - 4)} ...{elapsed}"
        at_most = isinstance(self._total, AtMost)
        left = self._total - self._done
        figures = [f" asked {self._done:,}, at most {left:,} left" if at_most else f" {self._done:,}/{self._total:,}"]
        rate = self._pace.rate
        if rate and at_most:
            figures.append(f", {speed(rate)}")
        elif rate and self._done < self._total:
            figures += [f", {duration(left / rate)} left", f", {speed(rate)}"]
        step = printable(self._step)
        while len(figures) > 1 and len("".join(figures)) + min(len(step), _FEWEST_OF_NAME) > width:
            figures.pop()
        numbers = "".join(figures)
        return shortened(step, max(width - len(numbers), _FEWEST_OF_NAME)) + numbers

    def _write_sentence(self, sentence: str) -> None:
        self.clear()
        self._write("\n".join(fitted(sentence, self._stream)) + "\n")

    def _write(self, text: str) -> None:
        if self._stream is not None:
            self._stream.write(text)
            self._stream.flush()


class _Sample(NamedTuple):
    at: float  # seconds
    done: int


class _Speedometer:
    """How fast work goes, from what was done lately; what an earlier run had done counts as done before."""

    def __init__(self) -> None:
        self._samples: deque[_Sample] = deque()
        self._total = 0
        self._paused_at: float | None = None

    def note(self, now: float, n_done: int, n_total: int) -> None:
        """So much is done now; another total, or less than before, is other work."""
        if self._paused_at is not None:
            paused_s, self._paused_at = now - self._paused_at, None
            self._samples = deque(_Sample(sample.at + paused_s, sample.done) for sample in self._samples)
        samples = self._samples
        if n_total != self._total or (samples and n_done < samples[-1].done):
            samples.clear()
        self._total = n_total
        if len(samples) > 1 and now - samples[-2].at < 1:
            samples.pop()  # a sample a second is enough
        samples.append(_Sample(now, n_done))
        while len(samples) > 2 and samples[1].at < now - _PACE_S:
            samples.popleft()

    def pause(self, now: float) -> None:
        """Something else is done until more of it is: a model is loaded, say."""
        if self._paused_at is None:
            self._paused_at = now

    @property
    def rate(self) -> float:
        """How many a second; 0 where nobody can tell yet."""
        if len(self._samples) < 2:
            return 0.0
        first, last = self._samples[0], self._samples[-1]
        return (last.done - first.done) / max(1e-9, last.at - first.at)


def duration(seconds: float) -> str:
    """So many seconds, in a unit that people think in."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def speed(rate: float) -> str:
    """So many a second, or a minute or an hour where it is slow."""
    if rate >= 1:
        return f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s"
    return f"{60 * rate:.1f}/min" if rate * 60 >= 1 else f"{3600 * rate:.1f}/h"
