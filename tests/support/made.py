"""Recordings that are made up, and do what a test wants: break, die, or tell that they were decoded.

In a module of its own, because worker processes import it.
"""

import os
import signal
from dataclasses import dataclass

import numpy as np

from earmark.engine.arrays import Waveform
from earmark.engine.corpus.example import AudioError, Example, Question


@dataclass(frozen=True, slots=True)
class Made:
    """A recording of this many seconds; what is odd about it, `does` says."""

    length_s: float
    does: str = ""
    number: int = 0

    @property
    def name(self) -> str:
        return f"made {self.number}"

    def waveform(self) -> Waveform:
        if self.does == "break":
            raise AudioError("is broken")
        if self.does == "die":
            os._exit(3)
        if self.does == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.does == "bug":
            raise ZeroDivisionError("a bug\nin two lines")
        if self.does == "hungry":
            raise MemoryError
        if self.does.startswith("log "):
            with open(self.does[4:], "a") as file:
                file.write(f"{self.number}\n")
        return np.full(int(self.length_s * 16_000), self.number % 7, dtype=np.float32)


def asked(*audios: Made) -> list[Example]:
    return [Example(f"s{i}", audio.name, audio, Question("?", ("a", "b"), 0)) for i, audio in enumerate(audios)]
