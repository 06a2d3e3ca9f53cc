"""Signals that compressors of waves are tried on, and what is measured of what they make of them."""

import numpy as np
import numpy.typing as npt

RATE = 16_000
Samples = npt.NDArray[np.float32]


def chirp(n: int, low_hz: float = 100, high_hz: float = 3_400) -> Samples:
    """A tone that rises over the whole length."""
    t, length_s = np.arange(n) / RATE, n / RATE
    return (0.5 * np.sin(2 * np.pi * (low_hz * t + (high_hz - low_hz) / 2 / length_s * t * t))).astype(np.float32)


def impulse(n: int) -> Samples:
    """One loud sample near the middle."""
    samples = np.zeros(n, dtype=np.float32)
    samples[n // 2 - 7] = 0.9
    return samples


def sine(n: int, hz: float = 440, height: float = 0.3) -> Samples:
    return (height * np.sin(2 * np.pi * hz * np.arange(n) / RATE)).astype(np.float32)


def noise(n: int, height: float = 0.1, seed: int = 0) -> Samples:
    return (height * np.random.default_rng(seed).standard_normal(n)).astype(np.float32)


def extremes(n: int) -> dict[str, Samples]:
    """What codecs stumble over."""
    return {
        "silence": np.zeros(n, dtype=np.float32),
        "full scale": np.where(np.arange(n) // 40 % 2, -1, 1).astype(np.float32),
        "beyond full scale": 1.7 * sine(n, height=1),
        "tiny noise": noise(n, 1e-5),
        "noise": noise(n),
    }


def lag(sent: Samples, heard: Samples) -> int:
    """By how many samples `heard` is later: the peak of the cross-correlation."""
    n = 1 << int(np.ceil(np.log2(len(sent) + len(heard))))
    peak = int(np.argmax(np.fft.irfft(np.fft.rfft(heard, n) * np.conj(np.fft.rfft(sent, n)), n)))
    return peak if peak < n // 2 else peak - n


def loudest_hz(samples: Samples) -> float:
    """The frequency with the most energy."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 16 * len(samples)))
    return float(np.argmax(spectrum)) * RATE / (16 * len(samples))
