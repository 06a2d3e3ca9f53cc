"""Word of a compilation, for whoever waits for it. Knows no numba: a command that compiles nothing does not load it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class _Watch:
    """Counts the seconds of the outermost compilations: a kernel may compile what it calls."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.seconds = 0.0
        self._say = say
        self._depth = 0
        self._began = 0.0

    def begin(self) -> None:
        """A kernel begins to be compiled."""
        if not self.seconds and not self._depth:
            self._say("compiling the kernels for this machine (once) ...")
        if not self._depth:
            self._began = time.perf_counter()
        self._depth += 1

    def end(self) -> None:
        """It is compiled."""
        self._depth -= 1
        if not self._depth:
            self.seconds += time.perf_counter() - self._began


_WATCHES: list[_Watch] = []


@contextmanager
def announced(say: Callable[[str], None]) -> Iterator[None]:
    """While this context is open: `say` a line when the first kernel has to be compiled, and at the end how long all
    compiling took. Nothing is said where the cache has everything.
    """
    watch = _Watch(say)
    _WATCHES.append(watch)
    try:
        yield
    finally:
        _WATCHES.remove(watch)
        if watch.seconds:
            say(f"compiled the kernels in {watch.seconds:.0f} s; {_what_is_kept()}")


def compilation_begins() -> None:
    """Tell everybody who waits."""
    for watch in _WATCHES:
        watch.begin()


def compilation_ends() -> None:
    """Tell everybody who waits."""
    for watch in _WATCHES:
        watch.end()


def _what_is_kept() -> str:
    from earmark.kernels.kernel_folders import FOLDERS

    if FOLDERS.kept:
        return "the next start on this machine is warm"
    return "they are not kept, set EARMARK_CACHE_DIR to a folder that nobody else can write into"
