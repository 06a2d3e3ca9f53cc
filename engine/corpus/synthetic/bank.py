"""A split's own sounds, made once per process: what clips are mixed from.

Knows classes and splits, not clips.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from earmark.engine.corpus.example import Waveform
from earmark.engine.corpus.synthetic import sounds
from earmark.engine.corpus.synthetic.splits import Split

SOUNDS_PER_CLASS = 120
BACKGROUNDS_PER_CLASS = 24


@dataclass(frozen=True, slots=True)
class Bank:
    """Sounds per class, each of RMS 1."""

    split: Split
    events: tuple[tuple[Waveform, ...], ...]
    tones: tuple[tuple[Waveform, ...], ...]
    sweeps: tuple[tuple[sounds.Sweep, ...], ...]
    backgrounds: tuple[tuple[Waveform, ...], ...]


@cache
def bank(split: Split) -> Bank:
    """The bank of a split, about 180 MB; the same on every machine."""
    rng = np.random.default_rng((20_261_121, split.value))
    many = range(SOUNDS_PER_CLASS)
    return Bank(
        split,
        events=tuple(tuple(make(rng) for _ in many) for make in sounds.EVENTS.values()),
        tones=tuple(tuple(sounds.tone(rng, pitch) for _ in many) for pitch in range(len(sounds.TONES))),
        sweeps=tuple(tuple(sounds.sweep(rng, *ways) for _ in many) for ways in sounds.SWEEPS.values()),
        backgrounds=tuple(
            tuple(make(rng) for _ in range(BACKGROUNDS_PER_CLASS)) for make in sounds.BACKGROUNDS.values()
        ),
    )
