"""The sweep on one screen: answerer by answerer, step by step and block by block, what is not there yet.

Whatever stops it, the next run goes on where it was and ends with the same bytes. Signs nothing off.
"""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from earmark.engine.answerers.answerer import Answerer, LostError
from earmark.engine.answerers.loading import loader as answerer_loader
from earmark.engine.answerers.request import Progress
from earmark.engine.answerers.server import ledger
from earmark.engine.compressors.loading import LoadCompressor, loader
from earmark.engine.design.keys import WAVES
from earmark.engine.design.sections import AnswererSpec, MachineSpec
from earmark.engine.design.spec import Spec
from earmark.engine.design.steps import Step
from earmark.engine.errors import InputError
from earmark.engine.files import remove_folder
from earmark.engine.progress import Report, Stop, StoppedError, never, silent
from earmark.engine.sweep import audits, who_answers
from earmark.engine.sweep import limit as previews
from earmark.engine.sweep.blocks import WHOLE, Shard
from earmark.engine.sweep.prepare import Prepared, prepare
from earmark.engine.sweep.stopping import Never, Stopping
from earmark.engine.sweep.sweep_folder import SweepFolder
from earmark.engine.sweep.tasks import Executor, InProcess, Task
from earmark.engine.sweep.work import Load, Worker
from earmark.engine.withheld import withheld


class Swept(NamedTuple):
    """How a run ended."""

    stopped: bool  # before everything that was asked of it was done
    complete: bool  # every cell of the spec is
    preview: Path | None = None  # where it was limited: the run folder of the examples so far


def run(
    spec: Spec,
    out: Path,
    *,
    limit: int | None = None,
    shard: Shard = WHOLE,
    load: Load | None = None,
    load_compressor: LoadCompressor | None = None,
    executor: Executor = InProcess(),  # noqa: B008 (it holds nothing)
    report: Report = silent,
    stop: Stop = never,
) -> Swept:
    """Fill a run folder with the outcomes that a spec asks for: all, a shard's, or a preview of `limit` recordings.

    A limit is rounded up to whole windows; where these are all, it is no preview. `stop` is asked before every block
    and after every batch. InputError where another process fills the same blocks.
    """
    previews.check(limit)
    folder = SweepFolder(out)
    with (
        withheld(spec.key_variables),
        loader(out, spec.machine) as load_any,
        answerer_loader(out, stop) as load_answerer,
    ):
        prepared = prepare(spec, out, load_compressor or load_any, shard.count)
        with folder.filling(shard):
            return _fill(folder, prepared, limit, shard, load or load_answerer, executor, report, stop)


def _fill(
    folder: SweepFolder,
    prepared: Prepared,
    limit: int | None,
    shard: Shard,
    load: Load,
    executor: Executor,
    report: Report,
    stop: Stop,
) -> Swept:
    """Ask what is not there yet, and make cells of what is."""
    out = folder.run

    def load_and_begin(answerer: AnswererSpec, machine: MachineSpec) -> Answerer:
        """A folder is not bound to a spec whose answerer cannot be loaded."""
        model = load(answerer, machine)
        prepared.begin(folder)
        who_answers.write(folder, answerer, model)
        return model

    if folder.answered():
        prepared.begin(folder)  # what it has lost
    total = prepared.survey.blocks
    first = total if limit is None else min(-(-limit // prepared.spec.window), total)
    audited = first == total and shard.index == 0
    ours = [number for number in range(first) if shard.has(number)]
    meter = _SweepMeter(folder, prepared, ours, report)
    worker = Worker(folder, prepared, load_and_begin, meter.batch)
    stopping: Stopping = Never(ours)
    try:
        for answerer, steps in _passes(prepared):
            if audited and audits.flips_missing(out, prepared, answerer):
                audits.flips(out, prepared, answerer, worker.answerer(answerer))
            for tasks in stopping.turns(folder, answerer, prepared.corpus.name, steps):
                for task, rows in executor.map(tasks, worker.work, stop):
                    folder.windows.write_rows(answerer, task.step, task.block, rows)
                    meter.block(task)
                    folder.complete(answerer, prepared.corpus.name, task.step, total)
    except StoppedError:
        return Swept(stopped=True, complete=False)
    except LostError as error:
        raise InputError(f"answerer {answerer}", f"is lost: {error}", "the same command goes on") from error
    complete = finish(folder, prepared)
    if audited:
        audits.grids(out, prepared)
    looked = first < total and not complete
    return Swept(False, complete, previews.make(folder, prepared, first) if looked else None)


def _passes(prepared: Prepared) -> Iterator[tuple[str, list[Step]]]:
    """What verdicts need for all answerers, then permuted questions, from the answerer on that is loaded already."""
    names = [answerer.name for answerer in prepared.spec.answerers]
    for name in names:
        yield name, [step for step in prepared.steps if not step.permuted]
    for name in reversed(names):
        yield name, [step for step in prepared.steps if step.permuted]


def finish(folder: SweepFolder, prepared: Prepared) -> bool:
    """Turn what is done into cells; whether every cell of the spec is complete."""
    complete = True
    for answerer in prepared.spec.answerers:
        cells = [
            folder.complete(answerer.name, prepared.corpus.name, step, prepared.survey.blocks)
            for step in prepared.steps
        ]
        complete &= all(cells)
        if all(cells):
            folder.windows.forget(answerer.name)
            ledger.forget(folder.run, answerer.name)
    if complete:
        remove_folder(folder.run / WAVES, folder.run)
    return complete


class _SweepMeter:
    """What is said while waiting: answers there are, and in all."""

    def __init__(self, folder: SweepFolder, prepared: Prepared, ours: Sequence[int], report: Report) -> None:
        self._sizes = sizes = prepared.survey.sizes
        self._report = report
        self._total = self._done = self._fresh = 0
        self._name = prepared.spec.answerers[0].name
        self._began: float | None = None  # the first block
        for answerer in prepared.spec.answerers:
            for step in prepared.steps:
                whole = folder.has(step.keys(answerer.name, prepared.corpus.name))
                done = set(ours if whole else folder.windows.blocks(answerer.name, step))
                self._total += len(step.arms) * sum(sizes[number] for number in ours)
                self._done += len(step.arms) * sum(sizes[number] for number in ours if number in done)

    def batch(self, progress: Progress) -> None:
        """Some answers of the block that is running."""
        now = time.monotonic()
        self._began = self._began or now - progress.answered / max(1e-9, progress.evaluations_per_s)
        done = self._done + progress.answered
        rate = (self._fresh + progress.answered) / max(1e-9, now - self._began)
        left = _duration((self._total - done) / rate) if rate else "?"
        saved = f"{progress.saving.share:.0%} of the work saved"
        self._report(f"{self._name}: {rate:,.0f} answers/s, {saved}, {left} left:", done, self._total)

    def block(self, task: Task) -> None:
        """A block is done."""
        self._name = task.answerer
        answers = len(task.step.arms) * self._sizes[task.block]
        self._done += answers
        self._fresh += answers
        self._report(f"{self._name}: {task.step.name}:", self._done, self._total)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
