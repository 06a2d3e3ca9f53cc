"""How far a sweep is, from its folder alone: opens no corpus, loads nothing."""

from pathlib import Path
from typing import NamedTuple

from earmark.engine.design.keys import PREVIEW_MARK
from earmark.engine.design.steps import Step
from earmark.engine.errors import InputError
from earmark.engine.outcomes.plan_file import PlanFile
from earmark.engine.sweep.sweep_folder import SweepFolder


class StepStatus(NamedTuple):
    """One step of one answerer."""

    answerer: str
    step: Step
    done: int  # blocks
    blocks: int
    complete: bool  # its cells are there


class Status(NamedTuple):
    """A sweep."""

    run: Path
    plan: PlanFile
    steps: tuple[StepStatus, ...]

    @property
    def complete(self) -> bool:
        return all(step.complete for step in self.steps)

    @property
    def answers(self) -> int:
        """How many there are; blocks are taken as alike."""
        return round(sum(self._in(entry) * entry.done / entry.blocks for entry in self.steps))

    @property
    def answers_in_all(self) -> int:
        return sum(self._in(entry) for entry in self.steps)

    @property
    def references_alone(self) -> list[str]:
        """Answerers with cells of raw audio only: there is nothing to judge yet."""
        raw = [entry.answerer for entry in self.steps if entry.complete and entry.step.kind == "raw"]
        return [answerer for answerer in raw if answerer not in self._compressed]

    @property
    def can_be_certified(self) -> bool:
        """Whether there are compressed cells, of every answerer that has cells."""
        return bool(self._compressed) and not self.references_alone

    @property
    def _compressed(self) -> set[str]:
        return {entry.answerer for entry in self.steps if entry.complete and entry.step.compressed}

    def _in(self, entry: StepStatus) -> int:
        return len(entry.step.arms) * self.plan.corpus.examples


def status(run: Path) -> Status:
    """What is done and what is not."""
    if (run / PREVIEW_MARK).exists():
        raise InputError(run, "is the preview of a sweep", f"name the sweep's folder, {run.parent}")
    folder = SweepFolder(run)
    plan = folder.planned()
    steps: list[StepStatus] = []
    for answerer in plan.answerers:
        for step in plan.steps:
            complete = folder.has(step.keys(answerer, plan.corpus.name))
            windows = [number for number in folder.windows.blocks(answerer, step) if number < plan.corpus.windows]
            done = plan.corpus.windows if complete else len(windows)
            steps.append(StepStatus(answerer, step, done, plan.corpus.windows, complete))
    return Status(run, plan, tuple(steps))
