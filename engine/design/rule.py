"""The declared rule: everything that is fixed before the outcomes are looked at.

Knows no files and no statistics; `signoff.rules` judges by it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from earmark.engine.errors import InputError

Name = Literal["certified", "paper"]
Loss = Literal["zero-one", "nll"]
Clustering = Literal["source", "one-row", "ignore"]
Claim = Literal["budget", "routing", "both"]

PAPER_MIN_FAMILY = 30
BY_RULE = -1
REPLICATES: Mapping[Name, int] = {"paper": 10_000, "certified": 2_000}  # where they decide, and where they describe
SMALL_PHI, SUBSTANTIAL_PHI = 0.01, 0.05  # method 4: the bands of the query-use audit
_GAMMA_SHARE = 50  # method 9.2: gamma = alpha / 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What counts as safe, and how sure one must be."""

    name: Name = "certified"
    loss: Loss = "zero-one"
    alpha: float = 0.025  # one-sided: the chance of a false approval, and of an upper end that is too low
    tolerances: tuple[float, ...] = (0.05,)
    tolerance_average: float | None = None  # None: the same as the family's
    clustering: Clustering = "source"
    replicates: int = BY_RULE  # of the bootstrap
    seed: int = 42
    min_family: int | None = None  # None: what the rule can test at all
    parents: Mapping[str, str] = field(default_factory=dict)
    max_error_rate: float = 0.0
    partitions: tuple[str, ...] = ()  # empty: all there are
    reference_answerer: str | None = None
    in_domain: tuple[str, ...] = ()  # methods that may have been trained on the sources they are certified on
    claim: Claim = "budget"  # one budget for all families, a budget for each, or both
    candidates: tuple[str, ...] = ()  # what may be shipped; empty: every method but the baselines
    looks: int = 1  # at a set of rows that grows, each of which spends its share of alpha
    max_rows_per_recording: int | None = None  # declared: the excess is then that of rows, not of recordings
    source: str | None = None  # the column that names the recording; "none": every row has one of its own
    allow_vacuous: tuple[str, ...] = ()  # families that need no audio, and may

    def __post_init__(self) -> None:
        for option, value, known in (
            ("rule", self.name, get_args(Name)),
            ("loss", self.loss, get_args(Loss)),
            ("clustering", self.clustering, get_args(Clustering)),
            ("claim", self.claim, get_args(Claim)),
        ):
            if value not in known:
                raise InputError(f"{option} {value}", "is unknown", f"choose from {', '.join(known)}")
        if self.name == "certified" and self.loss == "nll":
            raise InputError("loss nll", "has no bound, so the certified rule cannot test it", "use --rule paper")
        limit = 1.0 if self.loss == "zero-one" else math.inf
        tolerances = [*self.tolerances] + ([] if self.tolerance_average is None else [self.tolerance_average])
        for tolerance in tolerances:
            if not 0 <= tolerance < limit:
                raise InputError(
                    f"tolerance {tolerance}", f"is not in [0, {limit:g})", "0.05 allows 5 points of excess"
                )
            if tolerance == 0 and self.name == "certified":
                raise InputError("tolerance 0", "no finite sample can show it", "allow a little, or use --rule paper")
        if not self.tolerances or len(set(self.tolerances)) < len(self.tolerances):
            raise InputError("tolerance", "none given, or one given twice", "give each tolerance once")
        if not 1e-6 <= self.alpha < 0.5:
            raise InputError(f"alpha {self.alpha}", "is not in [1e-6, 0.5)", "0.025 gives 95% intervals")
        if self.replicates == BY_RULE:
            object.__setattr__(self, "replicates", REPLICATES[self.name])
        if not 100 <= self.replicates <= 10**6:
            raise InputError(f"replicates {self.replicates}", "are not 100 to 1000000", "use 10000")
        if self.name == "paper" and self.replicates * self.alpha < 1:
            raise InputError(
                f"replicates {self.replicates}", f"cannot show a share of {self.alpha:g}", "use more, or a larger alpha"
            )
        if not 0 <= self.seed < 2**63:
            raise InputError(f"seed {self.seed}", "is not in [0, 2^63)", "use 42")
        if self.min_family is not None and self.min_family < 1:
            raise InputError(f"min-family {self.min_family}", "is below 1", "use 30")
        if self.name == "paper" and self.claim != "budget":
            raise InputError(f"claim {self.claim}", "routes by exact tests, which the paper's rule has not", "drop it")
        if self.claim != "budget" and self.tests_average(self.tolerances[0]):
            raise InputError(
                f"claim {self.claim}",
                "routes by the tolerance of families, and cannot hold a tighter one of the average",
                "drop tolerance-average, or claim a budget",
            )
        if len(set(self.candidates)) < len(self.candidates):
            raise InputError("candidates", "name one twice", "name each once")
        if not 1 <= self.looks <= 100:
            raise InputError(f"looks {self.looks}", "is not 1 to 100", "2 declares that rows may be added once")
        if self.max_rows_per_recording is not None and self.max_rows_per_recording < 1:
            raise InputError(f"max-rows-per-recording {self.max_rows_per_recording}", "is below 1", "use 10")
        if not 0 <= self.max_error_rate < 1:
            raise InputError(f"max-error-rate {self.max_error_rate}", "is not in [0, 1)", "0 refuses any failed row")

    def average_tolerance(self, tolerance: float) -> float:
        return tolerance if self.tolerance_average is None else self.tolerance_average

    def tests_average(self, tolerance: float) -> bool:
        """Whether the average is more than what follows from its families: a mixture of theirs is within theirs."""
        return self.average_tolerance(tolerance) < tolerance

    @property
    def look_alpha(self) -> float:
        """What this look at the rows may spend."""
        return self.alpha / self.looks

    @property
    def gamma(self) -> float:
        """What the certified rule pays for not knowing how often answers change."""
        return gamma_of(self.look_alpha)


def gamma_of(alpha: float) -> float:
    """The share of alpha that pays for the nuisance parameter (method 9.2)."""
    return alpha / _GAMMA_SHARE
