"""Playing a clip faster at its own pitch, so that less of it has to be heard. Knows samples and a budget."""

from earmark.engine.arrays import Waveform
from earmark.engine.compressors.waves.wave_method import Sent
from earmark.engine.corpus.example import SAMPLE_RATE
from earmark.engine.design.compressors import SAMPLE_BITS

FRAME_MS, SEARCH_MS = 25, 10  # two frames overlap by half; each is taken from up to so far from its place


class Speed:
    """WSOLA: a budget is the share of the duration that is left, a speed of 1 / budget."""

    identity = f"WSOLA, frames of {FRAME_MS} ms, search of {SEARCH_MS} ms"
    keeps_length = False

    def send(self, samples: Waveform, budget: float) -> Sent:
        from earmark.kernels.waves.wsola import time_scaled

        n_out = max(1, round(len(samples) * budget))
        faster = time_scaled(samples, n_out, SAMPLE_RATE * FRAME_MS // 1000, SAMPLE_RATE * SEARCH_MS // 1000)
        return Sent(faster, SAMPLE_BITS * n_out)
