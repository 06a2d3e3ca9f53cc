"""Logs that somebody else wrote, or broke: one line and exit code 2, in bounded time and memory, and no run folder."""

import hashlib
import json
import os
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import assert_refused, earmark

LIMIT_S = 60
Rows = list[dict[str, Any]]
RAW = [
    {"sample_id": f"q{i}", "query_family": "ab"[i % 2], "source_id": f"r{i}", "loss": float(i == 5)} for i in range(6)
]


def lines(path: Path, rows: Rows) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def inspect_log(path: Path, scores: Any = None, padding: int = 0) -> Path:
    """A small log of inspect: six samples, the last of which may have other scores, or blanks behind its JSON."""
    header = {"version": 2, "status": "success", "eval": {"task": "t", "model": "m"}}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.json", json.dumps(header))
        for i in range(6):
            score = {"choice": {"value": "CI"[i == 2], "answer": "A"}}
            sample = {
                "id": f"q{i}",
                "epoch": 1,
                "input": f"question {i}",
                "target": "A",
                "metadata": {"task": "ab"[i % 2]},
            }
            sample["scores"] = scores if scores is not None and i == 5 else score
            with archive.open(f"samples/q{i}_epoch_1.json", "w") as entry:
                entry.write(json.dumps(sample).encode())
                for _ in range(padding if i == 5 else 0):
                    entry.write(b" " * (1 << 24))
    return path


def imported(kind: str, raw: Path, compressed: Path, *options: str | Path) -> subprocess.CompletedProcess[bytes]:
    """What comes of importing two logs of the same folder into its `run`."""
    names = ["--corpus", "c", "--answerer", "a", "--out", raw.parent / "run"]
    return earmark("import", kind, raw, f"energy@0.5={compressed}", *names, *options, limit_s=LIMIT_S)


def refused(kind: str, raw: Path, compressed: Path, *words: str, options: tuple[str, ...] = ()) -> None:
    assert_refused(imported(kind, raw, compressed, *options), *words)
    assert not (raw.parent / "run").exists()


# inspect ---------------------------------------------------------------------------------------------------

FAMILY = ("--family", "metadata.task")


@pytest.mark.parametrize("scores", [[1], "x", {"choice": [1]}, {"choice": "C"}])
def test_odd_scores_are_refused(scores: Any, tmp_path: Path) -> None:
    bad = inspect_log(tmp_path / "bad.eval", scores)
    refused(
        "inspect", bad, inspect_log(tmp_path / "good.eval"), "samples/q5_epoch_1.json: has no scores", options=FAMILY
    )


@pytest.mark.parametrize(("offset", "value", "reason"), [(6, 135, "zip file version 13.5"), (8, 1, "encrypted")])
def test_a_changed_byte_in_a_zip_directory_is_refused(offset: int, value: int, reason: str, tmp_path: Path) -> None:
    good = inspect_log(tmp_path / "good.eval")
    data = bytearray(good.read_bytes())
    data[data.find(b"PK\1\2") + offset] = value
    bad = tmp_path / "bad.eval"
    bad.write_bytes(data)
    refused("inspect", bad, good, reason, options=FAMILY)


def test_an_entry_that_unpacks_without_end_is_refused(tmp_path: Path) -> None:
    bomb = inspect_log(tmp_path / "bomb.eval", padding=18)  # 300 kB become 288 MiB
    refused(
        "inspect", bomb, inspect_log(tmp_path / "good.eval"), "unpacks to more than 268,435,456 bytes", options=FAMILY
    )


# Tables ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"sample_id": "a", "sample_id": "b", "query_family": "a", "loss": 0}', "'sample_id' stands twice"),
        ('{"sample_id": "a", "query_family": "a", "loss": 0, "x": ' + "[" * 99 + "]" * 99 + "}", "nested deeper"),
        ('{"sample_id": "a", "query_family": "a", "loss": 0, "num_audio_tokens": 1e300}', "not a count"),
        ('{"sample_id": "a", "query_family": "a", "loss": 0, "n_options": 1e30}', "which is not 1, 2, 3"),
        ('{"sample_id": "a", "query_family": "a", "loss": 1e999}', "is no number"),
        ('{"sample_id": "' + "a" * 1001 + '", "query_family": "a", "loss": 0}', "1,001 characters"),
    ],
)
def test_a_line_of_json_that_says_too_much_is_refused(line: str, reason: str, tmp_path: Path) -> None:
    bad, good = tmp_path / "bad.jsonl", lines(tmp_path / "good.jsonl", RAW)
    bad.write_text(line + "\n")
    refused("jsonl", bad, good, "bad.jsonl:1:", reason)


def test_a_header_of_very_many_columns_is_refused(tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text(",".join(f"c{i}" for i in range(200_000)) + "\n")
    refused("csv", bad, lines(tmp_path / "good.jsonl", RAW), "200,000 columns")


def test_all_missing_columns_are_named_at_once(tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("a,b\n1,2\n")
    refused("csv", bad, lines(tmp_path / "good.jsonl", RAW), "'sample_id', 'query_family', 'loss'", "--id, --family")


def test_text_of_parquet_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    offsets, text = pa.array(range(7), pa.int32()).buffers()[1], pa.py_buffer(b"\xff" * 6)
    families = pa.Array.from_buffers(pa.string(), 6, [None, offsets, text])
    table = pa.Table.from_pylist(RAW).set_column(1, "query_family", families)
    pq.write_table(table, tmp_path / "bad.parquet")
    pq.write_table(pa.Table.from_pylist(RAW), tmp_path / "good.parquet")
    refused("parquet", tmp_path / "bad.parquet", tmp_path / "good.parquet", "is not a whole Parquet file")


# Files -----------------------------------------------------------------------------------------------------


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    good = lines(tmp_path / "good.jsonl", RAW)
    refused("jsonl", good, tmp_path / "pipe.jsonl", "pipe.jsonl: is not a regular file")


def test_names_that_are_not_utf8_are_refused(tmp_path: Path) -> None:
    good, bad = lines(tmp_path / "good.jsonl", RAW), tmp_path / os.fsdecode(b"bad\xff.jsonl")
    lines(bad, RAW)
    refused("jsonl", good, bad, "has a name that is not UTF-8")
    done = imported("jsonl", good, lines(tmp_path / "other.jsonl", RAW), "--out", tmp_path / os.fsdecode(b"run\xff"))
    assert_refused(done, "has a name that is not UTF-8")


def test_a_run_keeps_the_hash_of_every_log(tmp_path: Path) -> None:
    raw, compressed = lines(tmp_path / "raw.jsonl", RAW), lines(tmp_path / "energy.jsonl", RAW[::-1])
    assert imported("jsonl", raw, compressed).returncode == 0
    logs = json.loads((tmp_path / "run" / "import.json").read_bytes())["logs"]
    hashes = {log["log"]: log["sha256"] for log in logs}
    assert hashes == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (raw, compressed)}


def test_verify_notices_a_change_in_what_an_import_recorded_and_opens_no_log(tmp_path: Path) -> None:
    raw, compressed = lines(tmp_path / "raw.jsonl", RAW), lines(tmp_path / "energy.jsonl", RAW[::-1])
    assert imported("jsonl", raw, compressed).returncode == 0
    run = tmp_path / "run"
    assert earmark("certify", run).returncode == 3
    raw.unlink()
    assert earmark("verify", run / "certificate.json").returncode == 0
    record = (run / "import.json").read_text()
    (run / "import.json").write_text(record.replace("energy.jsonl", "energy.other"))
    done = earmark("verify", run / "certificate.json")
    assert (done.returncode, b"import.json" in done.stdout) == (1, True)


def test_a_cell_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    raw, compressed = lines(tmp_path / "raw.jsonl", RAW), lines(tmp_path / "energy.jsonl", RAW[::-1])
    assert imported("jsonl", raw, compressed).returncode == 0
    (cell,) = (tmp_path / "run").glob("cells/answerer=a/corpus=c/method=energy/**/*.parquet")
    cell.unlink()
    os.mkfifo(cell)
    assert_refused(imported("jsonl", raw, compressed), "part-0.parquet", "is not a regular file")
