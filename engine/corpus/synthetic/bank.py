"""A split's own sounds, which clips are mixed from. Made once on a machine, and shared by all its processes.

Knows classes and splits, not clips. The samples lie in a cache folder named after the hash of what makes
them, and are mapped into memory, so that workers hold one copy between them.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice, pairwise
from pathlib import Path

import numpy as np

from earmark.engine.arrays import Waveform
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
    sweeps: tuple[tuple[sounds.SlidingTone, ...], ...]
    backgrounds: tuple[tuple[Waveform, ...], ...]


@cache
def bank(split: Split) -> Bank:
    """The bank of a split, about 180 MB; the same on every machine."""
    waves, turns = _samples(split)
    waves_left = iter(waves)

    def classes(n_classes: int, n_per_class: int) -> tuple[tuple[Waveform, ...], ...]:
        return tuple(tuple(islice(waves_left, n_per_class)) for _ in range(n_classes))

    events = classes(len(sounds.EVENTS), SOUNDS_PER_CLASS)
    tones = classes(len(sounds.TONES), SOUNDS_PER_CLASS)
    turns_left = iter(turns)
    sweeps = classes(len(sounds.SWEEPS), SOUNDS_PER_CLASS)
    return Bank(
        split,
        events,
        tones,
        tuple(tuple(sounds.SlidingTone(wave, next(turns_left)) for wave in class_waves) for class_waves in sweeps),
        classes(len(sounds.BACKGROUNDS), BACKGROUNDS_PER_CLASS),
    )


def _generated(split: Split) -> Iterator[Waveform | sounds.SlidingTone]:
    """Synthesise every sound of a split, in the order of a bank's fields."""
    rng = np.random.default_rng((20_261_121, split.value))
    for make in sounds.EVENTS.values():
        yield from (make(rng) for _ in range(SOUNDS_PER_CLASS))
    for pitch in range(len(sounds.TONES)):
        yield from (sounds.tone(rng, pitch) for _ in range(SOUNDS_PER_CLASS))
    for ways in sounds.SWEEPS.values():
        yield from (sounds.sweep(rng, *ways) for _ in range(SOUNDS_PER_CLASS))
    for make in sounds.BACKGROUNDS.values():
        yield from (make(rng) for _ in range(BACKGROUNDS_PER_CLASS))


def _samples(split: Split) -> tuple[list[Waveform], list[int]]:
    """The waves of a split and the turns of its sweeps, from the cache, which is filled first where it is not yet."""
    folder = _cache_folder()
    samples, shape = folder / f"{split.title}.f32", folder / f"{split.title}.npy"
    try:
        return _cut(samples, shape)
    except (OSError, ValueError, EOFError):  # not made yet, or not whole
        pass
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _make(split, samples, shape)
        return _cut(samples, shape)
    except OSError:  # nowhere to write: every process has its own
        generated = list(_generated(split))
    return [_wave(sound) for sound in generated], [
        sound.turn for sound in generated if isinstance(sound, sounds.SlidingTone)
    ]


def _wave(sound: Waveform | sounds.SlidingTone) -> Waveform:
    """The samples of a sound, be it a sweep or not."""
    return sound.wave if isinstance(sound, sounds.SlidingTone) else sound


def _cut(samples: Path, shape: Path) -> tuple[list[Waveform], list[int]]:
    """Waves and turns from the two cache files; ValueError where they do not belong together.

    `shape` holds the number of waves, the length of each, and the turns.
    """
    flat, counts = np.memmap(samples, np.float32, "r"), np.load(shape)
    ends = np.concatenate([[0], np.cumsum(counts[1 : 1 + counts[0]])])
    if ends[-1] != len(flat):
        raise ValueError("samples and shape do not belong together")
    return [flat[first:last] for first, last in pairwise(ends.tolist())], counts[1 + counts[0] :].tolist()


def _make(split: Split, samples: Path, shape: Path) -> None:
    """Write the two cache files of a split, sound by sound; each appears whole, as another process may write it too."""
    with tempfile.TemporaryDirectory(dir=samples.parent) as name:
        part = Path(name) / "part"
        lengths, turns = [], []
        with part.open("wb") as file:
            for sound in _generated(split):
                file.write(_wave(sound).tobytes())
                lengths.append(len(_wave(sound)))
                turns += [sound.turn] if isinstance(sound, sounds.SlidingTone) else []
        part.replace(samples)
        with part.open("wb") as file:
            np.save(file, np.array([len(lengths), *lengths, *turns]))
        part.replace(shape)


def _cache_folder() -> Path:
    """The folder for these sounds, in EARMARK_CACHE_DIR or the user's cache folder, named after what makes them."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "earmark"
    sources = b"".join(Path(file).read_bytes() for file in (__file__, sounds.__file__))
    recipe = hashlib.sha256(sources + np.__version__.encode()).hexdigest()[:16]
    return Path(os.environ.get("EARMARK_CACHE_DIR") or default) / f"sounds-{recipe}"
