"""The sweep on one screen: answerer by answerer, step by step and block by block, what is not there yet.

Whatever stops it, the next run goes on where it was and ends with the same bytes. Signs nothing off.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from earmark.engine.answerers.answerer import Answerer, LostError
from earmark.engine.answerers.loading import loader as answerer_loader
from earmark.engine.answerers.request import Progress
from earmark.engine.answerers.server import ledger
from earmark.engine.compressors.loading import LoadCompressor, loader
from earmark.engine.corpus.example import Audio
from earmark.engine.corpus.spool import spool
from earmark.engine.corpus.unheard import unheard
from earmark.engine.design.keys import PREVIEW, SPOOLED
from earmark.engine.design.sections import PLAIN, AnswererSpec, MachineSpec
from earmark.engine.design.spec import Spec
from earmark.engine.design.steps import Step
from earmark.engine.errors import InputError
from earmark.engine.files import remove_folder
from earmark.engine.progress import AtMost, Report, Stop, StoppedError, never, silent
from earmark.engine.sweep import audits, who_answers
from earmark.engine.sweep import limit as previews
from earmark.engine.sweep.blocks import WHOLE, Shard
from earmark.engine.sweep.crew import CrewExecutor, OpenCrew
from earmark.engine.sweep.deciding import Completing, Deciding
from earmark.engine.sweep.prepare import Prepared, prepare
from earmark.engine.sweep.station import Brought, Introduction, charge
from earmark.engine.sweep.stopping import Never, Stopping
from earmark.engine.sweep.sweep_folder import SweepFolder
from earmark.engine.sweep.tasks import Executor, InProcess, Task
from earmark.engine.sweep.work import Load, Worker, check_able, decoders
from earmark.engine.withheld import withheld

_SHARED_WALKS = (
    "a shard does not see when the others are decided: some of its answers will not be needed, others are missing "
    "after the merge, and the run without --shard asks them; shards of --until complete ask everything once"
)


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
    open_crew: OpenCrew | None = None,
    report: Report = silent,
    note: Callable[[str], None] = silent,
    stop: Stop = never,
) -> Swept:
    """Fill a run folder with the outcomes that a spec asks for: all, a shard's, or a preview of `limit` recordings.

    `stop` is asked before every block and after every batch. InputError, before anything is asked, for a limit of all
    recordings or of a run that is complete, and where more than the rule declares cannot be heard; InputError where
    another process fills the same blocks. With `open_crew` its workers answer, and this process alone writes; a preview
    is asked by this process.
    """
    previews.check(limit)
    folder = SweepFolder(out)
    report("preparing the corpus and the compressors", 0, 0)
    with (
        withheld(spec.key_variables),
        loader(out, spec.machine) as load_any,
        answerer_loader(out, stop, reduces=any(m.stage != "waves" for m in spec.methods)) as load_answerer,
    ):
        prepared = prepare(spec, out, load_compressor or load_any, shard.count)
        complete = _is_complete(folder, prepared)
        looked = None
        if len(_steps_asked_for(prepared)) < len(prepared.steps):
            note("permuted questions ([streams]) wait until what was decided is completed (--until complete)")
        if shard != WHOLE and prepared.walk is not None and spec.until == "decided":
            note(_SHARED_WALKS)
        if limit is not None:
            previews.check_is_part(limit, prepared, out, complete=complete)
            looked = previews.first(prepared, limit)
            note(_what_is_looked_at(prepared, looked))
            open_crew = None
        try:
            if stop():
                raise StoppedError
            if not complete:
                _look_for_unheard(folder, prepared, looked, report, note, stop)
        except StoppedError:
            return Swept(stopped=True, complete=False)
        with folder.filling(shard), ExitStack() as stack:
            lead: Lead | None = None
            if open_crew is not None:
                brought = Brought(load, load_compressor)
                lead = partial(_lead, stack, open_crew, brought)
            return _fill(folder, prepared, looked, shard, load or load_answerer, lead, report, stop)


Begin = Callable[[str, Introduction], None]  # bind the folder to an answerer that a worker has loaded
Lead = Callable[[SweepFolder, Prepared, Mapping[Audio, Audio], Begin], CrewExecutor]


def _lead(
    stack: ExitStack,
    open_crew: OpenCrew,
    brought: Brought,
    folder: SweepFolder,
    prepared: Prepared,
    in_place_of: Mapping[Audio, Audio],
    begin: Begin,
) -> CrewExecutor:
    """Have workers started on a run; they end with the stack."""
    crew = open_crew(charge(folder, prepared, in_place_of, brought))
    executor = CrewExecutor(crew, folder, prepared, begin)
    stack.callback(executor.close)
    return executor


def _is_complete(folder: SweepFolder, prepared: Prepared) -> bool:
    """Whether every cell that the spec asks for is there, and has all rows where it asks for all."""
    corpus = prepared.corpus.name
    return all(
        folder.has(step.keys(answerer.name, corpus))
        and (prepared.walk is None or prepared.spec.until == "decided" or folder.is_whole(answerer.name, corpus, step))
        for answerer in prepared.spec.answerers
        for step in _steps_asked_for(prepared)
    )


def _steps_asked_for(prepared: Prepared) -> list[Step]:
    """The steps of the spec: permuted questions wait until what was decided is completed."""
    decided = prepared.walk is not None and prepared.spec.until == "decided"
    return [step for step in prepared.steps if not (decided and step.permuted)]


def _look_for_unheard(
    folder: SweepFolder,
    prepared: Prepared,
    looked: Prepared | None,
    report: Report,
    note: Callable[[str], None],
    stop: Stop,
) -> None:
    """Say before the first answer which questions will have none; raises StoppedError.

    InputError where the whole run could not be certified for them: a preview never is, and only says so.
    """
    begun = folder.answered()
    if begun and looked is not None:
        return

    def report_unless_stopped(step: str, n_done: int, n_total: int) -> None:
        if stop():
            raise StoppedError
        report(step, n_done, n_total)

    workers = decoders(prepared.spec.machine)
    corpus = prepared.as_read if looked is None else previews.as_read(looked, prepared)
    silence = unheard(corpus, workers=workers, report=report_unless_stopped)
    if silence is None:
        return
    declared_rate = prepared.spec.rule.max_error_rate
    if looked is None and not silence.is_declared(declared_rate):
        raise InputError(prepared.spec.corpus.path, f"{silence.what}, and nothing could be certified", silence.help)
    if not begun:
        note(silence.words(declared_rate))


def _what_is_looked_at(prepared: Prepared, looked: Prepared) -> str:
    """What a limit comes to, in a sentence."""
    survey = prepared.survey
    return (
        f"a preview of the first {looked.survey.recordings:,} of {survey.recordings:,} recordings: "
        f"{looked.survey.examples:,} of {survey.examples:,} questions, at every budget"
    )


def _fill(
    folder: SweepFolder,
    prepared: Prepared,
    looked: Prepared | None,
    shard: Shard,
    load: Load,
    lead: Lead | None,
    report: Report,
    stop: Stop,
) -> Swept:
    """Ask what is not there yet, of all examples or of those that are `looked` at, and make cells of what is whole."""
    out = folder.run

    def load_and_begin(answerer: AnswererSpec, machine: MachineSpec) -> Answerer:
        """A folder is not bound to a spec whose answerer cannot be loaded."""
        report(f"loading {answerer.name}", 0, 0)
        model = load(answerer, machine)
        if stop():  # which may have been asked for while it was loaded
            raise StoppedError
        begin(answerer.name, model)
        return model

    def begin(name: str, model: Answerer | Introduction) -> None:
        prepared.begin(folder)
        folder.note_shard(shard)
        (described,) = (entry for entry in prepared.spec.answerers if entry.name == name)
        who_answers.write(folder, described, model)
        meter.show()

    if folder.answered():
        prepared.begin(folder)  # what it has lost
        folder.note_shard(shard)
    elif lead is None:
        _try_later_answerers(prepared, load, report)
    ours = prepared if looked is None else looked
    filled = folder if looked is None else previews.folder_of(folder, prepared, looked)
    numbers = [number for number in range(ours.survey.blocks) if shard.has(number)]
    ahead = prepared.spec.machine.ahead_blocks if lead is not None else 0
    phases = _phases(prepared, looked, shard, numbers, ahead)
    audited = looked is None and shard.index == 0
    meter = _SweepMeter(filled, ours, numbers, report, of_walks=prepared.walk is not None and looked is None)

    copies_of_preview = out / SPOOLED / PREVIEW

    def spooled() -> Mapping[Audio, Audio]:
        audios = (example.audio for example in ours.corpus.examples)
        if looked is None:
            remove_folder(copies_of_preview, out)  # of one that was stopped: the declared bytes are for this copy
        place = out / SPOOLED if looked is None else copies_of_preview
        return spool(audios, place, prepared.spec.machine.spool_mib << 20, report, stop)

    worker = Worker(filled, ours, load_and_begin, meter.batch, spooled)
    crew: CrewExecutor | None = None
    if lead is not None:
        report("starting workers", 0, 0)
        crew = lead(folder, prepared, spooled() if prepared.walk is not None else {}, begin)
    executor: Executor = crew or InProcess(worker.work)
    answerer = ""

    def asks_nothing(name: str) -> bool:
        """Whether walks came to their end without a question, since nothing can be approved."""
        raw = next(step for step in prepared.steps if step.kind == "raw")
        left_out = 0 if prepared.walk is None else folder.left_out(name, prepared.corpus.name, raw)
        return left_out == prepared.survey.examples

    def ask_twice(name: str) -> None:
        """What the flip rate is counted from, unless it is there."""
        if audited and audits.flips_missing(out, prepared, name) and not asks_nothing(name):
            report(f"{name}: answering raw questions twice", 0, 0)
            if crew is not None:
                crew.flips(name)
            else:
                audits.flips(out, prepared, name, worker.answerer(name), stop)

    try:
        for stopping, passes in phases:
            for answerer, steps in passes:
                if prepared.walk is None:
                    ask_twice(answerer)
                for turn in stopping.turns(filled, answerer, prepared.corpus.name, steps):
                    meter.turn(turn.tasks[0])
                    for task, rows in executor.map(turn, stop):
                        filled.write(task, rows)
                        meter.block(len(rows))
                        if task.rows is None:
                            folder.complete(answerer, prepared.corpus.name, task.step, prepared.survey.blocks)
            if prepared.walk is not None and looked is None:
                prepared.begin(folder)  # nothing may have been asked, where families are too small
                folder.note_shard_is_over(shard)
                report("writing cells", 0, 0)
                if not finish_walks(folder, prepared):
                    break
                for answerer, _ in reversed(passes):  # from the one on that is loaded
                    ask_twice(answerer)
    except StoppedError:
        return Swept(stopped=True, complete=False)
    except LostError as error:
        raise InputError(f"answerer {answerer}", f"is lost: {error}", "the same command goes on") from error
    finally:
        worker.close()
    report("writing cells", 0, 0)
    complete = finish(folder, prepared)
    if audited:
        report("scoring a grid of recordings and questions", 0, 0)
        audits.grids(out, prepared)
    preview = None
    if looked is not None:
        preview = previews.make(filled, looked, prepared)
        remove_folder(copies_of_preview, out)
        with suppress(OSError):  # it was not made, or the run has copies of its own
            (out / SPOOLED).rmdir()
    return Swept(False, complete, preview)


def _try_later_answerers(prepared: Prepared, load: Load, report: Report) -> None:
    """InputError where a later answerer cannot reduce tokens as a method wants: not after the first has answered all.

    Only a plain model has to be loaded to know.
    """
    spec = prepared.spec
    if not any(method.stage != "waves" for method in spec.methods):
        return
    for later in spec.answerers[1:]:
        if later.model.startswith(PLAIN):
            report(f"trying {later.name}", 0, 0)
            answerer = load(later, spec.machine)
            try:
                check_able(later.name, answerer, prepared)
            finally:
                answerer.close()


Passes = list[tuple[str, list[Step]]]  # an answerer, and what it is asked before the next one is


def _phases(
    prepared: Prepared, looked: Prepared | None, shard: Shard, ours: Sequence[int], ahead: int
) -> list[tuple[Stopping, Passes]]:
    """What is asked, one after the other, and what decides how much of it."""
    names = [answerer.name for answerer in prepared.spec.answerers]
    steps = (prepared if looked is None else looked).steps
    verdicts = [(name, [step for step in steps if not step.permuted]) for name in names]
    # from the answerer on that is loaded already
    permuted = [(name, [step for step in steps if step.permuted]) for name in reversed(names)]
    if prepared.walk is None or looked is not None:
        return [(Never(ours), verdicts + permuted)]
    phases: list[tuple[Stopping, Passes]] = [(Deciding(prepared, shard, ahead), verdicts)]
    if prepared.spec.until == "complete":
        phases += [(Completing(prepared, shard), verdicts), (Never(ours), permuted)]
    return phases


def finish_walks(folder: SweepFolder, prepared: Prepared) -> bool:
    """Make cells of what the walks asked; whether they have come to their end."""
    corpus, whole = prepared.corpus.name, Deciding(prepared)
    steps = [step for step in prepared.steps if not step.permuted]
    answerers = [
        answerer.name
        for answerer in prepared.spec.answerers
        if not all(folder.has(step.keys(answerer.name, corpus)) for step in steps)
    ]
    for answerer in answerers:
        if any(True for _ in whole.turns(folder, answerer, corpus, steps)):
            return False  # a shard does not see what the others have been answered
    if answerers:
        whole.forget_other_scores(folder, corpus, steps)
    for answerer in answerers:
        whole.write_cells(folder, answerer, corpus, steps)
        folder.windows.forget(answerer)
    return True


def finish(folder: SweepFolder, prepared: Prepared) -> bool:
    """Turn what is done into cells; whether every cell of the spec is complete."""
    complete = True
    for answerer in prepared.spec.answerers:
        if prepared.walk is None:
            cells = [
                folder.complete(answerer.name, prepared.corpus.name, step, prepared.survey.blocks)
                for step in prepared.steps
            ]
        else:
            cells = [_is_complete(folder, prepared)]
        complete &= all(cells)
        is_begun = prepared.spec.until == "decided" and folder.windows.has_rest(answerer.name)  # to be completed
        if all(cells) and not is_begun:
            folder.windows.forget(answerer.name)
            ledger.forget(folder.run, answerer.name)
    if complete:
        folder.windows.forget_parts()
        folder.forget_shards()
        folder.forget_what_was_kept()
    return complete


class _SweepMeter:
    """What is said while waiting: who answers what, how many answers there are, and how many in all."""

    def __init__(
        self, folder: SweepFolder, prepared: Prepared, ours: Sequence[int], report: Report, *, of_walks: bool
    ) -> None:
        sizes = prepared.survey.sizes
        self._report = report
        self._total = self._done = 0
        self._at_most = of_walks and prepared.spec.until == "decided"
        self._label = f"{prepared.spec.answerers[0].name}, audits:"
        for answerer in prepared.spec.answerers:
            for step in _steps_asked_for(prepared):
                if of_walks and not step.permuted:
                    self._total += sum(sizes[number] for number in ours)
                    asked_by_block = folder.asked_by_block(answerer.name, prepared.corpus.name, step, sizes)
                    self._done += sum(asked_by_block[number] for number in ours)
                    continue
                whole = folder.has(step.keys(answerer.name, prepared.corpus.name))
                done = set(ours if whole else folder.windows.blocks(answerer.name, step))
                self._total += len(step.arms) * sum(sizes[number] for number in ours)
                self._done += len(step.arms) * sum(sizes[number] for number in ours if number in done)

    def turn(self, task: Task) -> None:
        """A step begins, with this task."""
        budgets = ", ".join(dict.fromkeys(f"{budget:g}" for _, budget in task.step.places))
        self._label = f"{task.answerer}, {task.step.words(budgets)}:"
        self.show()

    def show(self) -> None:
        """What there is now."""
        self._report(self._label, self._done, self._in_all)

    @property
    def _in_all(self) -> int:
        return AtMost(self._total) if self._at_most else self._total

    def batch(self, progress: Progress) -> None:
        """Some answers of the block that is running."""
        self._report(self._label, self._done + progress.answered, self._in_all)

    def block(self, n_rows: int) -> None:
        """A block, or a part of it, is done, and has so many rows."""
        self._done += n_rows
        self.show()
