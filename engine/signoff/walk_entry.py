"""The types of `walks`: what a sweep that stopped when it was decided asked, and what each test saw of it.

Types only; `walks` fills them. docs/certificate.md says more of each field.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

from earmark.engine.design.fields import BUDGET, COUNT, PROPORTION
from earmark.engine.signoff.rules.judgement import SampleUnit, State


class AskedRows(NamedTuple):
    """How much of a cell was asked."""

    budget: Annotated[float, "share that is kept", BUDGET]
    rows: Annotated[int, "that were asked", COUNT]
    of_rows: Annotated[int, "that there are", COUNT]


class AskedShare(NamedTuple):
    """How many answers on compressed audio were asked for, of all that the budgets have."""

    rows: int
    of_rows: int

    @property
    def share(self) -> float:
        """Of all of them; 1 where there are none."""
        return self.rows / self.of_rows if self.of_rows else 1.0


class EvidencePoint(NamedTuple):
    """How strong the evidence was at one moment."""

    units: Annotated[int, "that were looked at", COUNT]
    log_capital: Annotated[float, "the logarithm of what betting on them made of 1; of bets on recordings, its highest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkTest:
    """One family at one budget, as far as the walk looked at it."""

    partition: Annotated[str, "of the family"]
    family: Annotated[str | None, "its name; null: the average of all rows"]
    budget: Annotated[float, "share that is kept", BUDGET]
    tolerance: Annotated[float, "that it was tested against"]
    claim: Annotated[Literal["budget", "routing"], "for the sake of which claim"]
    level: Annotated[float, "of the test", PROPORTION]
    state: Annotated[State, "how it ended; open: its walk ended before it was decided"]
    asked: Annotated[int, "units that were looked at until then", COUNT]
    of: Annotated[int, "that there are", COUNT]
    unit: Annotated[SampleUnit, "rows or recordings"]
    plus: Annotated[int, "units that got worse, of those; 0 where recordings are bet on", COUNT]
    minus: Annotated[int, "units that got better", COUNT]
    p: Annotated[float, "passes where it is at most the level", PROPORTION]
    peak: Annotated[float, "the highest logarithm of the capital"]
    peak_at: Annotated[int, "after how many units", COUNT]
    passing_peak: Annotated[float | None, "the peak that passes early; null: no family so small can, it takes all rows"]
    path: Annotated[tuple[EvidencePoint, ...], "how it came there"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkEntry:
    """One method's way down its budgets."""

    answerer: Annotated[str, "who answered"]
    corpus: Annotated[str, "of the questions"]
    method: Annotated[str, "what was kept"]
    seed: Annotated[int, "training seed", COUNT]
    asked: Annotated[tuple[AskedRows, ...], "at each budget, from the largest down"]
    tests: Annotated[tuple[WalkTest, ...], "in the order of the walk"]

    @property
    def whole(self) -> bool:
        """Whether every row was asked at every budget, before it was decided or after."""
        return all(cell.rows == cell.of_rows for cell in self.asked)


def asked_share(walks: Iterable[WalkEntry]) -> AskedShare:
    """What some walks asked together, with what was asked beyond them."""
    cells = [cell for walk in walks for cell in walk.asked]
    return AskedShare(sum(cell.rows for cell in cells), sum(cell.of_rows for cell in cells))
