"""The one way to compile a kernel: no fastmath, and a cache that notices every edit and survives a copy.

numba's own cache looks at the file of a function, by its time in older versions: it misses edits to what is called in
other files, and in a container everything is new. Here the stamp is the hash of all kernel sources
(`kernel_folders.py`). Whoever imports this imports numba. Knows no kernel.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import numba
import numpy as np
from numba.core import caching, event
from numba.core import config as _config

from earmark.kernels.compilation import compilation_begins, compilation_ends
from earmark.kernels.kernel_folders import FOLDERS, NAME

config: Any = _config  # its settings are set when it is imported

_Function = TypeVar("_Function", bound=Callable[..., Any])


def jit(function: _Function) -> _Function:
    """Compile on first call, or load what this machine compiled before. It does not hold the interpreter's lock."""
    return _compiled(function, parallel=False)


def parallel_jit(function: _Function) -> _Function:
    """Compile as `jit` does; the function's `prange` loops may run on several threads."""
    return _compiled(function, parallel=True)


def _compiled(function: _Function, parallel: bool) -> _Function:
    if config.DISABLE_JIT:  # NUMBA_DISABLE_JIT=1: plain Python, whose scalars warn where words wrap around
        plain: _Function = np.errstate(over="ignore", invalid="ignore")(function)
        return plain
    kernel: Any = numba.njit(parallel=parallel, nogil=True, error_model="numpy", fastmath=False)(function)
    kernel._cache = _Layers(function)  # as cache=True does, with numba's own
    return kernel  # type: ignore[no-any-return]


class _Layers(caching.NullCache):
    """A kernel as it was compiled before: from the folder where kernels are kept, else from the shipped one."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._kept, self._shipped = (folder and _FolderCache(function, folder) for folder in FOLDERS)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """What was compiled for this signature on such a processor; None where nothing was."""
        for cache in (self._kept, self._shipped):
            loaded = cache and cache.load_overload(sig, target_context)
            if loaded:
                return loaded
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep it; a disk that is full or gone costs no more than compiling again."""
        if self._kept:
            with suppress(OSError):
                self._kept.save_overload(sig, data)


class _FolderCache(caching.FunctionCache):
    """numba's cache of one function, in a folder of ours."""

    def __init__(self, function: Callable[..., Any], folder: Path) -> None:
        self._impl_class: Any = lambda py_func: _FolderImplementation(py_func, folder)
        super().__init__(function)


class _FolderImplementation(caching.CompileResultCacheImpl):
    """Where numba's cache finds the files of one function: by its module and line, wherever the module lies."""

    def __init__(self, function: Callable[..., Any], folder: Path) -> None:
        self._lineno = function.__code__.co_firstlineno
        self._locator = _Locator(function, folder)
        self._filename_base = self.get_filename_base(function.__qualname__, "")


class _Locator(caching._CacheLocator):
    def __init__(self, function: Callable[..., Any], folder: Path) -> None:
        self._py_file = function.__code__.co_filename  # numba names it when it warns
        self._path = str(folder / function.__module__)
        self._line = str(function.__code__.co_firstlineno)

    def get_cache_path(self) -> str:
        return self._path

    def get_source_stamp(self) -> str:
        return NAME

    def get_disambiguator(self) -> str:
        return self._line


class _Announcer(event.Listener):
    def on_start(self, _event: object) -> None:
        compilation_begins()

    def on_end(self, _event: object) -> None:
        compilation_ends()


event.register("numba:compile", _Announcer())
