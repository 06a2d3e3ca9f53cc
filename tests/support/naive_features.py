"""Slow twin of the features: NumPy's own transform in double precision, one frame and one band at a time."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def mel_filter(band: int) -> Array:
    """The weights (201,) of one of 128 triangles on Slaney's scale."""

    def hertz(mels: float) -> float:
        return mels * 200 / 3 if mels < 15 else 1000 * np.exp((mels - 15) * np.log(6.4) / 27)

    top = 15 + 27 * np.log(8) / np.log(6.4)
    low, middle, high = (hertz(top * (band + i) / 129) for i in range(3))
    weights = np.zeros(201)
    for k in range(201):
        at = 40.0 * k
        if low < at <= middle:
            weights[k] = (at - low) / (middle - low)
        elif middle < at < high:
            weights[k] = (high - at) / (high - middle)
    return weights * 2 / (high - low)


def mel_power(chunk: Sequence[float] | npt.NDArray[np.float32]) -> Array:
    """Power (100, 128) of a chunk's frames, mirrored at both ends."""
    samples = np.asarray(chunk, dtype=np.float64)
    mirrored = np.concatenate([samples[200:0:-1], samples, samples[-2:-202:-1]])
    window = np.array([0.5 - 0.5 * np.cos(2 * np.pi * i / 400) for i in range(400)])
    filters = np.stack([mel_filter(band) for band in range(128)])
    power = np.empty((100, 128))
    for t in range(100):
        spectrum = np.abs(np.fft.rfft(mirrored[160 * t : 160 * t + 400] * window)) ** 2
        power[t] = filters @ spectrum
    return power


def chunk_features(audio: npt.NDArray[np.float32]) -> Array:
    """Features (T, 768) of a clip."""
    rows = []
    for start in range(0, len(audio), 16_000):
        chunk = np.zeros(16_000)
        chunk[: len(audio) - start] = audio[start : start + 16_000]
        level = max(np.abs(chunk).max(), 2.0**-21)
        logs = np.log10(np.maximum(mel_power(chunk), max(1e-10, 1e-6 * level**2)))
        rows.append([_mean(logs[:, band], stretch) for band in range(128) for stretch in range(6)])
    return np.array(rows)


def _mean(frames: Array, stretch: int) -> float:
    """Over one of six equal stretches of 100 frames, those on an edge in part."""
    start, stop = stretch * 100 / 6, (stretch + 1) * 100 / 6
    shares = [max(0.0, min(stop, t + 1) - max(start, t)) for t in range(100)]
    return sum(share * value for share, value in zip(shares, frames, strict=True)) / sum(shares)
