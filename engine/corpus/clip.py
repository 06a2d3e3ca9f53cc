"""A clip: a recording as every method hears it, in chunks of one second, the last one what is left."""

import math

import numpy as np

from earmark.engine.arrays import Waveform

CHUNK_SAMPLES = 16_000  # one second at 16 kHz
MOST_CHUNKS = 120  # a longer clip is cut


def clip(waveform: Waveform) -> Waveform:
    """A recording padded to one chunk and cut after MOST_CHUNKS (method 1)."""
    audio = np.ascontiguousarray(waveform[: MOST_CHUNKS * CHUNK_SAMPLES], dtype=np.float32)
    return np.pad(audio, (0, CHUNK_SAMPLES - len(audio))) if len(audio) < CHUNK_SAMPLES else audio


def chunk_count(audio: Waveform) -> int:
    """T: the whole seconds of a clip, and one more for a rest."""
    return math.ceil(len(audio) / CHUNK_SAMPLES)
