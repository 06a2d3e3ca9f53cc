"""How far a sweep is, from its folder alone: opens no corpus, loads nothing."""

from pathlib import Path
from typing import NamedTuple

from earmark.engine.errors import InputError
from earmark.engine.outcomes.plan_file import RAW_LEVEL, PlanFile, Step
from earmark.engine.sweep.folder import SweepFolder
from earmark.engine.sweep.preview import MARK


class StepStatus(NamedTuple):
    """One level of one answerer."""

    answerer: str
    level: Step
    done: int  # windows
    windows: int
    complete: bool  # its cells are there


class Status(NamedTuple):
    """A sweep."""

    run: Path
    plan: PlanFile
    levels: tuple[StepStatus, ...]

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
        raw = [entry.answerer for entry in self.levels if entry.complete and entry.level.name == RAW_LEVEL]
        return [answerer for answerer in raw if answerer not in self._compressed]

    @property
    def can_be_certified(self) -> bool:
        """Whether there are compressed cells, of every answerer that has cells."""
        return bool(self._compressed) and not self.references_alone

    @property
    def _compressed(self) -> set[str]:
        return {entry.answerer for entry in self.levels if entry.complete and entry.level.compressed}

    def _in(self, entry: StepStatus) -> int:
        return len(entry.level.curves) * self.plan.corpus.examples


def status(run: Path) -> Status:
    """What is done and what is not."""
    if (run / MARK).exists():
        raise InputError(run, "is the preview of a sweep", f"name the sweep's folder, {run.parent}")
    folder = SweepFolder(run)
    plan = folder.planned()
    found = []
    for answerer in plan.answerers:
        for level in plan.levels:
            complete = folder.has(level.keys(answerer, plan.corpus.name))
            done = plan.corpus.windows if complete else len(folder.windows(answerer, level))
            found.append(StepStatus(answerer, level, done, plan.corpus.windows, complete))
    return Status(run, plan, tuple(found))
