"""One worker's side of a sweep over many: it answers jobs in a folder of its own, and gives back what it wrote there.

    run folder --BlockJob: what is known of a block--> station's folder --BlockOutcome: rows, results--> run folder

Whoever leads the sweep alone writes into the run folder, so a worker that dies loses nothing but its block. Knows
neither how jobs come nor how many workers there are.
"""

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from earmark.engine.answerers.abilities import Abilities
from earmark.engine.answerers.loading import loader as answerer_loader
from earmark.engine.compressors.loading import LoadCompressor, loader
from earmark.engine.cores import usable_threads
from earmark.engine.corpus.example import Audio
from earmark.engine.design.sections import MachineSpec
from earmark.engine.design.spec import Spec
from earmark.engine.design.steps import Arm, Step, references
from earmark.engine.errors import InputError
from earmark.engine.outcomes.plan_file import PLAN
from earmark.engine.outcomes.store import PARTITIONS
from earmark.engine.progress import never, silent
from earmark.engine.sweep import audits
from earmark.engine.sweep.prepare import Prepared, prepare
from earmark.engine.sweep.sweep_folder import FLIPS, SPEC, SweepFolder
from earmark.engine.sweep.tasks import Task
from earmark.engine.sweep.windows import ANSWERS, PENDING, SCORES
from earmark.engine.sweep.work import Load, Worker

Files = Mapping[str, bytes]  # by their place in a run folder
Statuses = Mapping[tuple[str, Arm], Mapping[str, str]]  # of failed rows by sample, by a raw step's name and its arm
_BEGUN = f"{PENDING}/begun"  # says of a station's folder that its partitions and plan hold


class Charge(NamedTuple):
    """What a station is to work at."""

    spec: Spec
    plan: Mapping[str, Any]  # what was declared: the station has to read the same
    begun: Files  # of the run folder, where it is bound to a plan
    in_place_of: Mapping[Audio, Audio]  # copies of recordings that can only be read forward
    brought: "Brought"


class Brought(NamedTuple):
    """What a caller loads answerers and compressors with; None: as the spec describes them."""

    load: Load | None = None
    load_compressor: LoadCompressor | None = None


class Introduction(NamedTuple):
    """What a station says of an answerer that it has loaded."""

    identity: str
    likelihoods: bool
    abilities: Abilities | None


class BlockJob(NamedTuple):
    """Tasks about one block, in the order in which they are carried out, and what is known of the block."""

    tasks: tuple[Task, ...]
    files: Files
    failed: Statuses


class BlockOutcome(NamedTuple):
    """What came of a job."""

    rows: tuple[pa.Table, ...]  # of each task
    files: Files  # scores and results of the block, as they are now


def charge(folder: SweepFolder, prepared: Prepared, in_place_of: Mapping[Audio, Audio], brought: Brought) -> Charge:
    """What the stations of a run are to work at."""
    begun: dict[str, bytes] = {}
    if folder.answered():
        names = (PLAN, PARTITIONS, SPEC)
        begun = {name: (folder.run / name).read_bytes() for name in names if (folder.run / name).exists()}
        begun[_BEGUN] = b""
    return Charge(prepared.spec, prepared.plan, begun, in_place_of, brought)


def job(folder: SweepFolder, prepared: Prepared, tasks: Sequence[Task]) -> BlockJob:
    """What a station needs to carry out tasks about one block."""
    first = tasks[0]
    statuses: dict[tuple[str, Arm], Mapping[str, str]] = {}
    for task in tasks:
        for step, arm in dict.fromkeys(references(prepared.steps, task.step).values()):
            if all(other.step != step for other in tasks):  # otherwise it finds out itself
                statuses[step.name, arm] = folder.failed(task, prepared.corpus.name, step, arm)
    return BlockJob(tuple(tasks), folder.windows.of_block(first.answerer, first.block), statuses)


class Station:
    """Carries out jobs with one answerer at a time."""

    def __init__(self, charge: Charge, workers: int = 1) -> None:
        """One of so many `workers` who share the memory that the spec allows for what is kept on disk."""
        machine, brought = _share(charge.spec.machine, workers), charge.brought
        with ExitStack() as stack:
            place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="earmark-")))
            self._folder = _StationFolder(place / "run")
            for name, content in charge.begun.items():
                _write(self._folder.run, name, content)
            reduces = any(method.stage == "tokens" for method in charge.spec.methods)
            load_any = stack.enter_context(loader(self._folder.run, machine))
            load_answerer = stack.enter_context(answerer_loader(self._folder.run, never, reduces=reduces))
            self._prepared = prepare(charge.spec, self._folder.run, brought.load_compressor or load_any)
            if self._prepared.plan != charge.plan:
                what = "reads another corpus, or other compressors, than who leads the run"
                raise InputError("a worker", what, "give it the same files, in the same places")
            load = brought.load or load_answerer
            self._worker = Worker(
                self._folder,
                self._prepared,
                lambda described, _: load(described, machine),
                silent,
                lambda: charge.in_place_of,
            )
            stack.callback(self._worker.close)
            self._stack = stack.pop_all()

    def close(self) -> None:
        """Stop its processes and remove its folder."""
        self._stack.close()

    def introduce(self, name: str) -> Introduction:
        """Load an answerer and say who it is."""
        answerer = self._worker.answerer(name)
        return Introduction(answerer.identity, answerer.likelihoods, getattr(answerer, "abilities", None))

    def flips(self, name: str) -> Files:
        """Have an answerer answer raw questions twice; the file that says what came of it."""
        answerer = self._worker.answerer(name)
        audits.flips(self._folder.run, self._prepared, name, answerer, never)
        return _read_below(self._folder.run, FLIPS)

    def carry_out(self, job: BlockJob) -> BlockOutcome:
        """The rows of a job, and the files of its block."""
        self._folder.statuses = job.failed
        for name in (PENDING, ANSWERS, SCORES):
            shutil.rmtree(self._folder.run / name, ignore_errors=True)
        for name, content in job.files.items():
            _write(self._folder.run, name, content)
        tables = []
        for task in job.tasks:
            ((_, rows),) = self._worker.work([task], never)
            self._folder.write(task, rows)
            tables.append(rows)
        first = job.tasks[0]
        written = self._folder.windows.of_block(first.answerer, first.block)
        return BlockOutcome(tuple(tables), {n: data for n, data in written.items() if not n.startswith(f"{PENDING}/")})


class _StationFolder(SweepFolder):
    """A folder that holds one block, and has been told which raw rows of it failed."""

    def __init__(self, run: Path) -> None:
        super().__init__(run)
        self.statuses: Statuses = {}

    def failed(self, task: Task, _: str, step: Step, arm: Arm) -> Mapping[str, str]:
        known = self.statuses.get((step.name, arm), {})
        if task.rows is None:
            return known
        return {**known, **self.windows.failed_in(task.answerer, step, task.block, (*task.before, task.part))}


def _share(machine: MachineSpec, workers: int) -> MachineSpec:
    """What one of so many workers may take of what is declared for all."""
    processes = machine.compressors or min(usable_threads(), 4)
    return replace(
        machine,
        device="cuda" if machine.device.startswith("cuda") else machine.device,  # a worker sees its own alone
        compressors=max(1, processes // workers),
        wave_mib=machine.wave_mib // workers,
        encoding_mib=machine.encoding_mib // workers,
    )


def _write(run: Path, name: str, content: bytes) -> None:
    path = run / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _read_below(run: Path, name: str) -> dict[str, bytes]:
    paths: Iterator[Path] = (path for path in sorted((run / name).rglob("*")) if path.is_file())
    return {path.relative_to(run).as_posix(): path.read_bytes() for path in paths}
