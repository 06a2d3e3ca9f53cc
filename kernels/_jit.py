"""The one way to compile a kernel: no fastmath, and a cache that notices every edit.

numba's own cache looks at the file of a function and misses edits to what it calls in other files; here the cache
folder is named after the hash of all kernel sources. Knows numba; no kernel.
"""

import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import numba
import numpy as np
from numba.core import config as _config
from numba.core import event

config: Any = _config  # its settings are set when it is imported

_Function = TypeVar("_Function", bound=Callable[..., Any])
_NOT_KEPT = "they are not kept, set EARMARK_CACHE_DIR to a folder that nobody else can write into"


def _cache_folder() -> Path | None:
    """A folder in EARMARK_CACHE_DIR or the user's cache folder; None where others could change what is in it."""
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(source.relative_to(Path(__file__).parent).as_posix().encode() + b"\0" + source.read_bytes())
    try:
        default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "earmark"
        root = Path(os.environ.get("EARMARK_CACHE_DIR") or default)
        return _private_folder(root, f"kernels-{digest.hexdigest()[:16]}")
    except (OSError, RuntimeError):  # RuntimeError: there is no home
        return None


def _private_folder(root: Path, name: str) -> Path | None:
    """The folder of this name in `root`, made where it is missing; None where somebody else can write into it.

    numba runs what it reads from its cache. So the folder is ours and no link, and nobody but us and root can put
    another in its place, or in the place of one above it.
    """
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    root = root.resolve(strict=True)
    folder = root / name
    if not hasattr(os, "geteuid"):  # on Windows a user's folders are the user's
        folder.mkdir(exist_ok=True)
        return folder
    if not all(_kept_by_us(os.lstat(above)) for above in (root, *root.parents)):
        return None
    with suppress(FileExistsError):
        os.mkdir(folder, mode=0o700)
    about = os.lstat(folder)
    ours = stat.S_ISDIR(about.st_mode) and about.st_uid == os.geteuid() and not about.st_mode & 0o022
    return folder if ours and os.access(folder, os.W_OK) else None


def _kept_by_us(about: os.stat_result) -> bool:
    """Whether only we and root can replace what a folder holds of ours."""
    if about.st_uid not in (0, os.geteuid()):
        return False
    return not about.st_mode & 0o022 or bool(about.st_mode & stat.S_ISVTX)


CACHE_FOLDER = _cache_folder()


def jit(function: _Function) -> _Function:
    """Compile on first call, or load what this machine compiled before. It does not hold the interpreter's lock."""
    return _compiled(function, parallel=False)


def parallel_jit(function: _Function) -> _Function:
    """Compile as `jit` does; the function's `prange` loops may run on several threads."""
    return _compiled(function, parallel=True)


def _compiled(function: _Function, parallel: bool) -> _Function:
    if config.DISABLE_JIT:  # NUMBA_DISABLE_JIT=1: plain Python, whose scalars warn where words wrap around
        plain: _Function = np.errstate(over="ignore")(function)
        return plain
    before = config.CACHE_DIR
    # numba reads it while the decorator runs; other users of numba keep theirs
    config.CACHE_DIR = str(CACHE_FOLDER or "")
    try:
        compile_as_declared = numba.njit(
            cache=CACHE_FOLDER is not None, parallel=parallel, nogil=True, error_model="numpy", fastmath=False
        )
        compiled: Any = compile_as_declared(function)
    finally:
        config.CACHE_DIR = before
    return compiled  # type: ignore[no-any-return]


@contextmanager
def announced(say: Callable[[str], None]) -> Iterator[None]:
    """While this context is open: `say` a line when the first kernel has to be compiled, and at the end how long all
    compiling took. Nothing is said where the cache has everything.
    """
    watch = _Watch(say)
    event.register("numba:compile", watch)
    try:
        yield
    finally:
        event.unregister("numba:compile", watch)
        if watch.seconds:
            kept = "the next start on this machine is warm" if CACHE_FOLDER else _NOT_KEPT
            say(f"compiled the kernels in {watch.seconds:.0f} s; {kept}")


class _Watch(event.Listener):
    """Counts the seconds of the outermost compilations: a function may compile what it calls."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.seconds = 0.0
        self._say = say
        self._depth = 0
        self._began = 0.0

    def on_start(self, _event: object) -> None:
        if not self.seconds and not self._depth:
            self._say("compiling the kernels for this machine (once) ...")
        if not self._depth:
            self._began = time.perf_counter()
        self._depth += 1

    def on_end(self, _event: object) -> None:
        self._depth -= 1
        if not self._depth:
            self.seconds += time.perf_counter() - self._began
