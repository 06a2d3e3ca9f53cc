"""The nouns of answering: what is asked, about which seconds of which recording, and what came of it.

Knows no torch, no plan and no files: a recording is opened by its own `Audio`, when its turn comes.
"""

from dataclasses import dataclass
from typing import NamedTuple

from earmark.engine.answerers import prompt
from earmark.engine.compressors.compressor import Excerpt
from earmark.engine.corpus.example import Question
from earmark.engine.design.keys import OK


@dataclass(frozen=True, slots=True)
class Request:
    """One multiple-choice question about an excerpt; the id is the caller's."""

    id: str
    excerpt: Excerpt
    question: Question

    def __post_init__(self) -> None:
        n_choices = len(self.question.choices)
        if not 0 <= self.question.answer < n_choices:
            raise ValueError(f"request {self.id}: answer {self.question.answer} of {n_choices} choices")


@dataclass(frozen=True, slots=True)
class Result:
    """What one piece of work came to, for every request that asked for it.

    `option_nll[i]` is minus the logarithm of the probability, over the whole vocabulary, that the answer begins with
    the token of letter i.
    """

    key: str
    label: str | None = None  # None: no letter could be parsed, or the work failed
    option_nll: tuple[float, ...] = ()
    audio_tokens: int | None = 0  # None: nobody says
    text: str | None = None  # what was generated, where something was
    status: str = OK
    lm_positions: int | None = None  # that the language model reads, text included; None: nobody says
    flops: int | None = None  # operations that it takes by itself, nothing shared


@dataclass(frozen=True, slots=True)
class Answer:
    """One request's answer: the answerer's part of an outcome row."""

    id: str
    predicted_label: str | None
    correct_label: str
    nll: float | None
    num_audio_tokens: int | None
    kept_hash: str
    status: str
    lm_positions: int | None = None
    flops: int | None = None

    @classmethod
    def of(cls, request: Request, result: Result) -> "Answer":
        """A shared result, seen by one of the requests that share it."""
        return cls(
            id=request.id,
            predicted_label=result.label,
            correct_label=prompt.letters(len(request.question.choices))[request.question.answer],
            nll=max(0.0, result.option_nll[request.question.answer]) if result.option_nll else None,
            num_audio_tokens=result.audio_tokens,
            kept_hash=request.excerpt.hash,
            status=result.status,
            lm_positions=result.lm_positions,
            flops=result.flops,
        )


class Saving(NamedTuple):
    """What answering took, and what answering one request at a time would have taken, in operations."""

    spent: int = 0
    alone: int = 0

    @property
    def share(self) -> float:
        """Of the work that sharing saved."""
        return 1 - self.spent / self.alone if self.alone else 0.0

    def plus(self, other: "Saving") -> "Saving":
        return Saving(self.spent + other.spent, self.alone + other.alone)


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands."""

    answered: int  # requests, the resumed ones included
    total: int
    resumed: int
    failed: int
    saving: Saving


@dataclass(slots=True)
class RequestCounts:
    """Requests, counted while they are answered."""

    total: int = 0
    resumed: int = 0  # that had an answer before
    answered: int = 0  # now
    failed: int = 0

    def planned(self, n_requests: int, n_resumed: int) -> None:
        """More of them are looked at."""
        self.total += n_requests
        self.resumed += n_resumed

    def done(self, n_answered: int, n_failed: int, saving: Saving) -> Progress:
        """Where a run stands after so many more of them."""
        self.answered += n_answered
        self.failed += n_failed
        return Progress(self.resumed + self.answered, self.total, self.resumed, self.failed, saving)
