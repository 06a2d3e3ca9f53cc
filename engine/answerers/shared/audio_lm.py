"""What a model can do whose computations are shared: open a clip, encode excerpts, prefill, and score questions.

A context is what a question comes after: audio that was encoded, or encoded and prefilled (the keys and values that its
questions share). Nobody outside `shared` and the models knows this protocol.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from earmark.engine.answerers.prompt import Template
from earmark.engine.answerers.shared.cost import Cost, ModelShape
from earmark.engine.answerers.shared.encodings import RawStates
from earmark.engine.arrays import FloatArray, IntArray, Waveform
from earmark.engine.compressors.tokens.reduction import Reduction

Tokens = tuple[int, ...]


class OutOfMemoryError(Exception):
    """The device had no room for this batch; a smaller one may fit."""


class Held(Protocol):
    """Something that takes memory as long as it is referred to."""

    @property
    def nbytes(self) -> int: ...


class Reply:
    """What came after one question."""

    __slots__ = ("option_nll", "text")

    def __init__(self, option_nll: npt.NDArray[np.float64], text: str | None = None) -> None:
        self.option_nll = option_nll  # (options,) minus log-probability of each letter, over the whole vocabulary
        self.text = text  # what was generated; None where nothing was


class EncodedPart(NamedTuple):
    """One row of an encoding, and what is to be heard of it."""

    encoded: Any
    row: int
    reduction: Reduction | None  # None: all of it
    sized: bool


class PrunedPart(NamedTuple):
    """Audio and text behind some layers, and which positions of the audio go on."""

    behind: RawStates  # (n + text, bytes of a position), as `AudioLM.below` returns them
    layer: int  # how many layers they are behind
    reduction: Reduction  # of the n
    sized: bool


class EvictedPart(NamedTuple):
    """Keys and values of one audio and the text behind it, and which of the audio's stay."""

    entries: RawStates  # (n + text, bytes of a position), as `AudioLM.cached` returns them
    n: int
    kept: IntArray  # (layers, kv heads, k), rising
    sizes: FloatArray | None  # (k,) how many positions each stands for, in all heads alike; None: one


class AudioLM(Protocol):
    """A model whose encodings, keys and values can be shared, as the scheduler uses it.

    `answerers.qwen` implements it, and a fake in the tests; `SharedAnswerer` makes an answerer of it.
    """

    name: str
    template: Template
    shape: ModelShape
    counted: Cost  # what was run since it was loaded

    @property
    def identity(self) -> str:
        """What its answers depend on: weights, number format, prompts. Equal identities answer alike."""

    def tokenize(self, texts: Sequence[str]) -> list[Tokens]:
        """Tokens of parts of prompts, special tokens included."""

    def open(self, waveform: Waveform) -> Held:
        """A whole clip, ready for any subset of its seconds to be encoded."""

    def encode(self, clips: Sequence[Any], places: Sequence[Sequence[int]]) -> Held:
        """The audio tokens of the seconds at these places of these opened clips."""

    def states(self, encoded: Any, row: int) -> FloatArray:
        """(n, width) the audio tokens of a row, as reductions look at them."""

    def raw_states(self, encoded: Any, row: int) -> RawStates:
        """The same as they lie in memory, to be kept."""

    def encoded_of(self, raw: RawStates) -> Held:
        """One row, of what was kept."""

    def gathered(self, parts: Sequence[EncodedPart]) -> Held:
        """The means of groups of audio tokens, a row for each part."""

    def prefill(self, encoded: Any, stems: Sequence[Tokens]) -> Held:
        """Keys and values after the prefix, each encoded audio and the stem its questions share."""

    def score(
        self, context: Any, rows: Sequence[int], questions: Sequence[Tokens], options: Sequence[int]
    ) -> list[Reply]:
        """How likely each letter is to come next after context row `rows[i]` and question i (one token or more)."""

    def generate(
        self, context: Any, rows: Sequence[int], questions: Sequence[Tokens], options: Sequence[int], limit: int
    ) -> list[Reply]:
        """The same, and at most `limit` greedy tokens as text; stops early only where the letter cannot change."""

    def below(self, parts: Sequence[EncodedPart], texts: Sequence[Tokens], layer: int) -> list[RawStates]:
        """Each audio and the text behind it, after so many layers: states, and how much the last position attended to
        every one in the last of these layers, as they are to be kept.
        """

    def attended(self, behind: RawStates) -> FloatArray:
        """(heads, positions) how much the last position attended to each."""

    def above(self, parts: Sequence[PrunedPart], options: Sequence[int]) -> list[Reply]:
        """How likely each letter is to come next, after the other layers have read what goes on."""

    def cached(self, parts: Sequence[EncodedPart], text: Tokens) -> list[RawStates]:
        """Keys and values of each audio and the text behind it, in all layers, as they are to be kept."""

    def keys(self, entries: RawStates, n: int) -> FloatArray:
        """(layers, kv heads, n, size) of the audio."""

    def watched(self, entries: Sequence[RawStates], n: Sequence[int], questions: Sequence[Tokens]) -> list[FloatArray]:
        """(layers, kv heads, n) how much all positions of each question attend to each key of its audio."""

    def evicted(self, parts: Sequence[EvictedPart]) -> Held:
        """A context of what stays: what comes next is where it would be if nothing had been dropped."""

    def alone(self, waveform: Waveform, prefix: str, question: str, options: int, generate: int = 0) -> Reply:
        """The slow twin: one request through the plain model, nothing shared, nothing trimmed."""
