"""What a rule says of one curve under one partition: intervals, verdicts, where the walk stopped, and routes.

Values only: `certified` and `paper` make them, `verdict` writes them into the certificate.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from earmark.engine.signoff.rules.group_tests import GroupTest

Decision = Literal["approve", "reject", "inconclusive"]


class Interval(NamedTuple):
    """A point estimate and its two ends."""

    estimate: float
    lower: float
    upper: float


class Verdict(NamedTuple):
    """The three-way decision at one budget and tolerance, and why."""

    decision: Decision
    reason: str
    p: float = math.nan  # the largest of the tests that must all pass
    p_adjusted: float = math.nan  # over this budget and all larger ones


RAW_ITSELF = Verdict("approve", "keeping everything is the raw audio itself", 0.0, 0.0)


class Failure(NamedTuple):
    """Where a walk over the budgets stopped."""

    budget: float
    family: str | None  # None: the average, or no test at all
    n: int  # rows
    plus: int
    minus: int
    p: float
    units: int  # independent ones: rows, or recordings
    unit: Literal["rows", "recordings"]
    needed: int | None  # units for 90% power at the observed rates; None: no number would do
    reason: str
    missing: bool = False  # the budget was declared and has no cell


class Corrected(NamedTuple):
    """A curve's own walk at the first tolerance and the level of the claim, which it is a part of."""

    tolerance: float
    level: float
    budget: float | None  # the smallest that passes with all larger ones
    first_failure: Failure | None


class Route(NamedTuple):
    """Where one family goes: to a budget below 1, or to raw audio."""

    family: str
    n: int
    budget: float
    p: float | None  # the largest of its walk down to that budget; None on raw audio
    tested: bool  # False: too small for a share of alpha, so it spends nothing


class Policy(NamedTuple):
    """Every family at its own budget, all of them safe together."""

    tolerance: float
    alpha_each: float  # what each tested family's walk spent
    retained: float  # mean share of audio, every question at its family's budget
    families: list[Route]


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
