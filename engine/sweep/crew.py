"""A sweep over many workers: each takes the next job as it becomes free, and only who leads writes the run folder.

A worker that dies loses its block, which is done again; one that dies of the same block three times leaves a status in
each of its rows, and the run goes on. Knows jobs and outcomes; neither answerers nor how workers are reached.
"""

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator
from itertools import groupby
from typing import NamedTuple, Protocol
from urllib.parse import quote

import pyarrow as pa

from earmark.engine.answerers.prompt import letters
from earmark.engine.errors import EarmarkError, InputError
from earmark.engine.files import write_files
from earmark.engine.outcomes.parquet_file import write_parquet
from earmark.engine.progress import Stop, StoppedError
from earmark.engine.sweep.blocks import BlocksInTurn
from earmark.engine.sweep.prepare import Prepared
from earmark.engine.sweep.station import BlockJob, BlockOutcome, Charge, Files, Introduction, job
from earmark.engine.sweep.sweep_folder import SURPLUS, SweepFolder
from earmark.engine.sweep.tasks import Task, Turn
from earmark.engine.sweep.windows import PENDING_ROW

AHEAD = 2  # blocks that are begun ahead of a turn, for each worker
MOST_LOST = 3  # blocks in a row that workers died of: the answerer is broken, not they
MOST_DEATHS = 3  # workers that one block may cost
POLL_S = 0.2  # how long a stop may wait to be seen
DIED = f"failed: {MOST_DEATHS} workers died of this block"


class Died:
    """The worker that had a job is gone."""


class Ended(NamedTuple):
    """What came of the job with this number."""

    number: int
    outcome: BlockOutcome | Died | EarmarkError


class Crew(Protocol):
    """Workers, each with a `Station`, that take jobs as they become free.

    To bring one: start workers on a charge, hand each one job at a time, and say what came of it: `Died` where its
    worker did. Workers may come and go meanwhile.
    """

    @property
    def size(self) -> int:
        """How many workers there are now."""

    def has_room(self) -> bool:
        """Whether some worker has no job."""

    def submit(self, number: int, job: BlockJob) -> None:
        """Give a job to a worker that has none."""

    def ended(self, timeout_s: float) -> list[Ended]:
        """What has ended since, waiting no longer than that for the first."""

    def introduce(self, name: str) -> Introduction:
        """Have an answerer loaded, and hear who it is; EarmarkError where it cannot be."""

    def flips(self, name: str) -> Files:
        """Have an answerer asked twice."""

    def close(self) -> None:
        """Stop all workers, whatever they do."""


OpenCrew = Callable[[Charge], Crew]


class CrewExecutor:
    """Carries tasks out with a crew: those of a turn, and meanwhile what is foreseen to come after it."""

    def __init__(self, crew: Crew, folder: SweepFolder, prepared: Prepared, begin: Callable[[str, Introduction], None]):
        self._crew, self._folder, self._prepared, self._begin = crew, folder, prepared, begin
        self._introduced: set[str] = set()
        self._numbered = 0
        self._jobs: dict[int, tuple[Task, ...]] = {}  # that are under way, by their numbers
        self._number_of: dict[Task, int] = {}  # of those
        self._done: dict[Task, pa.Table] = {}  # that nobody has asked for yet
        self._files_of: dict[Task, Files] = {}  # of the block of those
        self._deaths: Counter[tuple[Task, ...]] = Counter()
        self._lost_in_a_row, self._has_answered = 0, False

    def map(self, turn: Turn, stop: Stop) -> Iterator[tuple[Task, pa.Table]]:
        """The rows of every task, as they come; StoppedError where `stop` says so before that.

        What is foreseen is begun where workers are free, and kept for the turn that asks for it.
        """
        self._introduce(turn.tasks[0].answerer)
        wanted = dict.fromkeys(turn.tasks)
        self._put_aside({*turn.tasks, *(task for chain in turn.foreseen for task in chain)})
        waiting = deque(tuple(chain) for _, chain in groupby(turn.tasks, key=lambda task: task.block))
        ahead = [tuple(chain) for chain in turn.foreseen[: AHEAD * self._crew.size]]
        while True:
            for task in [task for task in self._done if task in wanted]:
                del wanted[task]
                write_files(self._folder.run, dict(self._files_of.pop(task)))
                yield task, self._done.pop(task)
            self._hand_out(waiting, ahead, wanted)
            if not wanted:
                return
            if stop():
                raise StoppedError
            for ended in self._crew.ended(POLL_S):
                self._note(ended, waiting)

    def flips(self, name: str) -> None:
        """Have an answerer asked twice, and keep what came of it."""
        self._introduce(name)
        write_files(self._folder.run, dict(self._crew.flips(name)))

    def close(self) -> None:
        """Stop the crew; what it answered and nobody asked for is put aside."""
        self._crew.close()
        self._put_aside(set())

    def _introduce(self, name: str) -> None:
        if name not in self._introduced:
            self._begin(name, self._crew.introduce(name))
            self._introduced.add(name)

    def _hand_out(
        self, waiting: deque[tuple[Task, ...]], ahead: list[tuple[Task, ...]], wanted: Collection[Task]
    ) -> None:
        """Give workers that are free what is wanted, and then what is foreseen.

        Nothing is foreseen of a block of which something is wanted, or else under way: what came before it has to be in
        the run folder, as a job takes along all that its answerer was asked about its block.
        """
        while waiting and self._crew.has_room():
            chain = tuple(task for task in waiting.popleft() if not self._is_begun(task))
            if chain:
                self._submit(chain)
        if waiting or not ahead or not self._crew.has_room():
            return
        blocks = {task.block for task in [*wanted, *self._number_of, *self._done]}
        for chain in [chain for chain in ahead if chain and chain[0].block not in blocks]:
            if self._crew.has_room():
                ahead.remove(chain)
                self._submit(chain)

    def _is_begun(self, task: Task) -> bool:
        return task in self._number_of or task in self._done

    def _submit(self, chain: tuple[Task, ...]) -> None:
        self._numbered += 1
        self._jobs[self._numbered] = chain
        self._number_of |= dict.fromkeys(chain, self._numbered)
        self._crew.submit(self._numbered, job(self._folder, self._prepared, chain))

    def _note(self, ended: Ended, waiting: deque[tuple[Task, ...]]) -> None:
        chain = self._jobs.pop(ended.number)
        for task in chain:
            del self._number_of[task]
        if isinstance(ended.outcome, EarmarkError):
            raise ended.outcome
        outcome = ended.outcome
        if isinstance(outcome, Died):
            self._deaths[chain] += 1
            if self._deaths[chain] < MOST_DEATHS:
                waiting.appendleft(chain)
                return
            self._lost_in_a_row += 1
            if self._lost_in_a_row >= (MOST_LOST if self._has_answered else 1):
                what = f"die of every window that they are given ({MOST_DEATHS} of each)"
                raise InputError("the workers", what, "see with one process: the same command without --workers")
            outcome = BlockOutcome(tuple(self._without_answers(task) for task in chain), {})
        else:
            self._lost_in_a_row, self._has_answered = 0, True
        for task, rows in zip(chain, outcome.rows, strict=True):
            self._done[task], self._files_of[task] = rows, outcome.files

    def _without_answers(self, task: Task) -> pa.Table:
        """The rows of a task that nobody lived to carry out."""
        block = BlocksInTurn(self._prepared.corpus, self._prepared.spec.window).block(task.block)
        numbers = range(len(block.examples)) if task.rows is None else task.rows
        rows = []
        for arm in task.step.arms:
            for number in numbers:
                example = block.examples[number]
                question = self._prepared.streams.answerers(arm.stream, block.first + number, example.question)
                row = {
                    "sample_id": example.sample_id,
                    "source_id": example.source_id,
                    "query_family": self._prepared.family_of[example.sample_id],
                    "correct_label": letters(len(question.choices))[question.answer],
                    "n_options": len(question.choices),
                    "status": DIED,
                }
                rows.append({**arm._asdict(), **row})
        return pa.Table.from_pylist(rows, schema=PENDING_ROW)

    def _put_aside(self, expected: set[Task]) -> None:
        """Keep what was answered and will not be asked for where no comparison looks."""
        for task in [task for task in self._done if task not in expected]:
            rows = self._done.pop(task)
            self._files_of.pop(task, None)
            if task.rows is None:
                continue  # of a stopped run that asks everything: it is asked again
            sink = pa.BufferOutputStream()
            write_parquet(rows, sink)
            place = f"{SURPLUS}/answerer={quote(task.answerer, safe='')}/{task.step.name}"
            name = f"{place}/window-{task.block:05d}.{task.part}.parquet"
            write_files(self._folder.run, {name: sink.getvalue().to_pybytes()})
