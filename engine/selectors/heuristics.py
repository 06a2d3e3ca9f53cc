"""Selectors that learn nothing: evenly spaced, random and loudest chunks (SPEC 7).

Each answers which k chunks of a clip to keep, as rising indices. Knows waveforms and names, no questions.
"""

import hashlib

import numpy as np

from earmark.engine.interfaces.keep import (
    CHUNK_SAMPLES,
    FloatArray,
    IntArray,
    Waveform,
    chunk_count,
    top_chunks,
)


def uniform_chunks(chunks: int, k: int) -> IntArray:
    """The chunks in the middle of k equal stretches: evenly spaced for every k, hence not nested over k."""
    if not 1 <= k <= chunks:
        raise ValueError(f"{k} of {chunks} chunks")
    return (2 * np.arange(k, dtype=np.int64) + 1) * chunks // (2 * k)


def random_scores(sample_id: str, chunks: int, seed: int = 0) -> FloatArray:
    """Independent uniform scores (T,) that depend on the sample and the seed alone."""
    digest = hashlib.blake2b(f"{seed}/{sample_id}".encode(), digest_size=16).digest()
    return np.random.default_rng(int.from_bytes(digest, "little")).random(chunks)


def energy_scores(audio: Waveform) -> FloatArray:
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
