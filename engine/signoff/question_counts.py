"""How many questions a family needs before there is any corpus: by how often compression changes answers.

Every question is about a recording of its own. Knows rates; no families and no files.
"""

from typing import NamedTuple

from earmark.engine.design.fields import Whole
from earmark.engine.design.rule import Rule
from earmark.engine.errors import InputError
from earmark.engine.signoff import power
from earmark.engine.signoff.rules.group_tests import fewest_units
from earmark.engine.signoff.rules.spending import levels
from earmark.engine.signoff.sizes import Guess

_FLIPS = (0.01, 0.03, 0.05, 0.1)  # shares of answers that change, and numbers of candidates, where none are given
_CANDIDATES = (1, 3, 8)
_COUNT = Whole(1, 10**6)


class QuestionCount(NamedTuple):
    """What a family needs at one tolerance, for one guess and one number of candidates."""

    tolerance: float
    flips: float
    excess: float
    candidates: int
    level: float  # of each test
    fewest: int  # questions with which a family passes if no answer changes
    for_90: int | None  # questions for 90% power; None where the excess is not within the tolerance
    questions: int | None  # that a family has, where somebody says so, and the power of these
    power: float | None


def question_counts(
    rule: Rule, flips: float | None, candidates: int | None, excess: float = 0.0, questions: int | None = None
) -> list[QuestionCount]:
    """For each tolerance, share of answers that change and number of candidates what the exact test needs; where no
    share or number is given, for a few of them.
    """
    shares = [share for share in _FLIPS if share >= abs(excess)] or [abs(excess)] if flips is None else [flips]
    numbers = _CANDIDATES if candidates is None else (candidates,)
    if rule.claim == "routing":
        raise InputError("claim routing", "depends on how large the families are", "name a SOURCE that has them")
    counts = [("candidates", n) for n in numbers] + ([] if questions is None else [("questions", questions)])
    for name, count in counts:
        if not _COUNT.low <= count <= _COUNT.high:
            raise InputError(f"{name} {count}", f"must be {_COUNT.wanted}", "change it")
    for share in shares:
        Guess(excess, share).check()
    return [
        _count(rule, tolerance, share, excess, n_candidates, questions)
        for tolerance in rule.tolerances
        for share in shares
        for n_candidates in numbers
    ]


def _count(
    rule: Rule, tolerance: float, flips: float, excess: float, n_candidates: int, questions: int | None
) -> QuestionCount:
    level = levels(rule, n_candidates).budget
    assert level is not None, "only routing has none"
    chance = None if questions is None else power.exact_power(questions, excess, flips, tolerance, level)
    fewest = fewest_units("exact", tolerance, level)
    enough = power.needed_rows(excess, flips, tolerance, level)
    return QuestionCount(tolerance, flips, excess, n_candidates, level, fewest, enough, questions, chance)
