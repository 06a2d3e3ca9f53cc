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


def arrived(returned: Any, clip: Waveform, keeps_length: bool) -> Waveform:
    """The samples that were returned for a clip, as 32-bit floats; as long as the clip where that is to be kept."""
    samples = _floats(returned)
    _check_length(len(samples), len(clip), keeps_length)
    if not np.isfinite(samples).all():
        raise CompressorError("returned NaN or infinity")
    if clip.any() and not samples.any():
        raise CompressorError("returned silence")
    if not keeps_length:
        return samples
    return np.pad(samples[: len(clip)], (0, max(0, len(clip) - len(samples))))


def bits_of(sent: Any) -> int | None:
    """How many bits were sent, by what was said of them: their number, the bytes themselves, or None."""
    if sent is None:
        return None
    if isinstance(sent, bytes | bytearray | memoryview):
        return 8 * memoryview(sent).nbytes
    if isinstance(sent, bool) or not isinstance(sent, int | np.integer) or not 0 <= sent < 1 << 53:
        raise CompressorError("returned what was sent as neither a number of bits, bytes nor None")
    return int(sent)


def _floats(returned: Any) -> Waveform:
    """What was returned as samples of full scale 1; integers of 16 bit are divided."""
    if returned is None:
        raise CompressorError("returned nothing")
    array = np.asarray(returned)
    if array.dtype.kind not in "iuf":
        raise CompressorError(f"returned no numbers ({type(returned).__name__})")
    if array.ndim != 1:
        raise CompressorError(f"returned an array of {array.ndim} dimensions")
    if array.size > MOST_SENT_S * SAMPLE_RATE:
        raise CompressorError(f"returned {array.size / SAMPLE_RATE:,.1f} s, more than {MOST_SENT_S} s")
    if array.dtype == np.int16:
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
