"""The declared rule: everything that is fixed before the outcomes are looked at, and the paper's decision.

Knows no files and no bootstrap; it judges intervals that others computed.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from earmark.engine.errors import InputError
from earmark.kernels.frontier import SLACK

Decision = Literal["approve", "reject", "inconclusive"]
Loss = Literal["zero-one", "nll"]
Clustering = Literal["source", "ignore"]

SMALL_PHI, SUBSTANTIAL_PHI = 0.01, 0.05  # SPEC 4: the bands of the query-use audit


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What counts as safe, and how sure one must be; defaults are the paper's."""

    name: Literal["paper"] = "paper"
    loss: Loss = "zero-one"
    alpha: float = 0.025  # one-sided: every interval covers 1 - 2 alpha
    tolerances: tuple[float, ...] = (0.05,)
    tolerance_average: float | None = None  # None: the same as the family's
    clustering: Clustering = "source"
    replicates: int = 10_000
    seed: int = 42
    min_family: int = 30
    parents: Mapping[str, str] = field(default_factory=dict)
    max_error_rate: float = 0.0
    partitions: tuple[str, ...] = ()  # empty: all there are
    reference_answerer: str | None = None

    def __post_init__(self) -> None:
        limit = 1.0 if self.loss == "zero-one" else math.inf
        tolerances = [*self.tolerances] + ([] if self.tolerance_average is None else [self.tolerance_average])
        for tolerance in tolerances:
            if not 0 <= tolerance < limit:
                raise InputError(
                    f"tolerance {tolerance}", f"is not in [0, {limit:g})", "0.05 allows 5 points of excess"
                )
        if not self.tolerances or len(set(self.tolerances)) < len(self.tolerances):
            raise InputError("tolerance", "none given, or one given twice", "give each tolerance once")
        if not 0 < self.alpha < 0.5:
            raise InputError(f"alpha {self.alpha}", "is not in (0, 0.5)", "0.025 gives 95% intervals")
        if self.replicates < 100:
            raise InputError(f"replicates {self.replicates}", "too few for percentiles", "use 10000")
        if not 0 <= self.seed < 2**63:
            raise InputError(f"seed {self.seed}", "is not in [0, 2^63)", "use 42")
        if self.min_family < 1:
            raise InputError(f"min-family {self.min_family}", "is below 1", "use 30")
        if not 0 <= self.max_error_rate < 1:
            raise InputError(f"max-error-rate {self.max_error_rate}", "is not in [0, 1)", "0 refuses any failed row")

    def average_tolerance(self, tolerance: float) -> float:
        return tolerance if self.tolerance_average is None else self.tolerance_average


class Interval(NamedTuple):
    """A point estimate and its two ends."""

    estimate: float
    lower: float
    upper: float


class Verdict(NamedTuple):
    """The three-way decision at one budget and tolerance, and why."""

    decision: Decision
    reason: str


def judge(
    rule: Rule,
    tolerance: float,
    average: Interval,
    families: Mapping[str, Interval],
    worst: Interval,
    worst_testable: Interval | None,
    rare: Sequence[str],
) -> Verdict:
    """The paper's decision (SPEC 5) at one budget.

    `worst` is the maximum over all families, `worst_testable` over those that are not rare (None: all are rare).
    A rare family can neither pass nor fail: it makes an approval inconclusive.
    """
    average_tolerance = rule.average_tolerance(tolerance)
    if average.lower > average_tolerance + SLACK:
        return Verdict("reject", f"the average excess is above {average_tolerance:g} (lower end {average.lower:.4f})")
    if worst_testable is not None and worst_testable.lower > tolerance + SLACK:
        name = max((f for f in families if f not in rare), key=lambda f: families[f].estimate)
        return Verdict(
            "reject", f"the worst family, '{name}', is above {tolerance:g} (lower end {worst_testable.lower:.4f})"
        )
    if average.upper > average_tolerance + SLACK:
        return Verdict(
            "inconclusive", f"the average excess may be above {average_tolerance:g} (upper end {average.upper:.4f})"
        )
    if worst.upper > tolerance + SLACK:
        name = max(families, key=lambda f: families[f].upper)
        return Verdict(
            "inconclusive",
            f"the worst family may be above {tolerance:g} (upper end {worst.upper:.4f}; '{name}' reaches furthest)",
        )
    if rare:
        names = ", ".join(f"'{name}'" for name in rare)
        return Verdict("inconclusive", f"fewer than {rule.min_family} rows in {names}")
    return Verdict(
        "approve", f"upper ends: average {average.upper:.4f}, worst family {worst.upper:.4f}, both within tolerance"
    )
