"""Commands that are killed at random moments and typed again, and what then lies there.

This file is also the process that runs them: it imports everything once, then forks a child for each line of its input,
so that a kill hits the work and not the start of Python.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import TracebackType

import log_fixtures

ROOT = Path(__file__).parents[2]
MOST_TRIES = 200
SPEC = """\
[corpus]
path = "synthetic:certification:2"
[[answerers]]
model = "tiny"
[sweep]
budgets = [0.5]
window = 1
[[methods]]
name = "energy"
[[methods]]
name = "learned"
selector = "tiny-conditioned"
[streams]
permuted_global = 1
[partitions]
names = ["need"]
[rule]
replicates = 100
[audits]
flip_rate = 2
grid = 2
"""


@dataclass(frozen=True)
class Scenario:
    """A command, and the folder in which it is typed."""

    prepare: Callable[["Killer", Path], None]
    command: tuple[str, ...]
    share: float = 1.0  # of the kills: quick commands take more


def _spec(_: "Killer", folder: Path) -> None:
    (folder / "spec.toml").write_text(SPEC)


def _sounds(_: "Killer", folder: Path) -> None:
    shutil.copytree(ROOT / "examples" / "sounds", folder / "sounds")


def _signed(killer: "Killer", folder: Path) -> None:
    """Certified before, by another tolerance."""
    _sounds(killer, folder)
    killer.finish(("certify", "sounds", "--out", "signed", "--tolerance", "0.2"), folder)


def _shards(killer: "Killer", folder: Path) -> None:
    _spec(killer, folder)
    for number in (1, 2):
        killer.finish(("run", "spec.toml", "--out", f"shard-{number}", "--shard", f"{number}/2"), folder)


def _oracle(killer: "Killer", folder: Path) -> None:
    killer.finish(("selector", "oracle", "synthetic:selector:3", "--out", "oracle.parquet"), folder)


def _logs(_: "Killer", folder: Path) -> None:
    for name, answers in (("raw", log_fixtures.RAW), ("compressed", log_fixtures.COMPRESSED)):
        log_fixtures.write_csv(folder / f"{name}.csv", log_fixtures.table(answers))


SCENARIOS = {
    "run": Scenario(_spec, ("run", "spec.toml", "--out", "run"), 1.0),
    "certify": Scenario(_sounds, ("certify", "sounds", "--out", "signed"), 2.0),
    "certify again": Scenario(_signed, ("certify", "sounds", "--out", "signed"), 2.0),
    "merge": Scenario(_shards, ("merge", "whole", "shard-1", "shard-2"), 2.0),
    "selector oracle": Scenario(
        lambda *_: None, ("selector", "oracle", "synthetic:selector:3", "--out", "oracle.parquet"), 1.0
    ),
    "selector train": Scenario(
        _oracle, ("selector", "train", "oracle.parquet", "--out", "selectors", "--seed", "42", "--epochs", "3"), 1.0
    ),
    "import": Scenario(
        _logs,
        ("import", "csv", "raw.csv", "energy@0.4=compressed.csv", "--out", "run", "--answerer", "a", "--corpus", "c"),
        2.0,
    ),
}


class Killer:
    """The process that forks commands; `folder` is its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._wanted: dict[
            str, tuple[dict[str, bytes], float]
        ] = {}  # by name: what is left undisturbed, and the shortest end

    def __enter__(self) -> "Killer":
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._process.stdin.close()
        self._process.wait()

    def disturb(self, name: str, rng: random.Random) -> tuple[int, str | None]:
        """Type a scenario's command until it ends; how often it was killed, and what is wrong with what it left."""
        scenario, work = SCENARIOS[name], self._folder / "work"
        before = self._folder / name
        if name not in self._wanted:
            self._begin(before, work, scenario)
            start = time.monotonic()
            self.finish(scenario.command, work)
            self._wanted[name] = contents(work), time.monotonic() - start
        wanted, seconds = self._wanted[name]
        self._begin(before, work, scenario)
        for kills in range(MOST_TRIES):
            start = time.monotonic()
            status, error = self._type(scenario.command, work, rng.uniform(0, 1.1 * seconds))
            if status in (0, 3):
                self._wanted[name] = wanted, min(seconds, time.monotonic() - start)
                return kills, difference(wanted, contents(work))
            if status != -signal.SIGKILL:
                return kills, f"ended with {status} after {kills} kills: {error[-400:]}"
        return MOST_TRIES, f"was not done after {MOST_TRIES} kills"

    def finish(self, command: tuple[str, ...], cwd: Path) -> None:
        """Type a command undisturbed."""
        status, error = self._type(command, cwd, None)
        assert status in (0, 3), (command, status, error)

    def _begin(self, before: Path, work: Path, scenario: Scenario) -> None:
        shutil.rmtree(work, ignore_errors=True)
        if not before.exists():
            work.mkdir()
            scenario.prepare(self, work)
            shutil.copytree(work, before)
        else:
            shutil.copytree(before, work)

    def _type(self, command: tuple[str, ...], cwd: Path, seconds: float | None) -> tuple[int, str]:
        """How a command ended, and what it wrote on stderr; killed after so many seconds."""
        log = self._folder / "stderr"
        line = {"command": command, "cwd": str(cwd), "seconds": seconds, "log": str(log)}
        print(json.dumps(line), file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline()), log.read_text(errors="replace")


def contents(folder: Path) -> dict[str, bytes]:
    """Every file, and every folder as an empty one."""
    paths = sorted(folder.rglob("*"))
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"" for path in paths}


def difference(wanted: dict[str, bytes], there: dict[str, bytes]) -> str | None:
    """The first difference between two folders."""
    for name in sorted(wanted.keys() | there.keys()):
        if name not in there:
            return f"{name} is missing"
        if name not in wanted:
            return f"{name} is left over"
        if wanted[name] != there[name]:
            return f"{name} differs"
    return None


def main() -> None:
    """Fork a command per line of JSON; print how it ended."""
    main_module = import_module("earmark.cli.main")
    for module, _ in main_module.COMMANDS.values():
        import_module(module)
    for module in ("engine.answerers.model_types", "engine.sweep.run", "engine.making.training.jobs", "api"):
        import_module(f"earmark.{module}")
    for text in sys.stdin:
        line = json.loads(text)
        pid = os.fork()
        if pid == 0:
            _become(main_module.main, line)
        if line["seconds"] is not None:
            _wait(pid, line["seconds"])
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def _become(command: Callable[[], None], line: dict[str, object]) -> None:
    """Be the command, in a session of its own: what it started is killed with it."""
    os.setsid()
    os.chdir(str(line["cwd"]))
    log = os.open(str(line["log"]), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(log, 2)
    sys.argv = ["earmark", *line["command"]]
    try:
        command()
    except SystemExit as ended:
        os._exit(int(ended.code or 0))
    os._exit(0)


def _wait(pid: int, seconds: float) -> None:
    """Kill a child and what it started after so many seconds, if it is not done before."""
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
