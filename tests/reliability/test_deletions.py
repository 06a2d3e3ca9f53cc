"""Nothing is deleted outside of the run folder that was named, whatever its plan or its links say."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import assert_refused, earmark

HASH = "0" * 64
COUNTS = {"examples": 3, "recordings": 3, "windows": 1}
RAW = {"name": "raw", "budget": 1.0, "curves": [["uncompressed", 0, "anchor"]]}


def plan(*levels: Any, schema: int) -> dict[str, Any]:
    """A plan.json that an Earmark of a schema's time reads."""
    content = {
        "schema": f"earmark.sweep/{schema}",
        "spec": HASH,
        "corpus": {"name": "c", "sha256": HASH, **COUNTS},
        "window": 64,
        "answerers": ["a"],
        "levels": list(levels),
    }
    content |= {"selectors": {}} if schema < 3 else {"methods": {}, "compressors": {}}
    return content if schema == 1 else {**content, "labels": {}, "rule": {"partitions": []}}


def put(run: Path, content: dict[str, Any]) -> None:
    run.mkdir(parents=True)
    (run / "plan.json").write_text(json.dumps(content))
    (run / "spec.toml").write_text("")


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A folder of somebody's with a file in it."""
    folder = tmp_path / "victim"
    (folder / "answerer=a/raw").mkdir(parents=True)
    (folder / "answerer=a/raw/letter.txt").write_text("dear")
    return folder


def assert_all_there(victim: Path) -> None:
    assert (victim / "answerer=a/raw/letter.txt").read_text() == "dear"


@pytest.mark.parametrize("schema", [1, 2, 3])
@pytest.mark.parametrize("curves", [[], [["uncompressed", 0, "anchor"]]], ids=["no curves", "raw"])
def test_a_plan_that_names_a_folder_deletes_nothing(tmp_path: Path, victim: Path, curves: Any, schema: int) -> None:
    shard = tmp_path / "shard"
    forged = {"name": str(victim), "budget": 1.0, "curves": curves}
    put(shard, plan(RAW, forged, schema=schema))
    cell = shard / "cells/answerer=a/corpus=c/method=uncompressed/seed=0/stream=anchor/budget=1.0"
    cell.mkdir(parents=True)
    rows = {"sample_id": ["s1", "s2", "s3"], "query_family": ["f"] * 3, "loss": [0.0] * 3}
    pq.write_table(pa.table(rows), cell / "part-0.parquet")
    done = earmark("merge", tmp_path / "run", shard)
    assert_all_there(victim)
    assert_refused(done, "plan.json")


@pytest.mark.parametrize("link", ["pending", "pending/answerer=a", "pending/answerer=a/raw"])
def test_a_link_in_a_run_leads_no_deletion_astray(tmp_path: Path, victim: Path, link: str) -> None:
    run, shard = tmp_path / "run", tmp_path / "shard"
    put(run, plan(RAW, schema=3))
    put(shard, plan(RAW, schema=3))
    cell = shard / "cells/answerer=a/corpus=c/method=uncompressed/seed=0/stream=anchor/budget=1.0"
    cell.mkdir(parents=True)
    rows = {"sample_id": ["s1", "s2", "s3"], "query_family": ["f"] * 3, "loss": [0.0] * 3}
    pq.write_table(pa.table(rows), cell / "part-0.parquet")
    (run / link).parent.mkdir(parents=True, exist_ok=True)
    target = {"pending": victim, "pending/answerer=a": victim / "answerer=a"}.get(link, victim / "answerer=a/raw")
    (run / link).symlink_to(target)
    done = earmark("merge", run, shard)
    assert_all_there(victim)
    assert_refused(done, "it is not deleted")


def test_a_link_in_a_shard_copies_nothing_of_others(tmp_path: Path, victim: Path) -> None:
    shard = tmp_path / "shard"
    put(shard, plan(RAW, schema=3))
    (shard / "selectors").symlink_to(victim)
    assert_refused(earmark("merge", tmp_path / "run", shard), "leads out of")
    assert not list((tmp_path / "run").rglob("letter.txt"))


def test_an_empty_folder_is_no_complete_cell(tmp_path: Path) -> None:
    run = tmp_path / "run"
    put(run, plan(RAW, schema=3))
    (run / "cells/answerer=a/corpus=c/method=uncompressed/seed=0/stream=anchor/budget=1.0").mkdir(parents=True)
    (run / "pending/answerer=a/raw").mkdir(parents=True)
    (run / "pending/answerer=a/raw/window-00000.parquet").write_bytes(b"an answer")
    done = earmark("merge", run, run)
    assert (run / "pending/answerer=a/raw/window-00000.parquet").exists()  # its only copy
    assert_refused(done, "window-00000.parquet")


def test_a_plan_of_absurd_counts_is_one_line(tmp_path: Path) -> None:
    content = plan(RAW, schema=3)
    content["corpus"]["examples"] = 10**400
    put(tmp_path / "run", content)
    assert_refused(earmark("status", tmp_path / "run"), "corpus.examples")


def test_windows_from_100_000_on_are_not_forgotten(tmp_path: Path) -> None:
    content = plan(RAW, schema=3)
    content["corpus"] |= {"windows": 200_000, "examples": 200_000, "recordings": 200_000}
    put(tmp_path / "run", content)
    pending = tmp_path / "run/pending/answerer=a/raw"
    pending.mkdir(parents=True)
    for number in ("00000", "100000", "199999", "200000", "1e3", "-0001"):  # three of these are windows of it
        pq.write_table(pa.table({"sample_id": ["q"]}), pending / f"window-{number}.parquet")
    done = earmark("status", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert b"3 of 200,000 answers" in done.stdout, done.stdout
