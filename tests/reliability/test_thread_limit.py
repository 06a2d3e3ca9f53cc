"""Where no more threads or processes may be started, a command says so before a library ends it."""

import os
import shutil
import sys
from pathlib import Path

import pytest
from command_line import assert_refused, earmark

NOBODY = 65534


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("prlimit"), reason="no limit can be set")
@pytest.mark.parametrize("command", ["certify", "run"])
def test_no_more_threads_are_one_line(tmp_path: Path, command: str) -> None:
    before = ["prlimit", "--nproc=1"]
    if os.getuid() == 0:  # no limit holds for root: count for somebody else, without the right to exceed it
        before += ["setpriv", f"--ruid={NOBODY}", "--bounding-set=-sys_resource,-sys_admin"]
    done = earmark(command, tmp_path / "nowhere", before=before)
    assert_refused(done, "threads", "ulimit -u")
    assert len(done.stderr.splitlines()) == 1
