"""An hour of hostile input and a thousand kills; stopped, it goes on where it was. Writes docs/reliability.md.

Hostile input: chunks of changed files for every reader (tests/support/fuzz_targets.py), each chunk in a process of its
own, with a seed of its own. Kills: a command is killed with SIGKILL at a random moment and typed again until it ends;
what lies there then must be, byte for byte, what it leaves undisturbed (tests/support/killing.py).
"""

import argparse
import json
import random
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from killing import SCENARIOS, Killer  # noqa: E402 (beside this file's own folder)

CHUNK = 20_000
PAGE = ROOT / "docs" / "reliability.md"
_PAGE = """\
# Reliability

What was done to Earmark to break it: files that somebody changed, and processes that were killed. Made by `make soak`,
which goes on where it was stopped. `make test` holds a minute of the first, kills of its own, and a test for everything
that was ever found (tests/reliability); `tests/reliability/against.sh COMMIT` shows these on an older commit.

**{inputs:,} hostile inputs and {kills:,} kills in {minutes:.0f} minutes: {failures} failures.**

## Hostile input

A file as it is read, with one to four seeded changes: bits and bytes flipped, cut, repeated, exchanged; in JSON also
values of other types, ranges and depths, keys dropped, renamed, repeated. A reader may read it or refuse it in a line.
A failure is any other exception, a crash, or more than five seconds.

| reader | inputs | refused | failures |
|---|--:|--:|--:|
{readers}

## Kills

A command is killed with SIGKILL at a random moment and typed again until it ends. A failure is any file that then
differs by a byte from what the command leaves undisturbed, is missing, or is left over.

| command | runs | kills | failures |
|---|--:|--:|--:|
{commands}
"""


class State:
    """What was done so far, in one file that is replaced whole."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "state.json"
        self._lock = threading.Lock()
        fresh: dict[str, Any] = {"seconds": 0.0, "chunks": 0, "readers": {}, "kills": {}, "failures": []}
        self.content = json.loads(self._path.read_text()) if self._path.exists() else fresh

    def add(self, key: str, name: str, **counts: int) -> None:
        """Add to the counts of a reader or of a scenario."""
        with self._lock:
            entry = self.content[key].setdefault(name, dict.fromkeys(counts, 0))
            for count, value in counts.items():
                entry[count] += value
            self._write()

    def fail(self, failure: str) -> None:
        with self._lock:
            self.content["failures"].append(failure)
            self._write()

    def pass_time(self, seconds: float, chunks: int = 0) -> None:
        with self._lock:
            self.content["seconds"] += seconds
            self.content["chunks"] += chunks
            self._write()

    @property
    def kills(self) -> int:
        return sum(entry["kills"] for entry in self.content["kills"].values())

    def _write(self) -> None:
        beside = self._path.with_suffix(".new")
        beside.write_text(json.dumps(self.content, indent=1))
        beside.replace(self._path)


def main() -> None:
    options = _options()
    if options.chunk is not None:
        print(json.dumps(_chunk(options.chunk, options.out)))
        return
    options.out.mkdir(parents=True, exist_ok=True)
    state = State(options.out)
    enough = threading.Event()
    killing = threading.Thread(target=_kill, args=(state, options, enough), daemon=True)
    killing.start()
    while state.content["seconds"] < options.hours * 3600 or (state.kills < options.kills and killing.is_alive()):
        start = time.monotonic()
        _attack(state, options.out)
        state.pass_time(time.monotonic() - start, chunks=1)
        print(_summary(state.content), file=sys.stderr, flush=True)
    enough.set()
    killing.join()
    PAGE.write_text(page(state.content))
    sys.exit(1 if state.content["failures"] else 0)


def _attack(state: State, out: Path) -> None:
    """One chunk of hostile input."""
    seed = 1000 + state.content["chunks"]
    command = [sys.executable, __file__, "--chunk", str(seed), "--out", str(out)]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        state.fail(f"chunk {seed} ended with {done.returncode}: {done.stderr.decode(errors='replace')[-400:]}")
        return
    for name, (inputs, refused, failures) in json.loads(done.stdout.splitlines()[-1]).items():
        state.add("readers", name, inputs=inputs, refused=refused, failures=len(failures))
        for _, _, number, what in failures:
            state.fail(f"{name}, seed {seed}, input {number}: {what}")


def _chunk(seed: int, out: Path) -> dict[str, Any]:
    """What came of every reader's inputs, in this process."""
    from fuzz_targets import targets
    from fuzzing import attack

    folder = out / f"chunk-{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        shown = targets(folder)
        share = CHUNK / sum(target.share for target in shown)
        return {target.name: attack(target, seed, int(share * target.share) + 1) for target in shown}
    finally:
        shutil.rmtree(folder)


def _kill(state: State, options: argparse.Namespace, enough: threading.Event) -> None:
    """Kill the scenarios in turn, those that were killed least first, until there is enough of it."""
    rng = random.Random(len(state.content["failures"]) + state.kills)
    with Killer(options.out / "kills") as killer:
        while not enough.is_set():
            killed = {name: state.content["kills"].get(name, {}).get("kills", 0) for name in SCENARIOS}
            name = min(killed, key=lambda name: killed[name] / SCENARIOS[name].share)
            kills, problem = killer.disturb(name, rng)
            state.add("kills", name, runs=1, kills=kills, failures=int(problem is not None))
            if problem is not None:
                state.fail(f"{name}: {problem}")


def _summary(content: dict[str, Any]) -> str:
    inputs = sum(entry["inputs"] for entry in content["readers"].values())
    kills = sum(entry["kills"] for entry in content["kills"].values())
    return f"{content['seconds'] / 60:.0f} min: {inputs:,} inputs, {kills:,} kills, {len(content['failures'])} failures"


def page(content: dict[str, Any]) -> str:
    """docs/reliability.md."""
    readers, kills = content["readers"], content["kills"]
    inputs = sum(entry["inputs"] for entry in readers.values())
    text = _PAGE.format(
        inputs=inputs,
        kills=sum(entry["kills"] for entry in kills.values()),
        minutes=content["seconds"] / 60,
        failures=len(content["failures"]),
        readers="\n".join(
            f"| {name} | {e['inputs']:,} | {e['refused']:,} | {e['failures']} |" for name, e in sorted(readers.items())
        ),
        commands="\n".join(
            f"| `{name}` | {e['runs']:,} | {e['kills']:,} | {e['failures']} |" for name, e in sorted(kills.items())
        ),
    )
    if content["failures"]:
        text += "\n## Failures\n\n" + "".join(f"- `{failure[:200]}`\n" for failure in content["failures"][:20])
    return text


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Attack Earmark, and write docs/reliability.md.")
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=ROOT / ".soak")
    parser.add_argument("--chunk", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
