"""A sweep that stops when it is decided: every method's walk asks what it needs next, and cells say what it left out.

    pending/answerer=A/walk-0.4-METHOD-SEED/window-00012.parquet    what a walk asked of a block at a budget
    pending/answerer=A/raw/window-00012.1.parquet                   what was asked of it later

What is asked follows from the plan and the answers alone, so that whatever is killed, sharded or merged ends with the
same rows: a part that the walk would not have asked just so is asked again. Knows cells and walks; asks nobody.
"""

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
from earmark.engine.signoff.rules.sequential import TestRecord, Walker
from earmark.engine.sweep.blocks import WHOLE, Shard, blocks
from earmark.engine.sweep.prepare import Prepared
from earmark.engine.sweep.sweep_folder import SweepFolder
from earmark.engine.sweep.tasks import Task


class Deciding:
    """Asks until every walk of an answerer has come to its end.

    A shard sees only its own blocks, and asks more than the whole would: what is too much is left out of the cells.
    """

    def __init__(self, prepared: Prepared, shard: Shard = WHOLE) -> None:
        assert prepared.walk is not None, "the plan is one of walks"
        self._design = prepared.walk.design
        self._shard = shard
        self._rows = _RowsOfBlocks(prepared)
        self.asked: dict[tuple[str, Step], list[pa.Table]] = {}
        self.records: dict[tuple[str, Arm], list[TestRecord]] = {}

    def turns(self, folder: SweepFolder, answerer: str, corpus: str, steps: Sequence[Step]) -> Iterator[list[Task]]:
        """What the walks ask about a block at a time; a turn is over when it has been answered."""
        if all(folder.has(step.keys(answerer, corpus)) for step in steps):
            return
        parts_of = {step: _Asked(folder, answerer, step, self._rows) for step in steps}
        raw, silence = (next(step for step in steps if step.kind == kind) for kind in ("raw", "silence"))
        walks: dict[Arm, list[Step]] = {}
        for step in steps:
            if step.compressed:
                walks.setdefault(step.arms[0], []).append(step)
        for arm, way in walks.items():
            walker = Walker(self._design, len(way))
            self.records[answerer, arm] = walker.records
            walk = walker.walk()
            visit = next(walk, None)
            while visit is not None:
                differences = None
                if self._shard.has(visit.block):
                    for turn in ((raw, silence), (way[visit.budget],)):  # raw first: what failed is not asked again
                        lacking = (parts_of[step].lacking(visit.block, visit.rows) for step in turn)
                        tasks = [task for task in lacking if task is not None]
                        if tasks:
                            yield tasks
                        for task in tasks:
                            parts_of[task.step].take(task.block, visit.rows)
                    differences = parts_of[way[visit.budget]].rise(parts_of[raw], visit.rows)
                try:
                    visit = walk.send(differences)
                except StopIteration:
                    break
        self.asked |= {(answerer, step): part.tables for step, part in parts_of.items()}

    def write_cells(self, folder: SweepFolder, answerer: str, corpus: str, steps: Sequence[Step]) -> None:
        """Make cells of what was asked, when all turns of an answerer are over."""
        for step in steps:
            ((_, key),) = step.keys(answerer, corpus).items()
            if not store.has_cell(folder.run, key):
                folder.write_cell(key, self._rows.whole(self.asked[answerer, step]))


class Completing:
    """Asks what a decided sweep left out: it describes, and changes no verdict."""

    def __init__(self, prepared: Prepared, shard: Shard = WHOLE) -> None:
        self._rows = _RowsOfBlocks(prepared)
        self._shard = shard

    def turns(self, folder: SweepFolder, answerer: str, corpus: str, steps: Sequence[Step]) -> Iterator[list[Task]]:
        """Step by step, the rows that no walk asked; with the last of them their cell is whole."""
        for step in steps:
            ((_, key),) = step.keys(answerer, corpus).items()
            cell = store.read_rows(folder.run, key)
            left_out = self._rows.by_block(cell.filter(pc.equal(cell["status"], NOT_NEEDED))["sample_id"].to_pylist())
            tasks = []
            for block, numbers in left_out.items():
                there = folder.windows.part(answerer, step, block, 0)
                if there is None and self._shard.has(block):
                    tasks.append(Task(answerer, step, block, numbers))
            if tasks:
                yield tasks
            parts = [folder.windows.part(answerer, step, block, 0) for block in left_out]
            whole = [part for part in parts if part is not None]
            if left_out and len(whole) == len(parts):
                folder.fill_cell(key, self._rows.whole([cell.filter(pc.not_equal(cell["status"], NOT_NEEDED)), *whole]))
                folder.windows.forget_step(answerer, step)


class _PlaceInBlock(NamedTuple):
    block: int
    number: int  # in the block


class _RowsOfBlocks:
    """Where the rows of a corpus are."""

    def __init__(self, prepared: Prepared) -> None:
        self._family_of = prepared.family_of
        self._examples: list[Example] = list(prepared.corpus.examples)
        self._place = {
            example.sample_id: _PlaceInBlock(block.number, number)
            for block in blocks(prepared.corpus, prepared.spec.window)
            for number, example in enumerate(block.examples)
        }
        self.row = {example.sample_id: row for row, example in enumerate(self._examples)}

    def __len__(self) -> int:
        return len(self._examples)

    def numbers(self, rows: IntArray) -> tuple[int, ...]:
        """Of rows of one block, their numbers in it."""
        return tuple(sorted(self._place[self._examples[row].sample_id].number for row in rows.tolist()))

    def samples(self, rows: IntArray) -> list[str]:
        """Of rows of one block, in the order of the block."""
        ids = [self._examples[row].sample_id for row in rows.tolist()]
        return sorted(ids, key=lambda sample: self._place[sample].number)

    def by_block(self, samples: Sequence[str]) -> dict[int, tuple[int, ...]]:
        """The numbers of samples in their blocks."""
        numbers: dict[int, list[int]] = {}
        for sample in samples:
            numbers.setdefault(self._place[sample].block, []).append(self._place[sample].number)
        return {block: tuple(sorted(numbers[block])) for block in sorted(numbers)}

    def whole(self, parts: Sequence[pa.Table]) -> pa.Table:
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


class _Asked:
    """What a walk has asked at one step, as far as it has come, and what is there of it."""

    def __init__(self, folder: SweepFolder, answerer: str, step: Step, rows: _RowsOfBlocks) -> None:
        self._folder, self._answerer, self._step, self._rows = folder, answerer, step, rows
        self._loss = np.full(len(rows), np.nan)  # NaN where it failed, too
        self._known = np.zeros(len(rows), dtype=np.bool_)
        self._parts: dict[int, int] = {}  # how many of each block were asked
        self.tables: list[pa.Table] = []

    def lacking(self, block: int, rows: IntArray) -> Task | None:
        """What has to be asked so that these rows of a block are there; None where they are."""
        wanted = rows[~self._known[rows]]
        if not len(wanted):
            return None
        part = self._parts.get(block, 0)
        table = self._folder.windows.part(self._answerer, self._step, block, part)
        if table is None or table["sample_id"].to_pylist() != self._rows.samples(wanted):
            return Task(self._answerer, self._step, block, self._rows.numbers(wanted), part)
        self._take(block, table)
        return None

    def take(self, block: int, rows: IntArray) -> None:
        """What was lacking has been answered."""
        task = self.lacking(block, rows)
        assert task is None, "it was just answered"

    def _take(self, block: int, table: pa.Table) -> None:
        self._parts[block] = self._parts.get(block, 0) + 1
        self.tables.append(table)
        places = [self._rows.row[sample] for sample in table["sample_id"].to_pylist()]
        ok = np.asarray(pc.equal(table["status"], OK))
        loss = table["loss"].to_numpy(zero_copy_only=False)
        self._loss[places] = np.where(ok, loss, np.nan)
        self._known[places] = True

    def rise(self, raw: "_Asked", rows: IntArray) -> FloatArray:
        """By how much the loss of rows is larger than raw's; a failed row is harm."""
        rise = self._loss[rows] - raw._loss[rows]
        return np.where(np.isnan(rise), 1.0, rise)
