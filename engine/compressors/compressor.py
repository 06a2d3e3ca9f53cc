"""What a compressor is to everybody who compresses: clips, perhaps their questions, and a budget in; excerpts out.

Knows clips, hashes and the places of whole seconds; no way of compressing.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

import numpy as np

from earmark.engine.arrays import Scores, Waveform
from earmark.engine.compressors.card import Card
from earmark.engine.compressors.tokens.reducing import ReductionSpec
from earmark.engine.corpus.clip import CHUNK_SAMPLES, chunk_count
from earmark.engine.corpus.clip import clip as as_clip
from earmark.engine.corpus.example import Audio
from earmark.engine.design.compressors import SAMPLE_BITS, Axis


class Wave(NamedTuple):
    """Samples of one recording: all of its clip, or some whole seconds, which keep their places in it."""

    audio: Audio  # compared by value: equal ones are opened once
    places: tuple[int, ...]  # rising; of the seconds of the clip, the last of which may be short
    n_samples: int


@dataclass(frozen=True, slots=True)
class Excerpt:
    """What may be heard of a clip.

    `hash` is of all that a model gets, never of the method or the budget: equal excerpts are one piece of work. Where
    nothing is dropped it is the hash of the clip.
    """

    wave: Wave
    hash: str
    bits: int | None = field(default=None, compare=False)  # that are sent for it; None: its compressor does not say
    reduction: ReductionSpec | None = None  # of what the encoder makes of it; None: all of that is heard
    encoding: str = ""  # hash of what is encoded; empty: `hash` is

    @property
    def encoded_as(self) -> str:
        """The hash of the samples that are encoded, whatever is then heard of them."""
        return self.encoding or self.hash

    def reduced(self, spec: ReductionSpec) -> "Excerpt":
        """The same samples, of whose encoding less is heard."""
        name = hashlib.blake2b(f"{self.hash}\n{spec.words}".encode(), digest_size=16).hexdigest()
        return replace(self, hash=name, reduction=spec, encoding=self.hash)

    @classmethod
    def of(cls, audio: Audio, clip: Waveform, places: Iterable[int] | None = None) -> "Excerpt":
        """These seconds (rising) of `clip`, which `audio` opens to; all of it where none are named."""
        seconds = tuple(range(chunk_count(clip)) if places is None else map(int, places))
        samples = samples_at(clip, seconds)
        return cls(Wave(audio, seconds, len(samples)), audio_hash(samples), len(samples) * SAMPLE_BITS)


@dataclass(frozen=True, slots=True)
class ChangedAudio:
    """What a compressor made of a recording: samples of its own, known by their hash."""

    name: str = field(compare=False)
    hash: str
    audio: Waveform = field(compare=False, repr=False)

    def waveform(self) -> Waveform:
        return self.audio


class Refused(NamedTuple):
    """Why a compressor made nothing of a clip: the status of its row."""

    status: str


@dataclass(frozen=True, slots=True, eq=False)
class OpenedClip:
    """A clip that is in memory already, as an answerer opens it. Excerpts of it are made here."""

    name: str
    audio: Waveform = field(repr=False)
    _cut: dict[tuple[int, ...], Excerpt] = field(default_factory=dict, init=False, repr=False)

    def waveform(self) -> Waveform:
        return self.audio

    def seconds(self, places: Iterable[int]) -> Excerpt:
        """The seconds at these places (rising); equal ones are cut and hashed once."""
        key = tuple(map(int, places))
        if key not in self._cut:
            self._cut[key] = Excerpt.of(self, self.audio, key)
        return self._cut[key]

    def whole(self) -> Excerpt:
        """All of it."""
        return self.seconds(range(chunk_count(self.audio)))

    def changed(self, samples: Waveform, bits: int | None) -> Excerpt:
        """Samples that a compressor made of the clip, at the same rate, and the bits that were sent for them (None:
        nobody knows); equal ones are one piece of work.
        """
        audio = as_clip(samples)
        changed = ChangedAudio(self.name, audio_hash(audio), audio)
        return Excerpt(Wave(changed, tuple(range(chunk_count(audio))), len(audio)), changed.hash, bits)


class ClipAndQuestion(NamedTuple):
    """What a compressor may know of an example."""

    sample_id: str
    clip: OpenedClip
    question: str | None  # None for one that reads no questions
    choices: tuple[str, ...] = ()  # of that question


class Compressor(Protocol):
    """A way to let less audio through.

    To bring one: write `excerpts`, each made by `clip.seconds` or by `clip.changed`; `rank` returns an empty array for
    each clip where there is nothing to rank. Fakes of twenty lines in `tests/support/seams.py` run a whole sweep.
    """

    name: str
    axis: Axis  # what a budget is a share of
    reads_question: bool
    identity: str | None  # what its excerpts depend on beside clip, question and budget: weights, a library's version
    card: Card | None  # where it comes from and what trained it; None where nothing was trained

    def rank(self, clips: Sequence[ClipAndQuestion]) -> list[Scores]:
        """What it thinks of each clip, computed once for all budgets."""

    def excerpts(
        self, clips: Sequence[ClipAndQuestion], scores: Sequence[Scores], budget: float
    ) -> Iterator[Excerpt | Refused]:
        """What is left of each clip within a budget, in order."""


def samples_at(clip: Waveform, places: Sequence[int]) -> Waveform:
    """The samples of the seconds at these places (rising) of a clip."""
    if len(places) == chunk_count(clip):
        return clip
    return np.concatenate([clip[i * CHUNK_SAMPLES : (i + 1) * CHUNK_SAMPLES] for i in places])


def audio_hash(audio: Waveform) -> str:
    """128 bits of BLAKE2b of the samples, as hexadecimal."""
    return hashlib.blake2b(np.ascontiguousarray(audio, dtype="<f4").data, digest_size=16).hexdigest()
