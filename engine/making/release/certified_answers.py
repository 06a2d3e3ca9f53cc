"""Whether a model's chunks change answers: the same questions, heard as the original and as the model keeps them.

A small run in which the original's answers are the reference and the model is the only method, one corpus for each
budget, signed off like any other. Only questions whose chunks differ are asked: equal audio has equal answers.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from earmark.engine.answerers.answer_all import answer_all
from earmark.engine.answerers.answerer import Answerer, unheard
from earmark.engine.answerers.request import Answer, Progress, Request
from earmark.engine.design.keys import OK, UNCOMPRESSED, CellKey
from earmark.engine.design.rule import Rule
from earmark.engine.making.release.comparison import Comparison
from earmark.engine.outcomes.store import write_cell
from earmark.engine.progress import Stop, StoppedError, never
from earmark.engine.signoff.certify import certify as sign_off
from earmark.engine.signoff.result_entry import ResultEntry

ALIKE = "the same chunks of every clip, so that no answer can differ"
MODEL = "model"
_SIDES = (UNCOMPRESSED, MODEL)  # whose chunks a question is asked about: the original's are the reference
_EVERY_FAILURE_IS_HARM = 1 - 1e-9  # the rate of failed rows that the sign-off allows: they are charged, not refused


class AtBudget(NamedTuple):
    """What became of the answers at one budget."""

    budget: float
    passes: bool
    reason: str
    asked: int  # questions whose chunks differ
    changed: int  # of those, the ones with another answer
    failed: int  # of those, the ones without an answer on one side; they count as harm
    p: float | None  # the largest of the family tests; None where nothing had to be tested
    families: list[dict[str, Any]]  # name, n, plus, minus, excess, lower, upper, p


def certify(
    heard: Comparison,
    corpus: str,
    answerer: Answerer,
    rule: Rule,
    report: Callable[[Progress], None] = unheard,
    stop: Stop = never,
) -> list[AtBudget]:
    """Every budget, rising; StoppedError where `stop` ended it.

    A budget at which all chunks are the same passes by construction. At the others every family is tested, and all of
    them must pass.
    """
    differing = [b for b in range(len(heard.budgets)) if any(b in pair.excerpts for pair in heard.pairs)]
    requests = list(_requests(heard))
    answers = {answer.id: answer for answer in answer_all(answerer, requests, None, report, stop)}
    if len(answers) < len(requests):
        raise StoppedError
    results = _signed_off(heard, corpus, answerer.name, differing, answers, rule) if differing else {}
    return [
        _at_budget(heard, b, answers, results[b]) if b in results else AtBudget(budget, True, ALIKE, 0, 0, 0, None, [])
        for b, budget in enumerate(heard.budgets)
    ]


def _requests(heard: Comparison) -> Iterator[Request]:
    for row, pair in enumerate(heard.pairs):
        for b, sides in pair.excerpts.items():
            for side, kept in zip(_SIDES, sides, strict=True):
                yield Request(_id(row, b, side), kept, pair.example.question)


def _id(row: int, b: int, side: str) -> str:
    return f"{row}/{b}/{side}"


def _signed_off(
    heard: Comparison, corpus: str, answerer: str, differing: Sequence[int], answers: Mapping[str, Answer], rule: Rule
) -> dict[int, ResultEntry]:
    """The verdict at every budget that has something to test, by its place."""
    with tempfile.TemporaryDirectory(prefix="earmark-") as place:
        name_of = {b: f"{corpus} at {heard.budgets[b]:g}" for b in differing}
        for b, name in name_of.items():
            for side in _SIDES:
                budget = 1.0 if side == UNCOMPRESSED else heard.budgets[b]
                write_cell(Path(place), CellKey(answerer, name, side, budget=budget), _rows(heard, b, side, answers))
        certificate = sign_off(Path(place), replace(rule, max_error_rate=_EVERY_FAILURE_IS_HARM))
    results = {result.corpus: result for result in certificate.results}
    return {b: results[name] for b, name in name_of.items()}


def _rows(heard: Comparison, b: int, side: str, answers: Mapping[str, Answer]) -> dict[str, list[Any]]:
    """The cell of one side: a question that nobody asked counts as right on both, for its difference is 0."""
    of_side = [answers.get(_id(row, b, side)) for row in range(len(heard.pairs))]
    return {
        "sample_id": [pair.example.sample_id for pair in heard.pairs],
        "source_id": [pair.example.source_id for pair in heard.pairs],
        "query_family": [pair.family for pair in heard.pairs],
        "loss": [None if answer and answer.status != OK else float(_is_wrong(answer)) for answer in of_side],
        "status": [OK if answer is None else answer.status for answer in of_side],
    }


def _is_wrong(answer: Answer | None) -> bool:
    return answer is not None and answer.predicted_label != answer.correct_label


def _at_budget(heard: Comparison, b: int, answers: Mapping[str, Answer], result: ResultEntry) -> AtBudget:
    entry = next(budget for budget in result.budgets if budget.budget == heard.budgets[b])
    (decision,) = entry.decisions
    pairs = [
        (answers[_id(row, b, UNCOMPRESSED)], answers[_id(row, b, MODEL)])
        for row, pair in enumerate(heard.pairs)
        if b in pair.excerpts
    ]
    return AtBudget(
        heard.budgets[b],
        decision.decision == "approve",
        decision.reason,
        len(pairs),
        sum(original.predicted_label != model.predicted_label for original, model in pairs),
        sum(original.status != OK or model.status != OK for original, model in pairs),
        decision.p,
        [
            {
                "name": family.family,
                "n": family.n,
                "plus": family.plus,
                "minus": family.minus,
                "excess": family.excess,
                "lower": family.lower,
                "upper": family.upper,
                "p": family.p[0] if family.p else None,
            }
            for family in entry.families
        ],
    )
