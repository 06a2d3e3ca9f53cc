"""Tasks and who carries them out: one step of one answerer about one block, and an executor that hands back its rows.

Knows neither answerers nor files: what a task comes to, a `Work` knows.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

import pyarrow as pa

from earmark.engine.design.steps import Step
from earmark.engine.progress import Stop


class Task(NamedTuple):
    """What is answered in one go. Doing it twice gives the same rows."""

    answerer: str
    step: Step
    block: int
    rows: tuple[int, ...] | None = None  # which of the block's examples, by their number in it; None: all
    part: str = ""  # what this part of the block is called
    before: tuple[str, ...] = ()  # the parts of the block whose results may be taken over; "": all that are there


Work = Callable[[Sequence[Task], Stop], Iterator[tuple[Task, pa.Table]]]  # the rows of each task, in order


class Executor(Protocol):
    """Carries tasks out, here or elsewhere.

    To bring one: run `work` on the tasks, or on shares of them, and hand on what it yields. The tasks of the next turn
    may depend on what came of these.
    """

    def map(self, tasks: Sequence[Task], work: Work, stop: Stop) -> Iterator[tuple[Task, pa.Table]]:
        """The rows of every task; StoppedError where `stop` says so before that."""


class InProcess:
    """One task after the other, in this process."""

    def map(self, tasks: Sequence[Task], work: Work, stop: Stop) -> Iterator[tuple[Task, pa.Table]]:
        """The rows of every task, in order."""
        return work(tasks, stop)
