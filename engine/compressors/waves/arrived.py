"""What may arrive of a clip: finite samples at 16 kHz, one channel, not silent where the clip is not.

Whoever compresses returns what they like; what is no such wave is a CompressorError, the status of the row.
"""

from typing import Any

import numpy as np

from earmark.engine.arrays import Waveform
from earmark.engine.compressors.waves.messages import MOST_SENT_S
from earmark.engine.compressors.waves.wave_method import CompressorError
from earmark.engine.corpus.example import SAMPLE_RATE

_SLACK_S = 0.1  # what keeps a clip's length may be this much longer or shorter, and is cut or padded
_FULL_SCALE = np.float32(2**15)  # of integers of 16 bit
_LOUDEST = 100.0  # times full scale, or times the clip where that goes beyond it: integers that were not scaled
_RATES_HZ = frozenset({8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000})
_PLAUSIBLE = 2  # times as many bits as a budget stands for, or half as many


def arrived(returned: Any, clip: Waveform, keeps_length: bool) -> Waveform:
    """The samples that were returned for a clip, as 32-bit floats; as long as the clip where that is to be kept."""
    samples = _floats(returned)
    _check_length(len(samples), len(clip), keeps_length)
    if not np.isfinite(samples).all():
        raise CompressorError("returned NaN or infinity")
    loudest = _peak(samples)
    if loudest > _LOUDEST * max(1.0, _peak(clip)):
        raise CompressorError(f"returned samples of up to {loudest:.3g}, where full scale is 1")
    if clip.any() and not samples.any():
        raise CompressorError("returned silence")
    if not keeps_length:
        return samples
    return np.pad(samples[: len(clip)], (0, max(0, len(clip) - len(samples))))


def bits_of(sent: Any, planned_bits: float | None = None) -> int | None:
    """How many bits were sent, by what was said of them: their number, the bytes themselves, or None.

    A number that is a sample rate is refused, for `return samples, rate` is what many functions do: unless it is about
    as many bits as were planned for the clip (None: no number was).
    """
    if sent is None:
        return None
    if isinstance(sent, bytes | bytearray | memoryview):
        return 8 * memoryview(sent).nbytes
    if isinstance(sent, bool) or not isinstance(sent, int | np.integer) or not 0 <= sent < 1 << 53:
        raise CompressorError("returned what was sent as neither a number of bits, bytes nor None")
    as_planned = planned_bits is not None and planned_bits <= _PLAUSIBLE * sent <= _PLAUSIBLE**2 * planned_bits
    if sent in _RATES_HZ and not as_planned:
        raise CompressorError(f"returned {sent} as what was sent, a sample rate: return the bytes, or bits")
    return int(sent)


def check_something_sent(bits: int | None, samples: Waveform) -> None:
    """CompressorError where sound arrives, and nothing was sent."""
    if bits == 0 and samples.any():
        raise CompressorError("says that 0 bits were sent, and sound arrives: None says that nobody knows")


def _peak(samples: Waveform) -> float:
    return float(max(samples.max(initial=0), -samples.min(initial=0)))


def _floats(returned: Any) -> Waveform:
    """What was returned as samples of full scale 1; integers of 16 bit are divided."""
    if returned is None:
        raise CompressorError("returned nothing")
    array = np.asarray(returned)
    if array.dtype.kind not in "iuf":
        kind = array.dtype if array.dtype.kind in "bc" else type(returned).__name__
        raise CompressorError(f"returned no real numbers ({kind})")
    if array.ndim != 1:
        raise CompressorError(f"returned an array of {array.ndim} dimensions")
    if array.size > MOST_SENT_S * SAMPLE_RATE:
        raise CompressorError(f"returned {array.size / SAMPLE_RATE:,.1f} s, more than {MOST_SENT_S} s")
    if array.dtype.kind == "i" and array.dtype.itemsize == 2:
        return array.astype(np.float32) / _FULL_SCALE
    if array.dtype.kind != "f":
        raise CompressorError(f"returned whole numbers that are not of 16 bits ({array.dtype})")
    with np.errstate(over="ignore"):  # what overflows is refused as infinity
        return np.ascontiguousarray(array, dtype=np.float32)


def _check_length(n_samples: int, n_clip: int, keeps_length: bool) -> None:
    if n_samples == 0:
        raise CompressorError("returned nothing")
    if keeps_length and abs(n_samples - n_clip) > _SLACK_S * SAMPLE_RATE:
        seconds = f"{n_samples / SAMPLE_RATE:.2f} s for a clip of {n_clip / SAMPLE_RATE:.2f} s"
        raise CompressorError(f"returned another rate or length ({seconds})")
