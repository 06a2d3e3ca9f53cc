"""From scores to what the answerer may hear: the best chunks in the order of time, and the hash of their samples.

A chunk is one second, the last one what is left; all of them together are the clip.
"""

import hashlib
import math
from typing import NamedTuple

import numpy as np

from earmark.engine.arrays import IntArray, Scores, Waveform
from earmark.engine.compressors.chunks.budget import kept_chunks

CHUNK_SAMPLES = 16_000  # one second at 16 kHz
MOST_CHUNKS = 120  # a longer clip is cut


class Kept(NamedTuple):
    """What may be heard of a clip."""

    chunks: IntArray  # (k,) indices, rising
    audio: Waveform  # (samples,)
    hash: str  # of the audio's bytes: equal audio is answered once


def clip(waveform: Waveform) -> Waveform:
    """A recording as every method hears it: padded to one chunk, cut after MOST_CHUNKS (SPEC 1)."""
    audio = np.ascontiguousarray(waveform[: MOST_CHUNKS * CHUNK_SAMPLES], dtype=np.float32)
    return np.pad(audio, (0, CHUNK_SAMPLES - len(audio))) if len(audio) < CHUNK_SAMPLES else audio


def chunk_count(audio: Waveform) -> int:
    """T: the whole seconds of a clip, and one more for a rest."""
    return math.ceil(len(audio) / CHUNK_SAMPLES)


def top_chunks(scores: Scores, k: int, tie: float = 0.0) -> IntArray:
    """The k chunks (rising) with the highest scores (T,); among equals the earlier.

    Scores that follow one another in size by no more than `tie` are equal. A grid would not do: it parts two scores
    that differ by a rounding error wherever an edge happens to lie between them.
    """
    if not np.isfinite(scores).all():
        raise ValueError("scores are not finite")
    falling = -np.asarray(scores, dtype=np.float64)
    order = np.argsort(falling, kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.cumsum(np.diff(falling[order], prepend=falling[order[:1]]) > tie)
    return np.sort(np.argsort(rank, kind="stable")[:k]).astype(np.int64)


def keep(audio: Waveform, scores: Scores, budget: float) -> Kept:
    """Keep the best chunks of a clip (T scores) that the budget pays for."""
    chunks = chunk_count(audio)
    if scores.shape != (chunks,):
        raise ValueError(f"scores of shape {scores.shape} for {chunks} chunks")
    return keep_chunks(audio, top_chunks(scores, kept_chunks(budget, chunks)))


def keep_chunks(audio: Waveform, chunks: IntArray) -> Kept:
    """Keep these chunks (rising) of a clip."""
    if len(chunks) == chunk_count(audio):
        kept = audio
    else:
        kept = np.concatenate([audio[i * CHUNK_SAMPLES : (i + 1) * CHUNK_SAMPLES] for i in chunks])
    return Kept(chunks, kept, audio_hash(kept))


def audio_hash(audio: Waveform) -> str:
    """128 bits of BLAKE2b of the samples, as hexadecimal."""
    return hashlib.blake2b(np.ascontiguousarray(audio, dtype="<f4").tobytes(), digest_size=16).hexdigest()
