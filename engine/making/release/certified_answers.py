"""Whether a model's chunks change answers: the same questions, heard as the original and as the model keeps them.

What is tested is the loss on the model's chunks minus that on the original's, per family, by the certified rule. Only
questions whose chunks differ are asked: equal audio has equal answers. Reads no audio and no files.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from earmark.engine.answerers.answer_all import answer_all
from earmark.engine.answerers.answerer import Answerer
from earmark.engine.answerers.request import Answer, Progress, Request
from earmark.engine.design.keys import ANCHOR, OK
from earmark.engine.design.rule import Rule
from earmark.engine.making.release.comparison import Comparison
from earmark.engine.progress import StoppedError
from earmark.engine.signoff.excess import observe
from earmark.engine.signoff.families import families_of
from earmark.engine.signoff.pair import Curve, CurveKey, Rows
from earmark.engine.signoff.rules import certified
from earmark.engine.signoff.rules.group_tests import family_minimum

ALIKE = "the same chunks of every clip, so that no answer can differ"
_PARTITION = "family"


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
    report: Callable[[Progress], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
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
    tested = iter(_tested(heard, corpus, differing, answers, answerer.name, rule) if differing else [])
    return [
        next(tested) if b in differing else AtBudget(budget, True, ALIKE, 0, 0, 0, None, [])
        for b, budget in enumerate(heard.budgets)
    ]


def _requests(heard: Comparison) -> Iterator[Request]:
    for row, pair in enumerate(heard.pairs):
        for b, sides in pair.excerpts.items():
            for side, kept in enumerate(sides):
                example = pair.example
                yield Request(f"{row}/{b}/{side}", kept, example.question)


def _tested(
    heard: Comparison, corpus: str, differing: Sequence[int], answers: dict[str, Answer], answerer: str, rule: Rule
) -> Iterator[AtBudget]:
    """The budgets that have something to test, rising, by the paired protocol of a certificate."""
    budgets = np.array([heard.budgets[b] for b in differing])
    difference = np.zeros((len(heard.pairs), len(differing)))
    n_asked, changed, failed = (np.zeros(len(differing), np.int64) for _ in range(3))
    for row, pair in enumerate(heard.pairs):
        for column, b in enumerate(differing):
            if b in pair.excerpts:
                original, model = (answers[f"{row}/{b}/{side}"] for side in range(2))
                difference[row, column] = _rise(original, model)
                n_asked[column] += 1
                changed[column] += original.predicted_label != model.predicted_label
                failed[column] += original.status != OK or model.status != OK
    key = CurveKey(answerer, corpus, "model", 0, ANCHOR)
    unknown = np.full(len(budgets), np.nan)
    curve = Curve(
        key, "original", budgets, False, difference, np.nan, unknown, unknown, unknown, (None,) * len(budgets)
    )
    families = families_of([pair.family for pair in heard.pairs], rule.parents, family_minimum(rule))
    observed = observe(curve, families)
    levels = certified.Levels(rule.look_alpha, None, rule.look_alpha)
    tested = certified.run_tests([curve], _rows(heard, corpus), {_PARTITION: families}, rule, levels)
    judged = certified.judge_curve(curve, families, observed, tested[key, _PARTITION], rule)
    (tolerance,) = rule.tolerances
    for column, verdict in enumerate(judged.verdicts[tolerance]):
        intervals = [of_family[column] for of_family in judged.families]
        entries = [
            {
                "name": name,
                "n": int(families.size[f]),
                "plus": int(observed.plus[f, column]),
                "minus": int(observed.minus[f, column]),
                "excess": intervals[f].estimate,
                "lower": intervals[f].lower,
                "upper": intervals[f].upper,
                "p": judged.p[tolerance][f][column],
            }
            for f, name in enumerate(families.names)
        ]
        yield AtBudget(
            float(budgets[column]),
            verdict.decision == "approve",
            verdict.reason,
            int(n_asked[column]),
            int(changed[column]),
            int(failed[column]),
            verdict.p,
            entries,
        )


def _rise(original: Answer, model: Answer) -> float:
    """Of the loss; a row without an answer on either side is harm, as `certify` has it."""
    if original.status != OK or model.status != OK:
        return 1.0
    right = original.correct_label
    return float(model.predicted_label != right) - float(original.predicted_label != right)


def _rows(heard: Comparison, corpus: str) -> Rows:
    examples = [pair.example for pair in heard.pairs]
    ids, sources = ([getattr(example, name) for example in examples] for name in ("sample_id", "source_id"))
    return Rows.of(corpus, pa.array(ids), pa.array(sources), [pair.family for pair in heard.pairs])
