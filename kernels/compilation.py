"""Word of a compilation, for whoever waits for it. Knows no numba: a command that compiles nothing does not load it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Watch:
    """Counts compilations, and the seconds of the outermost ones: a kernel may compile what it calls."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.compiled = 0
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
        self.compiled += 1
        self._depth -= 1
        if not self._depth:
            self.seconds += time.perf_counter() - self._began


_WATCHES: list[Watch] = []


@contextmanager
def counted(say: Callable[[str], None] = lambda _line: None) -> Iterator[Watch]:
    """A watch that counts while this context is open, and says a line when the first kernel has to be compiled."""
    watch = Watch(say)
    _WATCHES.append(watch)
    try:
        yield watch
    finally:
        _WATCHES.remove(watch)


@contextmanager
def announced(say: Callable[[str], None]) -> Iterator[None]:
    """While this context is open: `say` a line when the first kernel has to be compiled, and at the end how long all
    compiling took. Nothing is said where the cache has everything.
    """
    with counted(say) as watch:
        try:
            yield
        finally:
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
