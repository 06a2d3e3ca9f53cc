"""Compressors that users bring: a function, by its module or by an entry point, and a command.

Loaded and run in processes of a pool alone, for their code may do anything.
"""

import importlib
import importlib.metadata
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any

from earmark.engine.arrays import Waveform
from earmark.engine.compressors.waves.arrived import bits_of
from earmark.engine.compressors.waves.wave_method import CompressorError, Sent, WaveRecipe
from earmark.engine.corpus.example import SAMPLE_RATE, AudioError
from earmark.engine.design.compressors import RAW_KBPS, RAW_KHZ
from earmark.engine.errors import InputError, first_few
from earmark.engine.printable import printable
from earmark.engine.reading import sha256

GROUP = "earmark.compressors"  # of entry points
_SAME_LENGTH = ("bits", "bandwidth")  # axes on which a clip stays as long as it is
_MOST_WORDS = 1 << 12  # bytes of what a command complains of that are read again
_GRACE_S = 0.5  # for the rest of its complaint; something that it started may hold the pipe

Compressing = Callable[[Waveform, int, float], Any]


class BroughtFunction:
    """A function of samples, rate and budget, which returns samples, or samples and what was sent."""

    def __init__(self, function: Compressing, identity: str, axis: str) -> None:
        self.identity = identity
        self.keeps_length = axis in _SAME_LENGTH
        self._function = function

    def send(self, samples: Waveform, budget: float) -> Sent:
        """What the function returned, unchecked."""
        returned = self._function(samples.copy(), SAMPLE_RATE, budget)
        if isinstance(returned, tuple) and len(returned) == 2:
            return Sent(returned[0], bits_of(returned[1]))
        return Sent(returned, None)


class BroughtCommand:
    """A command that reads {in} and writes {out}, both WAV; {sent} is what it writes on the way, whose size counts."""

    def __init__(self, recipe: WaveRecipe) -> None:
        self._words = _words_of(recipe)
        self.identity = f"command {recipe.command}, sha256 {' '.join(_hashes(self._files()))}"
        self.keeps_length = recipe.axis in _SAME_LENGTH

    def send(self, samples: Waveform, budget: float) -> Sent:
        """What the command wrote; CompressorError with its last line where it fails."""
        import soundfile

        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            soundfile.write(folder / "in.wav", samples, SAMPLE_RATE, subtype="PCM_16")
            values = {
                "{in}": str(folder / "in.wav"),
                "{out}": str(folder / "out.wav"),
                "{sent}": str(folder / "sent"),
                "{budget}": f"{budget:g}",
                "{kbps}": f"{RAW_KBPS * budget:g}",
                "{khz}": f"{RAW_KHZ * budget:g}",
                "{factor}": f"{1 / budget:g}",
            }
            _run([_filled(word, values) for word in self._words])
            return Sent(_wave_in(folder / "out.wav"), self._bits_in(folder))

    def _bits_in(self, folder: Path) -> int | None:
        """The size of what was sent, whatever ending the command gave it; None where the command names none."""
        if not any("{sent}" in word for word in self._words):
            return None
        sent = [path for path in folder.iterdir() if path.name.startswith("sent") and path.is_file()]
        if not sent:
            raise CompressorError("wrote no {sent}")
        return 8 * sum(path.stat().st_size for path in sent)

    def _files(self) -> list[Path]:
        """The program, and every file that its arguments name: a script, weights."""
        return [Path(self._words[0]), *(Path(word) for word in self._words[1:] if _is_file(word))]


def function_of(recipe: WaveRecipe, where: str) -> BroughtFunction:
    """The function that stands at package.module:function; InputError in words where there is none."""
    module_name, _, path = recipe.compressor.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise _not_imported(where, error) from None
        do = "install it, or run in the folder where it lies"
        raise InputError(where, f"there is no module {error.name}", do) from None
    except Exception as error:  # whatever the code of others raises
        raise _not_imported(where, error) from None
    function: Any = module
    for name in path.split("."):
        function = getattr(function, name, None)
    return BroughtFunction(*_with_identity(function, where, recipe.compressor, module_name), recipe.axis)


def entry_point_of(recipe: WaveRecipe, where: str) -> BroughtFunction:
    """The function behind an entry point of earmark.compressors; InputError with those there are for another name."""
    points = {point.name: point for point in importlib.metadata.entry_points(group=GROUP)}
    point = points.get(recipe.compressor)
    if point is None:
        known = f"installed packages bring {first_few(sorted(points), 10)}" if points else "no package brings one"
        do = f"name a built-in one, or package.module:function ({known})"
        raise InputError(where, "there is no such compressor", do)
    try:
        function = point.load()
    except Exception as error:
        raise _not_imported(where, error) from None
    version = f" {point.dist.name} {point.dist.version}" if point.dist is not None else ""
    label = f"{point.name}{version}"
    return BroughtFunction(*_with_identity(function, where, label, point.module), recipe.axis)


def _not_imported(where: str, error: Exception) -> InputError:
    what = f"cannot be imported ({type(error).__name__}: {first_words(str(error))})"
    return InputError(where, what, "make `import` of it work")


def _with_identity(function: Any, where: str, label: str, module: str) -> tuple[Compressing, str]:
    """A function, and which it is: by the file of the module that is named and the file that it comes from."""
    if not callable(function):
        raise InputError(where, "names no function", "name package.module:function")
    names = dict.fromkeys([module, getattr(function, "__module__", None) or module])
    files = [getattr(sys.modules.get(name), "__file__", None) for name in names]
    hashes = _hashes(Path(file) for file in files if file is not None)
    if not hashes:
        raise InputError(where, "comes from no file, so that nobody could tell when it changes", "put it into one")
    return function, f"{label}, sha256 {' '.join(hashes)}"


def _hashes(files: Iterable[Path]) -> list[str]:
    """The SHA-256 of each file, each once."""
    return list(dict.fromkeys(sha256(path, "name a file that can be read") for path in files))


# A command ------------------------------------------------------------------------------------------------


def _words_of(recipe: WaveRecipe) -> list[str]:
    """A command in words, the first of which is the path of its program; no shell reads it."""
    where = f"command {recipe.command}"
    try:
        words = shlex.split(recipe.command)
    except ValueError as error:
        raise InputError(where, f"cannot be split into words ({error})", "close every quotation mark") from None
    for needed in ("{in}", "{out}"):
        if not any(needed in word for word in words[1:]):
            do = f"write {needed} where the command takes the file that it {'reads' if needed == '{in}' else 'writes'}"
            raise InputError(where, f"does not name {needed}", do)
    program = shutil.which(words[0])
    if program is None:
        raise InputError(where, f"there is no program {words[0]}", "install it, or write its whole path")
    return [program, *words[1:]]


def _is_file(word: str) -> bool:
    try:
        return Path(word).is_file()
    except (OSError, ValueError):
        return False


def _filled(word: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        word = word.replace(name, value)
    return word


def _run(words: list[str]) -> None:
    """Run a command to its end, which its process group or the time limit of the pool sets otherwise."""
    command = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert command.stderr is not None, "it was asked for"
    complaint = bytearray()
    reader = threading.Thread(target=_keep_end, args=(command.stderr, complaint), daemon=True)
    reader.start()
    code = command.wait()
    reader.join(_GRACE_S)
    if not reader.is_alive():
        command.stderr.close()
    if code:
        ending = f"left with exit code {code}" if code > 0 else f"died (signal {-code})"
        lines = [line.strip() for line in complaint.decode(errors="replace").splitlines() if line.strip()]
        raise CompressorError(f"{ending}: {first_words(lines[-1])}" if lines else ending)


def _keep_end(pipe: IO[bytes], complaint: bytearray) -> None:
    """Read a pipe to its end, and keep the last bytes."""
    while data := pipe.read(1 << 16):
        complaint += data
        del complaint[:-_MOST_WORDS]


def _wave_in(path: Path) -> Waveform:
    """The wave that a command wrote, at 16 kHz."""
    import soundfile

    from earmark.engine.corpus import decode

    if not path.exists():
        raise CompressorError("wrote no {out}")
    try:
        samples = decode.waveform(str(path))
        rate = soundfile.info(path).samplerate
    except AudioError as error:
        raise CompressorError(f"{{out}} {error}") from None
    if rate != SAMPLE_RATE:
        raise CompressorError(f"returned another rate ({rate} Hz)")
    return samples


def first_words(text: str) -> str:
    """The beginning of the first line of a text of others, as a terminal shows it."""
    return printable((text.strip().splitlines() or [""])[0][:200])
