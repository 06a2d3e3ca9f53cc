"""`earmark certify` killed at any moment leaves the old files, the new ones, or what `verify` names in a line."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from command_line import earmark

KILLS = 9
FILES = ("certificate.json", "report.html", "policy.json")
NEW = ("--replicates", "100", "--tolerance", "0.1")


def write_run(run: Path) -> Path:
    for method, budget in (("uncompressed", 1.0), ("energy", 0.5)):
        folder = run / f"cells/answerer=tiny/corpus=sounds/method={method}/budget={budget}"
        folder.mkdir(parents=True)
        ids = [f"s{i:04}" for i in range(200)]
        pq.write_table(
            pa.table({"sample_id": ids, "query_family": ["a", "b"] * 100, "loss": [0.0] * 200}), folder / "p.parquet"
        )
    return run


def contents(run: Path) -> dict[str, bytes]:
    return {name: (run / name).read_bytes() for name in FILES if (run / name).exists()}


def kill(run: Path, moment_s: float, writing: bool) -> None:
    """Kill a `certify` after some time, or some time after it begins to write."""
    tree = os.environ.get("EARMARK_TREE")
    environment = os.environ | ({"PYTHONPATH": tree} if tree else {})
    process = subprocess.Popen(
        [sys.executable, "-m", "earmark.cli.main", "certify", str(run), *NEW],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment,
    )  # fmt: skip
    while writing and process.poll() is None and not (run / ".staging").exists():
        time.sleep(0.0002)
    time.sleep(moment_s)
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_a_killed_certify_leaves_what_holds_or_what_verify_names(tmp_path: Path) -> None:
    old = write_run(tmp_path / "old")
    assert earmark("certify", old, "--replicates", "100", "--tolerance", "0.05").returncode == 0
    new = shutil.copytree(old, tmp_path / "new")
    assert earmark("certify", new, *NEW).returncode == 0
    sets = [contents(old), contents(new)]
    assert sets[0] != sets[1]
    draw = random.Random(16)
    states = list(sets)  # that were looked at
    mixed = []
    for i in range(KILLS):
        run = shutil.copytree(old, tmp_path / str(i))
        kill(run, draw.uniform(0, 0.02) if i % 3 else draw.uniform(0, 2), writing=bool(i % 3))
        if contents(run) not in states:
            states.append(contents(run))
            mixed.append(run)
            done = earmark("verify", run / "certificate.json")
            assert done.returncode in (1, 2)
            assert len((done.stdout + done.stderr).decode().splitlines()) == 1
    for run in [*mixed, tmp_path / "0"]:
        assert earmark("certify", run, *NEW).returncode == 0
        assert contents(run) == sets[1]
        assert not (run / ".staging").exists()


def test_a_page_that_was_written_before_its_certificate_is_named(tmp_path: Path) -> None:
    """What a kill between the page and the certificate leaves: a new page beside the old certificate."""
    run = write_run(tmp_path / "run")
    assert earmark("certify", run, *NEW).returncode == 0
    page = (run / "report.html").read_bytes()
    assert earmark("certify", run, "--replicates", "100", "--tolerance", "0.05").returncode == 0
    (run / "report.html").write_bytes(page)
    done = earmark("verify", run / "certificate.json")
    assert (done.returncode, done.stdout.count(b"\n")) == (1, 1)
    assert b"report.html: is the page of another certificate" in done.stdout
    assert earmark("certify", run, *NEW).returncode == 0
    assert earmark("verify", run / "certificate.json").returncode == 0
