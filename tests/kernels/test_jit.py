"""The cache of compiled kernels: announced when cold, silent when warm, and blind to no edit."""

import os
import shutil
import stat
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
    from earmark.kernels.statistics.compiled import draws
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


def only_folder(cache: Path, before: str = "") -> str:
    return start(cache, before + "from earmark.kernels import _jit; print(_jit.CACHE_FOLDER)")[0]


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="there are no owners and modes")
def test_the_cache_is_where_nobody_else_can_write(tmp_path: Path) -> None:
    """What numba reads from its cache it runs: a folder that somebody else could change is none."""
    folder = Path(only_folder(tmp_path / "cache"))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(0o770)
    assert only_folder(tmp_path / "cache") == "None"
    folder.chmod(0o700)
    assert only_folder(tmp_path / "cache") == str(folder)
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / folder.name).symlink_to(folder)
    assert only_folder(tmp_path / "linked") == "None"
    (tmp_path / "above").mkdir()
    assert only_folder(tmp_path / "above" / "cache") != "None"
    for mode in (0o777, 0o775):
        (tmp_path / "above").chmod(mode)
        assert only_folder(tmp_path / "above" / "cache") == "None"
    (tmp_path / "above").chmod(0o1777)  # as /tmp: only an owner removes what is in it
    assert only_folder(tmp_path / "above" / "cache") != "None"
    shared = only_folder(tmp_path / "new", "import os; os.umask(0o002)\n")
    assert stat.S_IMODE(Path(shared).parent.stat().st_mode) == 0o700  # what we make there is ours, whatever the umask
    if os.getuid() == 0:
        os.chown(folder, 65534, 65534)
        assert only_folder(tmp_path / "cache") == "None"


def test_kernels_that_are_not_kept_are_compiled_and_say_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for _ in range(2):
        lines = start(tmp_path / "file" / "cache")
        assert lines[0] == "compiling the kernels for this machine (once) ..."
        assert "set EARMARK_CACHE_DIR to a folder that nobody else can write into" in lines[2]
        assert lines[3] == "None"


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
    (copy / "statistics" / "compiled" / "draws.py").write_text(
        (copy / "statistics" / "compiled" / "draws.py").read_text() + "\n# an edit\n"
    )
    assert start(tmp_path / "cache", code) != before
