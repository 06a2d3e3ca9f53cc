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


class Turn(NamedTuple):
    """Tasks that are wanted now, in any order, and what will probably be wanted after them."""

    tasks: Sequence[Task]
    foreseen: Sequence[Sequence[Task]] = ()  # about one block each, in the order in which they are carried out


class Executor(Protocol):
    """Carries tasks out, here or elsewhere.

    To bring one: do a `Work` on the tasks of a turn, or on shares of them, and hand on what it yields. The tasks of the
    next turn may depend on what came of these; whoever has workers that wait may begin what is foreseen.
    """

    def map(self, turn: Turn, stop: Stop) -> Iterator[tuple[Task, pa.Table]]:
        """The rows of every task that is wanted; StoppedError where `stop` says so before that."""


class InProcess:
    """One task after the other, in this process."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def map(self, turn: Turn, stop: Stop) -> Iterator[tuple[Task, pa.Table]]:
        """The rows of every task, in order."""
        return self._work(turn.tasks, stop)
