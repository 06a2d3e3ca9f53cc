"""One clip: which sounds it has where (`draw`), and its samples (`mix`).

The answers are drawn first, each uniform and independent of the others, and the clip is built around them. Knows no
questions.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from earmark.engine.arrays import Waveform
from earmark.engine.corpus.example import SAMPLE_RATE
from earmark.engine.corpus.synthetic import sounds
from earmark.engine.corpus.synthetic.bank import BACKGROUNDS_PER_CLASS, SOUNDS_PER_CLASS, Bank
from earmark.engine.corpus.synthetic.splits import Split, check_bank, check_seed

SLOTS = 10  # of one second each: they are the chunks of a clip
EVENTS_PER_CLIP = 3
MOST_TONES = 4
LEVEL_DB = {"event": (-25.0, -17.0), "sweep": (-31.0, -21.0), "tone": (-39.0, -24.0)}  # RMS while it sounds
BACKGROUND_DB = (-51.0, -43.0)
FADE = SAMPLE_RATE // 20  # between two backgrounds
FULL_SCALE = 32_768  # samples are multiples of 1 / FULL_SCALE, so that a 16-bit file holds them exactly


@dataclass(frozen=True, slots=True)
class Item:
    """One sound in a clip."""

    kind: str  # "event", "tone" or "sweep"
    which: int  # its class among those of its kind
    variant: int  # which of the bank's sounds of that class
    slots: tuple[int, ...]  # where it can be heard: two where it crosses a border
    place: float  # of a sound in one slot: 0 at its earliest, 1 at its latest; else the shift against the border, s
    level_db: float


@dataclass(frozen=True, slots=True)
class SyntheticClip:
    """The sounds of a clip and where each of them is, before anything is mixed."""

    split: Split
    seed: int
    index: int
    items: tuple[Item, ...]  # in the order of time
    backgrounds: tuple[int, ...]  # (SLOTS,) the class heard in each slot; two classes, one of them in most slots
    background_variants: tuple[int, int]  # of the first class heard, and of the other
    background_db: float

    def items_of(self, kind: str) -> tuple[Item, ...]:
        """The items of one kind, in the order of time."""
        return tuple(item for item in self.items if item.kind == kind)


def draw(split: Split, seed: int, index: int) -> SyntheticClip:
    """Clip `index` of a seed that belongs to the split: the same for ever, and independent of all other clips."""
    check_seed(split, seed)
    rng = np.random.default_rng((seed, index))
    n_tones = int(rng.integers(1, MOST_TONES + 1))
    highest = int(rng.integers(len(sounds.TONES)))
    tones = [highest, *(int(t) for t in rng.integers(highest + 1, size=n_tones - 1))]
    events = [int(e) for e in rng.permutation(len(sounds.EVENTS))[:EVENTS_PER_CLIP]]
    n_spare = SLOTS - 2 - EVENTS_PER_CLIP - n_tones  # slots without a sound of their own
    if n_spare and rng.random() < 0.35:  # the same sound again: evidence that one slot alone does not hold
        events.append(events[int(rng.integers(EVENTS_PER_CLIP))])
        n_spare -= 1
    singles = [("event", e) for e in events] + [("tone", t) for t in tones]
    crossing = set(rng.permutation(len(singles))[: rng.binomial(min(n_spare, 2), 0.4)].tolist())
    n_spare -= len(crossing)
    blocks = [(kind, which, 2 if i in crossing else 1) for i, (kind, which) in enumerate(singles)]
    blocks += [("sweep", int(rng.integers(len(sounds.SWEEPS))), 2), *[("", 0, 1)] * n_spare]
    items = []
    at = 0
    for block in rng.permutation(len(blocks)):
        kind, which, length = blocks[block]
        if kind:
            place = float(rng.uniform(-0.04, 0.04) if length == 2 else rng.random())
            variant = int(rng.integers(SOUNDS_PER_CLASS))
            level = float(rng.uniform(*LEVEL_DB[kind]))
            items.append(Item(kind, which, variant, tuple(range(at, at + length)), place, level))
        at += length
    variants = rng.integers(BACKGROUNDS_PER_CLASS, size=2)
    level = float(rng.uniform(*BACKGROUND_DB))
    return SyntheticClip(
        split, seed, index, tuple(items), _backgrounds(rng), (int(variants[0]), int(variants[1])), level
    )


def _backgrounds(rng: np.random.Generator) -> tuple[int, ...]:
    """The background class of each slot: most slots of one class, the others of a second, in two or three stretches."""
    longer, shorter = (int(b) for b in rng.permutation(len(sounds.BACKGROUNDS))[:2])
    n_longer = int(rng.integers(6, 8))
    n_shorter = SLOTS - n_longer
    layout = int(rng.integers(4))
    if layout == 0:
        stretches = [(longer, n_longer), (shorter, n_shorter)]
    elif layout == 1:
        stretches = [(shorter, n_shorter), (longer, n_longer)]
    elif layout == 2:
        cut = int(rng.integers(2, n_longer - 1))
        stretches = [(longer, cut), (shorter, n_shorter), (longer, n_longer - cut)]
    else:
        cut = int(rng.integers(1, n_shorter))
        stretches = [(shorter, cut), (longer, n_longer), (shorter, n_shorter - cut)]
    return tuple(which for which, slots in stretches for _ in range(slots))


def start_of(item: Item, bank: Bank) -> int:
    """The sample where an item begins."""
    if item.kind == "sweep":
        return int(item.slots[1] * SAMPLE_RATE + item.place * SAMPLE_RATE) - bank.sweeps[item.which][item.variant].turn
    wave = sound_of(item, bank)
    if len(item.slots) == 2:
        return int(item.slots[1] * SAMPLE_RATE + item.place * SAMPLE_RATE) - len(wave) // 2
    margin = SAMPLE_RATE // 10
    room = SAMPLE_RATE - 2 * margin - len(wave)
    return item.slots[0] * SAMPLE_RATE + margin + int(item.place * room)


def sound_of(item: Item, bank: Bank) -> Waveform:
    """The bank's sound for an item."""
    if item.kind == "sweep":
        return bank.sweeps[item.which][item.variant].wave
    return (bank.events if item.kind == "event" else bank.tones)[item.which][item.variant]


def mix(clip: SyntheticClip, bank: Bank) -> Waveform:
    """The samples (SLOTS x 16000,) of a clip; raises InputError for the bank of another split."""
    check_bank(clip.split, bank.split)
    mixed = _background(clip, bank)
    for item in clip.items:
        wave = sound_of(item, bank)
        start = start_of(item, bank)
        mixed[start : start + len(wave)] += wave * np.float32(10 ** (item.level_db / 20))
    mixed *= FULL_SCALE
    np.rint(mixed, out=mixed)
    np.clip(mixed, -FULL_SCALE, FULL_SCALE - 1, out=mixed)
    mixed /= FULL_SCALE
    return mixed


def _background(clip: SyntheticClip, bank: Bank) -> npt.NDArray[np.float32]:
    """Both backgrounds, each in its slots, with a short fade at every change."""
    mixed = np.zeros(SLOTS * SAMPLE_RATE, dtype=np.float32)
    gain = np.float32(10 ** (clip.background_db / 20))
    first = clip.backgrounds[0]
    ramp = np.linspace(0, 1, FADE, dtype=np.float32)
    start = 0
    for slot in range(1, SLOTS + 1):
        if slot < SLOTS and clip.backgrounds[slot] == clip.backgrounds[start]:
            continue
        which = clip.backgrounds[start]
        begin, end = start * SAMPLE_RATE, slot * SAMPLE_RATE
        wave = bank.backgrounds[which][clip.background_variants[int(which != first)]][begin:end] * gain
        if start:
            wave[:FADE] *= ramp
        if slot < SLOTS:
            wave[-FADE:] *= ramp[::-1]
        mixed[begin:end] = wave
        start = slot
    return mixed
