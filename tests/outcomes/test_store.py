"""A run folder: what is written comes back, what others wrote is understood, what is wrong is named on one line."""

import errno
import hashlib
import os
import shutil
import socket
import threading
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from earmark.engine import files
from earmark.engine.design.keys import CellKey
from earmark.engine.errors import InputError
from earmark.engine.locks import acquire
from earmark.engine.outcomes.input_file import InputFile
from earmark.engine.outcomes.schema import PLAN_KEY, ROW, SCHEMA_KEY
from earmark.engine.outcomes.store import (
    Cell,
    find_cells,
    has_cell,
    read_cell,
    read_partitions,
    write_cell,
    write_partitions,
)

KEY = CellKey("qwen", "mmar", "uniform", seed=42, stream="permuted-global-3", budget=0.4)
FOLDER = "cells/answerer=qwen/corpus=mmar/method=uniform/seed=42/stream=permuted-global-3/budget=0.4"
ROWS: dict[str, Any] = {"sample_id": ["s1", "s2"], "query_family": ["music", "speech"], "loss": [0.0, 1.0]}


def put(run: Path, columns: Any, folder: str = FOLDER, name: str = "part-0.parquet", **options: Any) -> Path:
    """A Parquet file as another writer would leave it: no metadata, no staging."""
    path = run / folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(columns if isinstance(columns, pa.Table) else pa.table(columns), path, **options)
    return path


def read_all(run: Path) -> dict[CellKey, Cell]:
    return {key: read_cell(run, key, files) for key, files in find_cells(run).items()}


def read_only(run: Path) -> Cell:
    (cell,) = read_all(run).values()
    return cell


# Round trips -----------------------------------------------------------------------------------------------


def test_a_full_row_comes_back_in_its_types(tmp_path: Path) -> None:
    rows = ROWS | {
        "source_id": ["r1", None],
        "nll": [0.25, None],
        "num_audio_tokens": [750, None],
        "predicted_label": ["A", None],
        "correct_label": ["A", "B"],
        "n_options": [4, None],
        "chunks_total": [30, 1],
        "chunks_kept": [12, 1],
        "kept_hash": ["f00d", None],
        "status": ["ok", None],
    }
    folder = write_cell(tmp_path, KEY, rows)
    assert folder == tmp_path / FOLDER
    data = (folder / "part-0.parquet").read_bytes()
    assert pq.read_schema(folder / "part-0.parquet").remove_metadata().names == ROW.names
    cell = read_only(tmp_path)
    assert cell.key == KEY
    assert cell.files == (InputFile(f"{FOLDER}/part-0.parquet", hashlib.sha256(data).hexdigest(), 2),)
    assert len(cell) == 2
    assert cell.sample_id.to_pylist() == ["s1", "s2"]
    assert cell.source_id.to_pylist() == ["r1", "s2"]  # without a recording, the sample is its own
    assert cell.query_family.to_pylist() == ["music", "speech"]
    assert cell.predicted_label.to_pylist() == ["A", None]
    assert cell.correct_label.to_pylist() == ["A", "B"]
    assert cell.kept_hash.to_pylist() == ["f00d", None]
    assert cell.status.to_pylist() == ["ok", "ok"]
    assert cell.ok.tolist() == [True, True]
    np.testing.assert_array_equal(cell.loss, [0.0, 1.0])
    np.testing.assert_array_equal(cell.nll, [0.25, np.nan])
    np.testing.assert_array_equal(cell.tokens, [750.0, np.nan])
    np.testing.assert_array_equal(cell.n_options, [4.0, np.nan])
    assert cell.plan is None
    assert {cell.loss.dtype, cell.nll.dtype, cell.tokens.dtype} == {np.dtype("float64")}


def test_a_cell_carries_the_hash_of_its_plan(tmp_path: Path) -> None:
    folder = write_cell(tmp_path, KEY, ROWS, "f" * 64)
    assert read_only(tmp_path).plan == "f" * 64
    more = pa.table(ROWS | {"sample_id": ["s3", "s4"]})
    put(tmp_path, more.replace_schema_metadata({PLAN_KEY: b"f" * 64}), name="part-1.parquet")
    assert (len(read_only(tmp_path)), read_only(tmp_path).plan) == (4, "f" * 64)
    for other in ({PLAN_KEY: b"e" * 64}, {}):
        put(tmp_path, more.replace_schema_metadata(other), name="part-1.parquet")
        with pytest.raises(InputError, match=r"part-1.parquet: is of another plan than .*/part-0.parquet; keep"):
            read_only(tmp_path)
    (folder / "part-1.parquet").unlink()
    assert read_only(tmp_path).plan == "f" * 64


def test_the_three_required_columns_are_enough(tmp_path: Path) -> None:
    put(tmp_path, ROWS)
    cell = read_only(tmp_path)
    assert cell.source_id.to_pylist() == ["s1", "s2"]
    assert cell.status.to_pylist() == ["ok", "ok"]
    assert np.isnan(cell.nll).all()
    assert np.isnan(cell.tokens).all()
    for column in (cell.predicted_label, cell.correct_label, cell.kept_hash):
        assert column.to_pylist() == [None, None]


def test_rows_are_ordered_by_sample_whatever_the_file_says(tmp_path: Path) -> None:
    put(tmp_path, {"sample_id": ["b", "a"], "query_family": ["x", "y"], "loss": [0.0, 1.0], "nll": [0.5, 1.5]})
    cell = read_only(tmp_path)
    assert cell.sample_id.to_pylist() == ["a", "b"]
    assert cell.query_family.to_pylist() == ["y", "x"]
    assert cell.loss.tolist() == [1.0, 0.0]
    assert cell.nll.tolist() == [1.5, 0.5]


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        ("sample_id", pa.array([7, 10]), ["10", "7"]),
        ("sample_id", pa.array(["s1", "s2"], pa.large_string()), ["s1", "s2"]),
        ("sample_id", pa.array(["s1", "s2"]).dictionary_encode(), ["s1", "s2"]),
        ("sample_id", pa.array([7, 8]).dictionary_encode(), ["7", "8"]),
        ("query_family", pa.array(["x", "x"]).dictionary_encode(), ["x", "x"]),
        ("query_family", pa.array([True, False]), ["true", "false"]),
        ("loss", pa.array([0, 1]), [0.0, 1.0]),
        ("loss", pa.array([False, True]), [0.0, 1.0]),
        ("loss", pa.array([0.25, 0.5], pa.float32()), [0.25, 0.5]),
        ("nll", pa.nulls(2), [None, None]),
        ("nll", pa.array([0, 3], pa.int16()), [0.0, 3.0]),
        ("nll", pa.array([-1e-7, 3.0]), [-1e-7, 3.0]),  # rounding below zero
        ("tokens", pa.array([12.0, None]), [12.0, None]),  # integers with gaps, as pandas writes them
        ("tokens", pa.array([2**53 + 1, 0]), [2.0**53, 0.0]),
        ("predicted_label", pa.array([1, 2]), ["1", "2"]),
    ],
)
def test_types_of_other_writers(tmp_path: Path, column: str, values: pa.Array, expected: list[Any]) -> None:
    put(tmp_path, ROWS | {"num_audio_tokens" if column == "tokens" else column: values})
    got = getattr(read_only(tmp_path), column)
    if isinstance(got, np.ndarray):
        np.testing.assert_array_equal(got, [np.nan if value is None else value for value in expected])
    else:
        assert got.to_pylist() == expected
        assert got.type == pa.string()


def test_rows_that_failed_may_lack_a_loss(tmp_path: Path) -> None:
    write_cell(tmp_path, KEY, ROWS | {"loss": [None, float("nan")], "status": ["out of memory", "no audio"]})
    cell = read_only(tmp_path)
    assert cell.ok.tolist() == [False, False]
    assert np.isnan(cell.loss).all()


def test_several_part_files_are_one_cell(tmp_path: Path) -> None:
    put(tmp_path, {"sample_id": ["s3", "s1"], "query_family": ["x", "x"], "loss": [0.5, 0.0]}, name="b.parquet")
    put(tmp_path, {"sample_id": [2], "query_family": ["y"], "loss": [1], "nll": [0.5]}, name="a.parquet")
    cell = read_only(tmp_path)
    assert [(Path(file.path).name, file.rows) for file in cell.files] == [("a.parquet", 1), ("b.parquet", 2)]
    assert cell.sample_id.to_pylist() == ["2", "s1", "s3"]
    assert cell.loss.tolist() == [1.0, 0.0, 0.5]
    np.testing.assert_array_equal(cell.nll, [0.5, np.nan, np.nan])


def test_columns_that_are_not_ours_are_ignored(tmp_path: Path) -> None:
    put(tmp_path, ROWS | {"budget": [9, 9], "notes": [["a"], ["b"]]})
    assert read_only(tmp_path).key == KEY


def test_hidden_and_underscored_names_are_not_cells(tmp_path: Path) -> None:
    put(tmp_path, ROWS)
    for folder, name in [
        (FOLDER, ".part-1.parquet"),
        (FOLDER, "_part-1.parquet"),
        (FOLDER + "/_temporary", "part-1.parquet"),
        ("cells/.staging", "part-1.parquet"),
        ("cells/_delta_log", "part-1.parquet"),
        (".staging/someone", "part-0.parquet"),
    ]:
        path = tmp_path / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"not Parquet")
    (tmp_path / FOLDER / "_SUCCESS").touch()
    (tmp_path / FOLDER / "readme.txt").touch()
    assert len(read_only(tmp_path).files) == 1


def test_links_are_followed_within_the_run_and_refused_where_they_lead_out(tmp_path: Path) -> None:
    put(tmp_path / "run/.kept", ROWS)
    (tmp_path / "run/cells").mkdir(parents=True)
    link = tmp_path / "run/cells/answerer=qwen"
    link.symlink_to(tmp_path / "run/.kept/cells/answerer=qwen")
    assert read_only(tmp_path / "run").files[0].path == f"{FOLDER}/part-0.parquet"
    (tmp_path / "run/.kept").rename(tmp_path / "elsewhere")
    link.unlink()
    link.symlink_to(tmp_path / "elsewhere/cells/answerer=qwen")
    with pytest.raises(InputError, match="answerer=qwen: leads out of"):
        find_cells(tmp_path / "run")


def test_an_empty_folder_is_no_cell(tmp_path: Path) -> None:
    key = CellKey("qwen", "mmar", "uncompressed")
    (tmp_path / str(key)).mkdir(parents=True)
    assert not has_cell(tmp_path, key)
    write_cell(tmp_path, key, ROWS)
    assert has_cell(tmp_path, key)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_folder_is_refused_not_passed_over(tmp_path: Path) -> None:
    put(tmp_path, ROWS)
    hidden = tmp_path / "cells/answerer=other"
    hidden.mkdir(mode=0)
    with pytest.raises(InputError, match="answerer=other: cannot be read"):
        find_cells(tmp_path)


# Keys ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Qwen/Qwen2-Audio", "a=b", "ü ñ", "100%", "%2F", "a?b&c#d", "..", "a\\b", "a:b", "+"])
def test_any_name_survives_the_folder(tmp_path: Path, name: str) -> None:
    key = CellKey(name, name, name, budget=0.25)
    folder = write_cell(tmp_path, key, ROWS)
    assert len(folder.relative_to(tmp_path).parts) == 7
    assert list(find_cells(tmp_path)) == [key]


def test_levels_have_defaults_and_any_order(tmp_path: Path) -> None:
    put(tmp_path, ROWS, "cells/method=uncompressed/budget=1/corpus=mmar/answerer=qwen")
    key = read_only(tmp_path).key
    assert key == CellKey("qwen", "mmar", "uncompressed", seed=0, stream="anchor", budget=1.0)
    assert key.is_reference
    assert not KEY.is_reference


def test_cells_are_ordered_by_key_and_budgets_as_numbers(tmp_path: Path) -> None:
    keys = [CellKey("a", "c", "m", seed=seed, budget=budget) for seed in (2, 10) for budget in (1e-05, 0.05, 0.2, 1.0)]
    for key in reversed(keys):
        write_cell(tmp_path, key, ROWS)
    assert list(find_cells(tmp_path)) == keys


def test_one_and_one_point_nought_are_one_budget(tmp_path: Path) -> None:
    whole = CellKey("a", "c", "m", budget=1)
    assert str(whole) == str(CellKey("a", "c", "m", budget=1.0))
    write_cell(tmp_path, whole, ROWS)
    assert find_cells(tmp_path) == {whole: (tmp_path / str(whole) / "part-0.parquet",)}


@pytest.mark.parametrize("stream", ["anchor", "permuted-global-3", "permuted-family-0", "naive-global-12"])
def test_streams(stream: str) -> None:
    key = CellKey("a", "c", "m", stream=stream)
    assert CellKey.from_path(PurePosixPath(str(key)).relative_to("cells")) == key


def test_keys_are_checked_wherever_they_come_from() -> None:
    for level in ("answerer", "corpus", "method"):
        with pytest.raises(InputError, match=f"the {level} is empty; give it another name"):
            CellKey(**{"answerer": "a", "corpus": "c", "method": "m", level: ""})
    with pytest.raises(InputError, match=r"budget 1.5 is not in \(0, 1\]"):
        CellKey("a", "c", "m", budget=1.5)


# Hive ------------------------------------------------------------------------------------------------------


def test_other_tools_read_the_cells_as_one_table(tmp_path: Path) -> None:
    keys = [CellKey("q/2", "mmar", method, budget=b) for method, b in [("uncompressed", 1.0), ("random", 0.4)]]
    for key in keys:
        write_cell(tmp_path, key, ROWS)
    write_partitions(tmp_path, "mmar", ["s1", "s2"], {"native": ["x", "y"]})
    table = ds.dataset(tmp_path / "cells", format="parquet", partitioning="hive").to_table()
    assert table.num_rows == 4
    assert set(table.column_names) == {*ROW.names, "answerer", "corpus", "method", "seed", "stream", "budget"}
    assert set(table["answerer"].to_pylist()) == {"q/2"}
    assert set(table["seed"].to_pylist()) == {0}
    levels = pa.schema([("answerer", pa.string()), ("corpus", pa.string()), ("method", pa.string())])
    levels = levels.append(pa.field("budget", pa.float64()))
    typed = ds.dataset(tmp_path / "cells", format="parquet", partitioning=ds.partitioning(levels, flavor="hive"))
    picked = typed.to_table(filter=ds.field("budget") < 0.5)
    assert picked["method"].to_pylist() == ["random", "random"]
    assert picked["sample_id"].to_pylist() == ["s1", "s2"]


# Writing ---------------------------------------------------------------------------------------------------


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = (write_cell(tmp_path / run, KEY, ROWS) / "part-0.parquet" for run in ("1", "2"))
    assert first.read_bytes() == second.read_bytes()


def test_a_complete_cell_is_not_overwritten(tmp_path: Path) -> None:
    path = write_cell(tmp_path, KEY, ROWS) / "part-0.parquet"
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"already complete; remove the folder"):
        write_cell(tmp_path, KEY, ROWS | {"loss": [1.0, 1.0]})
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("rows", "fragment"),
    [
        ({"loss": [0.0, 2.0]}, "column loss is null, NaN or outside [0, 1] in 1 rows (sample_id 's2')"),
        ({"sample_id": ["s1", "s1"]}, "column sample_id has 's1' more than once"),
        ({"query_family": [None, "x"]}, "column query_family has 1 nulls"),
    ],
)
def test_what_could_not_be_read_is_not_written(tmp_path: Path, rows: dict[str, Any], fragment: str) -> None:
    with pytest.raises(InputError) as refusal:
        write_cell(tmp_path, KEY, ROWS | rows)
    assert fragment in str(refusal.value)
    assert list(tmp_path.iterdir()) == []


def test_a_writer_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "flush", full)
    with pytest.raises(InputError, match=r"No space left on device.; make room"):
        write_cell(tmp_path, KEY, ROWS)
    assert not any(path.is_file() for path in tmp_path.rglob("*"))
    assert not (tmp_path / ".staging").exists()


def test_leftovers_of_dead_writers_are_removed_and_those_of_others_kept(tmp_path: Path) -> None:
    """A writer's life is its lock: what stands in the lock's file says nothing."""
    dead, living, strange = "0" * 32, "1" * 32, "notes"
    for name in (dead, living, strange):
        (tmp_path / ".staging" / name).mkdir(parents=True)
    for name in (dead, living):
        (tmp_path / ".staging" / f"{name}.lock").write_text(f"process {os.getpid()} on {socket.gethostname()}")
    descriptor = os.open(tmp_path / ".staging" / f"{living}.lock", os.O_RDWR)
    try:
        assert acquire(descriptor)
        write_cell(tmp_path, KEY, ROWS)
    finally:
        os.close(descriptor)
    assert {path.name for path in (tmp_path / ".staging").iterdir()} == {living, f"{living}.lock", strange}


def test_a_writer_follows_no_link_out_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / ("0" * 32)).mkdir(parents=True)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".staging").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="is a link"):
        write_cell(tmp_path / "run", KEY, ROWS)
    assert (tmp_path / "elsewhere" / ("0" * 32)).is_dir()


def test_a_writer_that_is_done_may_remove_the_staging_of_one_that_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, removed = os.open, []

    def removed_just_before(path: Any, *args: Any, **options: Any) -> int:
        parent = Path(path).parent
        if parent.name == ".staging" and len(removed) < 3:
            removed.append(parent)
            parent.rmdir()
        return opened(path, *args, **options)

    monkeypatch.setattr(os, "open", removed_just_before)
    write_cell(tmp_path, KEY, ROWS)
    assert len(removed) == 3
    assert len(read_only(tmp_path)) == 2


def test_many_writers_share_a_run(tmp_path: Path) -> None:
    keys = [[CellKey("a", "c", f"m{writer}", seed=cell) for cell in range(12)] for writer in range(6)]
    surprises: list[BaseException] = []

    def write(mine: list[CellKey]) -> None:
        for key in mine:
            try:
                write_cell(tmp_path, key, ROWS)
            except BaseException as error:
                surprises.append(error)

    _together([lambda mine=mine: write(mine) for mine in keys])
    assert surprises == []
    assert list(read_all(tmp_path)) == sorted(key for mine in keys for key in mine)
    assert not (tmp_path / ".staging").exists()


def test_the_slower_of_two_writers_of_a_cell_is_told(tmp_path: Path) -> None:
    told: list[BaseException] = []
    written: list[Path] = []

    def write(key: CellKey) -> None:
        try:
            written.append(write_cell(tmp_path, key, ROWS))
        except BaseException as error:
            told.append(error)

    for seed in range(12):
        _together([lambda: write(CellKey("a", "c", "m", seed=seed))] * 4)  # noqa: B023
    assert len(written) == 12
    assert all(isinstance(error, InputError) for error in told)
    assert all("already complete" in str(error) for error in told)


def _together(jobs: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# Defects ---------------------------------------------------------------------------------------------------

Break = Callable[[Path], object]


def rows(**columns: Any) -> Break:
    """A file whose columns differ from `ROWS`; None drops a column."""
    merged = {name: values for name, values in (ROWS | columns).items() if values is not None}
    return lambda run: put(run, merged)


def at(folder: str) -> Break:
    return lambda run: put(run, ROWS, f"cells/{folder}")


def raw(data: bytes) -> Break:
    def spoil(run: Path) -> None:
        put(run, ROWS).write_bytes(data)

    return spoil


def truncated(run: Path) -> None:
    path = put(run, ROWS)
    path.write_bytes(path.read_bytes()[:-100])


def rotten(run: Path) -> None:
    """One bit of a page of our own file."""
    path = write_cell(run, KEY, {**ROWS, "loss": [0.1, 0.7]}) / "part-0.parquet"
    data = bytearray(path.read_bytes())
    data[data.index(np.float64(0.7).tobytes())] ^= 1
    path.write_bytes(data)


def text_that_is_not_utf8(run: Path) -> None:
    offsets, text = np.array([0, 2, 3], dtype=np.int32), b"s1\xff"
    ids = pa.StringArray.from_buffers(2, pa.py_buffer(offsets), pa.py_buffer(text))
    put(run, ROWS | {"sample_id": ids})


def column_name_that_is_not_utf8(run: Path) -> None:
    path = write_cell(run, KEY, ROWS) / "part-0.parquet"
    path.write_bytes(path.read_bytes().replace(b"kept_hash", b"kept_has\xff"))


def two(first: str, second: str) -> Break:
    def spoil(run: Path) -> None:
        put(run, ROWS, f"cells/{first}")
        put(run, ROWS, f"cells/{second}")

    return spoil


def parts(*ids: list[str]) -> Break:
    def spoil(run: Path) -> None:
        for i, names in enumerate(ids):
            put(run, {"sample_id": names, "query_family": names, "loss": [0] * len(names)}, name=f"part-{i}.parquet")

    return spoil


def a_folder_in_place_of_a_file(run: Path) -> None:
    put(run, ROWS, f"{FOLDER}/part.parquet")


def duplicated_column(run: Path) -> None:
    table = pa.table(ROWS)
    put(run, table.append_column("loss", table["loss"]))


FILE = f"{FOLDER}/part-0.parquet"
NAN, INF = float("nan"), float("inf")
CELL_DEFECTS: dict[str, tuple[Break, list[str]]] = {
    # rows
    "no loss": (rows(loss=None), [FILE, "no column loss", "sample_id, query_family, loss"]),
    "only ids": (rows(loss=None, query_family=None), [FILE, "no column query_family, loss"]),
    "null loss": (rows(loss=[0, None]), [FILE, "column loss is null, NaN or outside [0, 1]", "1 rows", "'s2'"]),
    "all losses null": (rows(loss=pa.nulls(2)), [FILE, "column loss", "2 rows", "'s1', 's2'"]),
    "NaN loss": (rows(loss=[NAN, 0.0]), [FILE, "column loss", "1 rows", "'s1'"]),
    "loss above 1": (rows(loss=[0.0, 1.0001]), [FILE, "column loss", "'s2'"]),
    "loss below 0": (rows(loss=[-0.01, 0.0]), [FILE, "column loss", "'s1'"]),
    "infinite loss": (rows(loss=[INF, 0.0]), [FILE, "column loss", "'s1'"]),
    "loss null though ok": (rows(loss=[None, None], status=["ok", "failed"]), ["column loss", "1 rows", "'s1'"]),
    "text in loss": (rows(loss=["0", "1"]), [FILE, "column loss has type string", "write numbers"]),
    "huge loss": (rows(loss=[2**60 + 1, 0]), [FILE, "column loss does not fit double"]),
    "NaN nll": (rows(nll=[0.5, NAN]), [FILE, "column nll is NaN, infinite or negative", "'s2'"]),
    "infinite nll": (rows(nll=[INF, 0.5]), [FILE, "column nll", "'s1'"]),
    "negative nll": (rows(nll=[-0.5, 0.5]), [FILE, "column nll", "'s1'"]),
    "negative tokens": (rows(num_audio_tokens=[-1, 5]), [FILE, "column num_audio_tokens is negative", "'s1'"]),
    "half a token": (rows(num_audio_tokens=[0.5, 5]), [FILE, "column num_audio_tokens does not fit int64"]),
    "NaN tokens": (rows(num_audio_tokens=[NAN, 5]), [FILE, "column num_audio_tokens does not fit int64"]),
    "null id": (rows(sample_id=["s1", None]), [FILE, "column sample_id has 1 nulls", "give every row its id"]),
    "float ids": (rows(sample_id=[1.0, 2.0]), [FILE, "column sample_id has type double", "write text"]),
    "binary ids": (rows(sample_id=[b"1", b"2"]), [FILE, "column sample_id has type binary", "write text"]),
    "list of families": (rows(query_family=[["x"], ["y"]]), [FILE, "column query_family has type list"]),
    "null family": (rows(query_family=["x", None]), [FILE, "column query_family has 1 nulls", "label every row"]),
    "duplicate id": (rows(sample_id=["s1", "s1"]), [FILE, "column sample_id has 's1' more than once"]),
    "id twice across types": (parts(["1"], ["1", "2"]), [FOLDER, "column sample_id has '1' more than once"]),
    "many duplicates": (parts([*"abcde"] * 2), ["'a', 'b', 'c' and 2 more more than once"]),
    "no rows": (parts([]), [FILE, "has no rows", "one row per sample"]),
    "no rows in one part": (parts(["a"], []), [f"{FOLDER}/part-1.parquet", "has no rows"]),
    # files
    "column twice": (duplicated_column, [FILE, "loss"]),
    "truncated": (truncated, [FILE, "is not a readable Parquet file", "write it again"]),
    "empty file": (raw(b""), [FILE, "is not a readable Parquet file"]),
    "not Parquet": (raw(b"sample_id,loss\n" * 9), [FILE, "is not a readable Parquet file", "write it again"]),
    "a flipped bit": (rotten, [FILE, "is not a readable Parquet file", "CRC"]),
    "text not UTF-8": (text_that_is_not_utf8, [FILE, "is not a readable Parquet file", "UTF8"]),
    "column name not UTF-8": (column_name_that_is_not_utf8, [FILE, "is not a readable Parquet file", "utf-8"]),
    "unknown version": (
        lambda run: put(run, pa.table(ROWS).replace_schema_metadata({SCHEMA_KEY: b"earmark.outcomes/9"})),
        [FILE, "schema version 'earmark.outcomes/9' is unknown", "earmark.outcomes/1"],
    ),
    # folders
    "empty run": (lambda run: run.mkdir(exist_ok=True), ["holds no outcomes", "run a sweep or `earmark import`"]),
    "empty cells": (lambda run: (run / FOLDER).mkdir(parents=True), ["holds no outcomes"]),
    "missing run": (shutil.rmtree, ["there is no such folder", "name a run folder"]),
    "budget 0": (at("answerer=a/corpus=c/method=m/budget=0"), ["budget 0.0 is not in (0, 1]"]),
    "budget 1.4": (at("answerer=a/corpus=c/method=m/budget=1.4"), ["budget 1.4 is not in (0, 1]"]),
    "budget -1": (at("answerer=a/corpus=c/method=m/budget=-1"), ["budget=-1 is not a number in (0, 1]"]),
    "budget nan": (at("answerer=a/corpus=c/method=m/budget=nan"), ["budget=nan is not a number in (0, 1]"]),
    "budget abc": (at("answerer=a/corpus=c/method=m/budget=abc"), ["budget=abc is not a number in (0, 1]", "rename"]),
    "budget 0_0.6": (at("answerer=a/corpus=c/method=m/budget=0_0.6"), ["budget=0_0.6 is not a number in (0, 1]"]),
    "seed -1": (at("answerer=a/corpus=c/method=m/seed=-1/budget=1"), ["seed=-1 is not a whole number from 0"]),
    "seed 1_000": (at("answerer=a/corpus=c/method=m/seed=1_000/budget=1"), ["seed=1_000 is not a whole number"]),
    "no UTF-8": (at("answerer=%ff/corpus=c/method=m/budget=1"), ["the answerer '%ff' is not UTF-8"]),
    "seed 1.5": (at("answerer=a/corpus=c/method=m/seed=1.5/budget=1"), ["seed=1.5 is not a whole number"]),
    "stream": (at("answerer=a/corpus=c/method=m/stream=shuffled/budget=1"), ["unknown stream 'shuffled'", "anchor"]),
    "stream without number": (
        at("answerer=a/corpus=c/method=m/stream=permuted-global/budget=1"),
        ["unknown stream 'permuted-global'", "permuted-global-N"],
    ),
    "stream with a tail": (at("answerer=a/corpus=c/method=m/stream=anchor-2/budget=1"), ["unknown stream 'anchor-2'"]),
    "unknown level": (at("answerer=a/corpus=c/fold=1/method=m/budget=1"), ["'fold=1' is not a level", "answerer"]),
    "not a level": (at("answerer=a/corpus=c/method=m/old/budget=1"), ["'old' is not a level of a cell"]),
    "file for folder": (a_folder_in_place_of_a_file, ["part.parquet: is a folder"]),
    "missing level": (at("answerer=a/method=m/budget=1"), ["no level corpus", "put it under corpus=.../"]),
    "no levels": (at(""), ["no level answerer, corpus, method, budget"]),
    "empty level": (at("answerer=/corpus=c/method=m/budget=1"), ["the answerer is empty"]),
    "level twice": (at("answerer=a/answerer=b/corpus=c/method=m/budget=1"), ["the level answerer stands twice"]),
    "raw below 1": (
        at("answerer=a/corpus=c/method=uncompressed/budget=0.5"),
        ["method uncompressed at budget 0.5", "budget=1.0"],
    ),
    "same cell twice": (
        two("answerer=a/corpus=c/method=m/budget=1", "answerer=a/corpus=c/method=m/budget=1.0"),
        ["answerer=a/corpus=c/method=m/budget=1.0: is the same cell as", "budget=1;", "keep one of the two"],
    ),
    "same cell by default": (
        two("answerer=a/corpus=c/method=m/seed=0/budget=0.5", "answerer=a/corpus=c/method=m/budget=0.5"),
        ["is the same cell as"],
    ),
}


@pytest.mark.parametrize("defect", CELL_DEFECTS)
def test_a_defect_is_named_on_one_line(tmp_path: Path, defect: str) -> None:
    spoil, fragments = CELL_DEFECTS[defect]
    run = tmp_path / "run"
    run.mkdir()
    spoil(run)
    with pytest.raises(InputError) as refusal:
        read_all(run)
    line = str(refusal.value)
    assert "\n" not in line
    assert [fragment for fragment in fragments if fragment not in line] == [], line


# Partitions ------------------------------------------------------------------------------------------------


def test_partitions_round_trip(tmp_path: Path) -> None:
    assert read_partitions(tmp_path) is None
    write_partitions(tmp_path, "mmar", ["s1", "s2"], {"native": ["x", "y"], "keyword": ["k", "k"]})
    path = write_partitions(tmp_path, "mmsu", ["s1"], {"native": ["z"]})
    found = read_partitions(tmp_path)
    assert found is not None
    table, file = found
    assert file == InputFile("partitions.parquet", hashlib.sha256(path.read_bytes()).hexdigest(), 3)
    assert table.to_pydict() == {
        "corpus": ["mmar", "mmar", "mmsu"],
        "sample_id": ["s1", "s2", "s1"],
        "native": ["x", "y", "z"],
        "keyword": ["k", "k", None],
    }
    # a corpus is replaced as a whole, the others stay
    write_partitions(tmp_path, "mmar", ["s9"], {"native": ["w"]})
    again = read_partitions(tmp_path)
    assert again is not None
    assert again[0].select(["corpus", "sample_id"]).to_pydict() == {
        "corpus": ["mmsu", "mmar"],
        "sample_id": ["s1", "s9"],
    }
    assert not (tmp_path / ".staging").exists()


def test_partitions_of_other_writers(tmp_path: Path) -> None:
    columns = {
        "sample_id": pa.array([1, 2]),
        "corpus": pa.array(["c", "c"]).dictionary_encode(),
        "native": pa.array(["x", "y"], pa.large_string()),
    }
    put(tmp_path, columns, ".", "partitions.parquet")
    found = read_partitions(tmp_path)
    assert found is not None
    assert found[0].to_pydict() == {"sample_id": ["1", "2"], "corpus": ["c", "c"], "native": ["x", "y"]}
    write_partitions(tmp_path, "d", ["1"], {"native": ["x"]})
    grown = read_partitions(tmp_path)
    assert grown is not None
    assert grown[1].rows == 3


def partitions(**columns: Any) -> Break:
    whole = {"corpus": ["c", "c"], "sample_id": ["s1", "s2"], "native": ["x", "y"]} | columns
    kept = {name: values for name, values in whole.items() if values is not None}
    return lambda run: put(run, kept, ".", "partitions.parquet")


PARTITION_DEFECTS: dict[str, tuple[Break, list[str]]] = {
    "no corpus": (partitions(corpus=None), ["no column corpus", "it has corpus, sample_id and one column per"]),
    "no sample_id": (partitions(sample_id=None), ["no column sample_id"]),
    "no partition": (partitions(native=None), ["has no partition", "add one column per partition"]),
    "null corpus": (partitions(corpus=["c", None]), ["column corpus has 1 nulls"]),
    "null id": (partitions(sample_id=pa.nulls(2)), ["column sample_id has 2 nulls", "give every row its id"]),
    "sample twice": (partitions(sample_id=["s1", "s1"]), ["sample_id 's1' stands twice", "keep one row per sample"]),
    "numbers for families": (partitions(native=[0.5, 1.5]), ["column native has type double", "write text"]),
    "not Parquet": (
        lambda run: (run / "partitions.parquet").write_bytes(b"corpus,sample_id\n"),
        ["is not a readable Parquet file", "write it again"],
    ),
    "a folder": (lambda run: (run / "partitions.parquet").mkdir(), ["is a folder"]),
}


@pytest.mark.parametrize("defect", PARTITION_DEFECTS)
def test_a_defect_of_partitions_is_named_on_one_line(tmp_path: Path, defect: str) -> None:
    spoil, fragments = PARTITION_DEFECTS[defect]
    spoil(tmp_path)
    attempts: list[Callable[[], object]] = [
        lambda: read_partitions(tmp_path),
        lambda: write_partitions(tmp_path, "d", ["s1"], {"native": ["x"]}),  # nothing is built on a broken file
    ]
    for attempt in attempts:
        with pytest.raises(InputError) as refusal:
            attempt()
        line = str(refusal.value)
        assert line.startswith("partitions.parquet: ")
        assert "\n" not in line
        assert [fragment for fragment in fragments if fragment not in line] == [], line


def test_partitions_that_could_not_be_read_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="sample_id 's1' stands twice"):
        write_partitions(tmp_path, "c", ["s1", "s1"], {"native": ["x", "y"]})
    with pytest.raises(InputError, match="has no partition"):
        write_partitions(tmp_path, "c", ["s1"], {})
    assert list(tmp_path.iterdir()) == []


def test_write_file_replaces_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "deep/certificate.json"
    for data in (b"one", b"two"):
        files.write_file(path, data)
        assert path.read_bytes() == data
    assert [entry.name for entry in path.parent.iterdir()] == ["certificate.json"]
