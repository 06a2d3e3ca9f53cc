"""Commands that are killed at random moments and typed again, and what then lies there.

They are forked off a process that has imported everything, so that a kill hits the work and not the start of Python.
"""

import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import log_fixtures
from forked import ForkedCommands

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
        # by name: what is left undisturbed, and the shortest end
        self._wanted: dict[str, tuple[dict[str, bytes], float]] = {}

    def __enter__(self) -> "Killer":
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        self._forked = ForkedCommands(os.environ)
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._forked.close()

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
            patience = 1.1 * seconds * (1 + kills / 40)  # other processes may be using the machine now
            status, error = self._type(scenario.command, work, rng.uniform(0, patience))
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
        done = self._forked.run(command, cwd, seconds)
        return done.returncode, done.stderr.decode(errors="replace")


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
