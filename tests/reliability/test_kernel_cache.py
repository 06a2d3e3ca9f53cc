"""Compiled kernels are kept where nobody else can put others in their place, or not at all."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest


def load_a_kernel(env: Mapping[str, str]) -> None:
    """In a process of its own, as whatever computes much does."""
    code = "from earmark.kernels.statistics.compiled import draws; draws.mix(1)"
    subprocess.run([sys.executable, "-c", code], env={**os.environ, **env}, check=True)


def test_without_a_home_nothing_is_left_in_the_folder_that_all_users_share(tmp_path: Path) -> None:
    """Somebody else could have made that folder before: what numba reads there it runs."""
    (tmp_path / "file").write_text("")
    shared = tmp_path / "shared"
    shared.mkdir()
    home = str(tmp_path / "file" / "home")
    for _ in range(2):
        env = {"HOME": home, "TMPDIR": str(shared), "XDG_CACHE_HOME": "", "EARMARK_CACHE_DIR": ""}
        load_a_kernel(env)
    assert not list(shared.iterdir())


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="there are no owners and modes")
def test_a_cache_that_others_can_write_into_is_not_used(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    for mode in (0o777, 0o775):  # the group is ours, and that of others: `users`, say
        cache.chmod(mode)
        load_a_kernel({"EARMARK_CACHE_DIR": str(cache)})
        assert not list(cache.iterdir())
    if os.getuid() == 0:
        cache.chmod(0o755)
        os.chown(cache, 65534, 65534)
        load_a_kernel({"EARMARK_CACHE_DIR": str(cache)})
        assert not list(cache.iterdir())
    os.chown(cache, os.getuid(), os.getgid())
    cache.chmod(0o755)
    load_a_kernel({"EARMARK_CACHE_DIR": str(cache)})
    (kept,) = cache.iterdir()
    assert kept.stat().st_mode & 0o777 == 0o700
