"""Band-limiting: a clip at a lower sample rate, and back at its own. Knows samples and a budget."""

import soxr

from earmark.engine.arrays import Waveform
from earmark.engine.compressors.waves.codecs import of_length
from earmark.engine.compressors.waves.wave_method import Sent
from earmark.engine.corpus.example import SAMPLE_RATE
from earmark.engine.design.compressors import SAMPLE_BITS

_QUALITY = "VHQ"  # linear phase: nothing is delayed; what is below nine tenths of the cutoff passes as it is


class LowPass:
    """A budget is a share of the bandwidth of 8 kHz, and so of the samples that are sent."""

    identity = f"soxr {soxr.__version__}, {_QUALITY}"
    keeps_length = True

    def send(self, samples: Waveform, budget: float) -> Sent:
        low = soxr.resample(samples, SAMPLE_RATE, SAMPLE_RATE * budget, quality=_QUALITY)
        back = soxr.resample(low, SAMPLE_RATE * budget, SAMPLE_RATE, quality=_QUALITY)
        return Sent(of_length(back, len(samples)), SAMPLE_BITS * len(low))
