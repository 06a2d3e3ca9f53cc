"""Tries work that may fail: what came of it, or the status that says why not. Knows neither models nor batches.

A batch that fails is halved by its caller until the request that cannot be answered is alone.
"""

from collections.abc import Callable
from typing import TypeVar

from earmark.engine.answerers.answerer import LostError
from earmark.engine.answerers.shared.audio_lm import OutOfMemoryError

T = TypeVar("T")
HOPELESS = 16  # so many requests in a row that fail by themselves: the answerer is broken, not they


class Attempts:
    """The attempts of one answerer, which counts those in a row that failed."""

    def __init__(self) -> None:
        self._failures = 0

    def tried(self, run: Callable[[], T], alone: bool) -> T | str:
        """What `run` returns, or why it failed (it returns no text itself); a request by itself is tried twice."""
        why = ""
        for _ in range(2 if alone else 1):
            try:
                value = run()
            except OutOfMemoryError as error:
                why = f"out of memory: {one_line(error)}"
                if alone:
                    break
            except LostError:
                raise
            except Exception as error:
                why = f"failed: {type(error).__name__}: {one_line(error)}"
            else:
                self._failures = 0
                return value
        if alone:
            self._failures += 1
            if self._failures >= HOPELESS:
                raise LostError(f"{HOPELESS} requests in a row failed by themselves, the last with: {why}")
        return why


def one_line(error: BaseException) -> str:
    """What an exception says, short enough for a status."""
    return " ".join(str(error).split())[:200]
