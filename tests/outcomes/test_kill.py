"""A writer may be killed at any moment: what is there is complete, and the next writer finishes the same run.

This file is also the writer: a parent that has imported everything once forks one writer per line of its input,
kills it as the line says, and prints how it ended (`main`).
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from earmark.engine import files
from earmark.engine.design.keys import CellKey
from earmark.engine.errors import InputError
from earmark.engine.outcomes.store import find_cells, read_cell, read_partitions, write_cell, write_partitions

CORPUS = "corpus"
KEYS = [  # in the order of writing, which is not the order of the keys
    CellKey("answerer", CORPUS, method, seed=seed, budget=budget)
    for budget in (1.0, 0.05, 0.4)
    for method in ("random", "energy")
    for seed in (7, 3)
]
SAMPLES = [f"s{i:02}" for i in range(40)]
FAMILIES = {"native": ["music" if i % 3 else "speech" for i in range(len(SAMPLES))]}
KILLS = 60


# The writer ------------------------------------------------------------------------------------------------


def rows(key: CellKey) -> dict[str, list[Any]]:
    """What a cell should hold, of 40 rows, a pure function of its key."""
    rng = random.Random(str(key))
    return {
        "sample_id": SAMPLES,
        "query_family": FAMILIES["native"],
        "loss": [float(rng.random() < 0.5) for _ in SAMPLES],
        "nll": [rng.random() for _ in SAMPLES],
    }


def write_run(run: Path) -> None:
    """Write what is missing of the run, cell by cell, and its partitions."""
    done: dict[CellKey, Any] = {}
    with suppress(InputError):  # nothing yet
        done = find_cells(run)
    for key in KEYS:
        if key not in done:
            write_cell(run, key, rows(key))
    write_partitions(run, CORPUS, SAMPLES, FAMILIES)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def doomed(run: Path, moment: str) -> None:
    """Write the run, but die just before its N-th renaming (`rename N`) or its N-th system call (`call N`).

    The calls that are counted are those of the module posix: mkdir, open, fsync, rename, rmdir and their like.
    """
    what, _, number = moment.partition(" ")
    left = int(number) if what in ("rename", "call") else 0

    def count(_frame: object, event: str, called: Any) -> None:
        nonlocal left
        if event == "c_call" and getattr(called, "__module__", None) == "posix":
            counted = what == "call" or called is os.rename or called is os.replace
            left -= counted
            if counted and left == 0:
                die()

    if left:
        sys.setprofile(count)
    write_run(run)
    sys.setprofile(None)


def main() -> None:
    """Per line `RUN<tab>MOMENT`: fork a writer, kill it after `after SECONDS` or at its own moment, and tell."""
    with tempfile.TemporaryDirectory() as folder:
        write_run(Path(folder))  # what is imported on first use is imported here, not counted in every writer
    for line in sys.stdin:
        run, moment = line.rstrip("\n").split("\t")
        start = time.perf_counter()
        pid = os.fork()
        if pid == 0:
            try:
                doomed(Path(run), moment)
            except BaseException as error:
                print(repr(error), file=sys.stderr)
                os._exit(1)
            os._exit(0)
        if moment.startswith("after "):
            time.sleep(float(moment.removeprefix("after ")))
            os.kill(pid, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        ended = {0: "finished", -signal.SIGKILL: "killed"}.get(status, f"failed {status}")
        print(ended, time.perf_counter() - start, flush=True)


# The tests -------------------------------------------------------------------------------------------------


class Writers:
    """The parent of the writers."""

    def __init__(self) -> None:
        self._parent = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def start(self, run: Path, moment: str = "") -> tuple[bool, float]:
        """Let a writer work on the run; whether it was killed, and after how many seconds."""
        assert self._parent.stdin
        assert self._parent.stdout
        self._parent.stdin.write(f"{run}\t{moment}\n")
        self._parent.stdin.flush()
        ended, _, seconds = self._parent.stdout.readline().rpartition(" ")
        assert ended in ("killed", "finished")
        return ended == "killed", float(seconds)

    def close(self) -> None:
        self._parent.communicate()


@pytest.fixture(scope="module")
def writers() -> Iterator[Writers]:
    parent = Writers()
    yield parent
    parent.close()


@pytest.fixture(scope="module")
def whole(writers: Writers, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody interrupted."""
    run = tmp_path_factory.mktemp("whole") / "run"
    assert writers.start(run)[0] is False
    assert check(run) == len(KEYS)
    return run


def check(run: Path) -> int:
    """All that can be read is as meant, and a prefix of the cells in writing order; how many there are."""
    found: dict[CellKey, Any] = {}
    if any(run.glob("cells/**/*.parquet")):
        found = find_cells(run)
    assert set(found) == set(KEYS[: len(found)])
    for key, parts in found.items():
        cell, meant = read_cell(run, key, parts), rows(key)
        assert cell.sample_id.to_pylist() == meant["sample_id"]
        assert cell.query_family.to_pylist() == meant["query_family"]
        assert cell.loss.tolist() == meant["loss"]
        assert cell.nll.tolist() == meant["nll"]
    partitions = read_partitions(run)
    if partitions is not None:
        assert len(found) == len(KEYS)
        assert partitions[0]["native"].to_pylist() == FAMILIES["native"]
    return len(found)


def contents(run: Path) -> dict[str, bytes | None]:
    """Every file below the run with its bytes, and every folder with None."""
    return {path.relative_to(run).as_posix(): None if path.is_dir() else path.read_bytes() for path in run.rglob("*")}


def test_killed_at_random_moments(writers: Writers, whole: Path, tmp_path: Path) -> None:
    rng = random.Random(20)
    duration = min(writers.start(tmp_path / f"timing-{i}")[1] for i in range(3))
    kills = runs = 0
    progress = []
    while kills < KILLS:
        run = tmp_path / str(runs)
        runs += 1
        killed, cells, patience = True, 0, 0.8 * duration
        while killed:
            killed, _ = writers.start(run, f"after {rng.uniform(0.0, patience):.6f}")
            kills += killed
            before, cells = cells, check(run)
            assert cells >= before
            progress.append(cells)
            patience *= 1 if cells > before else 1.1  # on a machine that got slower
        assert contents(run) == contents(whole)
    assert set(progress) - {0, len(KEYS)}  # some of them died half-way


def test_killed_between_staging_and_rename(writers: Writers, whole: Path, tmp_path: Path) -> None:
    for n in (1, 2, len(KEYS)):
        run = tmp_path / str(n)
        assert writers.start(run, f"rename {n}")[0] is True
        assert [path.name for path in run.glob(".staging/*/*/*")] == ["part-0.parquet"]  # written, and
        assert check(run) == n - 1  # not there
        assert writers.start(run)[0] is False
        assert contents(run) == contents(whole)
    run = tmp_path / "partitions"
    assert writers.start(run, f"rename {len(KEYS) + 1}")[0] is True
    assert check(run) == len(KEYS)
    assert read_partitions(run) is None
    assert writers.start(run)[0] is False
    assert contents(run) == contents(whole)


def test_killed_before_every_system_call(writers: Writers, whole: Path, tmp_path: Path) -> None:
    """From the first call of the first cell to well into the second, one writer per call."""
    n, cells = 0, 0
    while cells < 2:
        n += 1
        run = tmp_path / str(n)
        assert writers.start(run, f"call {n}")[0] is True
        before, cells = cells, check(run)
        assert cells in (before, before + 1)
        if n % 5 == 0:
            assert writers.start(run)[0] is False
            assert contents(run) == contents(whole)
    assert n > 20


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    """`write_file`, killed just before its rename."""
    path = tmp_path / "certificate.json"
    files.write_file(path, b"old")
    script = (
        "import os, signal, sys; from pathlib import Path; from earmark.engine import files\n"
        "os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "files.write_file(Path(sys.argv[1]), b'new')"
    )
    assert subprocess.run([sys.executable, "-c", script, str(path)], check=False).returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    folder, lock = sorted((tmp_path / ".staging").iterdir())
    assert lock.name == f"{folder.name}.lock"
    files.write_file(path, b"new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["certificate.json"]
    assert path.read_bytes() == b"new"


if __name__ == "__main__":
    main()
