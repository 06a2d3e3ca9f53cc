"""The pure parts of a selector's check: figures of hand-made comparisons, and how differing answers are charged."""

from dataclasses import replace

import numpy as np
import pytest

from earmark.engine.answerers.request import Answer
from earmark.engine.corpus.example import Example, Question
from earmark.engine.design.keys import OK
from earmark.engine.design.rule import Rule
from earmark.engine.making.release import agreement, certified_answers
from earmark.engine.making.release.comparison import BothKept, Comparison, ScoredPair, is_tied

SIDES = ("uncompressed", "model")


def hearing(changed: int, n: int) -> Comparison:
    """n questions of one family about n recordings; in the first `changed` the two keep other chunks."""
    kept = BothKept(np.array([0]), np.array([0]), (False, False))
    other = BothKept(np.array([0]), np.array([1]), (False, True))
    scores = np.zeros(2, np.float32)
    found = Comparison((0.5,))
    for i in range(n):
        example = Example(f"s{i}", f"r{i}", None, Question("?", ("yes", "no"), 0))
        differs = i < changed
        heard = {0: (None, None)} if differs else {}
        found.pairs.append(ScoredPair(example, "a", scores, scores, (other if differs else kept,), heard))
    return found


def test_differences_are_charged_to_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers of the two sides -> loss of the model minus loss of the original; a failure is harm."""
    cases = {
        ("A", "B"): 1,
        ("B", "A"): -1,
        ("A", "A"): 0,
        ("B", "B"): 0,
        ("A", None): 1,
        (None, "A"): 1,
        (None, "B"): 1,
    }

    def said(i: int, label: str | None) -> Answer:
        return Answer(f"{i // 2}/0/{SIDES[i % 2]}", label, "A", None, 0, "", OK if label else "error")

    flat = [label for case in cases for label in case]
    monkeypatch.setattr(certified_answers, "_requests", lambda _: iter(range(len(flat))))
    monkeypatch.setattr(certified_answers, "answer_all", lambda *_: [said(i, label) for i, label in enumerate(flat)])

    class Somebody:
        name = "somebody"

    (found,) = certified_answers.certify(hearing(len(cases), 100), "c", Somebody(), Rule())
    (family,) = found.families
    assert (found.asked, found.changed, found.failed) == (len(cases), 5, 3)
    assert (family["plus"], family["minus"]) == (sum(d > 0 for d in cases.values()), sum(d < 0 for d in cases.values()))


def test_a_small_family_is_not_certified_by_luck(monkeypatch: pytest.MonkeyPatch) -> None:
    """20 questions, one with other chunks, no changed answer: no evidence. Without other chunks: nothing to show."""
    right = [Answer(f"0/0/{side}", "A", "A", 0.0, 0, "", OK) for side in SIDES]
    monkeypatch.setattr(certified_answers, "answer_all", lambda _, requests, *__: right[: len(requests)])
    monkeypatch.setattr(certified_answers, "_requests", lambda heard: iter(right if heard.pairs[0].excerpts else []))

    class Somebody:
        name = "somebody"

    (one,) = certified_answers.certify(hearing(1, 20), "c", Somebody(), Rule())
    assert not one.passes
    assert "'a' has 20 rows" in one.reason
    (none,) = certified_answers.certify(hearing(0, 20), "c", Somebody(), Rule())
    assert (none.passes, none.reason, none.p) == (True, certified_answers.ALIKE, None)


# Pure parts --------------------------------------------------------------------------------------------------


def test_a_tie_is_about_the_last_kept_chunk() -> None:
    scores = np.array([3.0, 1.0, 2.0, 2.0, 0.0])
    assert [is_tied(scores, k, 0.0) for k in (1, 2, 3, 4, 5)] == [False, True, False, False, False]
    assert [is_tied(scores, k, 1.0) for k in (1, 2, 3, 4, 5)] == [True, True, True, True, False]


def test_agreement_counts_sets_and_chunks() -> None:
    heard = hearing(3, 10)
    assert [one._asdict() for one in agreement.agreement(heard)] == [
        {"budget": 0.5, "family": family, "n": 10, "same": 7, "overlap": 0.7} for family in (None, "a")
    ]
    assert agreement.ties(heard) == [agreement.Ties(0.5, 0, 3, 3, 3)]


def test_parity_is_the_worst_difference_in_spreads() -> None:
    heard = hearing(0, 2)
    one, other = np.array([0.0, 2.0], np.float32), np.array([0.0, 2.5], np.float32)
    heard.pairs[1] = replace(heard.pairs[1], original=one, model=other)
    found = agreement.parity(heard)
    assert (found.largest, found.worst_sample) == (0.5, "s1")
    assert found.relative == pytest.approx(0.5 / np.std([0, 0, 0, 2]))
