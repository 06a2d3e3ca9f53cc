"""The synthetic corpus: examples of a split, one after the other, and the audio behind each.

Streams: an example holds the coordinates of its clip, and the waveform is made when it is asked for.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from earmark.engine.arrays import Waveform
from earmark.engine.corpus.example import Example, Question
from earmark.engine.corpus.synthetic.bank import bank
from earmark.engine.corpus.synthetic.clips import SLOTS, SyntheticClip, draw, mix
from earmark.engine.corpus.synthetic.questions import FAMILIES, NEEDS, SyntheticQuestion, questions
from earmark.engine.corpus.synthetic.splits import Split, check_seed


@dataclass(frozen=True, slots=True)
class SyntheticAudio:
    """A clip by its coordinates: small, picklable, the same waveform everywhere."""

    split: Split
    seed: int
    index: int

    @property
    def name(self) -> str:
        """The clip, as files and messages call it."""
        return f"{self.split.title}-{self.seed}-{self.index:06d}"

    def clip(self) -> SyntheticClip:
        """Its items and backgrounds, drawn anew."""
        return draw(self.split, self.seed, self.index)

    def seconds(self) -> float:
        """How long it lasts."""
        return float(SLOTS)

    def waveform(self) -> Waveform:
        """Mix it from the split's own bank."""
        return mix(self.clip(), bank(self.split))


def examples(
    split: Split, n_clips: int, seed: int | None = None, families: Sequence[str] = FAMILIES
) -> Iterator[Example]:
    """The questions of these families about the first n_clips clips of a seed (default: the split's first seed).

    With `families=TWO_FACTOR` it is the two-factor corpus: the tone part and the event part of each clip, in turn.
    Raises InputError where the seed belongs to another split.
    """
    seed = split.seeds.start if seed is None else seed
    check_seed(split, seed)
    bank(split)  # made here where it is missing, not by every worker that opens a clip
    for index in range(n_clips):
        audio = SyntheticAudio(split, seed, index)
        question_of = {question.family: question for question in questions(audio.clip())}
        for family in families:
            yield _example(audio, question_of[family])


def _example(audio: SyntheticAudio, question: SyntheticQuestion) -> Example:
    labels = {
        "family": question.family,
        "need": NEEDS[question.family],
        "split": audio.split.title,
        "relevant": " ".join(str(slot) for slot in question.relevant),
    }
    name = audio.name
    return Example(
        f"{name}-{question.family}", name, audio, Question(question.text, question.choices, question.answer), labels
    )
