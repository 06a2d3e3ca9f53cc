"""Ctrl-C: acknowledged before the work ends, 130, and what was done is kept."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import commands
import pytest

from earmark.cli import exits, merge

INTERRUPTED = "interrupted: files that were written are whole, and the same command goes on or begins anew\n"


def test_measuring_relevance_is_stopped_softly_and_goes_on(tmp_path: Path) -> None:
    table = tmp_path / "oracle.parquet"
    answers = tmp_path / "oracle.parquet.answers.jsonl"
    arguments = ["selector", "oracle", "synthetic-two-factor:selector:400", "--out", str(table)]
    command = [sys.executable, "-m", "earmark.cli.main", *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/") as running:
        while running.poll() is None and not (answers.exists() and answers.read_bytes().count(b"\n") > 1):
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        printed, errors = running.communicate()
    assert (running.returncode, printed) == (exits.INTERRUPTED, "")
    *lines, last = errors.splitlines()
    (acknowledged,) = (line for line in lines if not line.startswith(("reading", "loading", "hearings")))
    assert acknowledged.startswith("stopping after what is under way: what is done is kept")
    assert last == "interrupted: the same command goes on from here"
    assert not table.exists()
    assert answers.read_bytes().count(b"\n") > 1


def test_an_interrupt_of_any_command_is_one_line_and_130(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(merge, "merge", interrupted)
    done = commands.command("merge")
    assert (done.code, done.out, done.err.lstrip("\n")) == (exits.INTERRUPTED, "", INTERRUPTED)  # below the ^C
