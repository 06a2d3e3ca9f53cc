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
from earmark.kernels.compilation import announced
with announced(print):
    from earmark.kernels.statistics.compiled import draws
    print(draws.stream_key(1, 2))
from earmark.kernels.kernel_folders import FOLDERS
print(FOLDERS.kept)
"""
SHOW = "from earmark.kernels.kernel_folders import FOLDERS; print(FOLDERS.kept, FOLDERS.shipped, sep='\\n')"

pytestmark = pytest.mark.skipif(bool(config.DISABLE_JIT), reason="nothing is compiled")


def start(cache: Path, code: str = CODE, **env: str) -> list[str]:
    environment = {**os.environ, "EARMARK_CACHE_DIR": str(cache), **env}
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
    return start(cache, before + SHOW)[0]


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


def copy_of_the_package(folder: Path) -> dict[str, str]:
    """The environment in which a copy of earmark in this folder, with other times, is the one that is imported."""
    package = folder / "earmark"
    for room in ("cli", "engine", "kernels"):
        shutil.copytree(ROOT / room, package / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "src" / "earmark" / "__init__.py", package)
    for source in package.rglob("*.py"):
        os.utime(source, (1, 1))
    return {"PYTHONPATH": str(folder)}


def test_a_copy_of_the_package_elsewhere_loads_what_was_compiled(tmp_path: Path) -> None:
    cold = start(tmp_path / "cache")
    where = "import earmark; print(earmark.__file__)\n"
    copied = start(tmp_path / "cache", where + CODE, **copy_of_the_package(tmp_path / "copy"))
    assert copied == [str(tmp_path / "copy" / "earmark" / "__init__.py"), cold[1], cold[3]]  # nothing was compiled


def test_an_edit_of_any_kernel_source_is_another_cache(tmp_path: Path) -> None:
    env = copy_of_the_package(tmp_path / "copy")
    before = start(tmp_path / "cache", SHOW, **env)
    edited = tmp_path / "copy" / "earmark" / "kernels" / "statistics" / "compiled" / "draws.py"
    edited.write_text(edited.read_text() + "\n# an edit\n")
    assert start(tmp_path / "cache", SHOW, **env) != before


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only what is root's is shipped")
def test_a_shipped_cache_is_read_where_nobody_else_can_write(tmp_path: Path) -> None:
    """For another user: what root has compiled is not kept, and loaded all the same."""
    shipped = tmp_path / "shipped"
    cold = start(shipped)
    folder = Path(cold[3])
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    as_nobody = "import os; os.geteuid = lambda: 65534\n"
    assert start(shipped, as_nobody + SHOW) == ["None", str(folder)]
    assert start(shipped, as_nobody + CODE) == [cold[1], "None"]  # nothing was compiled
    kernel = next(folder.rglob("*.nbc"))
    kernel.chmod(0o666)
    assert start(shipped, as_nobody + SHOW) == ["None", "None"]
    kernel.chmod(0o644)
    os.chown(kernel, 1234, 1234)
    assert start(shipped, as_nobody + SHOW) == ["None", "None"]
    os.chown(kernel, 0, 0)
    shipped.chmod(0o777)
    assert start(shipped, as_nobody + SHOW) == ["None", "None"]
