"""What selectors are made of and made from: oracle tables, checkpoints, cards, weights. Nothing of it is trusted."""

import fcntl
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import assert_refused, earmark

KEY = b"earmark.oracle"
ONE_JOB = ("--method", "agnostic", "--seed", "1", "--epochs", "1")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An oracle's table of a few clips, a selector trained on it, and one that comes with Earmark, exported."""
    folder = tmp_path_factory.mktemp("selectors")
    oracle = earmark("selector", "oracle", "synthetic-two-factor:selector:3", "--out", "oracle.parquet", cwd=folder)
    assert oracle.returncode == 0, oracle.stderr
    assert b"next: earmark selector train oracle.parquet" in oracle.stdout
    train = earmark("selector", "train", "oracle.parquet", *ONE_JOB, "--out", "trained", cwd=folder)
    assert train.returncode == 0, train.stderr
    assert b"next: earmark selector export trained/learned_agnostic/seed=1 --out edge" in train.stdout
    export = earmark("selector", "export", "trained/learned_agnostic/seed=1", "--out", "edge", cwd=folder)
    assert export.returncode == 0, export.stderr
    assert b"next: python edge/keep.py --check" in export.stdout
    return folder


def trained_on(folder: Path, table: pa.Table, place: Path):  # type: ignore[no-untyped-def]
    pq.write_table(table, place / "odd.parquet")
    return earmark("selector", "train", place / "odd.parquet", *ONE_JOB, "--out", place / "out", cwd=folder)


def with_column(table: pa.Table, name: str, values: list[Any]) -> pa.Table:
    number = table.schema.get_field_index(name)
    column = pa.array(values, table.schema.field(name).type)
    return table.set_column(number, table.schema.field(name), column)


def with_origin(table: pa.Table, **keys: Any) -> pa.Table:
    origin = json.loads(table.schema.metadata[KEY]) | keys
    return table.replace_schema_metadata({KEY: json.dumps(origin)})


def first(table: pa.Table, name: str, value: Any) -> pa.Table:
    return with_column(table, name, [value, *table[name].to_pylist()[1:]])


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda table: table.replace_schema_metadata({KEY: b"[" * 100_000}), "is not JSON"),
        (lambda table: table.replace_schema_metadata({KEY: b"[1]"}), "is no table of earmark.oracle/1"),
        (lambda table: with_origin(table, path=3), "does not say its path"),
        (lambda table: first(table, "chunks", 1 << 60), "chunks, a clip has at most 120"),
        (lambda table: first(table, "relevance", [0.5]), "has not one relevance for each chunk"),
        (lambda table: first(table, "relevance", [float("inf")] * table["chunks"][0].as_py()), "is not finite"),
        (lambda table: pa.concat_tables([table, table]), "twice"),
    ],
)
def test_an_odd_oracle_is_one_line(
    home: Path, tmp_path: Path, edit: Callable[[pa.Table], pa.Table], words: str
) -> None:
    table = pq.read_table(home / "oracle.parquet")
    assert_refused(trained_on(home, edit(table), tmp_path), "odd.parquet", words)


def test_a_changed_byte_in_a_page_of_an_oracle_is_noticed(home: Path, tmp_path: Path) -> None:
    about = pq.ParquetFile(home / "oracle.parquet").metadata.row_group(0)
    column = next(about.column(i) for i in range(about.num_columns) if about.column(i).path_in_schema.startswith("rel"))
    data = bytearray((home / "oracle.parquet").read_bytes())
    data[column.data_page_offset + column.total_compressed_size // 2] ^= 1
    (tmp_path / "odd.parquet").write_bytes(data)
    done = earmark("selector", "train", tmp_path / "odd.parquet", *ONE_JOB, "--out", tmp_path / "out", cwd=home)
    assert_refused(done, "odd.parquet")


def test_an_oracle_of_another_corpus_is_never_overwritten(home: Path) -> None:
    before = (home / "oracle.parquet").read_bytes()
    done = earmark("selector", "oracle", "synthetic-two-factor:selector:2", "--out", "oracle.parquet", cwd=home)
    assert_refused(done, "oracle.parquet", "synthetic-two-factor:selector:3", "name another file with --out")
    assert (home / "oracle.parquet").read_bytes() == before


def test_two_trainings_do_not_share_a_folder(home: Path) -> None:
    out = home / "locked"
    out.mkdir()
    with (out / ".train.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = earmark("selector", "train", "oracle.parquet", *ONE_JOB, "--out", out, cwd=home)
    assert_refused(done, "locked", "wait until it has ended")


@pytest.mark.parametrize("data", [b"\xff" * 100, b"\x02\0\0\0\0\0\0\0{}"])
def test_a_checkpoint_that_is_none_is_one_line(home: Path, tmp_path: Path, data: bytes) -> None:
    folder = tmp_path / "out/learned_agnostic/seed=1"
    folder.mkdir(parents=True)
    (folder / "checkpoint.safetensors").write_bytes(data)
    done = earmark("selector", "train", "oracle.parquet", *ONE_JOB, "--out", tmp_path / "out", cwd=home)
    assert_refused(done, "checkpoint.safetensors", "delete it to begin again")


@pytest.mark.parametrize(
    "edit",
    [
        {"weights": 3},
        {"seed": 1e400},
        {"trained_on": [{"corpus": "c", "sources": [{}], "recordings": []}]},
        {"best": {"epoch": 1}},
    ],
)
def test_an_odd_card_is_one_line(home: Path, tmp_path: Path, edit: dict[str, Any]) -> None:
    folder = shutil.copytree(home / "trained/learned_agnostic/seed=1", tmp_path / "selector")
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(card | edit))
    assert_refused(earmark("selector", "export", folder, "--out", tmp_path / "edge"), "card.json")


def test_a_card_that_is_too_deep_is_one_line(home: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(home / "trained/learned_agnostic/seed=1", tmp_path / "selector")
    (folder / "card.json").write_text("[" * 200_000)
    assert_refused(earmark("selector", "export", folder, "--out", tmp_path / "edge"), "card.json", "is not JSON")


def test_odd_reports_of_a_device_are_one_line(home: Path, tmp_path: Path) -> None:
    report = {"schema": "earmark.device/1", "passes": True, "failure": None, "graph": "", "vectors": "", "machine": {}}
    run = dict.fromkeys(("clips", "clip_s", "cold_start_s", "p50_ms", "p95_ms", "peak_mib"), 1) | {"scores": [[0.0]]}
    for runs in ([run | {"threads": 10**400}], [run | {"threads": True}], [run | {"threads": 1, "scores": [[None]]}]):
        (tmp_path / "device.json").write_text(json.dumps(report | {"runs": runs}))
        done = earmark("selector", "check", "edge/waveform.onnx", "--against", "edge/features.onnx", "--corpus",
                       "synthetic:certification:1", "--device", tmp_path / "device.json", cwd=home)  # fmt: skip
        assert_refused(done, "device.json", "is not whole")


def test_a_folder_of_recordings_is_scored_in_order(home: Path, tmp_path: Path) -> None:
    for name in ("b.wav", "a.wav", "notes.txt"):
        shutil.copy(home / "edge/vectors/part-of-a-second.wav", tmp_path / name)
    done = earmark("score", tmp_path, "--selector", "energy", "--json")
    assert done.returncode == 0, done.stderr
    assert [Path(json.loads(line)["audio"]).name for line in done.stdout.splitlines()] == ["a.wav", "b.wav"]
    (tmp_path / "empty").mkdir()
    assert_refused(
        earmark("score", tmp_path / "empty", "--selector", "energy"), "holds no recording", "name recordings"
    )
    assert b"tiny-agnostic, tiny-" in earmark("score", "--help").stdout
    assert np.isfinite(json.loads(done.stdout.splitlines()[0])["scores"]).all()
