"""A run folder that a sweep fills: the plan that it is bound to, who fills it, and the cells its windows become.

    plan.json, spec.toml    what was begun; a spec with other outcomes is refused

Every file appears whole. Knows rows and names; asks nobody anything.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from earmark.engine import files
from earmark.engine.answerers.server.ledger import SERVED
from earmark.engine.design import spec as specs
from earmark.engine.design.keys import ENCODINGS, NOT_NEEDED, PREVIEW, SPOOLED, WAVES, CellKey
from earmark.engine.design.steps import Arm, Step
from earmark.engine.errors import InputError, first_few
from earmark.engine.locks import alone, holder, is_held
from earmark.engine.outcomes import store
from earmark.engine.outcomes.plan_file import PLAN, PlanFile, differing, read_plan
from earmark.engine.reading import check_place, check_utf8
from earmark.engine.signoff.answerer_files import FOLDER as ANSWERERS
from earmark.engine.sweep.blocks import WHOLE, Shard
from earmark.engine.sweep.tasks import Task
from earmark.engine.sweep.windows import ANSWERS, PENDING, SCORES, Windows, failed

SPEC = "spec.toml"
AUDITS = "audits"
SHARDS = "shards"
FLIPS = f"{AUDITS}/flips"
_FOLDERS = (
    store.CELLS,
    PENDING,
    ANSWERS,
    SCORES,
    SERVED,
    AUDITS,
    PREVIEW,
    ANSWERERS,
    "selectors",
    WAVES,
    ENCODINGS,
    SPOOLED,
    SHARDS,
)  # never links
_OVER = ".over"  # behind the name of a shard of which nothing more is asked
_TOGETHER = "wait until it has ended, or let each process fill its own --shard I/N"
_DECLARED = ("rule", "labels")  # keys of a plan that decide no outcome


class SweepFolder:
    """A run folder that a sweep fills."""

    def __init__(self, run: Path) -> None:
        check_utf8(run, "give the folder another name")
        self.run = run
        self.windows = Windows(run)
        self._own: Shard | None = None  # what this process fills
        self._failed: dict[CellKey, Mapping[str, str]] = {}  # of raw cells that are complete

    def with_windows(self, windows: Windows) -> "SweepFolder":
        """The same folder, its windows read and written as these are."""
        other = SweepFolder(self.run)
        other.windows = windows
        return other

    # The plan ----------------------------------------------------------------------------------------------

    def check(self, content: Mapping[str, Any], spec: specs.Spec) -> PlanFile | None:
        """The plan that the folder is bound to, if any; InputError where it is bound to something else than `content`.

        Another [rule] is not something else: it asks nothing again, and the plan goes on to hold the one declared.
        """
        begun = self.plan() if self.answered() else None
        if begun is not None:
            differs = [key for key in differing(begun.content, content) if key.partition(".")[0] not in _DECLARED]
            if differs:
                what = first_few(self._what_differs(differs, begun.content, content, spec), quote="")
                raise InputError(
                    self.run,
                    f"was begun with another spec or corpus (it differs in {what})",
                    f"name another folder with --out, or what {self.run / SPEC} has; [rule] and [machine] may differ",
                )
        return begun

    def answered(self) -> bool:
        """Whether there is any answer: the first one binds the folder to its plan."""
        places = (self.run / name for name in (store.CELLS, PENDING, ANSWERS, FLIPS))
        return any(path.is_file() for place in places for path in place.rglob("*"))

    def begin(self, content: Mapping[str, Any], spec: specs.Spec) -> None:
        """Write down what is to be done, unless the folder is bound to it; answers without a plan belong to nobody.

        A plan without an answer is replaced, and what its selectors have said goes with it.
        """
        if self.check(content, spec) is not None:
            return
        if self.answered():
            what = f"holds answers and no {PLAN}: nobody can tell what was declared for them"
            raise InputError(self.run, what, "name another folder with --out, or restore the plan")
        before = self.plan()
        if before is not None and before.content != content:
            self._free_of_others()
            for name in (SCORES, "selectors", ANSWERERS, AUDITS):
                files.remove_folder(self.run / name, self.run)
        files.write_file(self.run / SPEC, spec.text.encode())
        files.write_file(self.run / PLAN, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())

    def _what_differs(
        self, keys: list[str], begun: Mapping[str, Any], content: Mapping[str, Any], spec: specs.Spec
    ) -> list[specs.Difference]:
        """The keys of the spec, and of the plan what no key of the spec explains."""
        try:
            of_spec = specs.read(self.run / SPEC).differing(spec)
        except InputError:
            of_spec = []
        explained = ("spec", "window", "answerers", "levels") if of_spec else ()
        of_plan = [specs.Difference(key, _at(begun, key), _at(content, key)) for key in keys if key not in explained]
        return [*of_spec, *of_plan]

    def plan(self) -> PlanFile | None:
        """What was begun; None where nothing was."""
        return read_plan(self.run)

    def planned(self) -> PlanFile:
        """What was begun; InputError where nothing was."""
        plan = self.plan()
        if plan is None:
            raise InputError(self.run, f"holds no sweep (no {PLAN})", "begin one with `earmark run SPEC.toml`")
        return plan

    # Who fills it -----------------------------------------------------------------------------------------

    @contextmanager
    def filling(self, shard: Shard) -> Iterator[None]:
        """Keep a shard's blocks to this process; InputError where another process is filling some of them, or a folder
        that will be filled is a link. A folder that is made for it, and in which nothing is written, is removed.
        """
        with files.folder_for(self.run):
            for name in _FOLDERS:
                check_place(self.run / name / "all that is in it", self.run)
            own = self.run / f".filling-{shard.index + 1}-of-{shard.count}"
            with alone(own, self.run, _TOGETHER):
                self._own = shard
                self._free_of_others(shard)
                yield

    def _free_of_others(self, shard: Shard = WHOLE) -> None:
        """InputError where another process fills blocks of this shard, or any; locks of dead ones are removed."""
        for path in self.run.glob(".filling-*-of-*"):
            other = _shard_of(path.name.removeprefix(".filling-"))
            if other not in (None, self._own) and other.meets(shard):
                with alone(path, self.run, _TOGETHER):
                    pass

    def who_fills(self) -> dict[Shard, str]:
        """Which processes fill the folder now, in words, by what each fills."""
        fillers = {}
        for path in sorted(self.run.glob(".filling-*-of-*")):
            shard = _shard_of(path.name.removeprefix(".filling-"))
            if shard is not None and is_held(path):
                fillers[shard] = holder(path)
        return fillers

    def note_shard(self, shard: Shard) -> None:
        """Remember that a shard was begun here, for `status`; that the whole sweep was forgets all of them."""
        if shard == WHOLE:
            self.forget_shards()
        else:
            files.write_new(self.run / SHARDS / f"{shard.index + 1}-of-{shard.count}", b"")

    def note_shard_is_over(self, shard: Shard) -> None:
        """Remember that the walks ask nothing more of a shard, for `status`."""
        if shard != WHOLE:
            files.write_new(self.run / SHARDS / f"{shard.index + 1}-of-{shard.count}{_OVER}", b"")

    def is_over(self, shard: Shard) -> bool:
        """Whether the walks ask nothing more of a shard."""
        return (self.run / SHARDS / f"{shard.index + 1}-of-{shard.count}{_OVER}").is_file()

    def forget_shards(self) -> None:
        files.remove_folder(self.run / SHARDS, self.run)

    def forget_what_was_kept(self) -> None:
        """Remove what only spares making it again: waves, encodings and copies of recordings."""
        for name in (WAVES, ENCODINGS, SPOOLED):
            files.remove_folder(self.run / name, self.run)

    @property
    def shards(self) -> tuple[Shard, ...]:
        """Those that were begun here; none where the whole sweep was."""
        return tuple(sorted(filter(None, (_shard_of(path.name) for path in (self.run / SHARDS).glob("*-of-*")))))

    # Cells -------------------------------------------------------------------------------------------------

    def has(self, keys: Mapping[Arm, CellKey]) -> bool:
        """Whether all these cells are complete."""
        return all(store.has_cell(self.run, key) for key in keys.values())

    def write(self, task: Task, rows: pa.Table) -> None:
        """Keep the rows of a task until they are part of a cell."""
        if task.rows is None:
            self.windows.write_rows(task.answerer, task.step, task.block, rows)
        else:
            self.windows.write_part(task.answerer, task.step, task.block, task.part, rows)

    def is_whole(self, answerer: str, corpus: str, step: Step) -> bool:
        """Whether its cells, which are there, have no row that was left out."""
        return not self.left_out(answerer, corpus, step)

    def left_out(self, answerer: str, corpus: str, step: Step) -> int:
        """How many rows of its cells, which are there, were not asked, as walks were decided without them."""
        tables = (store.read_rows(self.run, key) for key in step.keys(answerer, corpus).values())
        return sum(pc.sum(pc.equal(table["status"], NOT_NEEDED)).as_py() or 0 for table in tables)

    def asked_by_block(self, answerer: str, corpus: str, step: Step, sizes: Sequence[int]) -> list[int]:
        """How many rows of each block walks have asked at a step; `sizes` are rows of blocks."""
        counts = Counter(self.windows.parts_written(answerer, step)[0].values())
        if self.has(step.keys(answerer, corpus)):
            ((_, key),) = step.keys(answerer, corpus).items()
            known = np.asarray(pc.not_equal(store.read_rows(self.run, key)["status"], NOT_NEEDED))
            in_cell = [int(rows.sum()) for rows in np.split(known, np.cumsum(sizes)[:-1])]
            return [min(size, n + counts[block]) for block, (size, n) in enumerate(zip(sizes, in_cell, strict=True))]
        return [counts[block] for block in range(len(sizes))]

    def complete(self, answerer: str, corpus: str, step: Step, blocks: int) -> bool:
        """Turn the blocks of a step into cells, if all of them are done; whether its cells are complete now.

        InputError, before the first cell, where the blocks do not hold what the plan has.
        """
        keys = step.keys(answerer, corpus)
        pending = self.windows.pending(answerer, step)
        if not self.has(keys):
            if sum(number < blocks for number in self.windows.blocks(answerer, step)) < blocks:
                return self.has(keys)  # another process may have completed them just now, and removed the blocks
            wanted = self.planned().corpus.examples
            try:
                examples = self.windows.check_rows(answerer, step, range(blocks))
            except FileNotFoundError:  # as above
                return self.has(keys)
            if examples != wanted:
                what = f"has {examples:,} rows for each cell, and the plan has {wanted:,} examples"
                raise InputError(pending, what, "remove it: the same command makes it again")
            for arm, key in keys.items():
                if not store.has_cell(self.run, key):
                    try:
                        rows = self.windows.rows(answerer, step, arm, range(blocks))
                    except FileNotFoundError:  # as above
                        return self.has(keys)
                    self.write_cell(key, rows)
        files.remove_folder(pending, self.run)
        return True

    def write_cell(self, key: CellKey, rows: pa.Table, run: Path | None = None) -> None:
        """Write a cell of this sweep, here or into another `run`, unless another process has just done it."""
        with suppress(store.CellThereError):
            store.write_cell(run or self.run, key, rows, self.planned().sha256)

    def fill_cell(self, key: CellKey, rows: pa.Table) -> None:
        """Give a cell the rows that it was decided without."""
        store.replace_rows(self.run, key, rows, self.planned().sha256)
        self._failed.pop(key, None)

    def failed(self, task: Task, corpus: str, step: Step, arm: Arm) -> Mapping[str, str]:
        """Status by sample of the rows of a raw reference that failed: those of a task's block, or of all blocks once
        they have become its cell.
        """
        answerer, number, key = task.answerer, task.block, step.keys(task.answerer, corpus)[arm]
        if task.rows is not None:  # the cell last: parts may become rows of it meanwhile
            statuses = self.windows.failed_in(answerer, step, number, (*task.before, task.part))
            return {**statuses, **(failed(store.read_rows(self.run, key)) if store.has_cell(self.run, key) else {})}
        if key in self._failed:
            return self._failed[key]
        try:
            return self.windows.failed(answerer, step, arm, number)
        except FileNotFoundError:  # its blocks have become the cell
            self._failed[key] = failed(store.read_rows(self.run, key))
            return self._failed[key]


def _at(plan: Mapping[str, Any], key: str) -> Any:
    """The value of a key of a plan, such as corpus.examples; None where it has none."""
    section, _, name = key.partition(".")
    content = plan.get(section)
    return content.get(name) if name and isinstance(content, Mapping) else content


def _shard_of(name: str) -> Shard | None:
    """The shard that a file's name `I-of-N` means; None where it means none."""
    numbers = re.fullmatch(r"([1-9]\d{0,8})-of-([1-9]\d{0,8})", name)
    return Shard(int(numbers[1]) - 1, int(numbers[2])) if numbers else None
