"""Where no more threads or processes may be started, a command says so before a library ends it."""

import os
import shutil
import sys
from pathlib import Path

import pytest
from command_line import assert_refused, earmark

NOBODY = 65534


pytestmark = pytest.mark.skipif(sys.platform != "linux" or not shutil.which("prlimit"), reason="no limit can be set")
BEFORE = ["prlimit", "--nproc=1"]
if os.getuid() == 0:  # no limit holds for root: count for somebody else, without the right to exceed it
    BEFORE += ["setpriv", f"--ruid={NOBODY}", "--bounding-set=-sys_resource,-sys_admin"]


@pytest.mark.parametrize("command", ["certify", "run"])
def test_no_more_threads_are_one_line(tmp_path: Path, command: str) -> None:
    done = earmark(command, tmp_path / "nowhere", before=BEFORE)
    assert_refused(done, "threads", "ulimit -u")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", [["--help"], ["--version"], ["certify", "--help"], ["schema", "spec"]])
def test_what_only_prints_needs_no_threads(command: list[str]) -> None:
    done = earmark(*command, before=BEFORE)
    assert done.returncode == 0, done.stderr
