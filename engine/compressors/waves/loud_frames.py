"""The loudness gate: the loudest 20 ms of a clip, joined in the order of time. Knows samples and a budget."""

import numpy as np

from earmark.engine.arrays import FloatArray, IntArray, Waveform
from earmark.engine.compressors.chunks.cutting import kept_chunks, top_chunks
from earmark.engine.compressors.waves.wave_method import Sent
from earmark.engine.design.compressors import SAMPLE_BITS

FRAME_SAMPLES = 320  # 20 ms


class LoudFrames:
    """Keeps the share of the frames that are the loudest; the earlier of equal ones."""

    identity = f"frames of {FRAME_SAMPLES} samples by RMS"
    keeps_length = False

    def send(self, samples: Waveform, budget: float) -> Sent:
        begins = np.arange(0, len(samples), FRAME_SAMPLES)
        kept = begins[top_chunks(_loudness(samples, begins), kept_chunks(budget, len(begins)))]
        loud = np.concatenate([samples[begin : begin + FRAME_SAMPLES] for begin in kept])
        return Sent(loud, SAMPLE_BITS * len(loud))


def _loudness(samples: Waveform, begins: IntArray) -> FloatArray:
    """(frames,) the root of the mean square of each; the last frame may be a short one."""
    squares = np.square(samples.astype(np.float64))
    lengths = np.minimum(FRAME_SAMPLES, len(samples) - begins)
    return np.sqrt(np.add.reduceat(squares, begins) / lengths)
