"""What a check asks of a model, with what means it looks, and what it may find.

Values only: how they are measured and judged, `check` knows.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from earmark.engine.design.rule import Rule

SCORE_TOLERANCE = 1e-4  # of the spread of the scores; backends differ by 2e-5 at worst
AGREEMENT = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What a model must reach. None: not asked for."""

    variant: bool = False  # it is meant to differ (quantised, pruned, retrained): its answers carry the verdict
    score_tolerance: float | None = None  # None: SCORE_TOLERANCE, except for a variant
    agreement: float | None = None  # share of a family's questions with equal chunks; None: all, except for a variant
    max_p95_ms: float | None = None  # these three hold for each number of threads, here or where a report is from
    max_cold_start_s: float | None = None
    max_memory_mib: float | None = None
    max_size_mb: float | None = None

    @property
    def scores_within(self) -> float | None:
        return SCORE_TOLERANCE if self.score_tolerance is None and not self.variant else self.score_tolerance

    @property
    def agreeing(self) -> float | None:
        return AGREEMENT if self.agreement is None and not self.variant else self.agreement


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckMeans:
    """What is checked and with what means."""

    budgets: tuple[float, ...]
    provider: str = "cpu"
    threads: tuple[int, ...] = (1,)
    timed: int = 50  # clips; 0: this machine is not measured
    device: Path | None = None  # device.json of the machine that is judged instead of this one
    partition: str | None = None  # None: the first that the corpus declares
    workers: int | None = 0
    rule: Rule = Rule()  # noqa: RUF009 (frozen)


class CheckFinding(NamedTuple):
    """One reason for not shipping a model."""

    check: str  # file, identity, scores, agreement, answers or device
    reason: str
