"""The sweep on one screen: answerer by answerer, level by level and window by window, what is not there yet.

Whatever stops it, the next run goes on where it was and ends with the same bytes. Signs nothing off.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from earmark.engine.answerers.answerer import Answerer
from earmark.engine.answerers.loading import load
from earmark.engine.answerers.request import Progress
from earmark.engine.corpus.stream import stream
from earmark.engine.design.sections import AnswererSpec, MachineSpec
from earmark.engine.design.spec import Spec
from earmark.engine.design.steps import Arm, Step, references
from earmark.engine.progress import Report, Stop, StoppedError, never, silent
from earmark.engine.sweep import audits, selector_cards, work
from earmark.engine.sweep import limit as previews
from earmark.engine.sweep.blocks import WHOLE, Block, Shard, blocks
from earmark.engine.sweep.cuts import Clips, choose, without_failed
from earmark.engine.sweep.prepare import Prepared, prepare
from earmark.engine.sweep.sweep_folder import SweepFolder

Load = Callable[[AnswererSpec, MachineSpec], Answerer]
_DECODERS_BESIDE_A_GPU = 4


class Swept(NamedTuple):
    """How a run ended."""

    stopped: bool  # before everything that was asked of it was done
    complete: bool  # every cell of the spec is
    preview: Path | None = None  # where it was limited: the run folder of the examples so far


def decoders(machine: MachineSpec) -> int:
    """Processes that decode audio ahead; 0: none, it is done in between."""
    if machine.decoders is not None:
        return machine.decoders
    return 0 if machine.device == "cpu" else _DECODERS_BESIDE_A_GPU


def run(
    spec: Spec,
    out: Path,
    *,
    limit: int | None = None,
    shard: Shard = WHOLE,
    load: Load = load,
    report: Report = silent,
    stop: Stop = never,
) -> Swept:
    """Fill a run folder with the outcomes that a spec asks for: all, a shard's, or a preview of `limit` recordings.

    `stop` is asked before every window and after every batch.
    """
    folder, prepared = SweepFolder(out), prepare(spec, out, shard.count)
    selector_cards.write(spec, out)
    total = prepared.survey.blocks
    first = total if limit is None else min(-(-limit // spec.window), total)
    audited = first == total and shard.index == 0
    ours = [number for number in range(first) if shard.has(number)]
    meter = _SweepMeter(prepared, ours, report)
    loaded = _Loaded(load, spec.machine)
    for answerer, steps in _turns(prepared):
        if audited and audits.flips_missing(out, prepared, answerer.name):
            audits.flips(out, prepared, answerer.name, loaded.of(answerer))
        tasks = [(step, number) for step in steps for number in _missing(folder, prepared, answerer.name, step, ours)]
        meter.found(answerer.name, steps, tasks)
        for step, block, clips in _heard(prepared, tasks):
            if stop():  # a window of one batch is whole before anybody could stop it
                return Swept(stopped=True, complete=False)
            chosen = choose(folder, step, clips, prepared.selectors, prepared.streams)
            chosen = without_failed(chosen, clips, _failed(folder, prepared, answerer.name, step, block))
            requests = list(work.requests(step, clips, chosen, prepared.streams))
            try:
                with folder.answers(answerer.name, block.number) as results:
                    answers = work.answer(loaded.of(answerer), requests, results, meter.batch, stop)
            except StoppedError:
                return Swept(stopped=True, complete=False)
            rows = work.rows(step, clips, chosen, prepared.streams, answers, prepared.family_of)
            folder.write_block(answerer.name, step, block.number, rows)
            meter.block(step, block)
            folder.complete(answerer.name, prepared.corpus.name, step, total)
    complete = finish(folder, prepared)
    if audited:
        audits.grids(out, prepared)
    looked = first < total and not complete
    return Swept(False, complete, previews.make(folder, prepared, first) if looked else None)


def _turns(prepared: Prepared) -> Iterator[tuple[AnswererSpec, list[Step]]]:
    """What verdicts need for all answerers, then permuted questions, from the answerer on that is loaded already."""
    answerers = prepared.spec.answerers
    for answerer in answerers:
        yield answerer, [step for step in prepared.steps if not step.permuted]
    for answerer in reversed(answerers):
        yield answerer, [step for step in prepared.steps if step.permuted]


class _Loaded:
    """The answerer whose turn it is: loaded when it is first needed, in place of the one before."""

    def __init__(self, load: Load, machine: MachineSpec) -> None:
        self._load = load
        self._machine = machine
        self._asked: AnswererSpec | None = None
        self._answerer: Answerer | None = None

    def of(self, answerer_spec: AnswererSpec) -> Answerer:
        """That of a spec."""
        if self._answerer is None or self._asked != answerer_spec:
            if self._answerer is not None:
                self._answerer.close()  # there may not be memory for two
            self._answerer = None
            self._answerer, self._asked = self._load(answerer_spec, self._machine), answerer_spec
        return self._answerer


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
            folder.forget(answerer.name)
    return complete


def _missing(folder: SweepFolder, prepared: Prepared, answerer: str, step: Step, ours: list[int]) -> list[int]:
    """Our windows of a level that are still to be answered."""
    if folder.has(step.keys(answerer, prepared.corpus.name)):
        return []
    done = set(folder.blocks(answerer, step))
    return [number for number in ours if number not in done]


def _failed(
    folder: SweepFolder, prepared: Prepared, answerer: str, step: Step, block: Block
) -> dict[Arm, Mapping[str, str]]:
    """The samples of a window whose raw answer failed, with its status, for every curve of a level."""
    raw = references(prepared.steps, step)
    statuses = {
        reference: folder.failed(answerer, prepared.corpus.name, *reference, block.number)
        for reference in dict.fromkeys(raw.values())
    }
    return {arm: statuses[reference] for arm, reference in raw.items()}


def _heard(prepared: Prepared, tasks: list[tuple[Step, int]]) -> Iterator[tuple[Step, Block, Clips]]:
    """The windows that are to be answered, with their clips; decoded ahead, one pass over the audio for each level."""

    def each() -> Iterator[tuple[Step, Block]]:
        for step in prepared.steps:
            wanted = {number for owner, number in tasks if owner is step}
            if wanted:
                of_step = islice(blocks(prepared.corpus, prepared.spec.window), max(wanted) + 1)
                yield from ((step, block) for block in of_step if block.number in wanted)

    examples = (example for _, block in each() for example in block.examples)
    clips = stream(examples, workers=decoders(prepared.spec.machine))
    for step, block in each():
        yield step, block, Clips(block, list(islice(clips, len(block.examples))))


class _SweepMeter:
    """What is said while waiting: answers there are, and in all."""

    def __init__(self, prepared: Prepared, ours: list[int], report: Report) -> None:
        sizes = prepared.survey.sizes
        self._sizes = sizes
        self._report = report
        self._examples = sum(sizes[number] for number in ours)
        arms = sum(len(step.arms) for step in prepared.steps)
        self._total = arms * self._examples * len(prepared.spec.answerers)
        self._done = self._fresh = 0
        self._name = ""
        self._began: float | None = None  # the first window

    def found(self, answerer: str, steps: list[Step], tasks: list[tuple[Step, int]]) -> None:
        """An answerer's turn; what is no task is there already."""
        self._name = answerer
        self._done += sum(len(step.arms) for step in steps) * self._examples
        self._done -= sum(len(step.arms) * self._sizes[number] for step, number in tasks)

    def batch(self, progress: Progress) -> None:
        """Some answers of the window that is running."""
        now = time.monotonic()
        self._began = self._began or now - progress.answered / max(1e-9, progress.evaluations_per_s)
        done = self._done + progress.answered
        rate = (self._fresh + progress.answered) / max(1e-9, now - self._began)
        left = _duration((self._total - done) / rate) if rate else "?"
        saved = f"{progress.saving.share:.0%} of the work saved"
        self._report(f"{self._name}: {rate:,.0f} answers/s, {saved}, {left} left:", done, self._total)

    def block(self, step: Step, block: Block) -> None:
        """A window is done."""
        answers = len(step.arms) * len(block.examples)
        self._done += answers
        self._fresh += answers
        self._report(f"{self._name}: {step.name}:", self._done, self._total)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
