"""Processes that compress: within their time, in order, replaced when they hang or die; nothing of them stays."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import brought_ones
import numpy as np
import pytest
from brought_ones import CLIP, brought

from earmark.engine.arrays import Waveform
from earmark.engine.compressors.waves import wave_pool
from earmark.engine.compressors.waves.process_pipes import ProcessPipes
from earmark.engine.compressors.waves.wave_method import Sent, WaveRecipe
from earmark.engine.compressors.waves.wave_pool import WaveJob, WavePool


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A working directory with the module `mine`, temporary files of its own, and nothing left of it afterwards."""
    brought_ones.write_module(tmp_path)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setenv("PIDS", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    descriptors, children = _descriptors(), _children()
    yield
    assert _descriptors() == descriptors
    assert _children() == children
    assert list(temporary.iterdir()) == []
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("waves")]


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def _children() -> set[int]:
    """Living ones and zombies."""
    pids: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError):  # a thread that has just ended
            pids.update(map(int, (task / "children").read_text().split()))
    return pids


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _wait_for_end(*pids: int) -> None:
    until = time.monotonic() + 20
    while any(map(_is_alive, pids)):
        assert time.monotonic() < until, pids
        time.sleep(0.02)


def _clip(number: int) -> Waveform:
    return CLIP + np.float32(number)


def _jobs(*names: str, timeout_s: float = 20.0) -> list[WaveJob]:
    return [WaveJob(brought(name, timeout_s=timeout_s), _clip(i), 0.5) for i, name in enumerate(names)]


def test_outcomes_come_in_order() -> None:
    names = ["halves", "raises", "plain", "exits", "silent", "halves", "crashes", "halves", "halves", "plain"]
    with WavePool(2) as pool:
        outcomes = list(pool.map(_jobs(*names)))
        assert len(_children()) <= 4 * 2 + 1  # this process may have others
    for i, (name, outcome) in enumerate(zip(names, outcomes, strict=True)):
        if name in ("halves", "plain"):
            assert isinstance(outcome, Sent)
            np.testing.assert_array_equal(outcome.samples, _clip(i) * np.float32(0.5 if name == "halves" else 1))
        else:
            assert isinstance(outcome, str)
    assert outcomes[3] == "its process died (exit code 7)"
    assert outcomes[6] == "its process died (signal 11)"


def test_what_hangs_is_stopped_with_all_that_it_started(tmp_path: Path) -> None:
    with WavePool(2) as pool:
        began = time.monotonic()
        outcomes = list(pool.map(_jobs("hangs", "spawns_and_hangs", "halves", timeout_s=2.0)))
        assert outcomes[:2] == ["not done after 2 s"] * 2
        assert isinstance(outcomes[2], Sent)
        assert time.monotonic() - began < 30
        child, worker, folder = (tmp_path / "pids.txt").read_text().split()
        _wait_for_end(int(child), int(worker))
        assert not Path(folder).exists()


@pytest.mark.parametrize("name", ["fork_returns", "fork_returns_late", "fork_raises"])
def test_a_child_that_a_function_forks_answers_nothing(name: str) -> None:
    with WavePool(1) as pool:
        outcomes = list(pool.map(_jobs(*[name] * 4)))
    for i, outcome in enumerate(outcomes):
        assert isinstance(outcome, Sent)
        np.testing.assert_array_equal(outcome.samples, _clip(i) / 2)


@pytest.mark.parametrize("name", ["empties_replies", "old_replies"])
def test_what_is_no_reply_to_the_request_ends_the_process(name: str) -> None:
    with WavePool(1) as pool:
        outcomes = list(pool.map(_jobs(name, name, "halves")))
    assert outcomes[:2] == ["its process wrote what is no answer"] * 2
    assert isinstance(outcomes[2], Sent)


@pytest.mark.parametrize(
    ("name", "status"),
    [("holds_and_hangs", "not done after 2 s"), ("holds_and_exits", "its process died (exit code 5)")],
)
def test_a_process_that_left_the_session_holds_nobody_up(tmp_path: Path, name: str, status: str) -> None:
    """It has both ends of the pipes."""
    with WavePool(1) as pool:
        pool.identity(brought(name, timeout_s=2.0))
        began = time.monotonic()
        outcomes = list(pool.map(_jobs(name, "halves", timeout_s=2.0)))
        took_s = time.monotonic() - began
        os.kill(int((tmp_path / "holder").read_text()), signal.SIGKILL)
    assert outcomes[0] == status
    assert isinstance(outcomes[1], Sent)
    assert took_s < 10


def test_a_clip_that_nobody_reads_is_given_up() -> None:
    """A process that was stopped takes no more than a pipe holds."""
    program = [sys.executable, "-c", "import time; time.sleep(1000)"]
    process = subprocess.Popen(program, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with process:
        pipes = ProcessPipes(process)
        pipes.set_deadline(0.5)
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            pipes.write(bytes(1 << 22))
        with pytest.raises(TimeoutError):
            pipes.read(1)
        assert time.monotonic() - began < 5
        process.kill()


def test_what_a_function_does_to_its_process_reaches_no_other() -> None:
    command = 'sh -c \'test -e mine.py && cp "$1" "$2"\' copy {in} {out}'
    spoils = WaveRecipe("", "sh -c 'rm -rf $TMPDIR; exit 3' {in} {out}")
    recipes = [brought("spoils_process"), spoils, brought("coded"), WaveRecipe("speed"), WaveRecipe("", command)]
    with WavePool(1) as pool:
        outcomes = list(pool.map(WaveJob(recipe, CLIP, 0.5) for recipe in recipes))
    assert outcomes.pop(1) == "left with exit code 3"
    assert all(isinstance(outcome, Sent) for outcome in outcomes), outcomes


def test_few_processes_wait_for_their_recipe(tmp_path: Path) -> None:
    brought_ones.write_module(tmp_path, "\n".join(f"def f{i}(*_): return [0.5]" for i in range(6)))
    with WavePool(1) as pool:
        for name in ("f0", "f1", "f2", "f3", "f0", "f4", "f5"):
            pool.identity(brought(name))
            list(pool.map(_jobs(name)))
        waiting = [process.code.compressor for process in pool._idle if process.code is not None]
        assert waiting == ["mine:f3", "mine:f0", "mine:f4", "mine:f5"]
        assert len(pool._all) == len(waiting)


def test_what_a_command_leaves_behind_is_ended(tmp_path: Path) -> None:
    command = 'sh -c \'sleep 1000 & echo $! > pids.txt; cp "$1" "$2"\' copy {in} {out}'
    with WavePool(1) as pool:
        (outcome,) = pool.map([WaveJob(WaveRecipe("", command), CLIP, 0.5)])
        assert isinstance(outcome, Sent)
        _wait_for_end(int((tmp_path / "pids.txt").read_text()))


def test_a_module_that_hangs_when_it_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stuck.py").write_text("import time; time.sleep(1000)")
    monkeypatch.setattr(wave_pool, "MOST_LOADING_S", 2.0)
    with WavePool(1) as pool, pytest.raises(Exception, match=r"cannot be loaded \(not loaded after 2 s\)"):
        pool.identity(WaveRecipe("stuck:f"))


def test_a_command_that_hangs_is_stopped(tmp_path: Path) -> None:
    command = "sh -c 'echo $$ > pids.txt; sleep 1000; true' {in} {out}"
    with WavePool(1) as pool:
        assert list(pool.map([WaveJob(WaveRecipe("", command, 1.0), CLIP, 0.5)])) == ["not done after 1 s"]
        _wait_for_end(int((tmp_path / "pids.txt").read_text()))


def test_processes_are_reused_and_numeric_libraries_have_a_thread(tmp_path: Path) -> None:
    brought_ones.write_module(
        tmp_path,
        "import os, numpy as np\n"
        "def pid(*_): return np.array([os.getpid() / 2**23, float(os.environ['OMP_NUM_THREADS'])])\n"
        "another = pid\n",
    )
    with WavePool(1) as pool:
        outcomes = list(pool.map(_jobs("pid", "another", "pid", "another")))
    pids = [outcome.samples[0] for outcome in outcomes if isinstance(outcome, Sent)]
    assert pids[:2] == pids[2:]
    assert pids[0] != pids[1]  # nothing that one does to its process reaches the other
    assert all(isinstance(outcome, Sent) and outcome.samples[1] == 1 for outcome in outcomes)


def test_a_few_jobs_are_taken_ahead() -> None:
    taken = []

    def jobs() -> Iterator[WaveJob]:
        for i in range(100):
            taken.append(i)
            yield WaveJob(brought("plain"), _clip(i), 0.5)

    with WavePool(2) as pool:
        for i, _ in enumerate(pool.map(jobs())):
            assert len(taken) <= i + 4
            if i == 10:
                break
        assert len(taken) < 20


def test_threads_share_a_pool() -> None:
    outcomes: dict[int, list[Sent | str]] = {}
    with WavePool(2) as pool:
        threads = [
            threading.Thread(target=lambda i=i: outcomes.update({i: list(pool.map(_jobs(*["plain"] * (i + 2))))}))
            for i in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for i in range(3):
        for j, outcome in enumerate(outcomes[i]):
            assert isinstance(outcome, Sent)
            np.testing.assert_array_equal(outcome.samples, _clip(j))
        assert len(outcomes[i]) == i + 2


def test_closing_ends_what_is_under_way() -> None:
    pool = WavePool(1)
    arrivals = pool.map(_jobs("hangs", "hangs", "hangs", timeout_s=500.0))
    failures = []

    def take() -> None:
        try:
            next(arrivals)
        except BaseException as error:
            failures.append(type(error).__name__)

    thread = threading.Thread(target=take)
    thread.start()
    until = time.monotonic() + 20
    while not pool._all and time.monotonic() < until:
        time.sleep(0.02)
    time.sleep(0.5)
    began = time.monotonic()
    pool.close()
    thread.join()
    assert failures == ["CancelledError"]  # no status: it was not the compressor's doing
    assert time.monotonic() - began < 5


def test_a_recipe_that_changes_meanwhile_is_not_mixed(tmp_path: Path) -> None:
    with WavePool(1) as pool:
        pool.identity(brought("exits_when_loud"))
        brought_ones.write_module(tmp_path, brought_ones.MODULE + "\n# edited\n")
        outcomes = list(pool.map(_jobs(*["exits_when_loud"] * 3)))
    assert isinstance(outcomes[0], Sent)
    assert outcomes[1] == "its process died (exit code 7)"
    assert outcomes[2] == "was changed during the run"


_SPAWNS = "sh -c 'sleep 1000 & echo $! $$ $TMPDIR > pids; mv pids pids.txt; wait' {in} {out}"


@pytest.mark.parametrize(
    "recipe", [WaveRecipe("mine:spawns_and_hangs", timeout_s=500.0), WaveRecipe("", _SPAWNS, timeout_s=500.0)]
)
def test_when_the_parent_is_killed_its_processes_end(tmp_path: Path, recipe: WaveRecipe) -> None:
    """In the middle of a function or a command that started another process; with temporary files."""
    program = (
        "from earmark.engine.compressors.waves.wave_pool import *\n"
        "from earmark.engine.compressors.waves.wave_method import WaveRecipe\n"
        "import numpy as np\n"
        f"recipe = {recipe}\n"
        "list(WavePool(2).map([WaveJob(recipe, np.ones(16_000, np.float32), .5)]))\n"
    )
    environment = os.environ | {"TMPDIR": str(tmp_path / "temporary")}
    parent = subprocess.Popen([sys.executable, "-c", program], env=environment)
    until = time.monotonic() + 30
    while not (tmp_path / "pids.txt").exists():
        assert time.monotonic() < until
        time.sleep(0.05)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    child, worker, folder = (tmp_path / "pids.txt").read_text().split()
    _wait_for_end(int(child), int(worker))
    while Path(folder).exists():
        assert time.monotonic() < until
        time.sleep(0.05)


def _resident_mib(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.soak
@pytest.mark.parametrize("name", ["opus", "vorbis", "mp3", "gsm"])
def test_a_thousand_clips_through_a_codec_leak_nothing(name: str) -> None:
    """In two processes: their memory after 1,000 clips is that after 200; and so is the number of open files here."""
    rng = np.random.default_rng(0)
    noise = (0.1 * rng.standard_normal(32_000)).astype(np.float32)
    jobs = (WaveJob(WaveRecipe(name, axis="bits"), np.roll(noise, i), 32 / 256) for i in range(1_000))
    with WavePool(2) as pool:
        early: dict[int, float] = {}
        for i, outcome in enumerate(pool.map(jobs)):
            assert isinstance(outcome, Sent), outcome
            if i == 200:
                early = {process._process.pid: _resident_mib(process._process.pid) for process in pool._all}
                descriptors = _descriptors()
        late = {pid: _resident_mib(pid) for pid in early}
        assert len(late) == 2
        assert all(late[pid] < early[pid] + 20 for pid in early), (early, late)
        assert _descriptors() == descriptors
