"""A split's own sounds: what clips are mixed from. Made once on a machine, and shared by all its processes.

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
    coming = iter(waves)

    def classes(count: int, each: int) -> tuple[tuple[Waveform, ...], ...]:
        return tuple(tuple(islice(coming, each)) for _ in range(count))

    events = classes(len(sounds.EVENTS), SOUNDS_PER_CLASS)
    tones = classes(len(sounds.TONES), SOUNDS_PER_CLASS)
    turning = iter(turns)
    sweeps = classes(len(sounds.SWEEPS), SOUNDS_PER_CLASS)
    return Bank(
        split,
        events,
        tones,
        tuple(tuple(sounds.SlidingTone(wave, next(turning)) for wave in of_class) for of_class in sweeps),
        classes(len(sounds.BACKGROUNDS), BACKGROUNDS_PER_CLASS),
    )


def _made(split: Split) -> Iterator[Waveform | sounds.SlidingTone]:
    """Every sound, in the order of a bank."""
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
    """The waves of a split and the turns of its sweeps, from the cache."""
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
        made = list(_made(split))
    return [_wave(sound) for sound in made], [sound.turn for sound in made if isinstance(sound, sounds.SlidingTone)]


def _wave(sound: Waveform | sounds.SlidingTone) -> Waveform:
    return sound.wave if isinstance(sound, sounds.SlidingTone) else sound


def _cut(samples: Path, shape: Path) -> tuple[list[Waveform], list[int]]:
    flat, counts = np.memmap(samples, np.float32, "r"), np.load(shape)
    ends = np.concatenate([[0], np.cumsum(counts[1 : 1 + counts[0]])])
    if ends[-1] != len(flat):
        raise ValueError("samples and shape do not belong together")
    return [flat[first:last] for first, last in pairwise(ends.tolist())], counts[1 + counts[0] :].tolist()


def _make(split: Split, samples: Path, shape: Path) -> None:
    """Sound by sound into files that appear whole: another process may be making the same."""
    with tempfile.TemporaryDirectory(dir=samples.parent) as name:
        part = Path(name) / "part"
        lengths, turns = [], []
        with part.open("wb") as file:
            for sound in _made(split):
                file.write(_wave(sound).tobytes())
                lengths.append(len(_wave(sound)))
                turns += [sound.turn] if isinstance(sound, sounds.SlidingTone) else []
        part.replace(samples)
        with part.open("wb") as file:
            np.save(file, np.array([len(lengths), *lengths, *turns]))
        part.replace(shape)


def _cache_folder() -> Path:
    """In EARMARK_CACHE_DIR, else in the user's cache folder."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "earmark"
    sources = b"".join(Path(file).read_bytes() for file in (__file__, sounds.__file__))
    recipe = hashlib.sha256(sources + np.__version__.encode()).hexdigest()[:16]
    return Path(os.environ.get("EARMARK_CACHE_DIR") or default) / f"sounds-{recipe}"
