"""A full or read-only disk, no more open files: one line with a path, exit code 2, and the same command goes on."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command_line import assert_refused, earmark

SOUNDS = Path(__file__).parents[2] / "examples/sounds"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """A disk with these options of tmpfs, which may be others the next time."""
    place = tmp_path / "disk"
    place.mkdir()

    def mounted(options: str) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("nothing can be mounted here")
        return place

    yield mounted
    if os.path.ismount(place):  # a descriptor that was left open would keep it
        subprocess.run(["umount", str(place)], capture_output=True, check=True)


def test_a_certificate_on_a_disk_that_is_full(disk: Callable[[str], Path]) -> None:
    out = disk("size=16k") / "signed"
    done = earmark("certify", SOUNDS, "--out", out)
    assert_refused(done, str(out), "cannot be written (No space left on device)", "make room: the same command goes on")
    assert list(out.iterdir()) == []
    disk("size=16m,remount")
    assert earmark("certify", SOUNDS, "--out", out).returncode in (0, 3)
    assert {"certificate.json", "report.html"} <= {path.name for path in out.iterdir()}
    disk("size=16m,remount,ro")
    done = earmark("certify", SOUNDS, "--out", out / "again")
    assert_refused(done, str(out / "again"), "Read-only file system")


def test_no_more_open_files() -> None:
    tree = os.environ.get("EARMARK_TREE")
    environment = dict(os.environ) | ({"PYTHONPATH": tree} if tree else {})
    program = (
        "import resource, sys; from earmark.cli.main import main; import earmark.engine.report.html\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3)); sys.argv = ['earmark', 'theory']; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, env=environment, check=False, timeout=99
    )
    assert_refused(done, "Too many open files", "ulimit -n")
