"""`earmark warm`: everything is compiled beforehand, once, where it says; then nothing is left to compile."""

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import assert_refused, earmark
from numba.core import config

from earmark.cli import exits
from earmark.kernels.kernel_folders import FOLDERS

pytestmark = pytest.mark.skipif(bool(config.DISABLE_JIT), reason="nothing is compiled")

ROOT = Path(__file__).parents[2]
COUNTED = """
import sys
import numpy as np
from earmark.kernels.compilation import counted
with counted() as watch:
    exec(sys.argv[1])
print("compiled", watch.compiled, "with", "numba" in sys.modules)
"""
SWEEP = f"""
from earmark.cli.main import earmark
typed = ["run", {str(ROOT / "examples" / "demo.toml")!r}, "--limit", "2", "--out", "run"]
try:
    earmark.main(typed, standalone_mode=False)
except SystemExit:
    pass
"""
RESAMPLING = """
from earmark.kernels.statistics import bootstrap
from earmark.kernels.statistics.collapse import collapse, entries
bootstrap._SMALL = -1
for scale in (1.0, 1000.0, 0.3):
    values, codes = scale * np.eye(60), np.arange(60)[:, None] % 3
    units = collapse([values], codes)
    bootstrap.resampled_sums(units, entries(units, [values], codes, [3]), seed=1, replicates=70)
"""
INTERRUPTED = """
import os, signal, sys
from numba.core.codegen import CPUCodeLibrary
hook, interrupts = CPUCodeLibrary._object_compiled_hook, [signal.SIGINT]
def interrupted(module, buffer):
    while interrupts:
        os.kill(os.getpid(), interrupts.pop())
    hook(module, buffer)
CPUCodeLibrary._object_compiled_hook = interrupted
from earmark.cli.main import main
sys.argv = ["earmark", "warm"]
main()
"""
TESTS = """
from earmark.kernels.statistics import betting, bounds, exact
exact.FEW = bounds.FEW = betting._FEW = betting._FEW_DRAWN = -1.0
n = np.arange(100, 140)
exact.p_values(n, 3, 2, 0.05, 0.0005)
bounds.upper_bounds(n, 3, 2, 0.025, 0.0005)
betting.p_value(n / 200, n / 140, 0.05)
betting.upper_bound(n / 200, n / 140, 0.05)
betting.pass_rate(n / 200, n / 140, 40, 0.05, 0.025, draws=3, seed=1)
"""


def environment(**changes: str) -> dict[str, str]:
    """Of a new process, with the kernels of these tests."""
    kept = {} if FOLDERS.kept is None else {"EARMARK_CACHE_DIR": str(FOLDERS.kept.parent)}
    return {**os.environ, **kept, **changes}


def warmed(*arguments: str | Path, **changes: str) -> dict[str, object]:
    done = earmark("warm", *arguments, "--json", env=environment(**changes), limit_s=600)
    assert done.returncode == 0, done.stderr.decode()
    printed: dict[str, object] = json.loads(done.stdout)
    return printed


@pytest.mark.parametrize("use", [SWEEP, RESAMPLING, TESTS], ids=["sweep", "resampling", "tests"])
def test_what_commands_use_is_compiled_then(use: str, tmp_path: Path) -> None:
    warmed()
    done = subprocess.run(
        [sys.executable, "-c", COUNTED, use],
        env=environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "compiled 0 with True"


def test_a_second_time_nothing_is_to_compile() -> None:
    first = warmed()
    done = earmark("warm", env=environment())
    nothing, where = done.stdout.decode().splitlines()
    assert nothing == "nothing was to compile"
    assert where.split()[:2] == ["kernels", first["folder"]]
    assert warmed() == {**first, "compiled": 0, "seconds": 0}


def test_what_is_shipped_everybody_may_read_and_nobody_else_write(tmp_path: Path) -> None:
    kept = Path(str(warmed()["folder"]))
    shipped = tmp_path / "shipped"
    shipped.mkdir(mode=0o700)
    shutil.copytree(kept, shipped / kept.name)
    assert warmed("--out", shipped, EARMARK_CACHE_DIR=str(tmp_path / "other"))["folder"] == str(shipped / kept.name)
    for path in (shipped, *shipped.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == (0o055 if path.is_dir() else 0o044), path
    assert not (tmp_path / "other").exists()


def test_nowhere_to_keep_them_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = earmark("warm", "--out", tmp_path / "file" / "kernels", env=environment())
    assert_refused(done, "is no folder that only you can write into", "--out DIR")


def test_an_interrupt_while_the_compiler_calls_back_stops_it_and_is_no_lost_exception(tmp_path: Path) -> None:
    """What llvmlite calls back is where Python would print an exception and forget it."""
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED],
        env=environment(EARMARK_CACHE_DIR=str(tmp_path / "kernels")),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (exits.INTERRUPTED, "")
    acknowledged, *_, last = done.stderr.splitlines()
    assert acknowledged.startswith("stopping after the kernels under way: those that are compiled are kept")
    assert last == "interrupted: the same command goes on from here"
    assert "KeyboardInterrupt" not in done.stderr
    assert list((tmp_path / "kernels").rglob("*.nbc"))
