"""Every move to a device that is left out is noticed: without that the harness of `devices` would show nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tests" / "support" / "remove_moves.py"


@pytest.mark.soak
def test_every_move_that_is_left_out_is_noticed() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, check=False)
    rows = [line for line in done.stdout.splitlines() if line.startswith("|")]
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert len(rows) > 30
    assert done.stdout.endswith("0 unnoticed\n")
