"""What a run folder may hold: links, devices, damaged Parquet, JSON and names that nobody could have written rightly.

Each is one line with exit code 2, at once, before anything is written.
"""

import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import assert_refused, earmark

RAW = "cells/answerer=a/corpus=c/method=uncompressed/seed=0/stream=anchor/budget=1.0"
CELL = "cells/answerer=a/corpus=c/method=m/seed=0/stream=anchor/budget=0.5"
N = 200
DEEP = "[" * 200_000
CARD, FLIPS, PREVIEW = "selectors/m/seed=0.json", "audits/flips/answerer=a.json", "preview.json"
SOURCES = {"schema": "earmark.selector/1", "trained_on": [{"corpus": "c", "sources": [{}], "recordings": []}]}


def columns(**changes: Any) -> dict[str, Any]:
    """The rows of a cell, all of them right."""
    rows = {"sample_id": [f"s{i}" for i in range(N)], "query_family": ["f"] * N, "loss": [0.0] * N}
    return rows | {"predicted_label": ["A"] * N, "n_options": [4] * N} | changes


def put(run: Path, folder: str, content: Any = None) -> None:
    """The only Parquet file of a cell."""
    path = run / folder / "part-0.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(content if isinstance(content, pa.Table) else pa.table(columns(**(content or {}))), path)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A small run folder that can be certified but for what a test does to it."""
    folder = tmp_path / "run"
    put(folder, RAW)
    put(folder, CELL)
    return folder


def assert_one_line(run: Path, *words: str) -> None:
    """`certify` refuses a run in one line, and has written nothing."""
    assert_refused(earmark("certify", run, "--out", run.parent / "signed"), *words)
    assert not (run.parent / "signed/certificate.json").exists()


def link_or_fifo(path: Path, device: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if device == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to(device)


# Links and devices -------------------------------------------------------------------------------------------


def test_a_loop_of_links_ends(run: Path) -> None:
    for name in ("l0", "l1", "l2"):
        (run / CELL / name).symlink_to(".")
    assert_one_line(run, "again", "remove the link")


def test_a_device_in_a_run_is_never_read(run: Path) -> None:
    for place, device in (
        (f"{CELL}/part-1.parquet", "/dev/zero"),
        (FLIPS, "fifo"),
        ("plan.json", "/proc/kmsg"),
        ("partitions.parquet", "fifo"),
    ):
        link_or_fifo(run / place, device)
        assert_one_line(run, Path(place).name)
        (run / place).unlink()


@pytest.mark.parametrize(("command", "device"), [("certify", "fifo"), ("verify", "fifo"), ("run", "/proc/kmsg")])
def test_a_device_instead_of_an_input_is_one_line(tmp_path: Path, command: str, device: str) -> None:
    link_or_fifo(tmp_path / "input.toml", device)
    assert_refused(earmark(command, tmp_path / "input.toml"), "input.toml")


def test_a_cell_outside_of_the_run_is_refused_by_certify_and_by_verify(run: Path) -> None:
    assert earmark("certify", run, "--out", run).returncode in (0, 3)
    elsewhere = run.parent / "elsewhere"
    (run / CELL).rename(elsewhere)
    (run / CELL).symlink_to(elsewhere)
    assert_one_line(run, "leads out of")
    assert_refused(earmark("verify", run / "certificate.json"), "leads out of")


def test_partitions_that_lead_nowhere_are_refused_not_absent(run: Path) -> None:
    (run / "partitions.parquet").symlink_to("nowhere.parquet")
    assert_one_line(run, "partitions.parquet")


# Names -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("level", "other"), [("seed=0", "seed=-1"), ("budget=0.5", "budget=0_0.6")])
def test_a_folder_that_spells_no_cell_is_refused(run: Path, level: str, other: str) -> None:
    put(run, CELL.replace(level, other))
    assert_one_line(run, other)


def test_budgets_that_differ_in_their_last_bits_are_refused_by_both_names(run: Path) -> None:
    put(run, CELL.replace("0.5", "0.3"))
    put(run, CELL.replace("0.5", "0.30000000000000004"))
    assert_one_line(run, "0.3 and 0.30000000000000004")


def test_a_run_whose_name_is_not_utf8_is_refused_before_any_work(run: Path) -> None:
    named = os.fsdecode(os.fsencode(run) + b"\xff")
    run.rename(named)
    assert_one_line(Path(named), "not UTF-8")


def test_a_name_of_more_than_a_thousand_characters_is_refused(run: Path) -> None:
    put(run, RAW, {"query_family": ["x" * 1001] * N})
    assert_one_line(run, "query_family", "1,001 characters")


# Content -----------------------------------------------------------------------------------------------------


def test_text_that_is_not_utf8_is_one_line(run: Path) -> None:
    data = pa.array([b"\xff\xfe%d" % i for i in range(N)], pa.binary())
    put(run, RAW, pa.table(columns(speaker=pa.Array.from_buffers(pa.string(), N, data.buffers()))))
    assert_one_line(run, "part-0.parquet")


def test_a_plan_of_very_many_values_is_refused_at_once(run: Path) -> None:
    (run / "plan.json").write_text('{"schema": [' + "[]," * 10_000_000 + "[]]}")
    done = earmark("certify", run, before=["bash", "-c", 'ulimit -v 3000000; exec "$@"', "bash"])
    assert_refused(done, "plan.json", "holds more than 8,388,608 values")


@pytest.mark.parametrize(
    ("place", "content"),
    [
        (CARD, DEEP),
        (CARD, json.dumps(SOURCES)),
        (CARD, json.dumps(SOURCES | {"trained_on": [], "weights": "of nobody"})),
        (FLIPS, '{"asked": 5, "compared": 4, "changed": 5}'),
        (PREVIEW, '{"examples": 1e999, "of": 5}'),
    ],
)
def test_json_that_nothing_of_ours_wrote_is_one_line(run: Path, place: str, content: str) -> None:
    (run / place).parent.mkdir(parents=True, exist_ok=True)
    (run / place).write_text(content)
    assert_one_line(run, Path(place).name)


def test_recipes_of_partitions_that_are_no_json_are_one_line(run: Path) -> None:
    families = {"corpus": ["c"] * N, "sample_id": columns()["sample_id"], "p": ["f", "g"] * (N // 2)}
    table = pa.table(families).replace_schema_metadata({"earmark.partitions": DEEP})
    pq.write_table(table, run / "partitions.parquet")
    done = earmark("certify", run, "--out", run.parent / "signed", "--claim", "routing", "--tolerance", "0.2")
    assert_refused(done, "partitions.parquet")


def test_a_changed_byte_in_a_page_that_we_wrote_is_refused(tmp_path: Path) -> None:
    logs = [tmp_path / "raw.csv", tmp_path / "less.csv"]
    rows = [f"s{i},f,{i % 7 == 0:d}" for i in range(N)]
    for log in logs:
        log.write_text("\n".join(["sample_id,query_family,loss", *rows]) + "\n")
    run = tmp_path / "run"
    done = earmark("import", "csv", logs[0], f"uniform@0.5={logs[1]}", "--answerer", "a", "--corpus", "c", "--out", run)
    paths = sorted(run.glob("cells/**/*.parquet"))
    assert paths, done.stderr
    data = paths[0].read_bytes()
    column = pq.ParquetFile(paths[0]).metadata.row_group(0).column(0)
    place = column.data_page_offset + column.total_compressed_size // 2
    paths[0].write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    assert_one_line(run, "is not a readable Parquet file")
