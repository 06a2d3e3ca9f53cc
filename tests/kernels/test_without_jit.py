"""The kernels' tests once more as plain Python: what numba compiles is what the source says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from numba.core import config


@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="this is the run without compilation")
def test_the_kernels_without_compilation() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", str(Path(__file__).parent)]
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
