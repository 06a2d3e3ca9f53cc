"""What is left of a clip by chunks, or by scores and a budget, in one call: places, samples, and their hash."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from earmark.engine.arrays import IntArray, Scores, Waveform
from earmark.engine.compressors.chunks.cutting import kept_chunks, top_chunks
from earmark.engine.compressors.compressor import audio_hash, samples_at


class Kept(NamedTuple):
    chunks: IntArray
    audio: Waveform
    hash: str


def keep_chunks(audio: Waveform, chunks: Iterable[int]) -> Kept:
    """These chunks of a clip."""
    places = np.array(list(chunks), dtype=np.int64)
    samples = samples_at(audio, places.tolist())
    return Kept(places, samples, audio_hash(samples))


def keep(audio: Waveform, scores: Scores, budget: float) -> Kept:
    """The best chunks of a clip by its scores (T,)."""
    return keep_chunks(audio, top_chunks(scores, kept_chunks(budget, len(scores))))
