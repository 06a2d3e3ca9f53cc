"""Questions about a clip: words, options, the right answer, and which slots answer it.

Options are drawn without a look at the answer, and classes are exchangeable, so that words alone never tell. Knows
clips, not waveforms.
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


def believed(clip: SyntheticClip, question: SyntheticQuestion, kept: Collection[int]) -> tuple[int, ...]:
    """The options that an ideal listener, who hears only the kept slots, finds equally likely."""
    everything = tuple(range(len(question.which)))
    if question.family == "sweep":
        return _sweeps_left(clip, question, kept)
    if question.family == "scene":
        heard = [clip.backgrounds[slot] for slot in kept]
        longest = max((heard.count(which) for which in question.which), default=0)
        return tuple(i for i in everything if heard.count(question.which[i]) == longest)
    kind = "event" if question.family in ("event", "order") else "tone"
    items = [item for item in clip.of(kind) if any(slot in kept for slot in item.slots)]
    if kind == "event":
        items = [item for item in items if item.which in question.which]
    if not items:
        return everything
    if question.family == "count":
        return (question.which.index(len(items) - 1),)
    return (question.which.index(_decisive(question.asks, items)[0].which),)


def _question(clip: SyntheticClip, family: str, rng: np.random.Generator) -> SyntheticQuestion:
    asks = ("first", "last")[int(rng.integers(2))] if family == "order" else family
    text = WORDS[asks][int(rng.integers(2))]
    names, which, answer, relevant = _ASKED[family](clip, asks, rng)
    options = tuple(int(w) for w in rng.permutation(which))
    choices = tuple(names[w] for w in options)
    return SyntheticQuestion(
        family, asks, text, options, choices, options.index(answer), tuple(dict.fromkeys(relevant))
    )


Asked = tuple[tuple[str, ...], list[int], int, list[int]]  # names, classes offered, the right one, relevant slots


def _event(clip: SyntheticClip, _asks: str, rng: np.random.Generator) -> Asked:
    """One sound of the clip among three that are not in it."""
    present = sorted({item.which for item in clip.of("event")})
    right = present[int(rng.integers(len(present)))]
    absent = [w for w in range(len(sounds.EVENTS)) if w not in present]
    slots = [slot for item in clip.of("event") if item.which == right for slot in item.slots]
    return tuple(sounds.EVENTS), [right, *absent], right, slots


def _order(clip: SyntheticClip, asks: str, rng: np.random.Generator) -> Asked:
    """The three sounds of the clip and one that is not in it."""
    items = clip.of("event")
    present = sorted({item.which for item in items})
    absent = [w for w in range(len(sounds.EVENTS)) if w not in present]
    deciding = _decisive(asks, items)
    slots = [slot for item in (*deciding, *items) for slot in item.slots]
    return tuple(sounds.EVENTS), [*present, absent[int(rng.integers(len(absent)))]], deciding[0].which, slots


def _count(clip: SyntheticClip, _asks: str, _rng: np.random.Generator) -> Asked:
    tones = clip.of("tone")
    return COUNTS, [*range(OPTIONS)], len(tones) - 1, [slot for item in tones for slot in item.slots]


def _pitch(clip: SyntheticClip, asks: str, _rng: np.random.Generator) -> Asked:
    tones = clip.of("tone")
    deciding = _decisive(asks, tones)
    slots = [slot for item in (*deciding, *tones) for slot in item.slots]
    return sounds.TONES, [*range(OPTIONS)], deciding[0].which, slots


def _sweep(clip: SyntheticClip, _asks: str, _rng: np.random.Generator) -> Asked:
    (item,) = clip.of("sweep")
    return tuple(sounds.SWEEPS), [*range(OPTIONS)], item.which, list(item.slots)


def _scene(clip: SyntheticClip, _asks: str, rng: np.random.Generator) -> Asked:
    """The two backgrounds of the clip and two that are not in it."""
    present = sorted(set(clip.backgrounds))
    absent = [w for w in range(len(sounds.BACKGROUNDS)) if w not in present]
    longest = max(present, key=clip.backgrounds.count)
    slots = [slot for slot, which in enumerate(clip.backgrounds) if which == longest]
    left_out = absent[int(rng.integers(len(absent)))]
    return tuple(sounds.BACKGROUNDS), [*present, *(w for w in absent if w != left_out)], longest, slots


_ASKED = {"event": _event, "order": _order, "count": _count, "pitch": _pitch, "sweep": _sweep, "scene": _scene}


def _decisive(asks: str, items: Collection[Item]) -> list[Item]:
    """The items, each enough by itself, that decide a question of these words."""
    ordered = list(items)
    if asks == "pitch":
        highest = max(item.which for item in ordered)
        return [item for item in ordered if item.which == highest]
    if asks == "last":
        return ordered[-1:]
    return ordered[:1]


def _sweeps_left(clip: SyntheticClip, question: SyntheticQuestion, kept: Collection[int]) -> tuple[int, ...]:
    """Each half that is heard settles one of the two directions."""
    (item,) = clip.of("sweep")
    ways = tuple(sounds.SWEEPS.values())
    heard = [half for half, slot in enumerate(item.slots) if slot in kept]
    return tuple(
        i for i, w in enumerate(question.which) if all(ways[w][half] == ways[item.which][half] for half in heard)
    )
