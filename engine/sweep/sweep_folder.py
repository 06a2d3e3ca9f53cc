"""The files of a sweep under way: its plan, the blocks that are done, and the complete cells they become.

    plan.json, spec.toml                                  what was begun; a spec with other outcomes is refused
    answers/answerer=A/window-00012.jsonl                 results of a block, one for each piece of work
    pending/answerer=A/anchor-0.4/window-00012.parquet    rows of a block for all cells of a step
    scores/anchor/window-00012.parquet                    selectors' scores, for all budgets and answerers

Every file appears whole. Knows rows and names; asks nobody anything.
"""

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc

from earmark.engine import files
from earmark.engine.design import spec as specs
from earmark.engine.design.keys import OK, CellKey
from earmark.engine.design.steps import Arm, Step
from earmark.engine.errors import InputError
from earmark.engine.locks import alone
from earmark.engine.outcomes import store
from earmark.engine.outcomes.parquet_file import read_parquet, write_parquet
from earmark.engine.outcomes.plan_file import PLAN, PlanFile, differing, read_plan
from earmark.engine.outcomes.schema import ROW
from earmark.engine.reading import check_utf8
from earmark.engine.sweep.blocks import WHOLE, Shard

SPEC = "spec.toml"
FLIPS = "audits/flips"
_TOGETHER = "wait until it has ended, or let each process fill its own --shard I/N"
_DECLARED = ("rule", "labels")  # keys of a plan that decide no outcome
_STATUS = ["sample_id", "status"]
_WINDOW = re.compile(r"window-([0-9]{5,9})\.parquet")
_AGAIN = "remove it: the same command makes it again"
SCORES_ROW = pa.schema(
    [
        ("method", pa.string()),
        ("seed", pa.int64()),
        ("stream", pa.string()),
        ("sample_id", pa.string()),
        ("scores", pa.list_(pa.float64())),
    ]
)
PENDING_ROW = pa.schema([("method", pa.string()), ("seed", pa.int64()), ("stream", pa.string()), *ROW])


class SweepFolder:
    """A run folder that a sweep fills."""

    def __init__(self, run: Path) -> None:
        check_utf8(run, "give the folder another name")
        self.run = run
        self._own: Shard | None = None  # what this process fills
        self._failed: dict[CellKey, Mapping[str, str]] = {}  # of raw cells that are complete

    # The plan ----------------------------------------------------------------------------------------------

    def check(self, content: Mapping[str, Any], spec: specs.Spec) -> PlanFile | None:
        """The plan that the folder is bound to, if any; InputError where it is bound to something else than `content`.

        Another [rule] is not something else: it asks nothing again, and the plan goes on to hold the one declared.
        """
        begun = self.plan() if self.answered() else None
        if begun is not None:
            differs = [key for key in differing(begun.content, content) if key.partition(".")[0] not in _DECLARED]
            if differs:
                what = ", ".join(self._what_differs(differs, spec))
                raise InputError(
                    self.run,
                    f"was begun with another spec or corpus (it differs in {what})",
                    f"name another folder with --out, or what {self.run / SPEC} has; [rule] and [machine] may differ",
                )
        return begun

    def answered(self) -> bool:
        """Whether there is any answer: the first one binds the folder to its plan."""
        places = (self.run / name for name in (store.CELLS, "pending", "answers", FLIPS))
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
            for name in ("scores", "selectors", "audits"):
                files.remove_folder(self.run / name, self.run)
        files.write_file(self.run / SPEC, spec.text.encode())
        files.write_file(self.run / PLAN, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())

    def _what_differs(self, keys: list[str], spec: specs.Spec) -> list[str]:
        """The keys of the spec, and of the plan what no key of the spec explains."""
        try:
            of_spec = specs.read(self.run / SPEC).differing(spec)
        except InputError:
            of_spec = []
        explained = ("spec", "window", "answerers", "levels") if of_spec else ()
        return [*of_spec, *(key for key in keys if key not in explained)]

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
        """Keep a shard's blocks to this process; InputError where another process is filling some of them."""
        files.make_folder(self.run)
        own = self.run / f".filling-{shard.index + 1}-of-{shard.count}"
        with alone(own, self.run, _TOGETHER):
            self._own = shard
            self._free_of_others(shard)
            yield

    def _free_of_others(self, shard: Shard = WHOLE) -> None:
        """InputError where another process fills blocks of this shard, or any; locks of dead ones are removed."""
        for path in self.run.glob(".filling-*-of-*"):
            numbers = re.fullmatch(r"\.filling-([1-9]\d{0,8})-of-([1-9]\d{0,8})", path.name)
            other = Shard(int(numbers[1]) - 1, int(numbers[2])) if numbers else self._own
            if other not in (None, self._own) and other.meets(shard):
                with alone(path, self.run, _TOGETHER):
                    pass

    # Blocks -----------------------------------------------------------------------------------------------

    def pending(self, answerer: str, step: Step) -> Path:
        """Where the blocks of a step are."""
        return self.run / "pending" / f"answerer={quote(answerer, safe='')}" / step.name

    def blocks(self, answerer: str, step: Step) -> list[int]:
        """Those that are done; a step whose cells are complete has none left."""
        names = (_WINDOW.fullmatch(path.name) for path in self.pending(answerer, step).glob("window-*.parquet"))
        return sorted(int(name[1]) for name in names if name is not None)

    def write_block(self, answerer: str, step: Step, number: int, rows: pa.Table) -> None:
        """The rows of a block for every cell of a step, a row group each."""
        each = len(rows) // len(step.arms)
        self._write(self.pending(answerer, step) / f"window-{number:05d}.parquet", rows, each)

    @contextmanager
    def answers(self, answerer: str, number: int) -> Iterator[Path]:
        """A copy of the results of a block, to be added to; it takes their place if nothing is raised meanwhile."""
        final = self.run / "answers" / f"answerer={quote(answerer, safe='')}" / f"window-{number:05d}.jsonl"
        with files.staged(self.run, final) as staging:
            copy = staging / final.name
            with suppress(FileNotFoundError):  # the first step, or another process has just completed everything
                shutil.copyfile(final, copy)
            yield copy
            final.parent.mkdir(parents=True, exist_ok=True)
            copy.replace(final)

    def forget(self, answerer: str) -> None:
        """Its cells are complete: nobody will ask for its blocks and results again."""
        for kind in ("pending", "answers"):
            files.remove_folder(self.run / kind / f"answerer={quote(answerer, safe='')}", self.run)
            with suppress(OSError):  # another answerer's are there, or nothing is
                (self.run / kind).rmdir()

    def scores(self, phase: str, number: int) -> pa.Table | None:
        """What selectors said about a block, if they were asked already."""
        path = self._scores(phase, number)
        return read_parquet(path, path, _AGAIN, schema=SCORES_ROW) if os.path.lexists(path) else None

    def write_scores(self, phase: str, number: int, scores: pa.Table) -> None:
        """Keep what selectors said."""
        self._write(self._scores(phase, number), scores, max(1, len(scores)))

    def _scores(self, phase: str, number: int) -> Path:
        return self.run / "scores" / phase / f"window-{number:05d}.parquet"

    def _write(self, path: Path, table: pa.Table, row_group: int) -> None:
        with files.staged(self.run, path) as staging:
            temporary = staging / path.name
            write_parquet(table, temporary, row_group)
            files.flush(temporary)
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.replace(path)

    # Cells -------------------------------------------------------------------------------------------------

    def has(self, keys: Mapping[Arm, CellKey]) -> bool:
        """Whether all these cells are complete."""
        return all(store.has_cell(self.run, key) for key in keys.values())

    def complete(self, answerer: str, corpus: str, step: Step, blocks: int) -> bool:
        """Turn the blocks of a step into cells, if all of them are done; whether its cells are complete now."""
        keys = step.keys(answerer, corpus)
        if not self.has(keys):
            if sum(number < blocks for number in self.blocks(answerer, step)) < blocks:
                return self.has(keys)  # another process may have completed them just now, and removed the blocks
            for arm, key in keys.items():
                if not store.has_cell(self.run, key):
                    try:
                        rows = self.rows(answerer, step, arm, range(blocks))
                    except FileNotFoundError:  # as above
                        return self.has(keys)
                    self.write_cell(key, rows)
        files.remove_folder(self.pending(answerer, step), self.run)
        return True

    def rows(self, answerer: str, step: Step, arm: Arm, blocks: Sequence[int]) -> pa.Table:
        """The rows of a cell in these blocks, in the order of the corpus."""
        folder, place = self.pending(answerer, step), step.arms.index(arm)
        windows = (folder / f"window-{number:05d}.parquet" for number in blocks)
        tables = [read_parquet(path, path, _AGAIN, row_group=place, schema=PENDING_ROW) for path in windows]
        return pa.concat_tables(tables).select(ROW.names)

    def write_cell(self, key: CellKey, rows: pa.Table, run: Path | None = None) -> None:
        """Write a cell of this sweep, here or into another `run`, unless another process has just done it."""
        into = run or self.run
        try:
            store.write_cell(into, key, rows, self.planned().sha256)
        except InputError:
            if not store.has_cell(into, key):
                raise

    def failed(self, answerer: str, corpus: str, step: Step, arm: Arm, number: int) -> Mapping[str, str]:
        """Status by sample of the rows of a raw reference that failed: those of a block that is done, or of all
        blocks once they have become its cell.
        """
        key = step.keys(answerer, corpus)[arm]
        if key in self._failed:
            return self._failed[key]
        block = self.pending(answerer, step) / f"window-{number:05d}.parquet"
        try:
            return _failed(read_parquet(block, block, _AGAIN, columns=_STATUS, row_group=step.arms.index(arm)))
        except FileNotFoundError:  # its blocks have become the cell
            self._failed[key] = _failed(store.read_rows(self.run, key).select(_STATUS))
            return self._failed[key]


def _failed(rows: pa.Table) -> dict[str, str]:
    failed = rows.filter(pc.not_equal(rows["status"], OK))
    return dict(zip(failed["sample_id"].to_pylist(), failed["status"].to_pylist(), strict=True))
