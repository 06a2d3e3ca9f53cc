"""Commands that users bring as compressors, run once for every clip, each in a group of processes of its own.

What a command is: its words, its program, and every file that it names. A file that it names and changes itself makes
another command of it.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

from earmark.engine.arrays import Waveform
from earmark.engine.compressors.waves.brought import SAME_LENGTH, first_words, hash_of
from earmark.engine.compressors.waves.wave_method import CompressorError, Sent, WaveRecipe
from earmark.engine.corpus.example import SAMPLE_RATE, AudioError
from earmark.engine.design.compressors import RAW_KBPS, RAW_KHZ
from earmark.engine.errors import InputError

_MOST_WORDS = 1 << 12  # bytes of what a command complains of that are read again
_GRACE_S = 0.5  # for the rest of its complaint; something that it started may hold the pipe
_TAKES_SCRIPT = re.compile(r"-[a-z]*c")  # the option of a shell before the text that it runs
_OWN_GROUP: dict[str, Any] = {} if sys.platform == "win32" else {"process_group": 0}


class BroughtCommand:
    """A command that reads {in} and writes {out}, both WAV; {sent} is what it writes on the way, whose size counts."""

    def __init__(self, recipe: WaveRecipe, began: Callable[[int], None]) -> None:
        self._words = _words_of(recipe)
        self._files = _NamedFiles(_files_of(self._words))
        self.identity = f"command {recipe.command}, sha256 {' '.join(self._files.hashes)}"
        self.keeps_length = recipe.axis in SAME_LENGTH
        self._began = began

    def send(self, samples: Waveform, budget: float) -> Sent:
        """What the command wrote; CompressorError with its last line where it fails."""
        import soundfile

        if self._files.have_changed():
            raise CompressorError("was changed during the run")
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
            _run([_filled(word, values) for word in self._words], self._began)
            return Sent(_wave_in(folder / "out.wav"), self._bits_in(folder))

    def _bits_in(self, folder: Path) -> int | None:
        """The size of what was sent, whatever ending the command gave it; None where the command names none."""
        if not any("{sent}" in word for word in self._words):
            return None
        sent = [path for path in folder.iterdir() if path.name.startswith("sent") and path.is_file()]
        if not sent:
            raise CompressorError("wrote no {sent}")
        return 8 * sum(path.stat().st_size for path in sent)


class _NamedFiles:
    """Files of others by their hashes. A change shows by size, time or inode before anything is read again."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._looks = {path: _look(path) for path in paths}  # first: what changes meanwhile shows later
        self._hashes = {path: hash_of(path) for path in self._looks}

    @property
    def hashes(self) -> list[str]:
        """Each once."""
        return list(dict.fromkeys(self._hashes.values()))

    def have_changed(self) -> bool:
        """Whether any is not what it was, or not there any more."""
        try:
            for path, before in self._looks.items():
                now = _look(path)
                if now != before and hash_of(path) != self._hashes[path]:
                    return True
                self._looks[path] = now
        except InputError:
            return True
        return False


def end_group(group: int) -> None:
    """Kill a group of processes, where there are groups."""
    if sys.platform != "win32":
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


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


def _files_of(words: Sequence[str]) -> Iterator[Path]:
    """The program; the files that arguments are, or name behind an =; and those in the text that a shell runs."""
    yield Path(words[0])
    for before, word in pairwise(words):
        if (path := _file_in(word)) is not None:
            yield path
        elif _TAKES_SCRIPT.fullmatch(before):
            for inner in _words_of_script(word):
                if (path := _file_in(inner) or _program(inner)) is not None:
                    yield path


def _words_of_script(script: str) -> Iterator[str]:
    """The words of a shell's text but for the files that it writes to."""
    lexer = shlex.shlex(script, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        words = list(lexer)
    except ValueError:
        words = script.split()
    for before, word in pairwise(["", *words]):
        if ">" not in before:
            yield word


def _file_in(word: str) -> Path | None:
    """The file that a word is, or that stands behind its first =."""
    for name in (word, word.partition("=")[2]):
        with suppress(OSError, ValueError):
            if Path(name).is_file():
                return Path(name)
    return None


def _program(word: str) -> Path | None:
    with suppress(ValueError):
        program = shutil.which(word)
        return Path(program) if program is not None else None
    return None


def _look(path: Path) -> tuple[int, int, int] | None:
    """What changes with a file; None where there is none."""
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_size, about.st_mtime_ns, about.st_ino


def _filled(word: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        word = word.replace(name, value)
    return word


def _run(words: list[str], began: Callable[[int], None]) -> None:
    """Run a command until it leaves, and end what it left behind in its group; the pool ends one that stays."""
    command = subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **_OWN_GROUP
    )
    assert command.stderr is not None, "it was asked for"
    began(command.pid)
    complaint = bytearray()
    reader = threading.Thread(target=_keep_end, args=(command.stderr, complaint), daemon=True)
    reader.start()
    code = command.wait()
    end_group(command.pid)
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
