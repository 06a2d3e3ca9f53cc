"""Functions that users bring as compressors, by their module or by an entry point.

Loaded and run in processes of a pool alone, for their code may do anything.
"""

import importlib
import importlib.metadata
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from earmark.engine.arrays import Waveform
from earmark.engine.compressors.waves.arrived import bits_of
from earmark.engine.compressors.waves.wave_method import Sent, WaveRecipe
from earmark.engine.corpus.example import SAMPLE_RATE
from earmark.engine.design.compressors import BUILT_IN, RAW_KBPS, is_brought
from earmark.engine.design.sections import HEURISTICS
from earmark.engine.errors import InputError, first_few, instead
from earmark.engine.printable import printable
from earmark.engine.reading import sha256

GROUP = "earmark.compressors"  # of entry points
SAME_LENGTH = ("bits", "bandwidth")  # axes on which a clip stays as long as it is

Compressing = Callable[[Waveform, int, float], Any]


class BroughtFunction:
    """A function of samples, rate and budget, which returns samples, or samples and what was sent."""

    def __init__(self, function: Compressing, identity: str, axis: str) -> None:
        self.identity = identity
        self.keeps_length = axis in SAME_LENGTH
        self._function = function
        self._counts_bits = axis == "bits"

    def send(self, samples: Waveform, budget: float) -> Sent:
        """What the function returned, unchecked."""
        returned = self._function(samples.copy(), SAMPLE_RATE, budget)
        if isinstance(returned, tuple) and len(returned) == 2:
            return Sent(returned[0], bits_of(returned[1], self._planned_bits(len(samples), budget)))
        return Sent(returned, None)

    def _planned_bits(self, n_samples: int, budget: float) -> float | None:
        """What a budget stands for, where it is one of bits."""
        return 1000 * RAW_KBPS * budget * n_samples / SAMPLE_RATE if self._counts_bits else None


def function_of(recipe: WaveRecipe, where: str) -> BroughtFunction:
    """The function that stands at package.module:function; InputError in words where there is none."""
    module_name, _, path = recipe.compressor.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise _not_imported(where, error) from None
        do = "install it, or run in the folder where it lies"
        if module_name.endswith(".py"):
            do = f"name a module, not its file: {Path(module_name).stem}:{path}"
        raise InputError(where, f"there is no module {error.name}", do) from None
    except Exception as error:  # whatever the code of others raises
        raise _not_imported(where, error) from None
    function: Any = module
    for name in path.split("."):
        function = getattr(function, name, None)
    return BroughtFunction(*_with_identity(function, where, recipe.compressor, module_name), recipe.axis)


def entry_point_of(recipe: WaveRecipe, where: str) -> BroughtFunction:
    """The function behind an entry point of earmark.compressors; InputError with those there are for another name."""
    point = _entry_point(recipe.compressor, where)
    try:
        function = point.load()
    except Exception as error:
        raise _not_imported(where, error) from None
    version = f" {point.dist.name} {point.dist.version}" if point.dist is not None else ""
    label = f"{point.name}{version}"
    return BroughtFunction(*_with_identity(function, where, label, point.module), recipe.axis)


def _entry_point(name: str, where: str) -> importlib.metadata.EntryPoint:
    """The one entry point of this name."""
    points = importlib.metadata.entry_points(group=GROUP)
    same = {_package_of(point): point for point in points if point.name == name}
    if len(same) > 1:
        do = "name package.module:function"
        raise InputError(where, f"several packages bring it: {first_few(sorted(same), 10)}", do)
    for point in same.values():
        return point
    if name in HEURISTICS:
        raise InputError(where, "is a selector of chunks", f'write selector = "{name}" instead')
    names = sorted({point.name for point in points if is_brought(point.name) and ":" not in point.name})
    known = f"installed packages bring {first_few(names, 10)}" if names else "no package brings one"
    do = instead(name, [*BUILT_IN, *names], f"name a built-in one, or package.module:function ({known})")
    raise InputError(where, "there is no such compressor", do)


def _package_of(point: importlib.metadata.EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.value


def _not_imported(where: str, error: Exception) -> InputError:
    what = f"cannot be imported ({type(error).__name__}: {first_words(str(error))})"
    return InputError(where, what, "make `import` of it work")


def _with_identity(function: Any, where: str, label: str, module: str) -> tuple[Compressing, str]:
    """A function, and which it is: by the file of the module that is named and the file that it comes from."""
    if not callable(function):
        raise InputError(where, "names no function", "name package.module:function")
    names = dict.fromkeys([module, getattr(function, "__module__", None) or module])
    files = [getattr(sys.modules.get(name), "__file__", None) for name in names]
    hashes = dict.fromkeys(hash_of(Path(file)) for file in files if file is not None)
    if not hashes:
        raise InputError(where, "comes from no file, so that nobody could tell when it changes", "put it into one")
    return function, f"{label}, sha256 {' '.join(hashes)}"


def hash_of(path: Path) -> str:
    """The SHA-256 of a file of a user."""
    return sha256(path, "name a file that can be read")


def first_words(text: str) -> str:
    """The beginning of the first line of a text of others, as a terminal shows it."""
    return printable((text.strip().splitlines() or [""])[0][:200])
