"""Recordings that cannot be heard, by their headers: known before anything is asked about them. Knows no model."""

import math
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from earmark.engine.corpus.corpus import Corpus
from earmark.engine.corpus.stream import durations
from earmark.engine.design.keys import OK
from earmark.engine.errors import first_few


class Unheard(NamedTuple):
    """How much of a corpus cannot be heard."""

    first: tuple[str, ...]  # recordings, each with the reason
    recordings: int  # all that were looked at
    failing: int  # questions about those that cannot be heard
    questions: int  # about all

    def is_declared(self, rate: float) -> bool:
        """Whether a sign-off with this max_error_rate goes on without them."""
        return self.failing <= rate * self.questions + 1e-9

    def words(self, declared_rate: float) -> str:
        """What that means for a sign-off with this max_error_rate, and what to do, in a sentence."""
        if self.is_declared(declared_rate):
            return f"{self.what}, and count as harm, as max_error_rate = {declared_rate:g} declares"
        return f"{self.what}, and nothing is certified until you {self.help}"

    @property
    def what(self) -> str:
        """How much of it there is."""
        return (
            f"{len(self.first):,} of {self.recordings:,} recordings cannot be heard ({first_few(self.first)}): "
            f"{self.failing:,} of {self.questions:,} questions fail"
        )

    @property
    def help(self) -> str:
        """What to do about them, where they are not declared."""
        share = math.ceil(1e4 * self.failing / self.questions) / 1e4  # rounded up: declaring it is enough
        if share >= 1:
            return "correct these recordings, or leave them out of the corpus"
        return (
            f"correct these recordings, leave them out of the corpus, or declare them: --max-error-rate {share:g} "
            "(in a spec, [rule] max_error_rate) counts them as harm"
        )


def unheard(corpus: Corpus, *, workers: int | None = None, report: Callable[[str, int, int], None]) -> Unheard | None:
    """What of a corpus cannot be heard; None where all can, as where recordings are made when they are heard."""
    examples = corpus.examples if corpus.kind != "synthetic" else ()
    questions = Counter(example.audio for example in examples)
    failing: dict[str, int] = {}
    for number, (audio, (_, status)) in enumerate(
        zip(questions, durations(questions, workers=workers), strict=True), start=1
    ):
        report("reading headers of recordings", number, len(questions))
        if status != OK:
            failing[f"{audio.name}: {status}"] = questions[audio]
    if not failing:
        return None
    return Unheard(tuple(failing), len(questions), sum(failing.values()), questions.total())
