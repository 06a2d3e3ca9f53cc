"""Types `earmark ...` in a process of its own: of this tree, or of the one whose folder EARMARK_TREE names.

What tests/reliability shows goes through here and through files only, so that it can be shown to fail on an older tree.
"""

import atexit
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from forked import ForkedCommands

LIMIT_S = float(os.environ.get("EARMARK_LIMIT_S", "240"))  # what takes longer hangs


def earmark(
    *arguments: str | Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    limit_s: float = LIMIT_S,
    before: Sequence[str] = (),
) -> subprocess.CompletedProcess[bytes]:
    """What came of a command; TimeoutExpired where it hangs. `before` is a program that runs it (prlimit, say).

    With either of `env` and `before` Python starts anew for it, without it is forked off a process that stands by.
    """
    typed = list(map(str, arguments))
    if env is None and not before:
        done = _forked().run(typed, cwd or Path.cwd(), limit_s)
        if done.returncode == -signal.SIGKILL:
            raise subprocess.TimeoutExpired(typed, limit_s, done.stdout, done.stderr)
        return done
    return subprocess.run(
        [*before, sys.executable, "-m", "earmark.cli.main", *typed],
        capture_output=True,
        env=_environment() | dict(env or {}),
        cwd=cwd,
        timeout=limit_s,
        check=False,
    )


def earmark_text(*arguments: object, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """What came of a command, as text; typed where nothing of ours lies."""
    done = earmark(*map(str, arguments), env=env, cwd=Path("/"))
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def assert_refused(done: subprocess.CompletedProcess[bytes], *words: str, code: int = 2) -> None:
    """One line that says what, where and what to do; no traceback, and no defect of ours."""
    error = done.stderr.decode()
    assert done.returncode == code, (done.returncode, error)
    assert "Traceback" not in error
    assert "defect" not in error
    last = error.strip().splitlines()[-1]
    for word in words:
        assert word in last, (word, last)


def _environment() -> dict[str, str]:
    tree = os.environ.get("EARMARK_TREE")
    return dict(os.environ) | ({"PYTHONPATH": tree} if tree else {})


@cache
def _forked() -> ForkedCommands:
    forked = ForkedCommands(_environment())
    atexit.register(forked.close)
    return forked
