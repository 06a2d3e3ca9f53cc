"""Speech played faster at its own pitch: overlapping frames of the clip, each where it continues the one before best.

WSOLA: Verhelst and Roelands 1993, "An overlap-add technique based on waveform similarity". Knows rows of numbers.
"""

import numpy as np
import numpy.typing as npt

from earmark.kernels._jit import jit

Float32Array = npt.NDArray[np.float32]


def time_scaled(samples: Float32Array, n_out: int, frame: int, search: int) -> Float32Array:
    """(n_out,) of samples (n,): frames of even length `frame`, half of it apart, each taken from up to `search`
    samples beside its place. As many samples as before are the samples before.
    """
    if not (samples.dtype == np.float32 and samples.ndim == 1 and len(samples) and np.isfinite(samples).all()):
        raise ValueError(f"samples {samples.shape} {samples.dtype}, or some are not finite")
    if n_out < 1 or frame < 2 or frame % 2 or search < 0:
        raise ValueError(f"{n_out} samples, frames of {frame}, a search of {search}")
    padded = np.concatenate([samples, np.zeros(2 * frame + search)])  # float64
    # its halves add up to 1, and no weight is 0
    window = np.sin(np.pi * (np.arange(frame) + 0.5) / frame) ** 2
    return _time_scaled(padded, len(samples), n_out, window, search)  # type: ignore[no-any-return]


@jit
def _time_scaled(x, n, n_out, window, search):
    frame = len(window)
    hop = frame // 2
    total, weight = np.zeros(n_out), np.zeros(n_out)
    at = 0  # where the frame is taken from
    for begin in range(0, n_out, hop):
        if begin:
            at = _best_place(x, at + hop, begin * n // n_out, search, frame)
        for i in range(min(frame, n_out - begin)):
            total[begin + i] += window[i] * x[at + i]
            weight[begin + i] += window[i]
    return (total / weight).astype(np.float32)


@jit
def _best_place(x, natural, nominal, search, frame):
    """Where near `nominal` a frame of x is most like the one at `natural`: there itself, or the earliest of equals."""
    first = max(0, nominal - search)
    n_places = nominal + search + 1 - first
    product, energy = np.zeros(n_places), np.zeros(n_places)
    for i in range(frame):  # places innermost: many at once, and each sum in the order of time
        wanted = x[natural + i]
        for k in range(n_places):
            y = x[first + k + i]
            product[k] += wanted * y
            energy[k] += y * y
    best = nominal - first
    highest = _likeness(product[best], energy[best])
    for k in range(n_places):
        likeness = _likeness(product[k], energy[k])
        if likeness > highest:
            best, highest = k, likeness
    return first + best


@jit
def _likeness(product, energy):
    return product / np.sqrt(energy) if energy > 0.0 else 0.0
