"""A sweep that is killed again and again ends with the same certificate, byte for byte.

This file is also the sweep: a parent that has imported everything once forks one sweep per line of its input, kills it
with SIGKILL after so many seconds, and prints how it ended. The answerer's last bits depend on what is in a batch.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import decided
import pytest
import sweeps

from earmark.engine.corpus.synthetic.bank import bank
from earmark.engine.corpus.synthetic.splits import Split
from earmark.engine.design.spec import Spec
from earmark.engine.report.signed_files import write
from earmark.engine.signoff.certify import certify
from earmark.engine.sweep.run import run

KILLS = 20


def spec() -> Spec:
    return sweeps.spec(sweeps.SMALLER, {"certification:5": "certification:3", "window = 2": "window = 1"})


def sweep(out: Path) -> None:
    run(spec(), out, load=sweeps.answerers(), load_compressor=sweeps.compressor)


def sweep_decided(out: Path) -> None:
    decided.sweep(out, SMALL)


def sweep_completed(out: Path) -> None:
    """Until it is decided, and then to the end."""
    sweep_decided(out)
    decided.sweep(out, SMALL, decided.COMPLETE)


SMALL = {f"certification:{decided.CLIPS}": "certification:36"}
SWEEPS = {"all": sweep, "decided": sweep_decided, "completed": sweep_completed}


def main() -> None:
    """Per line `KIND<tab>RUN<tab>SECONDS`: fork a sweep, kill it then (never where SECONDS is empty), and tell."""
    bank(Split.CERTIFICATION)
    for line in sys.stdin:
        kind, out, seconds = line.rstrip("\n").split("\t")
        start = time.perf_counter()
        pid = os.fork()
        if pid == 0:
            try:
                SWEEPS[kind](Path(out))
            except BaseException as error:
                print(repr(error), file=sys.stderr)
                os._exit(1)
            os._exit(0)
        if seconds:
            time.sleep(float(seconds))
            os.kill(pid, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        ended = {0: "finished", -signal.SIGKILL: "killed"}.get(status, f"failed {status}")
        print(ended, time.perf_counter() - start, flush=True)


class Sweeps:
    """The parent of the sweeps."""

    def __init__(self) -> None:
        paths = os.pathsep.join(path for path in sys.path if path)
        self._parent = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": paths},
        )

    def start(self, kind: str, out: Path, seconds: float | None = None) -> tuple[bool, float]:
        """Whether it was killed, and how long it took."""
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        print(kind, out, "" if seconds is None else f"{seconds:.6f}", sep="\t", file=self._parent.stdin, flush=True)
        ended, _, took = self._parent.stdout.readline().strip().rpartition(" ")
        assert ended in ("finished", "killed"), ended
        return ended == "killed", float(took)

    def close(self) -> None:
        self._parent.communicate()


@pytest.fixture
def parent() -> Iterator[Sweeps]:
    made = Sweeps()
    yield made
    made.close()


@pytest.mark.parametrize("kind", SWEEPS)
def test_killed_twenty_times_the_certificate_has_the_same_bytes(parent: Sweeps, tmp_path: Path, kind: str) -> None:
    rng = random.Random(20)
    parent.start(kind, tmp_path / "warm")
    _, duration = parent.start(kind, tmp_path / "whole")
    kills = runs = 0
    while kills < KILLS:
        out = tmp_path / str(runs)
        runs, killed, patience = runs + 1, True, 0.6 * duration
        while killed:
            killed, _ = parent.start(kind, out, rng.uniform(0, patience))
            kills += killed
            patience *= 1.1  # on a machine that got slower it must end too
        assert sweeps.contents(out) == sweeps.contents(tmp_path / "whole")
    rule = (spec() if kind == "all" else decided.spec(SMALL)).rule
    signed = []
    for name in ("whole", str(runs - 1)):
        path = write(certify(tmp_path / name, rule), tmp_path / name, tmp_path / name)
        signed.append(path.read_bytes())
    assert signed[0] == signed[1]


if __name__ == "__main__":
    main()
