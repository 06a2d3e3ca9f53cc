"""What a command loads before it starts: nothing is compiled for small inputs, and nothing is imported in vain."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("numba", "pandas", "scipy.optimize", "torch", "transformers", "jinja2", "pyarrow", "numpy", "scipy")
TYPED = f"""
import sys
from earmark.cli.main import main
sys.argv = ["earmark", *sys.argv[1:]]
try:
    main()
except SystemExit:
    pass
print(*(name for name in {HEAVY!r} if name in sys.modules))
"""


def loaded(*arguments: str | Path, cache: Path) -> set[str]:
    """Which of the heavy packages a command has loaded."""
    done = subprocess.run(
        [sys.executable, "-c", TYPED, *map(str, arguments)],
        env={**os.environ, "EARMARK_CACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.splitlines()[-1].split())


def kernels_in(cache: Path) -> list[Path]:
    """Compiled kernels and their indexes; templates of pages are kept beside them."""
    return [path for path in cache.rglob("*") if path.suffix in (".nbi", ".nbc")]


def test_a_sign_off_of_some_thousand_answers_needs_no_kernel(tmp_path: Path) -> None:
    cache, out = tmp_path / "cache", tmp_path / "signed"
    packages = {"numpy", "pyarrow", "jinja2"}
    assert loaded("certify", ROOT / "examples" / "sounds", "--out", out, cache=cache) == packages
    assert (out / "certificate.json").exists()
    assert not kernels_in(cache)
    assert loaded("plan", ROOT / "examples" / "sounds", cache=cache) <= packages
    assert loaded("plan", "--questions", 300, cache=cache) <= packages
    assert not kernels_in(cache)


def test_the_theory_needs_no_kernel(tmp_path: Path) -> None:
    """It is checked in seconds: nothing is compiled, and the statements are said one by one while they are."""
    code = "import sys, earmark.engine.theory.statements; print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("command", [("--help",), ("schema", "certificate"), ("warm", "--help"), ("certify", "--help")])
def test_what_only_prints_loads_nothing(command: tuple[str, ...], tmp_path: Path) -> None:
    assert loaded(*command, cache=tmp_path / "cache") == set()
