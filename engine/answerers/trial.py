"""A trial: a few questions about synthetic clips, which say what an answerer can do here, and how fast.

Of a server it asks half as many, each of them twice, since each is paid for. Knows answerers by their protocol.
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from earmark.engine.answerers.abilities import Abilities, AbleAnswerer, ServerAbilities
from earmark.engine.answerers.answer_all import FlipRate, answer_all, flip_rate
from earmark.engine.answerers.answerer import LostError
from earmark.engine.answerers.request import Answer, Request
from earmark.engine.compressors.compressor import Excerpt
from earmark.engine.corpus.example import SAMPLE_RATE, Example
from earmark.engine.corpus.synthetic.splits import Split
from earmark.engine.corpus.synthetic.synthetic_corpus import examples
from earmark.engine.design.keys import OK
from earmark.engine.errors import InputError

N_CLIPS, _OF_EACH = 4, 3  # clips, and questions about each
_OF_A_SERVER = 6  # questions, one of each family: 38 requests, with 20 canaries, 6 texts without audio, 6 asked again


CHANCE = "chance is a quarter"


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of it."""

    abilities: Abilities  # the requests to a server include those of the trial
    identity: str
    answers: Sequence[Answer]
    audio_s: float  # that those heard which have a number of audio tokens
    first_s: float | None  # what the first question took, compiling included; None: that was a canary
    seconds: float  # that all others took
    flips: FlipRate | None  # of a server

    @property
    def failures(self) -> Mapping[str, int]:
        """How many questions have each status that is no answer."""
        return Counter(answer.status for answer in self.answers if answer.status != OK)

    @property
    def n_answered(self) -> int:
        return len(self.answers) - sum(self.failures.values())

    @property
    def n_right(self) -> int:
        return sum(answer.predicted_label == answer.correct_label for answer in self.answers)

    @property
    def questions_per_s(self) -> float | None:
        """None where nothing was answered."""
        return self.n_answered / self.seconds if self.n_answered else None

    @property
    def audio_tokens_per_s(self) -> float | None:
        """Of audio; None where nobody says."""
        tokens = sum(answer.num_audio_tokens or 0 for answer in self.answers if answer.status == OK)
        return tokens / self.audio_s if self.audio_s else None

    @property
    def gives_usage(self) -> bool:
        """Whether every answer says how many positions were read."""
        answered = [answer for answer in self.answers if answer.status == OK]
        return bool(answered) and all(answer.lm_positions is not None for answer in answered)

    @property
    def words(self) -> str:
        """In one line."""
        window = "" if self.abilities.window_s is None else f", hears {self.abilities.window_s:g} s at once"
        likelihoods = "without likelihoods" if self.abilities.no_likelihoods else "with likelihoods"
        answered = f"{self.n_answered} of {len(self.answers)} questions about synthetic clips"
        return f"answers {answered}, {self.n_right} right ({CHANCE}){window}, {likelihoods}"

    def content(self) -> dict[str, Any]:
        """As JSON."""
        abilities, server = self.abilities, self.abilities.server
        return {
            "identity": self.identity,
            "hears": "waves",
            "shares_keys_and_values": abilities.shares,
            "window_seconds": abilities.window_s,
            "beyond_the_window": abilities.beyond,
            "letters_are_tokens": abilities.letters_are_tokens,
            "likelihoods": not abilities.no_likelihoods,
            "no_likelihoods": abilities.no_likelihoods or None,
            "questions": len(self.answers),
            "answered": self.n_answered,
            "right": self.n_right,
            "failures": dict(self.failures),
            "first_seconds": self.first_s,
            "questions_per_second": self.questions_per_s,
            "audio_tokens_per_second": self.audio_tokens_per_s,
            "server": None if server is None else self._of_the_server(server),
        }

    def _of_the_server(self, server: ServerAbilities) -> dict[str, Any]:
        flips = self.flips or FlipRate(0, 0)
        counts = {"canaries": server.canaries, "canaries_right": server.canaries_right, "requests": server.requests}
        return {**counts, "gives_usage": self.gives_usage, "asked_twice": flips.compared, "changed": flips.changed}


def try_out(answerer: AbleAnswerer) -> Trial:
    """Ask an answerer a few questions; InputError where it fails at whatever it is asked."""
    first, requests = _requests()
    first_s, flips = None, None
    try:
        if answerer.abilities.server is None:
            first_s = _ask(answerer, [first])[1]
            answers, seconds = _ask(answerer, requests)
        else:
            requests = requests[:_OF_A_SERVER]
            answers, seconds = _ask(answerer, requests)
            flips = flip_rate(answerer, requests)  # the first answers are there: only the second ones are asked for
    except LostError as error:
        raise InputError(f"answerer {answerer.name}", f"is lost: {error}", "see that it runs, and try again") from error
    audio_s = _audio_seconds(requests, answers)
    return Trial(answerer.abilities, answerer.identity, answers, audio_s, first_s, seconds, flips)


def _requests() -> tuple[Request, list[Request]]:
    """A question about one clip, and half of the families in turn about each of some others."""
    by_clip: dict[str, list[Example]] = {}
    for example in examples(Split.CERTIFICATION, 1 + N_CLIPS):
        by_clip.setdefault(example.source_id, []).append(example)
    first, *clips = by_clip.values()
    chosen = [clip[i % 2 * _OF_EACH :][:_OF_EACH] for i, clip in enumerate(clips)]
    return _request(first[0]), [_request(example) for rows in chosen for example in rows]


def _request(example: Example) -> Request:
    return Request(example.sample_id, Excerpt.of(example.audio, example.audio.waveform()), example.question)


def _ask(answerer: AbleAnswerer, requests: Sequence[Request]) -> tuple[list[Answer], float]:
    """The answers, and the seconds that they took."""
    began = time.monotonic()
    answers = list(answer_all(answerer, requests))
    return answers, max(time.monotonic() - began, 1e-9)


def _audio_seconds(requests: Sequence[Request], answers: Sequence[Answer]) -> float:
    """Of the audio whose tokens were counted."""
    counted = {answer.id for answer in answers if answer.status == OK and answer.num_audio_tokens is not None}
    return sum(request.excerpt.wave.n_samples for request in requests if request.id in counted) / SAMPLE_RATE
