"""The files of a sweep under way, as they are named and read back."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from earmark.engine.design.keys import ANCHOR, UNCOMPRESSED
from earmark.engine.design.steps import Arm, Step
from earmark.engine.errors import InputError
from earmark.engine.sweep.sweep_folder import SCORES_ROW, SweepFolder

RAW = Step.at("raw", 1.0, [Arm(UNCOMPRESSED, 0, ANCHOR)])


def test_every_window_is_known_by_its_whole_number(tmp_path: Path) -> None:
    folder = SweepFolder(tmp_path)
    folder.pending("a", RAW).mkdir(parents=True)
    for name in ("00000", "00007", "99999", "100000", "100007", "1e3", "-0001", "7"):
        (folder.pending("a", RAW) / f"window-{name}.parquet").touch()
    assert folder.blocks("a", RAW) == [0, 7, 99_999, 100_000, 100_007]


def test_scores_carry_checksums_and_are_refused_where_a_byte_changed(tmp_path: Path) -> None:
    folder = SweepFolder(tmp_path)
    rows = [{"method": "m", "seed": 0, "stream": ANCHOR, "sample_id": f"s{i}", "scores": [i / 7]} for i in range(99)]
    scores = pa.Table.from_pylist(rows, schema=SCORES_ROW)
    folder.write_scores("anchor", 100_000, scores)
    assert folder.scores("anchor", 100_000) == scores
    assert folder.scores("anchor", 0) is None
    path = tmp_path / "scores/anchor/window-100000.parquet"
    data = bytearray(path.read_bytes())
    column = pq.ParquetFile(path).metadata.row_group(0).column(4)
    data[column.data_page_offset + column.total_compressed_size // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"window-100000\.parquet: is not a readable Parquet file"):
        folder.scores("anchor", 100_000)


def test_scores_of_other_columns_are_refused(tmp_path: Path) -> None:
    folder = SweepFolder(tmp_path)
    folder.write_scores("anchor", 0, pa.table({"method": ["m"]}))
    with pytest.raises(InputError, match="has other columns than method, seed"):
        folder.scores("anchor", 0)
