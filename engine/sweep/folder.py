"""The files of a sweep under way: its plan, the windows that are done, and the complete cells they become.

    plan.json, spec.toml                                  what was begun; another spec is refused
    answers/answerer=A/window-00012.jsonl                 results of a window, one for each piece of work
    pending/answerer=A/anchor-0.4/window-00012.parquet    rows of a window for all cells of a level
    scores/anchor/window-00012.parquet                    selectors' scores, for all budgets and answerers

Every file appears whole. Knows rows and names; asks nobody anything.
"""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from earmark.engine.errors import InputError
from earmark.engine.outcomes import atomic, store
from earmark.engine.outcomes.schema import ROW, CellKey
from earmark.engine.sweep.order import Curve, Level

PLAN, SPEC = "plan.json", "spec.toml"
SCHEMA = "earmark.sweep/1"
PENDING_ROW = pa.schema([("method", pa.string()), ("seed", pa.int64()), ("stream", pa.string()), *ROW])

Plan = dict[str, Any]


class SweepFolder:
    """A run folder that a sweep fills."""

    def __init__(self, run: Path) -> None:
        self.run = run

    # The plan ----------------------------------------------------------------------------------------------

    def begin(self, plan: Plan, spec: str) -> None:
        """Write down what is to be done, or refuse a folder in which something else was begun."""
        begun = self.plan()
        if begun is None:
            atomic.write_file(self.run / SPEC, spec.encode())
            atomic.write_file(self.run / PLAN, (json.dumps(plan, indent=1, ensure_ascii=False) + "\n").encode())
        elif begun != json.loads(json.dumps(plan)):
            differs = [name for name in plan if begun.get(name) != json.loads(json.dumps(plan[name]))]
            raise InputError(
                self.run,
                f"was begun with another spec or corpus (its {', '.join(differs)} differs)",
                f"name another folder with --out, or use {self.run / SPEC}",
            )

    def plan(self) -> Plan | None:
        """What was begun; None where nothing was."""
        path = self.run / PLAN
        if not path.is_file():
            return None
        try:
            plan = json.loads(path.read_bytes())
        except ValueError:
            plan = None
        if not isinstance(plan, dict) or plan.get("schema") != SCHEMA:
            raise InputError(path, "is not the plan of a sweep that this Earmark reads", "name another folder")
        return plan

    # Windows -----------------------------------------------------------------------------------------------

    def pending(self, answerer: str, level: Level) -> Path:
        """Where the windows of a level are."""
        return self.run / "pending" / f"answerer={quote(answerer, safe='')}" / level.name

    def windows(self, answerer: str, level: Level) -> list[int]:
        """Those that are done; a level whose cells are complete has none left."""
        return sorted(int(path.stem[-5:]) for path in self.pending(answerer, level).glob("window-*.parquet"))

    def write_window(self, answerer: str, level: Level, number: int, rows: pa.Table) -> None:
        """The rows of a window for every cell of a level, a row group each."""
        each = len(rows) // len(level.curves)
        self._write(self.pending(answerer, level) / f"window-{number:05d}.parquet", rows, each)

    @contextmanager
    def answers(self, answerer: str, number: int) -> Iterator[Path]:
        """A copy of the results of a window, to be added to; it takes their place if nothing is raised meanwhile."""
        final = self.run / "answers" / f"answerer={quote(answerer, safe='')}" / f"window-{number:05d}.jsonl"
        with atomic.staged(self.run) as staging:
            copy = staging / final.name
            with suppress(FileNotFoundError):  # the first level, or another process has just completed everything
                shutil.copyfile(final, copy)
            yield copy
            final.parent.mkdir(parents=True, exist_ok=True)
            copy.replace(final)

    def forget(self, answerer: str) -> None:
        """Its cells are complete: nobody will ask for its windows and results again."""
        for kind in ("pending", "answers"):
            shutil.rmtree(self.run / kind / f"answerer={quote(answerer, safe='')}", ignore_errors=True)
            with suppress(OSError):  # another answerer's are there, or nothing is
                (self.run / kind).rmdir()

    def scores(self, phase: str, number: int) -> pa.Table | None:
        """What selectors said about a window, if they were asked already."""
        path = self._scores(phase, number)
        return pq.ParquetFile(path).read(use_threads=False) if path.exists() else None

    def write_scores(self, phase: str, number: int, scores: pa.Table) -> None:
        """Keep what selectors said."""
        self._write(self._scores(phase, number), scores, max(1, len(scores)))

    def _scores(self, phase: str, number: int) -> Path:
        return self.run / "scores" / phase / f"window-{number:05d}.parquet"

    def _write(self, path: Path, table: pa.Table, row_group: int) -> None:
        with atomic.staged(self.run) as staging:
            temporary = staging / path.name
            pq.write_table(table, temporary, compression="zstd", row_group_size=row_group)
            atomic.flush(temporary)
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.replace(path)

    # Cells -------------------------------------------------------------------------------------------------

    def has(self, keys: Mapping[Curve, CellKey]) -> bool:
        """Whether all these cells are complete."""
        return all((self.run / str(key)).exists() for key in keys.values())

    def complete(self, answerer: str, corpus: str, level: Level, windows: int) -> bool:
        """Turn the windows of a level into cells, if all of them are done; whether its cells are complete now."""
        keys = level.keys(answerer, corpus)
        if not self.has(keys):
            if len(self.windows(answerer, level)) < windows:
                return self.has(keys)  # another process may have completed them just now, and removed the windows
            for curve, key in keys.items():
                if not (self.run / str(key)).exists():
                    try:
                        rows = self.rows(answerer, level, curve, range(windows))
                    except FileNotFoundError:  # as above
                        return self.has(keys)
                    self.write_cell(self.run, key, rows)
        shutil.rmtree(self.pending(answerer, level), ignore_errors=True)
        return True

    def rows(self, answerer: str, level: Level, curve: Curve, windows: Sequence[int]) -> pa.Table:
        """The rows of a cell in these windows, in the order of the corpus."""
        folder, place = self.pending(answerer, level), level.curves.index(curve)
        files = (pq.ParquetFile(folder / f"window-{number:05d}.parquet") for number in windows)
        return pa.concat_tables([file.read_row_group(place, use_threads=False) for file in files]).select(ROW.names)

    @staticmethod
    def write_cell(run: Path, key: CellKey, rows: pa.Table) -> None:
        """Write a cell, unless another process has just done it."""
        try:
            store.write_cell(run, key, rows)
        except InputError:
            if not (run / str(key)).exists():
                raise
