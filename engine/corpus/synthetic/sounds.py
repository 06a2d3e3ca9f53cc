"""How each class of sound is synthesised: a generator in, a waveform of RMS 1 at 16 kHz out.

Classes are far apart in spectrum or rhythm below 3 kHz: what is hard about the corpus is what compression removes,
not what a sound is. Knows nothing of clips.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from earmark.engine.arrays import Waveform
from earmark.engine.corpus.example import SAMPLE_RATE

Rng = np.random.Generator

TONE_HZ = ((210.0, 290.0), (430.0, 590.0), (880.0, 1200.0), (1800.0, 2450.0))  # one band per pitch class
BACKGROUND_SECONDS = 12


class SlidingTone(NamedTuple):
    """A sliding pitch of two halves, and the sample where the second begins."""

    wave: Waveform
    turn: int


def tone(rng: Rng, pitch: int) -> Waveform:
    """A steady tone of a pitch class, with a weak second harmonic."""
    low, high = TONE_HZ[pitch]
    time = _time(rng.uniform(0.45, 0.7))
    angle = 2 * np.pi * rng.uniform(low, high) * time
    return _finished(np.sin(angle) + rng.uniform(0, 0.1) * np.sin(2 * angle + 1), edge_s=0.03)


def sweep(rng: Rng, first_up: bool, second_up: bool) -> SlidingTone:
    """Two slides that meet in one pitch; either half, heard alone, says nothing about the other."""
    meeting = np.exp(rng.uniform(np.log(700), np.log(1300)))
    first, second = rng.uniform(0.5, 0.75, size=2)
    before = meeting * rng.uniform(1.7, 2.2) ** (-1 if first_up else 1)
    after = meeting * rng.uniform(1.7, 2.2) ** (1 if second_up else -1)
    turn, end = int(first * SAMPLE_RATE), int((first + second) * SAMPLE_RATE)
    pitch = np.concatenate([np.geomspace(before, meeting, turn), np.geomspace(meeting, after, end - turn)])
    angle = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    return SlidingTone(_finished(np.sin(angle) + 0.15 * np.sin(2 * angle), edge_s=0.03), turn)


def hiss(rng: Rng) -> Waveform:
    """A burst of noise above 500 Hz."""
    return _finished(_band(rng, rng.uniform(0.5, 0.75), 500, 7000), edge_s=0.02)


def clicks(rng: Rng) -> Waveform:
    """A fast row of short broadband clicks."""
    wave = np.zeros(int(rng.uniform(0.55, 0.75) * SAMPLE_RATE))
    click = rng.normal(size=240) * np.exp(-np.arange(240) / 80)
    for at in np.arange(0, len(wave) - 240, SAMPLE_RATE / rng.uniform(13, 18)):
        wave[int(at) : int(at) + 240] += click
    return _finished(wave, edge_s=0.0)


def buzz(rng: Rng) -> Waveform:
    """A saw with harmonics up to 4 kHz."""
    time = _time(rng.uniform(0.5, 0.75))
    base = rng.uniform(95, 140)
    wave = sum(np.sin(2 * np.pi * base * k * time) / k**0.5 for k in range(1, int(4000 / base)))
    return _finished(np.asarray(wave), edge_s=0.02)


def bell(rng: Rng) -> Waveform:
    """A struck bell: inharmonic partials that ring down; a decoy for tones."""
    time = _time(rng.uniform(0.55, 0.75))
    base = rng.uniform(480, 700)
    partials = ((1.0, 1.0), (2.0, 0.7), (2.76, 0.9), (4.1, 0.6), (5.4, 0.4))
    wave = sum(a * np.sin(2 * np.pi * base * k * time) * np.exp(-time * (3 + k)) for k, a in partials)
    return _finished(np.asarray(wave), edge_s=0.003)


def siren(rng: Rng) -> Waveform:
    """A pitch that wavers five times a second; a decoy for sweeps."""
    time = _time(rng.uniform(0.55, 0.75))
    pitch = rng.uniform(800, 1100) * (1 + 0.4 * np.sin(2 * np.pi * rng.uniform(4.5, 6) * time + rng.uniform(0, 6)))
    angle = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    return _finished(np.sin(angle) + 0.4 * np.sin(3 * angle), edge_s=0.03)


def knock(rng: Rng) -> Waveform:
    """Three low thuds."""
    wave = np.zeros(int(rng.uniform(0.55, 0.7) * SAMPLE_RATE))
    time = _time(0.12)
    thud = np.sin(2 * np.pi * rng.uniform(130, 190) * time) * np.exp(-time * 35)
    thud += 0.3 * rng.normal(size=len(time)) * np.exp(-time * 150)
    for at in (0.0, 0.19, 0.38):
        wave[int(at * SAMPLE_RATE) : int(at * SAMPLE_RATE) + len(thud)] += thud
    return _finished(wave, edge_s=0.0)


def hum(rng: Rng) -> Waveform:
    """Mains hum: steady low harmonics."""
    time = _time(BACKGROUND_SECONDS)
    base = rng.uniform(95, 125)
    return _finished(np.asarray(sum(np.sin(2 * np.pi * base * k * time + k) / k for k in (1, 2, 3, 5))), edge_s=0.0)


def rain(rng: Rng) -> Waveform:
    """Bright noise, crackling."""
    wave = _band(rng, BACKGROUND_SECONDS, 1500, 6500)
    drops = rng.random(len(wave)) < 40 / SAMPLE_RATE
    return _finished(
        wave + np.convolve(drops * rng.normal(size=len(wave)) * 8, np.exp(-np.arange(40) / 8), "same"), 0.0
    )


def wind(rng: Rng) -> Waveform:
    """Dark noise that swells slowly."""
    swell = 1 + 0.3 * np.sin(2 * np.pi * rng.uniform(0.2, 0.5) * _time(BACKGROUND_SECONDS) + rng.uniform(0, 6))
    return _finished(_band(rng, BACKGROUND_SECONDS, 150, 700) * swell, edge_s=0.0)


def crickets(rng: Rng) -> Waveform:
    """Chirps near 2.7 kHz, a few each second."""
    time = _time(BACKGROUND_SECONDS)
    chirp = np.clip(np.sin(2 * np.pi * rng.uniform(5, 7) * time), 0, None) ** 0.5
    pulse = 0.6 + 0.4 * np.sin(2 * np.pi * rng.uniform(38, 46) * time)
    return _finished(np.sin(2 * np.pi * rng.uniform(2500, 2900) * time) * chirp * pulse, edge_s=0.0)


def engine(rng: Rng) -> Waveform:
    """An idling engine: mid-band noise in pulses."""
    pulse = np.clip(np.sin(2 * np.pi * rng.uniform(7, 9) * _time(BACKGROUND_SECONDS)), 0, None)
    return _finished(_band(rng, BACKGROUND_SECONDS, 700, 1600) * pulse, edge_s=0.0)


EVENTS: dict[str, Callable[[Rng], Waveform]] = {
    "hiss": hiss,
    "clicks": clicks,
    "buzz": buzz,
    "bell": bell,
    "siren": siren,
    "knock": knock,
}
TONES = ("low", "middle", "high", "top")
SWEEPS = {"rising": (True, True), "falling": (False, False), "peak": (True, False), "dip": (False, True)}
BACKGROUNDS: dict[str, Callable[[Rng], Waveform]] = {
    "hum": hum,
    "rain": rain,
    "wind": wind,
    "crickets": crickets,
    "engine": engine,
}


def _time(seconds: float) -> np.ndarray:
    return np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE


def _band(rng: Rng, seconds: float, low_hz: float, high_hz: float) -> np.ndarray:
    noise = np.fft.rfft(rng.normal(size=int(seconds * SAMPLE_RATE)))
    hz = np.linspace(0, SAMPLE_RATE / 2, len(noise))
    keep = 1 / ((1 + (low_hz / np.maximum(hz, 1)) ** 8) * (1 + (hz / high_hz) ** 8))
    return np.fft.irfft(noise * keep, int(seconds * SAMPLE_RATE))


def _finished(wave: np.ndarray, edge_s: float) -> Waveform:
    """Fade both ends and set the RMS to 1."""
    edge = int(edge_s * SAMPLE_RATE)
    if edge:
        ramp = 0.5 - 0.5 * np.cos(np.pi * np.arange(edge) / edge)
        wave = wave.copy()
        wave[:edge] *= ramp
        wave[-edge:] *= ramp[::-1]
    finished: Waveform = (wave / np.sqrt(np.mean(wave**2))).astype(np.float32)
    return finished
