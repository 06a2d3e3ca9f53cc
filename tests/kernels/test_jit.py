"""The cache of compiled kernels: announced when cold, silent when warm, and blind to no edit."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from numba.core import config

ROOT = Path(__file__).parents[2]
CODE = """
import sys
from earmark.kernels import _jit
with _jit.announced(lambda line: print(line)):
    from earmark.kernels.statistics import draws
    print(draws.stream_key(1, 2))
print(_jit.CACHE_FOLDER)
"""

pytestmark = pytest.mark.skipif(bool(config.DISABLE_JIT), reason="nothing is compiled")


def start(cache: Path, code: str = CODE) -> list[str]:
    environment = {**os.environ, "EARMARK_CACHE_DIR": str(cache)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_the_first_start_says_that_it_compiles_and_the_second_is_warm(tmp_path: Path) -> None:
    cold, warm = start(tmp_path), start(tmp_path)
    assert cold[0] == "compiling the kernels for this machine (once) ..."
    assert cold[2].startswith("compiled the kernels in ")
    assert warm == [cold[1], cold[3]]
    assert Path(cold[3]).parent == tmp_path
    assert list(Path(cold[3]).rglob("*.nbi"))


def test_an_edit_of_any_kernel_source_is_another_cache(tmp_path: Path) -> None:
    copy = tmp_path / "earmark" / "kernels"
    shutil.copytree(ROOT / "kernels", copy, ignore=shutil.ignore_patterns("__pycache__"))
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n" + (
        "import importlib.util\n"
        f"spec = importlib.util.spec_from_file_location('copied_jit', {str(copy / '_jit.py')!r})\n"
        "module = importlib.util.module_from_spec(spec); spec.loader.exec_module(module)\n"
        "print(module.CACHE_FOLDER)\n"
    )
    before = start(tmp_path / "cache", code)
    (copy / "statistics" / "draws.py").write_text((copy / "statistics" / "draws.py").read_text() + "\n# an edit\n")
    assert start(tmp_path / "cache", code) != before
