"""A run folder under way that somebody else has written into: windows, locks, links and previews that are not ours.

Each is refused in one line with exit code 2; nothing is lost, and nothing is written or deleted elsewhere.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import assert_refused, earmark

SPEC = """\
[corpus]
path = "synthetic:certification:2"
[[answerers]]
model = "tiny"
[sweep]
budgets = [0.5]
window = 1
[[methods]]
name = "energy"
[[methods]]
name = "random"
[partitions]
names = ["need"]
[rule]
replicates = 100
[audits]
flip_rate = 0
"""
CELL = "cells/answerer=tiny/corpus=synthetic/method=energy/seed=0/stream=anchor/budget=0.5"
JOURNAL = "answers/answerer=tiny/window-00001.jsonl"
SCORES = "scores/anchor/window-00001.parquet"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a spec, `half`: the first of its two windows and a preview of it, and `whole`: all of it."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "spec.toml").write_text(SPEC)
    done = earmark("run", folder / "spec.toml", "--out", folder / "half", "--limit", "1")
    assert done.returncode == 3, done.stderr
    shutil.copytree(folder / "half", folder / "whole")
    done = earmark("run", folder / "spec.toml", "--out", folder / "whole")
    assert done.returncode in (0, 3), done.stderr
    return folder


@pytest.fixture
def half(place: Path, tmp_path: Path) -> Path:
    return shutil.copytree(place / "half", tmp_path / "half")


@pytest.fixture
def whole(place: Path, tmp_path: Path) -> Path:
    return shutil.copytree(place / "whole", tmp_path / "whole")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def assert_run_refused(run: Path, *words: str, limit: int | None = None) -> None:
    """`run` refuses to go on with a run, and has changed nothing in it."""
    before = contents(run)
    more = [] if limit is None else ["--limit", str(limit)]
    assert_refused(earmark("run", run, *more), *words)
    assert contents(run) == before


# Links -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["pending", "answers"])
def test_a_link_to_the_cells_of_the_same_run_deletes_none(whole: Path, name: str) -> None:
    (whole / name).symlink_to("cells")
    assert_run_refused(whole, name)


@pytest.mark.parametrize("name", ["answers", "scores", "pending", "cells", "selectors", "audits"])
def test_nothing_is_written_through_a_link(place: Path, half: Path, name: str) -> None:
    elsewhere = half.parent / "elsewhere"
    elsewhere.mkdir()
    if (half / name).exists():
        shutil.rmtree(half / name)
    (half / name).symlink_to(elsewhere)
    assert_run_refused(half, f"{name}: is a link")
    if name in ("scores", "pending"):
        assert_refused(earmark("merge", half, place / "half"), f"{name}: is a link")
    assert not list(elsewhere.iterdir())


@pytest.mark.parametrize("name", ["answers", "scores"])
def test_a_file_instead_of_a_folder(half: Path, name: str) -> None:
    shutil.rmtree(half / name)
    (half / name).write_bytes(b"mine")
    assert_run_refused(half, f"{name}: is no folder")


# Cells -------------------------------------------------------------------------------------------------------


def test_a_folder_with_the_name_of_a_cells_file_is_no_cell(whole: Path) -> None:
    (whole / CELL / "part-0.parquet").unlink()
    (whole / CELL / "part-0.parquet").mkdir()
    done = earmark("certify", whole, "--out", whole.parent / "signed")
    assert_refused(done, "part-0.parquet", "is a folder")
    assert not (whole.parent / "signed/certificate.json").exists()
    assert_run_refused(whole, "part-0.parquet", "is not a regular file")


# Locks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["link", "folder", "fifo"])
def test_what_is_named_like_a_lock_and_is_none(half: Path, kind: str) -> None:
    lock = half / ".filling-1-of-1"
    if kind == "link":
        lock.symlink_to("nowhere")
    elif kind == "folder":
        lock.mkdir()
    else:
        os.mkfifo(lock)
    assert_run_refused(half, ".filling-1-of-1", "remove it")
    assert os.path.lexists(lock)


def test_locks_of_writers_that_cannot_be_opened_are_passed_over(half: Path) -> None:
    (half / ".staging" / ("0" * 32 + ".lock")).mkdir(parents=True)
    (half / ".staging" / ("1" * 32)).symlink_to(half / "pending")
    done = earmark("run", half, "--limit", "1")
    assert done.returncode == 3, done.stderr
    assert (half / "pending/answerer=tiny/raw/window-00000.parquet").exists()


def test_a_file_in_the_place_of_the_writers_folder(place: Path, half: Path) -> None:
    (half / ".staging").write_bytes(b"mine")
    assert_refused(earmark("merge", half, place / "half"), ".staging: is no folder", "move it away")


# Previews ----------------------------------------------------------------------------------------------------


def test_what_lies_where_a_preview_is_written_is_not_deleted(half: Path) -> None:
    (half / "preview/notes.txt").write_text("mine")
    assert_run_refused(half, "preview: holds notes.txt", "move it away", limit=1)
    (half / "preview/notes.txt").unlink()
    (half / "preview/preview.json").unlink()
    assert_run_refused(half, "preview: is no preview", "move it away", limit=1)
    shutil.rmtree(half / "preview")
    (half / "preview").mkdir()
    assert earmark("run", half, "--limit", "1").returncode == 3


# Rows --------------------------------------------------------------------------------------------------------


def row_groups(path: Path) -> list[pa.Table]:
    file = pq.ParquetFile(path)
    return [file.read_row_group(place) for place in range(file.num_row_groups)]


def reversed_groups(tables: list[pa.Table]) -> list[pa.Table]:
    return tables[::-1]


def shorter_group(tables: list[pa.Table]) -> list[pa.Table]:
    return [tables[0].slice(1), *tables[1:]]


def shorter(tables: list[pa.Table]) -> list[pa.Table]:
    return [table.slice(1) for table in tables]


def twice(tables: list[pa.Table]) -> list[pa.Table]:
    return [pa.concat_tables([table.slice(1), table.slice(len(table) - 1)]) for table in tables]


def other_sample(tables: list[pa.Table]) -> list[pa.Table]:
    ids = pa.array([f"other-{i}" for i in range(len(tables[0]))])
    place = tables[0].column_names.index("sample_id")
    return [tables[0].set_column(place, tables[0].schema.field(place), ids), *tables[1:]]


def one_more(tables: list[pa.Table]) -> list[pa.Table]:
    return [*tables, tables[0]]


def without_status(tables: list[pa.Table]) -> list[pa.Table]:
    return [table.drop_columns(["status"]) for table in tables]


@pytest.mark.parametrize(
    "change", [reversed_groups, shorter_group, shorter, twice, other_sample, one_more, without_status]
)
def test_rows_under_way_that_were_changed_become_no_cells(
    place: Path, half: Path, change: Callable[[list[pa.Table]], list[pa.Table]]
) -> None:
    """The other window is the other shard's; `merge` has both, and asks nobody."""
    first = half / "pending/answerer=tiny/anchor-0.5/window-00000.parquet"
    tables = change(row_groups(first))
    shutil.copyfile(first, first.with_name("window-00001.parquet"))
    rename = pa.array([f"second-{i}" for i in range(len(row_groups(first)[0]))])
    at = tables[0].column_names.index("sample_id")
    second = [table.set_column(at, table.schema.field(at), rename) for table in row_groups(first)]
    for path, groups in ((first, tables), (first.with_name("window-00001.parquet"), second)):
        with pq.ParquetWriter(path, groups[0].schema) as file:
            for group in groups:
                file.write_table(group)
    done = earmark("merge", half, place / "half")
    assert_refused(done, "anchor-0.5", "remove it")
    assert not (half / "cells").exists()
    assert first.exists()


def test_a_raw_cell_without_a_status_is_read_as_it_is_everywhere(whole: Path) -> None:
    """`status` is optional in a cell: all is well then."""
    raw = next(whole.glob("cells/*/*/method=uncompressed/**/part-0.parquet"))
    table = pq.read_table(raw)
    pq.write_table(table.drop_columns(["status"]), raw)
    shutil.rmtree(next(whole.glob("cells/*/*/method=energy")))
    done = earmark("run", whole)
    assert done.returncode in (0, 3), done.stderr


# Results -----------------------------------------------------------------------------------------------------


def test_results_that_are_no_file_of_ours(half: Path) -> None:
    os.mkfifo(half / JOURNAL)
    assert_refused(earmark("run", half), "window-00001.jsonl", "is not a regular file", "remove it")


# Scores ------------------------------------------------------------------------------------------------------


def test_scores_that_nobody_gave_are_not_used(place: Path, half: Path) -> None:
    table = pq.read_table(place / "whole" / SCORES)
    lists = pa.array([scores[:1] for scores in table["scores"].to_pylist()], table.schema.field("scores").type)
    forged = table.set_column(4, table.schema.field("scores"), lists)
    pq.write_table(forged.replace_schema_metadata(table.schema.metadata), half / SCORES)
    assert_refused(earmark("run", half), "scores", "the same command makes")
    assert not list(half.glob("cells/**/budget=0.5"))
