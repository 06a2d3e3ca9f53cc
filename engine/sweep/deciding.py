"""A sweep that stops when it is decided: every method's walk asks what it needs next, and cells say what it left out.

    pending/answerer=A/walk-0.4-METHOD-SEED/window-00012.4be1c0.parquet    what a walk asked of a block at a budget
    answers/answerer=A/window-00012.4be1c0.jsonl                           and the results that were new

What is asked follows from the plan and the answers alone. A part of a block is called by a hash of all that its
answerer was asked about the block until then, as last bits depend on it. So whatever is killed, sharded or merged ends
with the same bytes: what a shard asks that the whole would not, or not just so, is never read again. Knows cells and
walks; asks nobody.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from earmark.engine.answerers.prompt import letters
from earmark.engine.arrays import FloatArray, IntArray
from earmark.engine.corpus.example import Example
from earmark.engine.design.keys import NOT_NEEDED, OK
from earmark.engine.design.steps import Arm, Step
from earmark.engine.outcomes import store
from earmark.engine.outcomes.schema import ROW
from earmark.engine.signoff.rules.sequential import Visit, Walker
from earmark.engine.sweep.blocks import WHOLE, Shard, blocks
from earmark.engine.sweep.prepare import Prepared
from earmark.engine.sweep.sweep_folder import SweepFolder
from earmark.engine.sweep.tasks import Task
from earmark.engine.sweep.windows import REST

_DIGITS = 12  # of the hash that other parts are called by


class Deciding:
    """Asks until every walk of an answerer has come to its end.

    A shard sees only its own blocks, and takes those of others to be like them, so as to ask about as many as the whole
    would: what is too much is left out of the cells, what is too little is asked by the run without a shard.
    """

    def __init__(self, prepared: Prepared, shard: Shard = WHOLE) -> None:
        assert prepared.walk is not None, "the plan is one of walks"
        self._prepared, self._design = prepared, prepared.walk.design
        self._family = next(iter(prepared.walk.rows.families_of.values())).code
        self._shard = shard
        self._rows = RowsOfBlocks(prepared)
        self._asked: dict[tuple[str, Step], list[pa.Table]] = {}

    def turns(self, folder: SweepFolder, answerer: str, corpus: str, steps: Sequence[Step]) -> Iterator[list[Task]]:
        """What the walks ask about a block at a time; a turn is over when it has been answered."""
        if all(folder.has(step.keys(answerer, corpus)) for step in steps):
            return
        known_of = {step: _AskedOfStep(folder, answerer, step, self._rows) for step in steps}
        raw, silence = (known_of[step] for step in steps if not step.compressed)
        budgets_of: dict[Arm, list[_AskedOfStep]] = {}
        for step in filter(lambda step: step.compressed, steps):
            budgets_of.setdefault(step.arms[0], []).append(known_of[step])
        parts: dict[int, tuple[str, ...]] = {}  # of each block, as they were asked
        for budgets in budgets_of.values():
            walk = Walker(self._design, len(budgets)).walk()
            others = [_BlocksOfOthers(self._family) for _ in budgets]
            visit = next(walk, None)
            while visit is not None:
                differences = others[visit.budget].guess(visit.rows)
                if self._shard.has(visit.block):
                    yield from _ask(visit, [raw, silence], parts)  # raw first: what failed is not asked again
                    yield from _ask(visit, [budgets[visit.budget]], parts)
                    ours = budgets[visit.budget].loss_increase(raw, visit.rows)
                    others[visit.budget].learn(visit.rows, ours)
                    differences = ours
                try:
                    visit = walk.send(differences)
                except StopIteration:
                    break
        self._asked |= {(answerer, step): known.tables for step, known in known_of.items()}

    def write_cells(self, folder: SweepFolder, answerer: str, corpus: str, steps: Sequence[Step]) -> None:
        """Make cells of what was asked, when all turns of an answerer are over."""
        for step in steps:
            ((_, key),) = step.keys(answerer, corpus).items()
            if not store.has_cell(folder.run, key):
                folder.write_cell(key, self._rows.cell(self._asked[answerer, step]))

    def forget_other_scores(self, folder: SweepFolder, corpus: str, steps: Sequence[Step]) -> None:
        """Keep of the scores of selectors those of rows that the walks asked, when all turns of all answerers are over.

        A shard or a preview may have asked others.
        """
        asked_of_arm: dict[Arm, set[str]] = {}
        kind_of = {step.arms[0]: step.ranked_with for step in steps if step.compressed}
        for answerer in self._prepared.spec.answerers:
            for step in filter(lambda step: step.compressed, steps):
                asked_of_arm.setdefault(step.arms[0], set()).update(self._samples(folder, answerer.name, corpus, step))
        for arm, samples in asked_of_arm.items():
            identities = {f"{arm.method}/{arm.seed}": self._prepared.compressors[arm.method, arm.seed].identity}
            for block in range(self._prepared.survey.blocks):
                subjects = [(arm, sample) for sample in self._rows.in_block(block) if sample in samples]
                folder.windows.keep_scores(kind_of[arm], block, subjects, identities)

    def _samples(self, folder: SweepFolder, answerer: str, corpus: str, step: Step) -> list[str]:
        """Those that an answerer was asked about at a step."""
        if (answerer, step) in self._asked:
            return [sample for table in self._asked[answerer, step] for sample in table["sample_id"].to_pylist()]
        ((_, key),) = step.keys(answerer, corpus).items()
        rows = store.read_rows(folder.run, key)
        samples: list[str] = rows.filter(pc.not_equal(rows["status"], NOT_NEEDED))["sample_id"].to_pylist()
        return samples


class _BlocksOfOthers:
    """What other shards' blocks may hold at a budget: the latest differences of the same family in our own."""

    def __init__(self, family: IntArray) -> None:
        self._family = family  # (n,) of every row
        self._latest: dict[int, FloatArray] = {}

    def learn(self, rows: IntArray, differences: FloatArray) -> None:
        """Remember the differences of rows of a block of ours."""
        for family in np.unique(self._family[rows]).tolist():
            self._latest[family] = differences[self._family[rows] == family]

    def guess(self, rows: IntArray) -> FloatArray | None:
        """Differences of rows of another's block; None where a family of theirs was not in any of ours."""
        guesses = np.empty(len(rows))
        for family in np.unique(self._family[rows]).tolist():
            if family not in self._latest:
                return None
            is_of_family = self._family[rows] == family
            guesses[is_of_family] = np.resize(self._latest[family], int(is_of_family.sum()))
        return guesses


def _ask(visit: Visit, steps: Sequence["_AskedOfStep"], parts: dict[int, tuple[str, ...]]) -> Iterator[list[Task]]:
    """Ask what is not known of a visit's rows at these steps, and read the answers; they are noted as `parts`."""
    before = parts.get(visit.block, ())
    tasks = {step: step.task(visit.block, visit.rows, before) for step in steps}
    wanted = {step: task for step, task in tasks.items() if task is not None}
    lacking = {step: task for step, task in wanted.items() if not step.read_answers(task)}
    if lacking:
        yield list(lacking.values())
    answered = [step.read_answers(task) for step, task in lacking.items()]
    assert all(answered), "a turn is over when it has been answered"
    parts[visit.block] = (*before, *(task.part for task in wanted.values()))


class Completing:
    """Asks what a decided sweep left out: it describes, and changes no verdict."""

    def __init__(self, prepared: Prepared, shard: Shard = WHOLE) -> None:
        self._rows = RowsOfBlocks(prepared)
        self._shard = shard

    def turns(self, folder: SweepFolder, answerer: str, corpus: str, steps: Sequence[Step]) -> Iterator[list[Task]]:
        """Step by step, the rows that no walk asked; with the last of them their cell is whole."""
        if not all(folder.is_whole(answerer, corpus, step) for step in steps):
            folder.windows.begin_rest(answerer)
        for step in steps:
            ((_, key),) = step.keys(answerer, corpus).items()
            cell = store.read_rows(folder.run, key)
            left_out = self._rows.by_block(cell.filter(pc.equal(cell["status"], NOT_NEEDED))["sample_id"].to_pylist())
            tasks = []
            for block, numbers in left_out.items():
                there = folder.windows.part(answerer, step, block, REST)
                if there is None and self._shard.has(block):
                    tasks.append(Task(answerer, step, block, numbers, REST))
            if tasks:
                yield tasks
            parts = [folder.windows.part(answerer, step, block, REST) for block in left_out]
            answered = [part for part in parts if part is not None]
            if left_out and len(answered) == len(parts):
                before = cell.filter(pc.not_equal(cell["status"], NOT_NEEDED))
                folder.fill_cell(key, self._rows.cell([before, *answered]))
                folder.windows.forget_step(answerer, step)


class _PlaceInBlock(NamedTuple):
    block: int
    number: int  # in the block


class RowsOfBlocks:
    """Where the rows of a corpus are."""

    def __init__(self, prepared: Prepared) -> None:
        self._family_of = prepared.family_of
        self._examples: list[Example] = list(prepared.corpus.examples)
        cut = blocks(prepared.corpus, prepared.spec.window)
        self._blocks = [[example.sample_id for example in block.examples] for block in cut]
        self._place = {
            sample: _PlaceInBlock(block, number)
            for block, samples in enumerate(self._blocks)
            for number, sample in enumerate(samples)
        }
        self.row = {example.sample_id: row for row, example in enumerate(self._examples)}

    def __len__(self) -> int:
        return len(self._examples)

    def numbers(self, rows: IntArray) -> tuple[int, ...]:
        """Of rows of one block, their numbers in it."""
        return tuple(sorted(self._place[self._examples[row].sample_id].number for row in rows.tolist()))

    def samples(self, block: int, numbers: Sequence[int]) -> list[str]:
        """The samples with these numbers in a block."""
        return [self._blocks[block][number] for number in numbers]

    def by_block(self, samples: Sequence[str]) -> dict[int, tuple[int, ...]]:
        """The numbers of samples in their blocks."""
        numbers: dict[int, list[int]] = {}
        for sample in samples:
            numbers.setdefault(self._place[sample].block, []).append(self._place[sample].number)
        return {block: tuple(sorted(numbers[block])) for block in sorted(numbers)}

    def in_block(self, block: int) -> Sequence[str]:
        """The samples of a block."""
        return self._blocks[block]

    def cell(self, parts: Sequence[pa.Table]) -> pa.Table:
        """All rows of a cell, in the order of blocks: those that were asked, and that the others were not."""
        answered = pa.concat_tables([ROW.empty_table(), *(part.select(ROW.names).cast(ROW) for part in parts)])
        there = set(answered["sample_id"].to_pylist())
        others = [
            {
                "sample_id": example.sample_id,
                "source_id": example.source_id,
                "query_family": self._family_of[example.sample_id],
                "correct_label": letters(len(example.question.choices))[example.question.answer],
                "n_options": len(example.question.choices),
                "status": NOT_NEEDED,
            }
            for example in self._examples
            if example.sample_id not in there
        ]
        table = pa.concat_tables([answered, pa.Table.from_pylist(others, schema=ROW)])
        places = np.array([self._place[sample] for sample in table["sample_id"].to_pylist()])
        order = np.lexsort((places[:, 1], places[:, 0]))
        return table.take(pa.array(order))


class _AskedOfStep:
    """What a walk has asked at one step, as far as it has come, and what is there of it."""

    def __init__(self, folder: SweepFolder, answerer: str, step: Step, rows: RowsOfBlocks) -> None:
        self._folder, self._answerer, self._step, self._rows = folder, answerer, step, rows
        self._loss = np.full(len(rows), np.nan)  # NaN where it failed, too
        self._known = np.zeros(len(rows), dtype=np.bool_)
        self.tables: list[pa.Table] = []

    def task(self, block: int, rows: IntArray, before: tuple[str, ...]) -> Task | None:
        """What is asked so that these rows of a block are known, after other parts of it; None where they are."""
        wanted = rows[~self._known[rows]]
        if not len(wanted):
            return None
        numbers = self._rows.numbers(wanted)
        content = json.dumps([before, self._step.name, numbers])
        part = hashlib.sha256(content.encode()).hexdigest()[:_DIGITS]
        return Task(self._answerer, self._step, block, numbers, part, before)

    def read_answers(self, task: Task) -> bool:
        """Read the answers to a task; whether they are there."""
        assert task.rows is not None, "a walk names the rows that it asks"
        table = self._folder.windows.part(self._answerer, self._step, task.block, task.part)
        if table is None or table["sample_id"].to_pylist() != self._rows.samples(task.block, task.rows):
            return False
        self.tables.append(table)
        places = [self._rows.row[sample] for sample in table["sample_id"].to_pylist()]
        ok = np.asarray(pc.equal(table["status"], OK))
        loss = table["loss"].to_numpy(zero_copy_only=False)
        self._loss[places] = np.where(ok, loss, np.nan)
        self._known[places] = True
        return True

    def loss_increase(self, raw: "_AskedOfStep", rows: IntArray) -> FloatArray:
        """By how much the loss of rows is larger than raw's; a failed row is harm."""
        increase = self._loss[rows] - raw._loss[rows]
        return np.where(np.isnan(increase), 1.0, increase)
