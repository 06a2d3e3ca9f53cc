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
_REMOVE = "remove it, or name another --out"
_MOST_NAMES = 4  # of backends behind one address; where there are more, names change with replies and say nothing
_MOST_SHOWN = 40  # characters of such a name


class Canaries(NamedTuple):
    """What the canaries came to."""

    answers: tuple[str, ...]  # the letter of each; empty: none
    fingerprints: tuple[str, ...]  # that the server named meanwhile
    likelihoods: bool  # of every letter, with every answer
    models: tuple[str, ...] = ()  # that the server said it is

    @property
    def sha256(self) -> str:
        """Of all of it."""
        return hashlib.sha256(json.dumps(self.as_json(), sort_keys=True).encode()).hexdigest()

    def as_json(self) -> dict[str, Any]:
        return {name: [*value] if isinstance(value, tuple) else value for name, value in self._asdict().items()}


def canaries_of(content: Any, where: object) -> Canaries:
    """What was kept of canaries; InputError where it is none."""
    values: list[Any] = [content.get(key) if isinstance(content, dict) else None for key in Canaries._fields]
    answers, fingerprints, likelihoods, models = values
    texts = (answers, fingerprints, models)
    if all(map(_are_texts, texts)) and len(answers) == N_CANARIES and likelihoods in (True, False):
        return Canaries(tuple(answers), tuple(fingerprints), bool(likelihoods), tuple(models))
    raise InputError(where, "is not what canaries came to", _REMOVE)


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
    check_names(where, begun, now.models, now.fingerprints)
    changed = sum(first != second for first, second in zip(begun.answers, now.answers, strict=True))
    if _chance(changed, _flips(twice)) < _LEAST_CHANCE:
        what = f"answers {changed} of {N_CANARIES} canary questions otherwise than when the run was begun"
        raise InputError(where, f"{what}: another model answers under that name", _ELSEWHERE)


def check_names(where: str, begun: Canaries, models: Iterable[str], fingerprints: Iterable[str]) -> None:
    """InputError where replies name another model or fingerprint than the canaries did when the run was begun: any of
    those that they named may answer.
    """
    for says, known, names in (
        ("says that it is the model", begun.models, models),
        ("has the system_fingerprint", begun.fingerprints, fingerprints),
    ):
        others = sorted({*names} - {*known, ""})
        if others and 0 < len(known) <= _MOST_NAMES:
            what = f"{says} {others[0][:_MOST_SHOWN]}, and the run was begun with {known[0][:_MOST_SHOWN]}"
            raise InputError(where, what, _ELSEWHERE)


def _flips(twice: Iterable[tuple[Result, Result]]) -> float:
    """The share of answers that change from once to the next."""
    pairs = [(first.label, second.label) for first, second in twice if first.status == OK == second.status]
    changed, compared = _ASSUMED
    return (changed + sum(first != second for first, second in pairs)) / (compared + len(pairs))


def _chance(changed: int, share: float) -> float:
    """That so many canaries or more change, where each changes with this probability."""
    n = N_CANARIES
    return sum(comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(changed, n + 1))
