"""Commands in processes that are forked off one which has imported Earmark: each costs its work, and no imports.

This file is also the process that they are forked off. A child is what `python -m earmark.cli.main` is, but for the
settings that libraries read when they are imported.
"""

import atexit
import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

_LIGHT = ("earmark.api", "jinja2", "pandas", "pyarrow.parquet", "soundfile")  # beside the modules of the commands
_HEAVY = ("earmark.engine.answerers.model_types", "earmark.engine.sweep.run", "earmark.engine.making.training.jobs")
_NEEDS_HEAVY = {"run", "init", "selector"}


class ForkedCommands:
    """The process that commands are forked off; `close` ends it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._folder = TemporaryDirectory()
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True,
        )  # fmt: skip

    def run(self, arguments: Sequence[str], cwd: Path, seconds: float | None) -> subprocess.CompletedProcess[bytes]:
        """What came of a command; its code is -SIGKILL where it was killed, with what it started, after `seconds`."""
        outputs = [Path(self._folder.name, name) for name in ("stdout", "stderr")]
        line = {"arguments": arguments, "cwd": str(cwd), "seconds": seconds, "outputs": [str(path) for path in outputs]}
        print(json.dumps(line), file=self._process.stdin, flush=True)
        code = int(self._process.stdout.readline())
        return subprocess.CompletedProcess(arguments, code, *(path.read_bytes() for path in outputs))

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._folder.cleanup()


def main() -> None:
    """Fork a child for each line of JSON, and print how it ended."""
    del sys.path[0]  # the folder of this file
    entry = import_module("earmark.cli.main")
    commands = getattr(entry, "COMMANDS", None) or entry._COMMANDS  # an older tree's
    _import(module for module, _ in commands.values())
    _import(_LIGHT)
    _load_a_kernel()
    for text in sys.stdin:
        line = json.loads(text)
        if _NEEDS_HEAVY & set(line["arguments"]):
            _import(_HEAVY)
        gc.freeze()  # a child's collector would look through all of this
        pid = os.fork()
        if pid == 0:
            _become(line)
            _end(entry.main)
        if line["seconds"] is not None:
            _kill_after(line["seconds"], pid)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def _import(modules: Iterable[str]) -> None:
    for module in modules:
        with suppress(ImportError):  # an older tree has others
            import_module(module)


def _load_a_kernel() -> None:
    """Let numba set up what it needs for any; one that starts no threads, which a fork would not have."""
    with suppress(Exception):  # an older tree has others
        import_module("earmark.kernels.statistics.compiled.draws").stream_key(1, 2)


def _become(line: Mapping[str, object]) -> None:
    """Be a command, in a session of its own: what it starts is killed with it."""
    os.setsid()
    os.chdir(line["cwd"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for descriptor, path in enumerate(line["outputs"], 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    sys.path.insert(0, line["cwd"])  # as `python -m` does
    sys.argv = ["earmark", *line["arguments"]]


def _end(command: Callable[[], None]) -> NoReturn:
    """Run a command and end as Python does, but for clearing every module that was ever imported."""
    code = 1
    try:
        command()
    except SystemExit as ended:
        code = int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(code)


def _kill_after(seconds: float, pid: int) -> None:
    """Kill a child and what it started after so many seconds, if it has not ended before."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return
        time.sleep(0.002)
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
