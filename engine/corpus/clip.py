"""A clip: a recording as every method hears it, in chunks of one second, the last one what is left."""

import math

import numpy as np
import numpy.typing as npt

from earmark.engine.arrays import Waveform

CHUNK_SAMPLES = 16_000  # one second at 16 kHz
MOST_CHUNKS = 120  # a longer clip is cut
_FULL_SCALE = 2**15  # of samples of 16 bits


def clip(waveform: Waveform) -> Waveform:
    """A recording padded to one chunk and cut after MOST_CHUNKS (method 1)."""
    audio = np.ascontiguousarray(waveform[: MOST_CHUNKS * CHUNK_SAMPLES], dtype=np.float32)
    return np.pad(audio, (0, CHUNK_SAMPLES - len(audio))) if len(audio) < CHUNK_SAMPLES else audio


def chunk_count(audio: Waveform) -> int:
    """T: the whole seconds of a clip, and one more for a rest."""
    return math.ceil(len(audio) / CHUNK_SAMPLES)


def as_16_bits(samples: Waveform) -> npt.NDArray[np.int16]:
    """Samples as whole numbers of 16 bits; what is beyond full scale is clipped."""
    whole: Waveform = np.rint(samples * np.float32(_FULL_SCALE))
    return np.clip(whole, -_FULL_SCALE, _FULL_SCALE - 1).astype(np.int16)
