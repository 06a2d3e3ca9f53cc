"""Batches: clips of a split, chunk subsets of them, and everything that is known about the slots that are kept.

Targets follow what is kept: where the evidence is removed, they are spread over the options that an ideal listener
finds equally likely. A batch is a function of its seed and number, so that a resumed run sees the same ones.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from earmark.engine.corpus.example import SAMPLE_RATE
from earmark.engine.corpus.synthetic import sounds
from earmark.engine.corpus.synthetic.bank import Bank
from earmark.engine.corpus.synthetic.clips import SLOTS, SyntheticClip, draw, mix, sound_of, start_of
from earmark.engine.corpus.synthetic.questions import OPTIONS, SyntheticQuestion, believed, questions
from earmark.engine.making.tiny.architecture import TOKENS_PER_SLOT

Ints = npt.NDArray[np.int64]
TOKEN_SAMPLES = SAMPLE_RATE // TOKENS_PER_SLOT
EMPTY = 0  # the class of a token in which nothing sounds
FIRST_TONE = 1 + len(sounds.EVENTS)
UP = FIRST_TONE + len(sounds.TONES)
CLASSES = UP + 2
UNCLEAR = -100  # a token that a sound fills by less than half: the loss leaves it out
LATEST_SHIFT = SAMPLE_RATE // 20
FULL_SHARE = 0.6  # share of batches that hear whole clips
SILENT_SHARE = 0.03  # share of clips that are replaced by silence


@dataclass(frozen=True, slots=True)
class TokenTargets:
    """What sounds in each audio token (B, T)."""

    classes: Ints
    onsets: Ints  # 1 where a sound begins
    backgrounds: Ints
    tones_so_far: Ints


@dataclass(frozen=True, slots=True)
class TrainingBatch:
    """B clips, each with the same number of slots kept, and Q questions about each."""

    waves: npt.NDArray[np.float32]  # (B, kept x 16000)
    questions: tuple[tuple[SyntheticQuestion, ...], ...]
    answers: Ints  # (B, Q) one of the likely options
    likely: npt.NDArray[np.float32]  # (B, Q, OPTIONS) what an ideal listener believes
    tokens: TokenTargets
    option_slots: Ints  # (B, Q, OPTIONS) where the option's sound decides an order, SLOTS where it is not heard


def training_batch(bank: Bank, seed: int, number: int, n_clips: int, audible: bool = True) -> TrainingBatch:
    """Batch `number` of a training seed: whole clips or random subsets, shifted a little, some of them silent."""
    rng = np.random.default_rng((seed, number, 2))
    n_kept = SLOTS if rng.random() < FULL_SHARE else int(rng.integers(1, SLOTS))
    kept_slots = [np.sort(rng.permutation(SLOTS)[:n_kept]).tolist() for _ in range(n_clips)]
    shifts = rng.integers(-LATEST_SHIFT, LATEST_SHIFT + 1, size=n_clips)
    silent = rng.random(n_clips) < SILENT_SHARE
    drawn = [draw(bank.split, seed, number * n_clips + i) for i in range(n_clips)]
    return make_batch(drawn, bank, kept_slots, shifts, silent, rng, audible)


def make_batch(
    clips: list[SyntheticClip],
    bank: Bank,
    kept_slots: list[list[int]],
    shifts: Ints,
    silent: npt.NDArray[np.bool_],
    rng: np.random.Generator,
    audible: bool = True,
) -> TrainingBatch:
    """The batch of these clips, with these slots kept (rising, equally many).

    Clips are shifted by `shifts` samples, and silent where `silent`; waves are mixed only where `audible`.
    """
    clip_questions = tuple(questions(clip) for clip in clips)
    waves = np.zeros((len(clips), len(kept_slots[0]) * SAMPLE_RATE), dtype=np.float32)
    answers = np.zeros((len(clips), len(clip_questions[0])), dtype=np.int64)
    likely = np.zeros((*answers.shape, OPTIONS), dtype=np.float32)
    tokens = np.zeros((4, len(clips), len(kept_slots[0]) * TOKENS_PER_SLOT), dtype=np.int64)
    option_slots = np.full((*answers.shape, OPTIONS), SLOTS, dtype=np.int64)
    for i, clip in enumerate(clips):
        if not silent[i]:
            if audible:
                whole = shifted(mix(clip, bank), int(shifts[i])).reshape(SLOTS, SAMPLE_RATE)
                waves[i] = whole[kept_slots[i]].reshape(-1)
            tokens[:, i] = label_tokens(clip, bank, kept_slots[i], int(shifts[i]))
        for q, question in enumerate(clip_questions[i]):
            options = tuple(range(OPTIONS)) if silent[i] else believed(clip, question, kept_slots[i])
            answers[i, q] = options[int(rng.integers(len(options)))]
            likely[i, q, list(options)] = 1 / len(options)
            if question.family == "order" and not silent[i]:
                option_slots[i, q] = _option_slots(clip, question, kept_slots[i])
    if silent.any():
        tokens[0, silent] = UNCLEAR
        tokens[2, silent] = UNCLEAR
    return TrainingBatch(waves, clip_questions, answers, likely, TokenTargets(*tokens), option_slots)


def shifted(wave: npt.NDArray[np.float32], shift: int) -> npt.NDArray[np.float32]:
    """The samples of a clip, `shift` samples later (earlier where negative); silence fills the gap."""
    moved = np.zeros_like(wave)
    if shift >= 0:
        moved[shift:] = wave[: len(wave) - shift]
    else:
        moved[:shift] = wave[-shift:]
    return moved


def label_tokens(clip: SyntheticClip, bank: Bank, kept_slots: list[int], shift: int) -> Ints:
    """Class, onset, background and running count of tones of each audio token: (4, tokens)."""
    n_tokens = SLOTS * TOKENS_PER_SLOT
    classes = np.full(n_tokens, EMPTY, dtype=np.int64)
    owner = np.full(n_tokens, -1, dtype=np.int64)
    edges = np.arange(n_tokens) * TOKEN_SAMPLES
    for number, item in enumerate(clip.items):
        start = start_of(item, bank) + shift
        end = start + len(sound_of(item, bank))
        covered = np.clip(np.minimum(edges + TOKEN_SAMPLES, end) - np.maximum(edges, start), 0, None)
        touched = covered > TOKEN_SAMPLES // 8
        filled = covered >= TOKEN_SAMPLES // 2
        if item.kind == "sweep":
            turn = start + bank.sweeps[item.which][item.variant].turn
            ways = tuple(sounds.SWEEPS.values())[item.which]
            second = edges + TOKEN_SAMPLES // 2 >= turn
            token_class = UP + np.where(second, not ways[1], not ways[0]).astype(np.int64)
        else:
            token_class = np.full(n_tokens, item.which + (1 if item.kind == "event" else FIRST_TONE))
        classes[touched & ~filled] = UNCLEAR
        classes[filled] = token_class[filled]
        owner[filled] = number
    slots = np.array(kept_slots)
    pick = (slots[:, None] * TOKENS_PER_SLOT + np.arange(TOKENS_PER_SLOT)).reshape(-1)
    classes, owner = classes[pick], owner[pick]
    onsets = np.zeros(len(pick), dtype=np.int64)
    tones = np.zeros(len(pick), dtype=np.int64)
    for number, item in enumerate(clip.items):
        places = np.flatnonzero(owner == number)
        if len(places):
            onsets[places[0]] = 1
            tones[places[0]] = item.kind == "tone"
    backgrounds = np.repeat(np.array(clip.backgrounds)[slots], TOKENS_PER_SLOT)
    return np.stack([classes, onsets, backgrounds, np.cumsum(tones)])


def _option_slots(clip: SyntheticClip, question: SyntheticQuestion, kept_slots: Collection[int]) -> list[int]:
    """For each option the place among the kept slots of its sound: the first one, or the last where that is asked for.

    SLOTS where its sound is not in the kept slots.
    """
    order = {slot: place for place, slot in enumerate(kept_slots)}
    slot_of_option = []
    for class_index in question.which:
        places = [
            order[slot]
            for item in clip.items_of("event")
            if item.which == class_index
            for slot in item.slots
            if slot in order
        ]
        slot_of_option.append((min(places) if question.asks == "first" else max(places)) if places else SLOTS)
    return slot_of_option
