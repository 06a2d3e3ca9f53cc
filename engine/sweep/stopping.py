"""Which tasks are next, given what there is already. Today's sweep asks everything; work that a verdict does not need
would be left out here, and nowhere else.
"""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Protocol

from earmark.engine.design.steps import Step
from earmark.engine.sweep.sweep_folder import SweepFolder
from earmark.engine.sweep.tasks import Task, Turn


class Stopping(Protocol):
    """Decides what an answerer is asked next.

    To bring one: yield the tasks of each turn, from what the folder holds when the turn comes; a turn that is over has
    no more tasks.
    """

    def turns(self, folder: SweepFolder, answerer: str, corpus: str, steps: Sequence[Step]) -> Iterator[Turn]:
        """One turn after the other."""


class Never:
    """Everything is asked: one turn for each step, with its blocks that are not there yet."""

    def __init__(self, blocks: Sequence[int]) -> None:
        self._blocks = blocks

    def turns(self, folder: SweepFolder, answerer: str, corpus: str, steps: Sequence[Step]) -> Iterator[Turn]:
        """Step by step: the blocks that no earlier run has answered."""
        for step, following in zip_longest(steps, steps[1:]):
            missing = self._missing(folder, answerer, corpus, step)
            if missing:
                yield Turn(missing, [[task] for task in self._missing(folder, answerer, corpus, following)])

    def _missing(self, folder: SweepFolder, answerer: str, corpus: str, step: Step | None) -> list[Task]:
        if step is None or folder.has(step.keys(answerer, corpus)):
            return []
        done = set(folder.windows.blocks(answerer, step))
        return [Task(answerer, step, number) for number in self._blocks if number not in done]
