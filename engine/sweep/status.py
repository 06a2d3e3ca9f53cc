"""How far a sweep is, from its folder alone: opens no corpus, loads nothing."""

from pathlib import Path
from typing import NamedTuple

from earmark.engine.errors import InputError
from earmark.engine.sweep.folder import Plan, SweepFolder
from earmark.engine.sweep.order import Curve, Level


class LevelStatus(NamedTuple):
    """One level of one answerer."""

    answerer: str
    level: Level
    done: int  # windows
    windows: int
    complete: bool  # its cells are there


class Status(NamedTuple):
    """A sweep."""

    run: Path
    plan: Plan
    levels: tuple[LevelStatus, ...]

    @property
    def complete(self) -> bool:
        return all(level.complete for level in self.levels)

    @property
    def answers(self) -> int:
        """How many there are; windows are taken as alike."""
        return round(sum(self._in(entry) * entry.done / entry.windows for entry in self.levels))

    @property
    def answers_in_all(self) -> int:
        return sum(self._in(entry) for entry in self.levels)

    @property
    def references_alone(self) -> list[str]:
        """Answerers with cells of raw audio only: there is nothing to judge yet."""
        raw = [entry.answerer for entry in self.levels if entry.complete and entry.level.name == "raw"]
        return [answerer for answerer in raw if answerer not in self._compressed]

    @property
    def can_be_certified(self) -> bool:
        """Whether there are compressed cells, of every answerer that has cells."""
        return bool(self._compressed) and not self.references_alone

    @property
    def _compressed(self) -> set[str]:
        return {entry.answerer for entry in self.levels if entry.complete and entry.level.name.startswith("anchor")}

    def _in(self, entry: LevelStatus) -> int:
        return len(entry.level.curves) * int(self.plan["corpus"]["examples"])


def status(run: Path) -> Status:
    """What is done and what is not."""
    folder = SweepFolder(run)
    plan = folder.plan()
    if plan is None:
        raise InputError(run, "holds no sweep (no plan.json)", "begin one with `earmark run SPEC.toml`")
    windows, corpus = int(plan["corpus"]["windows"]), str(plan["corpus"]["name"])
    found = []
    for answerer in plan["answerers"]:
        for level in planned_levels(plan):
            complete = folder.has(level.keys(answerer, corpus))
            done = windows if complete else len(folder.windows(answerer, level))
            found.append(LevelStatus(answerer, level, done, windows, complete))
    return Status(run, plan, tuple(found))


def planned_levels(plan: Plan) -> tuple[Level, ...]:
    """The levels that a plan.json names."""
    return tuple(
        Level(level["name"], level["budget"], tuple(Curve(*curve) for curve in level["curves"]))
        for level in plan["levels"]
    )
