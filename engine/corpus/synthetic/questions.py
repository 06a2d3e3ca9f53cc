"""Questions about a clip: words, options, the right answer, and which slots answer it.

Options are drawn independently of the answer and classes are exchangeable, so that the words alone say nothing about
the answer. Knows clips, not waveforms.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from earmark.engine.corpus.synthetic import sounds
from earmark.engine.corpus.synthetic.clips import Item, SyntheticClip

OPTIONS = 4
COUNTS = ("one", "two", "three", "four")
NEEDS = {  # how much of the audio a family needs
    "event": "one",
    "order": "many",
    "count": "many",
    "pitch": "many",
    "sweep": "two",
    "scene": "spread",
}
FAMILIES = tuple(NEEDS)
TWO_FACTOR = ("pitch", "event")  # the tone part, the event part
WORDS = {
    "event": ("Which of these sounds is heard?", "Which sound can be heard?"),
    "first": ("Which of these sounds comes first?", "Which sound is the first?"),
    "last": ("Which of these sounds comes last?", "Which sound is the last?"),
    "count": ("How many tones are heard?", "How many tones are there?"),
    "pitch": ("How high is the highest tone?", "What is the pitch of the highest tone?"),
    "sweep": ("Which way does the sweep go?", "How does the sweep move?"),
    "scene": ("Which background lasts longest?", "Which background is heard most of the time?"),
}


@dataclass(frozen=True, slots=True)
class SyntheticQuestion:
    """One question about a clip."""

    family: str
    asks: str  # the key of WORDS: the family, but "first" or "last" for order
    text: str
    which: tuple[int, ...]  # the class each option names
    choices: tuple[str, ...]
    answer: int
    relevant: tuple[int, ...]  # slots that hold evidence, those that decide first


def questions(clip: SyntheticClip) -> tuple[SyntheticQuestion, ...]:
    """One question of every family about a clip."""
    rng = np.random.default_rng((clip.seed, clip.index, 1))
    return tuple(_question(clip, family, rng) for family in FAMILIES)


def believed(clip: SyntheticClip, question: SyntheticQuestion, kept_slots: Collection[int]) -> tuple[int, ...]:
    """The options that an ideal listener, who hears only the kept slots, finds equally likely."""
    all_options = tuple(range(len(question.which)))
    if question.family == "sweep":
        return _sweeps_left(clip, question, kept_slots)
    if question.family == "scene":
        kept_backgrounds = [clip.backgrounds[slot] for slot in kept_slots]
        longest = max((kept_backgrounds.count(which) for which in question.which), default=0)
        return tuple(i for i in all_options if kept_backgrounds.count(question.which[i]) == longest)
    kind = "event" if question.family in ("event", "order") else "tone"
    items = [item for item in clip.items_of(kind) if any(slot in kept_slots for slot in item.slots)]
    if kind == "event":
        items = [item for item in items if item.which in question.which]
    if not items:
        return all_options
    if question.family == "count":
        return (question.which.index(len(items) - 1),)
    return (question.which.index(_decisive(question.asks, items)[0].which),)


def _question(clip: SyntheticClip, family: str, rng: np.random.Generator) -> SyntheticQuestion:
    asks = ("first", "last")[int(rng.integers(2))] if family == "order" else family
    text = WORDS[asks][int(rng.integers(2))]
    names, which, answer, relevant = _DRAFTERS[family](clip, asks, rng)
    options = tuple(int(w) for w in rng.permutation(which))
    choices = tuple(names[w] for w in options)
    return SyntheticQuestion(
        family, asks, text, options, choices, options.index(answer), tuple(dict.fromkeys(relevant))
    )


# Names of the classes, classes that are offered, the right one, slots that hold evidence (those that decide first).
Draft = tuple[tuple[str, ...], list[int], int, list[int]]


def _event(clip: SyntheticClip, _asks: str, rng: np.random.Generator) -> Draft:
    """One sound of the clip among three that are not in it."""
    present = sorted({item.which for item in clip.items_of("event")})
    right = present[int(rng.integers(len(present)))]
    absent = [w for w in range(len(sounds.EVENTS)) if w not in present]
    slots = [slot for item in clip.items_of("event") if item.which == right for slot in item.slots]
    return tuple(sounds.EVENTS), [right, *absent], right, slots


def _order(clip: SyntheticClip, asks: str, rng: np.random.Generator) -> Draft:
    """The three sounds of the clip and one that is not in it."""
    items = clip.items_of("event")
    present = sorted({item.which for item in items})
    absent = [w for w in range(len(sounds.EVENTS)) if w not in present]
    deciding = _decisive(asks, items)
    slots = [slot for item in (*deciding, *items) for slot in item.slots]
    return tuple(sounds.EVENTS), [*present, absent[int(rng.integers(len(absent)))]], deciding[0].which, slots


def _count(clip: SyntheticClip, _asks: str, _rng: np.random.Generator) -> Draft:
    tones = clip.items_of("tone")
    return COUNTS, [*range(OPTIONS)], len(tones) - 1, [slot for item in tones for slot in item.slots]


def _pitch(clip: SyntheticClip, asks: str, _rng: np.random.Generator) -> Draft:
    tones = clip.items_of("tone")
    deciding = _decisive(asks, tones)
    slots = [slot for item in (*deciding, *tones) for slot in item.slots]
    return sounds.TONES, [*range(OPTIONS)], deciding[0].which, slots


def _sweep(clip: SyntheticClip, _asks: str, _rng: np.random.Generator) -> Draft:
    (item,) = clip.items_of("sweep")
    return tuple(sounds.SWEEPS), [*range(OPTIONS)], item.which, list(item.slots)


def _scene(clip: SyntheticClip, _asks: str, rng: np.random.Generator) -> Draft:
    """The two backgrounds of the clip and two that are not in it."""
    present = sorted(set(clip.backgrounds))
    absent = [w for w in range(len(sounds.BACKGROUNDS)) if w not in present]
    longest = max(present, key=clip.backgrounds.count)
    slots = [slot for slot, which in enumerate(clip.backgrounds) if which == longest]
    left_out = absent[int(rng.integers(len(absent)))]
    return tuple(sounds.BACKGROUNDS), [*present, *(w for w in absent if w != left_out)], longest, slots


_DRAFTERS = {"event": _event, "order": _order, "count": _count, "pitch": _pitch, "sweep": _sweep, "scene": _scene}


def _decisive(asks: str, items: Collection[Item]) -> list[Item]:
    """The items that decide a question of these words; each of them alone is enough."""
    in_order = list(items)
    if asks == "pitch":
        highest = max(item.which for item in in_order)
        return [item for item in in_order if item.which == highest]
    if asks == "last":
        return in_order[-1:]
    return in_order[:1]


def _sweeps_left(clip: SyntheticClip, question: SyntheticQuestion, kept_slots: Collection[int]) -> tuple[int, ...]:
    """The options that the kept halves of the sweep leave open: each half settles one of the two directions."""
    (item,) = clip.items_of("sweep")
    ways = tuple(sounds.SWEEPS.values())
    halves = [half for half, slot in enumerate(item.slots) if slot in kept_slots]
    return tuple(
        i for i, w in enumerate(question.which) if all(ways[w][half] == ways[item.which][half] for half in halves)
    )
