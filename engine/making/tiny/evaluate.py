"""What the model card reports, measured on the certification split: accuracy on whole clips, without the right audio,
from compressed audio, in the two-factor variant, and through disturbances.

Every figure keeps its counts (`HitRate`). Measures; writes nothing.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from earmark.engine.compressors.chunks.heuristics import energy_chunks, random_chunks, uniform_chunks
from earmark.engine.corpus.example import SAMPLE_RATE
from earmark.engine.corpus.synthetic.bank import bank
from earmark.engine.corpus.synthetic.clips import SLOTS, SyntheticClip, draw, mix
from earmark.engine.corpus.synthetic.questions import (
    FAMILIES,
    OPTIONS,
    TWO_FACTOR,
    SyntheticQuestion,
    believed,
    questions,
)
from earmark.engine.corpus.synthetic.splits import Split
from earmark.engine.corpus.synthetic.synthetic_corpus import SyntheticAudio
from earmark.engine.making.tiny.architecture import TEXT_WIDTH
from earmark.engine.making.tiny.judge import CLIPS_AT_ONCE, answer_options, embed_audio
from earmark.engine.making.tiny.state import Learner

SPLIT = Split.CERTIFICATION
CLIPS_PER_PART = 4 * CLIPS_AT_ONCE
POLICIES = ("uniform", "random", "energy", "oracle")
CHANCE = 1 / OPTIONS
TOLERANCE = 0.05

Waves = npt.NDArray[np.float32]
KeptSlots = npt.NDArray[np.int64]  # (clips, k)
Tally = dict[tuple[str, ...], "HitRate"]
Counts = defaultdict[tuple[str, ...], float]


class HitRate(NamedTuple):
    """How many answers are right, of how many."""

    hits: float  # the expected number, for an ideal listener that guesses among what is left
    total: int

    @property
    def share(self) -> float:
        """The accuracy."""
        return self.hits / self.total


class Part(NamedTuple):
    """Some clips of the split, and the questions about each."""

    clips: list[SyntheticClip]
    waves: Waves  # (clips, samples)
    questions: list[tuple[SyntheticQuestion, ...]]

    @property
    def answers(self) -> npt.NDArray[np.int64]:
        """The right options, (clips, families)."""
        return np.array([[question.answer for question in row] for row in self.questions])


def parts(n_clips: int, first: int = 0) -> Iterator[Part]:
    """Clips `first` to `first + n_clips` of the certification split, CLIPS_PER_PART at a time."""
    seed = SPLIT.seeds.start
    for start in range(first, first + n_clips, CLIPS_PER_PART):
        drawn = [draw(SPLIT, seed, i) for i in range(start, min(start + CLIPS_PER_PART, first + n_clips))]
        waves = np.stack([mix(clip, bank(SPLIT)) for clip in drawn])
        yield Part(drawn, waves, [questions(clip) for clip in drawn])


def held_out(learner: Learner, n_clips: int) -> Tally:
    """Accuracy per condition and family: the true audio, silence, noise, no audio at all, another clip's audio."""
    counts: Counts = defaultdict(float)
    rng = np.random.default_rng(0)
    for part in parts(n_clips):
        noise = 0.05 * rng.standard_normal(part.waves.shape, dtype=np.float32)
        answers_by_condition = {
            "raw": _answers(learner, part.waves, part.questions),
            "silence": _answers(learner, np.zeros_like(part.waves), part.questions),
            "noise": _answers(learner, noise, part.questions),
            "no audio": _answers(learner, None, part.questions),
            "another clip": _answers(learner, np.roll(part.waves, 1, axis=0), part.questions),
        }
        for condition, answers in answers_by_condition.items():
            _count(counts, (condition,), answers == part.answers)
    return {key: HitRate(hits, n_clips) for key, hits in counts.items()}


def compressed(learner: Learner, n_clips: int) -> Tally:
    """Accuracy per policy, budget and family, and what an ideal listener scores under energy."""
    counts: Counts = defaultdict(float)
    for part in parts(n_clips):
        for k in range(1, SLOTS + 1):
            budget = f"{k / SLOTS:.1f}"
            for policy, kept_slots in _agnostic(part, k).items():
                _count(
                    counts,
                    (policy, budget),
                    _answers(learner, _keep(part.waves, kept_slots), part.questions) == part.answers,
                )
                if policy == "energy":
                    _count(counts, ("energy, ideal listener", budget), _ideal(part, kept_slots))
            for f, family in enumerate(FAMILIES):
                right = _answer_one(learner, part, f, _oracle(part, f, k))
                counts[("oracle", budget, family)] += int(right.sum())
    return {key: HitRate(hits, n_clips) for key, hits in counts.items()}


def two_factor(learner: Learner, n_clips: int) -> Tally:
    """Accuracy per oracle, budget and part of the two-factor variant.

    The conditioned oracle knows which part is asked; the agnostic one keeps the same chunks for both, those that
    decide either part in turn.
    """
    tone, event = (FAMILIES.index(family) for family in TWO_FACTOR)
    counts: Counts = defaultdict(float)
    for part in parts(n_clips):
        for k in range(1, SLOTS + 1):
            shared_slots = np.stack(
                [_first(_in_turn(row[tone].relevant, row[event].relevant), k) for row in part.questions]
            )
            for f in (tone, event):
                key = (f"{k / SLOTS:.1f}", FAMILIES[f])
                counts["conditioned", *key] += int(_answer_one(learner, part, f, _oracle(part, f, k)).sum())
                counts["agnostic", *key] += int(_answer_one(learner, part, f, shared_slots).sum())
    return {key: HitRate(hits, n_clips) for key, hits in counts.items()}


def needed(tally: Tally, oracle: str, raw: float) -> str:
    """The smallest budget from which on the worse part stays within the tolerance of raw accuracy."""
    budgets = [f"{k / SLOTS:.1f}" for k in range(SLOTS, 0, -1)]
    enough = "none"
    for budget in budgets:
        if min(tally[oracle, budget, family].share for family in TWO_FACTOR) < raw - TOLERANCE:
            break
        enough = budget
    return enough


def disturbed(learner: Learner, n_clips: int) -> Tally:
    """Accuracy per disturbance and family."""
    counts: Counts = defaultdict(float)
    for part in parts(n_clips):
        for name, change in DISTURBANCES.items():
            _count(counts, (name,), _answers(learner, change(part.waves), part.questions) == part.answers)
    return {key: HitRate(hits, n_clips) for key, hits in counts.items()}


def _gain(db: float) -> Callable[[Waves], Waves]:
    return lambda waves: waves * np.float32(10 ** (db / 20))


def _noise(db: float) -> Callable[[Waves], Waves]:
    def change(waves: Waves) -> Waves:
        noise = np.random.default_rng(0).standard_normal(waves.shape, dtype=np.float32)
        return waves + np.float32(10 ** (db / 20)) * noise

    return change


def _low_pass(cut_hz: float) -> Callable[[Waves], Waves]:
    def change(waves: Waves) -> Waves:
        hz = np.fft.rfftfreq(waves.shape[1], 1 / SAMPLE_RATE)
        filtered = np.fft.irfft(np.fft.rfft(waves) / np.sqrt(1 + (hz / cut_hz) ** 8), waves.shape[1])
        return filtered.astype(np.float32)

    return change


def _later(seconds: float) -> Callable[[Waves], Waves]:
    return lambda waves: np.roll(waves, round(seconds * SAMPLE_RATE), axis=1)


DISTURBANCES: dict[str, Callable[[Waves], Waves]] = {
    "none": lambda waves: waves,
    "gain -20 dB": _gain(-20),
    "gain -10 dB": _gain(-10),
    "gain +6 dB": _gain(6),
    "noise at -65 dBFS": _noise(-65),
    "noise at -55 dBFS": _noise(-55),
    "low-pass at 6 kHz": _low_pass(6_000),
    "low-pass at 4 kHz": _low_pass(4_000),
    "low-pass at 3 kHz": _low_pass(3_000),
    "offset of .01": lambda waves: waves + np.float32(0.01),
    "50 ms earlier": _later(-0.05),
    "50 ms later": _later(0.05),
}


def _answers(
    learner: Learner, waves: Waves | None, clip_questions: Sequence[tuple[SyntheticQuestion, ...]]
) -> npt.NDArray[np.int64]:
    """The options answered, (clips, questions); without waves, no audio token is in the prompt."""
    answers = []
    for first in range(0, len(clip_questions), CLIPS_AT_ONCE):
        some = clip_questions[first : first + CLIPS_AT_ONCE]
        if waves is None:
            audio = torch.zeros(len(some), 0, TEXT_WIDTH)
        else:
            audio = embed_audio(learner, waves[first : first + CLIPS_AT_ONCE])
        answers.append(answer_options(learner, audio, some))
    return np.concatenate(answers)


def _answer_one(learner: Learner, part: Part, family: int, kept_slots: KeptSlots) -> npt.NDArray[np.bool_]:
    """Whether each clip's question of one family is answered rightly (clips,) from the kept slots."""
    answers = _answers(learner, _keep(part.waves, kept_slots), [(row[family],) for row in part.questions])
    right: npt.NDArray[np.bool_] = answers[:, 0] == part.answers[:, family]
    return right


def _keep(waves: Waves, kept_slots: KeptSlots) -> Waves:
    """The kept slots of each clip, joined."""
    slots = waves.reshape(len(waves), SLOTS, SAMPLE_RATE)
    return np.take_along_axis(slots, kept_slots[:, :, None], axis=1).reshape(len(waves), -1)


def _agnostic(part: Part, k: int) -> dict[str, KeptSlots]:
    """The k slots that each policy without a question keeps."""
    names = [SyntheticAudio(clip.split, clip.seed, clip.index).name for clip in part.clips]
    return {
        "uniform": np.tile(uniform_chunks(SLOTS, k), (len(names), 1)),
        "random": np.stack([random_chunks(name, SLOTS, k) for name in names]),
        "energy": np.stack([energy_chunks(wave, k) for wave in part.waves]),
    }


def _oracle(part: Part, family: int, k: int) -> KeptSlots:
    """The k slots of each clip that decide its question of one family."""
    return np.stack([_first(row[family].relevant, k) for row in part.questions])


def _first(wished: Sequence[int], k: int) -> KeptSlots:
    """The first k of the wished slots, filled up with the earliest others; rising."""
    return np.sort([*wished, *(slot for slot in range(SLOTS) if slot not in wished)][:k])


def _in_turn(first: Sequence[int], second: Sequence[int]) -> list[int]:
    """Both lists, taking turns; slots already taken are passed over."""
    pairs = [slot for i in range(max(len(first), len(second))) for slot in (*first[i : i + 1], *second[i : i + 1])]
    return list(dict.fromkeys(pairs))


def _ideal(part: Part, kept_slots: KeptSlots) -> npt.NDArray[np.float64]:
    """Expected right answers of a listener that hears perfectly and guesses among what is left."""
    scores = np.zeros((len(part.clips), len(FAMILIES)))
    for i, clip in enumerate(part.clips):
        for q, question in enumerate(part.questions[i]):
            likely = believed(clip, question, kept_slots[i].tolist())
            scores[i, q] = (question.answer in likely) / len(likely)
    return scores


def _count(counts: Counts, key: tuple[str, ...], right: npt.NDArray[np.generic]) -> None:
    """Add the right answers (clips, families) to the counts of (*key, family)."""
    for family, hits in zip(FAMILIES, right.sum(axis=0), strict=True):
        counts[*key, family] += float(hits)
