"""The noun every later room takes: one question about one recording, with its options and its right answer.

Knows no benchmark and no file format: an `Audio` knows where the recording is and how to decode it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from earmark.engine.arrays import Waveform

SAMPLE_RATE = 16_000
MOST_SECONDS = 120  # what a clip is cut to (method 1): nothing behind it is decoded
LFS = b"version https://git-lfs"  # how a pointer of Git LFS starts, where a file was never downloaded


class Audio(Protocol):
    """Where a recording is: a small value that pickles, so that a worker process can open it."""

    @property
    def name(self) -> str:
        """What to call it in messages: a path, a member of an archive, a row of a table."""

    def waveform(self) -> Waveform:
        """Open, decode and resample it; raises `AudioError` with the reason where that cannot be done."""


class AudioError(Exception):
    """A recording that cannot be heard: its message is the status of the row, never the end of a run."""


class Question(NamedTuple):
    """What can be asked about any recording: a text, its options in order, and which of them is right."""

    text: str
    choices: tuple[str, ...]
    answer: int  # index of the right choice


@dataclass(frozen=True, slots=True)
class Example:
    """One multiple-choice question about one recording."""

    sample_id: str
    source_id: str  # the recording it was cut from: rows that share it are not independent
    audio: Audio
    question: Question
    labels: Mapping[str, str] = field(default_factory=dict)  # the benchmark's own columns a partition may use
