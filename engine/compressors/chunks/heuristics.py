"""Selectors that learn nothing: evenly spaced, random and loudest chunks (method 7).

Know waveforms and names, no questions.
"""

import hashlib
from collections.abc import Sequence

import numpy as np

from earmark.engine.arrays import IntArray, Scores, Waveform
from earmark.engine.compressors.chunks.cutting import top_chunks
from earmark.engine.compressors.chunks.selector import Selector, SelectorInput
from earmark.engine.corpus.clip import CHUNK_SAMPLES, chunk_count


class Uniform(Selector):
    """Evenly spaced chunks: all score alike, because the sets of two budgets need not be nested."""

    def scores(self, clips: Sequence[SelectorInput]) -> list[Scores]:
        return [np.zeros(chunk_count(clip.audio)) for clip in clips]

    def keep(self, scores: Scores, k: int) -> IntArray:
        return uniform_chunks(len(scores), k)


class Random(Selector):
    """Chunks drawn for each sample, by its id and a seed."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def scores(self, clips: Sequence[SelectorInput]) -> list[Scores]:
        return [random_scores(clip.sample_id, chunk_count(clip.audio), self.seed) for clip in clips]


class Energy(Selector):
    """The loudest chunks."""

    def scores(self, clips: Sequence[SelectorInput]) -> list[Scores]:
        return [energy_scores(clip.audio) for clip in clips]


def uniform_chunks(chunks: int, k: int) -> IntArray:
    """The chunks in the middle of k equal stretches: evenly spaced for every k, hence not nested over k."""
    if not 1 <= k <= chunks:
        raise ValueError(f"{k} of {chunks} chunks")
    return (2 * np.arange(k, dtype=np.int64) + 1) * chunks // (2 * k)


def random_scores(sample_id: str, chunks: int, seed: int = 0) -> Scores:
    """Independent uniform scores (T,) that depend on the sample and the seed alone."""
    digest = hashlib.blake2b(f"{seed}/{sample_id}".encode(), digest_size=16).digest()
    return np.random.default_rng(int.from_bytes(digest, "little")).random(chunks)


def energy_scores(audio: Waveform) -> Scores:
    """The RMS of each chunk (T,); of the rest, over the samples it has."""
    starts = np.arange(chunk_count(audio)) * CHUNK_SAMPLES
    sums = np.add.reduceat(np.square(audio, dtype=np.float64), starts)
    lengths = np.diff(np.append(starts, len(audio)))
    return np.sqrt(sums / lengths)


def energy_chunks(audio: Waveform, k: int) -> IntArray:
    """The k loudest chunks."""
    return top_chunks(energy_scores(audio), k)


def random_chunks(sample_id: str, chunks: int, k: int, seed: int = 0) -> IntArray:
    """k chunks drawn for the sample; those of a smaller k are among them."""
    return top_chunks(random_scores(sample_id, chunks, seed), k)
