"""The files of a sweep under way, as they are named and read back."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from earmark.engine.design.keys import ANCHOR, UNCOMPRESSED
from earmark.engine.design.steps import Arm, Step
from earmark.engine.errors import InputError
from earmark.engine.sweep.windows import PENDING_ROW, SCORES_ROW, Windows

RAW = Step.at("raw", 1.0, [Arm(UNCOMPRESSED, 0, ANCHOR)])
SUBJECTS = [(Arm(method, 0, ANCHOR), f"s{i}") for method in ("m", "n") for i in range(99)]
SCORES = {subject: np.array([number / 7, 2.0]) for number, subject in enumerate(SUBJECTS)}
WHO = {"m/0": "0" * 64, "n/0": None}


def test_every_window_is_known_by_its_whole_number(tmp_path: Path) -> None:
    windows = Windows(tmp_path)
    windows.pending("a", RAW).mkdir(parents=True)
    for name in ("00000", "00007", "99999", "100000", "100007", "1e3", "-0001", "7"):
        (windows.pending("a", RAW) / f"window-{name}.parquet").touch()
    assert windows.blocks("a", RAW) == [0, 7, 99_999, 100_000, 100_007]


def test_scores_carry_checksums_and_are_refused_where_a_byte_changed(tmp_path: Path) -> None:
    windows = Windows(tmp_path)
    windows.write_scores("anchor", 100_000, SCORES, WHO)
    scores = windows.scores("anchor", 100_000, SUBJECTS, WHO)
    assert scores is not None
    assert list(scores) == SUBJECTS
    assert all(np.array_equal(scores[subject], SCORES[subject]) for subject in SUBJECTS)
    assert windows.scores("anchor", 0, SUBJECTS, WHO) == {}
    path = tmp_path / "scores/anchor/window-100000.parquet"
    data = bytearray(path.read_bytes())
    column = pq.ParquetFile(path).metadata.row_group(0).column(4)
    data[column.data_page_offset + column.total_compressed_size // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"window-100000\.parquet: is not a readable Parquet file"):
        windows.scores("anchor", 100_000, SUBJECTS, WHO)


def scores_as(lists: list[Any]) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.set_column(4, SCORES_ROW.field(4), pa.array(lists, SCORES_ROW.field(4).type))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda table: table.slice(1), "not one row for each"),
        (lambda table: pa.concat_tables([table, table]), "not one row for each"),
        (lambda table: table.take(list(range(len(table)))[::-1]), "not one row for each"),
        (scores_as([None] * 198), "no finite numbers"),
        (scores_as([[None, 1.0]] * 198), "no finite numbers"),
        (scores_as([[float("inf")]] * 198), "no finite numbers"),
        (lambda table: table.replace_schema_metadata(None), "not of the selectors m/0, n/0"),
        (lambda table: table.drop_columns(["seed"]), "has other columns than method, seed"),
    ],
)
def test_forged_scores_are_refused(tmp_path: Path, change: Callable[[pa.Table], pa.Table], words: str) -> None:
    windows = Windows(tmp_path)
    windows.write_scores("anchor", 0, SCORES, WHO)
    path = tmp_path / "scores/anchor/window-00000.parquet"
    table = pq.read_table(path)
    changed = change(table)
    pq.write_table(changed, path)
    with pytest.raises(InputError, match=words):
        windows.scores("anchor", 0, SUBJECTS, WHO)


def test_scores_of_another_selector_are_refused(tmp_path: Path) -> None:
    Windows(tmp_path).write_scores("anchor", 0, SCORES, WHO)
    with pytest.raises(InputError, match="not of the selectors"):
        Windows(tmp_path).scores("anchor", 0, SUBJECTS, {"m/0": "1" * 64, "n/0": None})


# Results and rows --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["folder", "/dev/zero", "/dev/null", "nowhere"])
def test_results_that_are_no_file_of_ours_are_refused_and_stay(tmp_path: Path, kind: str) -> None:
    journal = tmp_path / "answers/answerer=a/window-00000.jsonl"
    journal.parent.mkdir(parents=True)
    if kind == "folder":
        journal.mkdir()
    else:
        journal.symlink_to(kind)
    with (
        pytest.raises(InputError, match=r"window-00000\.jsonl: is a (folder|link)"),
        Windows(tmp_path).results("a", 0) as results,
    ):
        results.touch()
    assert journal.is_symlink() == (kind != "folder")


@pytest.mark.parametrize("column", ["status", "sample_id", "method"])
def test_raw_rows_that_lack_a_column_are_refused_where_failures_are_looked_up(tmp_path: Path, column: str) -> None:
    arm = {"method": UNCOMPRESSED, "seed": 0, "stream": ANCHOR}
    rows = [
        {**arm, "sample_id": name, "query_family": "f", "status": status} for name, status in (("a", "ok"), ("b", "no"))
    ]
    windows = Windows(tmp_path)
    windows.write_rows("a", RAW, 0, pa.Table.from_pylist(rows, schema=PENDING_ROW))
    assert windows.failed("a", RAW, RAW.arms[0], 0) == {"b": "no"}
    path = tmp_path / "pending/answerer=a/raw/window-00000.parquet"
    pq.write_table(pq.read_table(path).drop_columns([column]), path)
    with pytest.raises(InputError, match="has other columns than"):
        windows.failed("a", RAW, RAW.arms[0], 0)
