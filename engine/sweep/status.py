"""How far a sweep is, from its folder alone: opens no corpus, loads nothing. Of outcomes without a sweep: how many."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from earmark.engine.design.keys import PREVIEW, PREVIEW_MARK
from earmark.engine.design.steps import Step
from earmark.engine.errors import InputError
from earmark.engine.outcomes import store
from earmark.engine.outcomes.imports import doubts
from earmark.engine.outcomes.parquet_file import count_rows
from earmark.engine.outcomes.plan_file import PlanFile
from earmark.engine.signoff import preview
from earmark.engine.signoff.certificate import CERTIFICATE_FILE
from earmark.engine.sweep.blocks import WHOLE, Shard
from earmark.engine.sweep.sweep_folder import SweepFolder
from earmark.engine.sweep.windows import Written

_PACE_WINDOWS = 10  # the latest ones tell how fast it goes


class StepStatus(NamedTuple):
    """One step of one answerer."""

    answerer: str
    step: Step
    done: frozenset[int]  # blocks
    blocks: int
    complete: bool  # its cells are there
    answers: int
    answers_in_all: int  # of a walk that stops when it is decided at most so many
    later: int = 0  # of the answers, those that were asked once it was decided

    @property
    def whole(self) -> bool:
        """Whether every answer is there."""
        return self.complete and self.answers == self.answers_in_all


class AnswerCounts(NamedTuple):
    """How many answers there are, and in all."""

    answers: int
    in_all: int


class Pace(NamedTuple):
    """How fast answers come."""

    answers_per_s: float
    last_at: float  # when the last ones came, in seconds since the epoch


class Status(NamedTuple):
    """A sweep."""

    run: Path
    plan: PlanFile
    steps: tuple[StepStatus, ...]
    shards: tuple[Shard, ...]  # that were begun here; none: the whole sweep was
    over: frozenset[Shard]  # those of which walks that stop when they are decided ask nothing more
    pace: Pace | None  # None where too little is under way to tell
    preview: preview.Preview | None  # of it that was made last; None where there is none
    certified: bool  # a certificate is there
    completing: bool  # what walks left out is asked
    fillers: Mapping[Shard, str]  # the processes that fill it now, in words, by what each fills

    @property
    def filler(self) -> str | None:
        """The process that fills all of it now, in words."""
        return self.fillers.get(WHOLE)

    @property
    def complete(self) -> bool:
        """Whether every answer is there."""
        return all(entry.whole for entry in self.steps)

    @property
    def decided(self) -> bool:
        """Whether walks that stop when they are decided have come to their end."""
        verdicts = [entry for entry in self.steps if not entry.step.permuted]
        return self.plan.decided is not None and all(entry.complete for entry in verdicts)

    @property
    def answers(self) -> int:
        """How many there are."""
        return sum(entry.answers for entry in self.steps)

    @property
    def answers_in_all(self) -> int:
        return sum(entry.answers_in_all for entry in self.steps)

    @property
    def for_verdicts(self) -> "AnswerCounts":
        """How many answers there are, and in all, but for permuted questions, which no verdict needs."""
        steps = [entry for entry in self.steps if not entry.step.permuted]
        return AnswerCounts(sum(entry.answers for entry in steps), sum(entry.answers_in_all for entry in steps))

    @property
    def unfinished_shards(self) -> list[Shard]:
        """The shards that were begun here of which some window is missing, or that are not decided."""
        if self.plan.decided is not None:
            return [shard for shard in self.shards if shard not in self.over]
        return [shard for shard in self.shards if any(_missing(entry, shard) for entry in self.steps)]

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


class OutcomesAlone(NamedTuple):
    """The cells of a run folder that no sweep fills."""

    run: Path
    cells: int
    rows: int  # of all cells together
    imported: bool  # by `earmark import`
    certified: bool  # a certificate is there


def _missing(entry: StepStatus, shard: Shard) -> bool:
    return any(shard.has(number) and number not in entry.done for number in range(entry.blocks))


def outcomes(run: Path) -> OutcomesAlone | None:
    """What a folder without a plan holds; None where there is a plan, or no cell."""
    if SweepFolder(run).plan() is not None or not (run / store.CELLS).is_dir():
        return None
    files_of_cell = store.find_cells(run)
    n_rows = sum(count_rows(path, "write it again") for paths in files_of_cell.values() for path in paths)
    return OutcomesAlone(run, len(files_of_cell), n_rows, os.path.lexists(run / doubts.FILE), _is_certified(run))


def _is_certified(run: Path) -> bool:
    return os.path.lexists(run / CERTIFICATE_FILE)


def status(run: Path) -> Status:
    """What is done and what is not."""
    if (run / PREVIEW_MARK).exists():
        raise InputError(run, "is the preview of a sweep", f"name the sweep's folder, {run.parent}")
    folder = SweepFolder(run)
    plan = folder.planned()
    steps: list[StepStatus] = []
    pace: Pace | None = None
    for answerer in plan.answerers:
        for step in plan.steps:
            in_all = len(step.arms) * plan.corpus.examples
            if plan.decided is not None and not step.permuted:
                walked = _of_walk(folder, answerer, step, plan)
                steps.append(walked.status)
                pace = walked.pace or pace
                continue
            if folder.has(step.keys(answerer, plan.corpus.name)):
                everything = frozenset(range(plan.corpus.windows))
                steps.append(StepStatus(answerer, step, everything, plan.corpus.windows, True, in_all, in_all))
                continue
            numbers = [number for number in folder.windows.blocks(answerer, step) if number < plan.corpus.windows]
            written = [folder.windows.written(answerer, step, number) for number in numbers]
            answers = sum(block.n_rows for block in written)
            steps.append(StepStatus(answerer, step, frozenset(numbers), plan.corpus.windows, False, answers, in_all))
            pace = _pace(written) or pace
    over = frozenset(filter(folder.is_over, folder.shards))
    return Status(
        run,
        plan,
        tuple(steps),
        folder.shards,
        over,
        pace,
        preview.read(run / PREVIEW),
        _is_certified(run),
        any(folder.windows.has_rest(answerer) for answerer in plan.answerers),
        folder.who_fills(),
    )


class _Walked(NamedTuple):
    status: StepStatus
    pace: Pace | None


def _of_walk(folder: SweepFolder, answerer: str, step: Step, plan: PlanFile) -> _Walked:
    """A step of walks that stop when they are decided: what its cell left out may be asked later, to complete it."""
    complete = folder.has(step.keys(answerer, plan.corpus.name))
    block_of, written = folder.windows.parts_written(answerer, step)
    n_asked, later, blocks = len(block_of), 0, plan.corpus.windows
    if complete:
        n_left_out = folder.left_out(answerer, plan.corpus.name, step)
        later = min(n_left_out, n_asked)
        n_asked = plan.corpus.examples - n_left_out + later
    entry = StepStatus(answerer, step, frozenset(), blocks, complete, n_asked, plan.corpus.examples, later)
    return _Walked(entry, None if entry.whole else _pace(written))


def _pace(blocks: Sequence[Written]) -> Pace | None:
    """How fast the latest blocks came; None where there are too few."""
    first, *later = sorted(blocks, key=lambda block: block.at)[-_PACE_WINDOWS:] or [Written(0, 0.0)]
    if not later or later[-1].at <= first.at:
        return None
    return Pace(sum(block.n_rows for block in later) / (later[-1].at - first.at), later[-1].at)
