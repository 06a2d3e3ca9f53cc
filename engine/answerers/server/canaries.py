"""Canaries: 20 questions about synthetic clips that a served answerer is asked at every start. Whoever answers them
otherwise than before, beyond what its own flips explain, is another model under the same name.

Knows no server.
"""

import hashlib
import json
from collections.abc import Iterable
from math import comb
from typing import Any, NamedTuple

from earmark.engine.answerers import parse, prompt
from earmark.engine.answerers.request import Request, Result
from earmark.engine.compressors.compressor import Excerpt
from earmark.engine.corpus.synthetic.splits import Split
from earmark.engine.corpus.synthetic.synthetic_corpus import examples
from earmark.engine.design.keys import OK
from earmark.engine.errors import InputError

N_CANARIES = 20
_CLIPS = 4  # with six questions each
_LEAST_CHANCE = 1e-3  # of so many changes, where the same model answers
_ASSUMED = (1, 20)  # changed of compared, before anything was compared: no flip rate is taken for 0
_ELSEWHERE = "name another folder with --out, or have the model served that the run was begun with"
_RESTORE = "restore it, or name another folder with --out"


class Canaries(NamedTuple):
    """What the canaries came to."""

    answers: tuple[str, ...]  # the text of each
    fingerprints: tuple[str, ...]  # that the server named meanwhile
    likelihoods: bool  # of every letter, with every answer

    @property
    def sha256(self) -> str:
        """Of all of it."""
        return hashlib.sha256(json.dumps(self.as_json(), sort_keys=True).encode()).hexdigest()

    def as_json(self) -> dict[str, Any]:
        return {"answers": [*self.answers], "fingerprints": [*self.fingerprints], "likelihoods": self.likelihoods}


def canaries_of(content: Any, where: object) -> Canaries:
    """What was kept of canaries; InputError where it is none."""
    values: list[Any] = [content.get(key) if isinstance(content, dict) else None for key in Canaries._fields]
    answers, fingerprints, likelihoods = values
    if _are_texts(answers) and len(answers) == N_CANARIES and _are_texts(fingerprints) and likelihoods in (True, False):
        return Canaries(tuple(answers), tuple(fingerprints), likelihoods)
    raise InputError(where, "is not what canaries came to", _RESTORE)


def _are_texts(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def canary_requests() -> list[Request]:
    """The same questions in every process."""
    every = [*examples(Split.ANSWERER, _CLIPS)][:N_CANARIES]
    return [
        Request(example.sample_id, Excerpt.of(example.audio, example.audio.waveform()), example.question)
        for example in every
    ]


def n_right(canaries: Canaries) -> int:
    """How many texts name the right letter."""
    questions = [request.question for request in canary_requests()]
    pairs = zip(questions, canaries.answers, strict=True)
    letters = [(q, prompt.letters(len(q.choices)), text) for q, text in pairs]
    return sum(parse.letter(text, options, q.choices) == options[q.answer] for q, options, text in letters)


def check_same(where: str, begun: Canaries, now: Canaries, twice: Iterable[tuple[Result, Result]]) -> None:
    """InputError where another model answers than the one that a run was begun with.

    `twice` are answers to what that one was asked twice: its flips.
    """
    if begun.fingerprints and now.fingerprints and not set(begun.fingerprints) & set(now.fingerprints):
        what = f"has the system_fingerprint {now.fingerprints[0]}, and the run was begun with {begun.fingerprints[0]}"
        raise InputError(where, what, _ELSEWHERE)
    if begun.likelihoods != now.likelihoods:
        gives = "gives" if now.likelihoods else "does not give"
        raise InputError(where, f"{gives} likelihoods, and the run was begun otherwise", _ELSEWHERE)
    changed = sum(first != second for first, second in zip(begun.answers, now.answers, strict=True))
    if _chance(changed, _flips(twice)) < _LEAST_CHANCE:
        what = f"answers {changed} of {N_CANARIES} canary questions otherwise than when the run was begun"
        raise InputError(where, f"{what}: another model answers under that name", _ELSEWHERE)


def _flips(twice: Iterable[tuple[Result, Result]]) -> float:
    """The share of answers that change from once to the next."""
    pairs = [(first.label, second.label) for first, second in twice if first.status == OK == second.status]
    changed, compared = _ASSUMED
    return (changed + sum(first != second for first, second in pairs)) / (compared + len(pairs))


def _chance(changed: int, share: float) -> float:
    """That so many canaries or more change, where each changes with this probability."""
    n = N_CANARIES
    return sum(comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(changed, n + 1))
