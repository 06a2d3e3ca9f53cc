"""The windows of a sweep under way: what selectors and an answerer said of a block, until it is part of cells.

    answers/answerer=A/window-00012.jsonl                 results of a block, one for each piece of work
    pending/answerer=A/anchor-0.4/window-00012.parquet    rows of a block, a row group for each cell of a step
    scores/anchor/window-00012.parquet                    selectors' scores, for all budgets and answerers

    */window-00012.4be1c0.*                               the same of a part of a block, which a walk asked together

    */part-of-window-00012-20.*                           the same of the first recordings of a block, for a preview

Each appears whole and is checked wherever it is read; no link leads to it. Knows neither plans nor cells.
"""

import json
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from earmark.engine import files
from earmark.engine.answerers.journal import MOST_BYTES
from earmark.engine.arrays import Scores
from earmark.engine.design.keys import NOT_NEEDED, OK
from earmark.engine.design.steps import Arm, Step
from earmark.engine.errors import InputError
from earmark.engine.outcomes.parquet_file import count_rows, read_parquet, write_parquet
from earmark.engine.outcomes.schema import ROW
from earmark.engine.reading import check_place, read_bytes

PENDING, ANSWERS, SCORES = "pending", "answers", "scores"  # the folders
_PART = "part-of-"  # before the name of a block's files
_WINDOW = re.compile(r"window-([0-9]{5,9})\.parquet")
_PART_OF_BLOCK = re.compile(r"window-([0-9]{5,9})\.([0-9a-z]+)\.parquet")
REST = "rest"  # what the part of a block is called that no walk asked, once it is asked
_COMPLETING = "completing"  # the file that says that such parts are asked
_AGAIN = "remove it: the same command makes it again"
_ARM = [("method", pa.string()), ("seed", pa.int64()), ("stream", pa.string())]
SCORES_ROW = pa.schema([*_ARM, ("sample_id", pa.string()), ("scores", pa.list_(pa.float64()))])
SELECTORS_KEY = b"earmark.selectors"  # in the metadata of scores: the identities of those who gave them
PENDING_ROW = pa.schema([*_ARM, *ROW])
_WHOSE = pa.schema(list(PENDING_ROW)[:4])  # the arm and the sample of a row

ScoreKey = tuple[Arm, str]  # of a score: who gave it, in which stream, about which sample
Identities = Mapping[str, str | None]  # of compressors, by METHOD/SEED


class Written(NamedTuple):
    """A block, or a part of one, whose rows are there."""

    n_rows: int  # of all cells of its step
    at: float  # seconds since the epoch


class Windows:
    """The windows in a run folder."""

    def __init__(self, run: Path) -> None:
        self._run = run

    def forget_parts(self) -> None:
        """Delete what previews were told of parts of blocks."""
        for part in (self._run / SCORES).glob(f"*/{_PART}*"):
            check_place(part, self._run)
            part.unlink(missing_ok=True)

    def forget(self, answerer: str) -> None:
        """Its cells are complete: nobody will ask for its rows and results again."""
        for kind in (PENDING, ANSWERS):
            files.remove_folder(self._run / kind / _folder(answerer), self._run)
            with suppress(OSError):  # another answerer's are there, or nothing is
                (self._run / kind).rmdir()

    def begin_rest(self, answerer: str) -> None:
        """Remember that what its walks left out is asked now, until it is complete."""
        files.write_new(self._run / PENDING / _folder(answerer) / _COMPLETING, b"")

    def has_rest(self, answerer: str) -> bool:
        """Whether what its walks left out was begun to be asked, and is not complete yet."""
        return (self._run / PENDING / _folder(answerer) / _COMPLETING).is_file()

    def forget_step(self, answerer: str, step: Step) -> None:
        """Its cells are complete: nobody will ask for its rows again."""
        files.remove_folder(self.pending(answerer, step), self._run)

    # Rows --------------------------------------------------------------------------------------------------

    def blocks(self, answerer: str, step: Step) -> list[int]:
        """Those whose rows are there; a step whose cells are complete has none left."""
        names = (_WINDOW.fullmatch(path.name) for path in self.pending(answerer, step).glob("window-*.parquet"))
        return sorted(int(name[1]) for name in names if name is not None)

    def written(self, answerer: str, step: Step, number: int) -> "Written":
        """How much a block whose rows are there has, and since when; nothing where it has just become part of cells."""
        path = self._block(answerer, step, number)
        try:
            return Written(count_rows(path, _AGAIN), path.stat().st_mtime)
        except FileNotFoundError:
            return Written(0, 0.0)

    def pending(self, answerer: str, step: Step) -> Path:
        """Where the rows of a step are, until its cells are complete."""
        return self._run / PENDING / _folder(answerer) / step.name

    def write_rows(self, answerer: str, step: Step, number: int, rows: pa.Table) -> None:
        """The rows of a block for every cell of a step, a row group each."""
        self._write(self._block(answerer, step, number), rows, len(rows) // len(step.arms))

    def write_part(self, answerer: str, step: Step, number: int, part: str, rows: pa.Table) -> None:
        """Some rows of a block, of a step of one arm, in place of what was this part of it."""
        self._write(self._part(answerer, step, number, part), rows, max(1, len(rows)))

    def part(self, answerer: str, step: Step, number: int, part: str) -> pa.Table | None:
        """Some rows of a block, which were asked together; None where there is no such part."""
        path = self._part(answerer, step, number, part)
        check_place(path, self._run)
        if not os.path.lexists(path):
            return None
        table = read_parquet(path, path, _AGAIN, schema=PENDING_ROW)
        _check_arm(path, table, step.arms[0])
        return table.select(ROW.names)

    def _part(self, answerer: str, step: Step, number: int, part: str) -> Path:
        return self.pending(answerer, step) / f"{self._stem(number)}.{part}.parquet"

    def parts_written(self, answerer: str, step: Step) -> tuple[dict[str, int], list["Written"]]:
        """The samples of a step of one arm that are in some part of a block, with its number, and how much each part
        has.
        """
        block_of: dict[str, int] = {}
        written = []
        for path in self.pending(answerer, step).glob("window-*.*.parquet"):
            name = _PART_OF_BLOCK.fullmatch(path.name)
            if name is None:
                continue
            with suppress(FileNotFoundError):  # it has just become part of a cell
                check_place(path, self._run)
                table = read_parquet(path, path, _AGAIN, columns=_WHOSE.names, schema=_WHOSE)
                written.append(Written(len(table), path.stat().st_mtime))
                block_of |= dict.fromkeys(table["sample_id"].to_pylist(), int(name[1]))
        return block_of, written

    def parts(self, answerer: str, step: Step) -> Iterator[pa.Table]:
        """Every part of a block of a step of one arm that is there, in any order; a sample may be in several."""
        for path in self.pending(answerer, step).glob("window-*.*.parquet"):
            if (name := _PART_OF_BLOCK.fullmatch(path.name)) is not None:
                part = self.part(answerer, step, int(name[1]), name[2])
                if part is not None:
                    yield part

    def check_rows(self, answerer: str, step: Step, blocks: Sequence[int]) -> int:
        """How many rows each cell of a step has in these blocks. InputError unless a block has the same samples for
        every arm, each once; FileNotFoundError where a block is not there.
        """
        count = 0
        for number in blocks:
            path = self._block(answerer, step, number)
            check_place(path, self._run)
            table = read_parquet(path, path, _AGAIN, columns=_WHOSE.names, row_groups=len(step.arms), schema=_WHOSE)
            each = len(table) // len(step.arms)
            samples = None
            for place, arm in enumerate(step.arms):
                rows = table.slice(place * each, each)
                _check_arm(path, rows, arm)
                samples = rows["sample_id"] if samples is None else samples
                if not rows["sample_id"].equals(samples):
                    raise InputError(path, f"has other samples for {_named(arm)} than for others", _AGAIN)
            if samples is None or pc.count_distinct(samples).as_py() < len(samples):
                raise InputError(path, "has a sample twice", _AGAIN)
            count += each
        return count

    def rows(self, answerer: str, step: Step, arm: Arm, blocks: Sequence[int]) -> pa.Table:
        """The rows of a cell in these blocks, which were checked, in the order of the corpus."""
        tables = []
        for number in blocks:
            path = self._block(answerer, step, number)
            table = read_parquet(path, path, _AGAIN, row_group=step.arms.index(arm), schema=PENDING_ROW)
            _check_arm(path, table, arm)
            tables.append(table.select(ROW.names))
        return pa.concat_tables(tables)

    def failed(self, answerer: str, step: Step, arm: Arm, number: int) -> Mapping[str, str]:
        """The status of the rows of a block that are not ok, by sample."""
        self.check_rows(answerer, step, [number])
        return failed(self.rows(answerer, step, arm, [number]))

    def failed_in(self, answerer: str, step: Step, number: int, parts: Sequence[str]) -> Mapping[str, str]:
        """The status of the rows that are not ok in these parts of a block, where they are there, by sample."""
        tables = (self.part(answerer, step, number, part) for part in parts)
        return {sample: status for rows in tables if rows is not None for sample, status in failed(rows).items()}

    def _block(self, answerer: str, step: Step, number: int) -> Path:
        return self.pending(answerer, step) / f"{self._stem(number)}.parquet"

    def _stem(self, number: int) -> str:
        """What the files of a block are called."""
        return f"window-{number:05d}"

    # Results -----------------------------------------------------------------------------------------------

    @contextmanager
    def results(self, answerer: str, number: int, part: str = "") -> Iterator[Path]:
        """A copy of the results of a block or of a part of it, to be added to; it takes their place if nothing is
        raised meanwhile.
        """
        final = self.results_of(answerer, number, part)
        with files.staged(self._run, final) as staging:
            copy = staging / final.name
            try:
                copy.write_bytes(read_bytes(final, _AGAIN, MOST_BYTES))
            except InputError:
                if os.path.lexists(final):
                    raise  # otherwise it is the first step, or another process has just completed everything
            yield copy
            files.make_folder(final.parent)
            copy.replace(final)

    def results_of(self, answerer: str, number: int, part: str) -> Path:
        """Where the results of a block are, or of a part of it."""
        name = self._stem(number) + (f".{part}" if part else "")
        return self._run / ANSWERS / _folder(answerer) / f"{name}.jsonl"

    # Scores ------------------------------------------------------------------------------------------------

    def scores(
        self, kind: str, number: int, subjects: Sequence[ScoreKey] | None, identities: Identities
    ) -> dict[ScoreKey, Scores]:
        """What selectors said about each subject of a block, if they were asked already. InputError unless it is
        finite, of selectors with these identities, and about these subjects in their order (None: any, each once).
        """
        path = self._scores(kind, number)
        check_place(path, self._run)
        if not os.path.lexists(path):
            return {}
        table = read_parquet(path, path, _AGAIN, schema=SCORES_ROW)
        if (table.schema.metadata or {}).get(SELECTORS_KEY) != _as_metadata(identities):
            raise InputError(path, f"is not of the selectors {', '.join(identities)} of this run", _AGAIN)
        arms = map(Arm, *(table[name].to_pylist() for name in ("method", "seed", "stream")))
        there = list(zip(arms, table["sample_id"].to_pylist(), strict=True))
        if len(set(there)) < len(there) or (subjects is not None and there != list(subjects)):
            raise InputError(path, "has not one row for each method, stream and sample, in their order", _AGAIN)
        values = pc.list_flatten(table["scores"])
        if table["scores"].null_count or values.null_count or not np.isfinite(values.to_numpy()).all():
            raise InputError(path, "has scores that are no finite numbers", _AGAIN)
        ends = np.cumsum(pc.list_value_length(table["scores"]).to_numpy())
        return dict(zip(there, np.split(values.to_numpy(), ends)[:-1], strict=True))

    def write_scores(self, kind: str, number: int, scores: Mapping[ScoreKey, Scores], identities: Identities) -> None:
        """Keep what selectors with these identities said."""
        rows = [
            {**arm._asdict(), "sample_id": sample_id, "scores": scores_of_one}
            for (arm, sample_id), scores_of_one in scores.items()
        ]
        table = pa.Table.from_pylist(rows, schema=SCORES_ROW.with_metadata({SELECTORS_KEY: _as_metadata(identities)}))
        self._write(self._scores(kind, number), table, max(1, len(table)))

    def keep_scores(self, kind: str, number: int, subjects: Sequence[ScoreKey], identities: Identities) -> None:
        """Delete what selectors with these identities said of others than these subjects of a block."""
        scores = self.scores(kind, number, None, identities)
        kept = {subject: scores[subject] for subject in subjects if subject in scores}
        if not kept:
            self._scores(kind, number).unlink(missing_ok=True)
        elif list(kept) != list(scores):
            self.write_scores(kind, number, kept, identities)

    def _scores(self, kind: str, number: int) -> Path:
        return self._run / SCORES / kind / f"{self._stem(number)}.parquet"

    def _write(self, path: Path, table: pa.Table, row_group: int) -> None:
        with files.staged(self._run, path) as staging:
            temporary = staging / path.name
            write_parquet(table, temporary, row_group)
            files.flush(temporary)
            files.make_folder(path.parent)
            temporary.replace(path)


class WindowsOfPreview(Windows):
    """The windows in a run folder, some of which are others than the run's and have files of their own.

    Batches of part of a block are others than those of all of it, so the whole run takes nothing over from the part;
    one that begins a block of the run (`begins_block`) takes over what the run was told of all of it.
    """

    def __init__(self, run: Path, n_recordings: int, own: Collection[int], *, begins_block: bool) -> None:
        super().__init__(run)
        self._n_recordings, self._own, self._begins_block = n_recordings, own, begins_block

    def blocks(self, answerer: str, step: Step) -> list[int]:
        """Those whose rows are there, its own too."""
        of_run = [number for number in super().blocks(answerer, step) if number not in self._own]
        return sorted([*of_run, *(n for n in self._own if self._block(answerer, step, n).exists())])

    def _block(self, answerer: str, step: Step, number: int) -> Path:
        whole = self.pending(answerer, step) / f"{super()._stem(number)}.parquet"
        return whole if self._begins_block and whole.exists() else super()._block(answerer, step, number)

    def _stem(self, number: int) -> str:
        name = super()._stem(number)
        return f"{_PART}{name}-{self._n_recordings}" if number in self._own else name


def failed(rows: pa.Table) -> dict[str, str]:
    """The status of the rows that are not ok, by sample."""
    not_ok = rows.filter(pc.invert(pc.is_in(rows["status"], pa.array([OK, NOT_NEEDED]))))
    return dict(zip(not_ok["sample_id"].to_pylist(), not_ok["status"].to_pylist(), strict=True))


def _folder(answerer: str) -> str:
    return f"answerer={quote(answerer, safe='')}"


def _as_metadata(identities: Identities) -> bytes:
    return json.dumps(dict(identities), sort_keys=True).encode()


def _check_arm(path: Path, rows: pa.Table, arm: Arm) -> None:
    """InputError unless all rows, and there are some, are of an arm."""
    of_arm = [pc.all(pc.equal(rows[name], value), skip_nulls=False).as_py() for name, value in arm._asdict().items()]
    if not len(rows) or not all(of_arm):
        raise InputError(path, f"has no rows of {_named(arm)} where they have to be", _AGAIN)


def _named(arm: Arm) -> str:
    return f"{arm.method} (seed {arm.seed}, {arm.stream})"
