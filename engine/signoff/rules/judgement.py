"""What a rule says of one curve under one partition: intervals, verdicts, where the walk stopped, and routes.

Values only: `certified` and `paper` make them, `verdict` writes them into the certificate.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from earmark.engine.design.fields import BUDGET, COUNT, PROPORTION
from earmark.engine.signoff.json_form import Gained

if TYPE_CHECKING:
    from earmark.engine.signoff.rules.group_tests import GroupTest

Test = Literal["exact", "one-row", "bets"]
SampleUnit = Literal["rows", "recordings"]  # what is drawn independently
Estimand = Literal["rows", "recordings"]  # which excess is tested: a mean over rows, or over recordings of their means
State = Literal["passed early", "passed", "failed", "given up", "open"]  # how a test ended, or that it did not
DecisionWord = Literal["approve", "reject", "inconclusive"]


class Interval(NamedTuple):
    """A point estimate and its two ends."""

    estimate: float
    lower: float
    upper: float


class Verdict(NamedTuple):
    """The three-way decision at one budget and tolerance, and why."""

    decision: DecisionWord
    reason: str
    p: float = math.nan  # the largest of the tests that must all pass
    p_adjusted: float = math.nan  # over this budget and all larger ones


RAW_ITSELF = Verdict("approve", "keeping everything is the raw audio itself", 0.0, 0.0)


class Failure(NamedTuple):
    """Where a walk over the budgets stopped."""

    budget: Annotated[float, "the budget at which it stopped", BUDGET]
    family: Annotated[str | None, "the family that binds; null: the average, or no test at all"]
    n: Annotated[int, "rows", COUNT]
    plus: Annotated[int, "rows where the loss rose", COUNT]
    minus: Annotated[int, "rows where it fell", COUNT]
    p: Annotated[float, "of the test that did not pass"]
    units: Annotated[int, "independent ones: rows or recordings", COUNT]
    unit: Annotated[SampleUnit, "what they are"]
    needed: Annotated[int | None, "units for 90% power at the observed rates; null where no number would do", COUNT]
    reason: Annotated[str, "why it stopped, in words"]
    missing: Annotated[bool, "the budget was declared and has no outcomes"] = False
    undecided: Annotated[bool, "the answers end before it was decided, as in a preview", Gained("0.1.0")] = False


class Corrected(NamedTuple):
    """A curve's own walk at the first tolerance and the level of the claim, which it is a part of."""

    tolerance: Annotated[float, "the first of the rule"]
    level: Annotated[float, "of its tests"]
    budget: Annotated[float | None, "the smallest that passes with all larger ones", BUDGET]
    first_failure: Annotated[Failure | None, "where the walk stopped; null if nowhere"]


class Route(NamedTuple):
    """Where one family goes: to a budget below 1, or to raw audio."""

    family: Annotated[str, "its name"]
    n: Annotated[int, "rows", COUNT]
    budget: Annotated[float, "1.0: raw audio", BUDGET]
    p: Annotated[float | None, "the largest of its walk down to that budget; null on raw audio"]
    tested: Annotated[bool, "false: too small for a share of alpha, so it spends none"]


class Policy(NamedTuple):
    """Every family at its own budget, all of them safe together."""

    tolerance: Annotated[float, "of every family"]
    alpha_each: Annotated[float, "what each tested family's walk spent", PROPORTION]
    retained: Annotated[float, "mean share that is kept, every question at its family's budget", PROPORTION]
    families: Annotated[list[Route], "where each goes"]


class Judgement(NamedTuple):
    """What a rule says of one curve under one partition."""

    average: list[Interval]  # per budget
    worst: list[Interval]
    families: list[list[Interval]]  # [family][budget]
    verdicts: Mapping[float, list[Verdict]]  # by tolerance, per budget
    p: Mapping[float, list[list[float]]]  # by tolerance, [family][budget]; empty under the paper's rule
    failures: Mapping[float, Failure | None]  # by tolerance; empty under the paper's rule
    policies: Sequence[Policy] = ()  # one per tolerance; empty under the paper's rule, and where there is one family
    groups: Sequence["GroupTest"] = ()  # what was tested, families first; empty under the paper's rule
    level: float = math.nan  # of its own verdicts; not a number under the paper's rule
