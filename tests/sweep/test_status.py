"""`earmark status`: how many answers there are, what of a shard is done, and what to type next."""

import os
from pathlib import Path

import decided
import pytest
import sweeps
from click.testing import CliRunner
from sweeps import after
from sweeps import sweep_of_energy as sweep

from earmark.cli.main import earmark
from earmark.engine.sweep import run as sweeping
from earmark.engine.sweep.blocks import WHOLE as WHOLE_SWEEP
from earmark.engine.sweep.blocks import Shard
from earmark.engine.sweep.merge import merge
from earmark.engine.sweep.status import status
from earmark.engine.sweep.sweep_folder import SweepFolder

WHOLE = 30 * 4  # raw audio, silence and two budgets


def printed(run: Path) -> list[str]:
    return CliRunner().invoke(earmark, ["status", str(run)]).output.splitlines()


def test_answers_are_counted_window_by_window(tmp_path: Path) -> None:
    sweep(tmp_path, stop=after(4))
    raw = status(tmp_path).steps[0]
    assert (raw.answers, raw.answers_in_all, sorted(raw.done)) == (12, 30, [0])
    sweep(tmp_path, limit=4)  # two windows of two recordings, at every step
    assert [entry.answers for entry in status(tmp_path).steps] == [24] * 4
    sweep(tmp_path, limit=3)  # a part of a window is no answer of the whole run
    assert [entry.answers for entry in status(tmp_path).steps] == [24] * 4
    assert sweep(tmp_path).complete
    assert status(tmp_path).answers == status(tmp_path).answers_in_all == WHOLE


def test_a_window_that_is_done_says_its_answers_and_the_command_that_goes_on(tmp_path: Path) -> None:
    sweep(tmp_path, stop=after(4))
    first, raw, *_, last = printed(tmp_path)
    assert first == f"{tmp_path}: 12 of 120 answers"
    assert raw == "  raw audio        1 cell  12 of 30 answers"
    assert last == f"next: earmark run {tmp_path / 'spec.toml'} --out {tmp_path}"


def test_the_pace_is_that_of_the_latest_windows(tmp_path: Path) -> None:
    sweep(tmp_path, limit=4)
    windows = sorted((tmp_path / "pending/answerer=one/raw").glob("window-*.parquet"))
    for number, window in enumerate(windows):
        os.utime(window, (1000 + 60 * number, 1000 + 60 * number))
    for step in (tmp_path / "pending/answerer=one").iterdir():
        if step.name != "raw":
            for window in step.iterdir():
                window.unlink()
    pace = status(tmp_path).pace
    assert pace is not None
    assert (pace.answers_per_s, pace.last_at) == (12 / 60, 1060)
    (line,) = [line for line in printed(tmp_path) if line.startswith("the last window was done")]
    assert line.endswith("ago, at 12.0/min: 8 min for the rest")


def test_a_shard_that_is_done_says_so_and_one_that_is_not_goes_on_as_a_shard(tmp_path: Path) -> None:
    one, two, both = (tmp_path / name for name in ("one", "two", "both"))
    sweep(one, shard=Shard(0, 2), stop=after(4))
    assert printed(one)[-1] == f"next: earmark run {one / 'spec.toml'} --out {one} --shard 1/2"
    sweep(one, shard=Shard(0, 2))
    sweep(two, shard=Shard(1, 2))
    for number, (shard, answers) in enumerate(((one, 72), (two, 48)), 1):
        assert status(shard).answers == answers
        assert printed(shard)[0] == f"{shard}: {answers} of 120 answers"
        assert printed(shard)[-2:] == [
            f"shard {number}/2 done: nothing is left to do here",
            f"next: earmark merge RUN {shard} OTHER-SHARDS...",
        ]
    assert merge(both, [one, two]).complete
    assert printed(both)[-1] == f"next: earmark certify {both}"


def test_a_folder_in_which_the_whole_is_begun_after_a_shard_is_no_shards_any_more(tmp_path: Path) -> None:
    sweep(tmp_path, shard=Shard(0, 3))
    assert status(tmp_path).shards == (Shard(0, 3),)
    sweep(tmp_path, stop=after(4))
    assert status(tmp_path).shards == ()
    assert printed(tmp_path)[-1] == f"next: earmark run {tmp_path / 'spec.toml'} --out {tmp_path}"
    sweep(tmp_path)
    assert not (tmp_path / "shards").exists()


def test_lines_fit_a_narrow_terminal(tmp_path: Path) -> None:
    spec = sweeps.spec(sweeps.SMALLER, sweeps.ENERGY_ALONE, {'model = "one"': 'model = "one-with-a-long-name"'})
    sweeping.run(spec, tmp_path, load=sweeps.answerers(), stop=after(4))
    lines = CliRunner().invoke(earmark, ["status", str(tmp_path)], env={"COLUMNS": "60"}).output.splitlines()
    assert all(len(line) <= 60 for line in lines[1:-1])
    assert lines[1].endswith("12 of 30 answers")


def test_what_walks_left_out_is_no_answer(tmp_path: Path) -> None:
    decided.sweep(tmp_path, stop=after(60))
    under_way = status(tmp_path)
    assert printed(tmp_path)[0] == f"{tmp_path}: {under_way.answers:,} of at most 2,880 answers"
    assert any(line.endswith("of at most 360 asked") for line in printed(tmp_path))
    decided.sweep(tmp_path)
    asked = sum(map(len, decided.answered(tmp_path).values()))
    assert (status(tmp_path).answers, status(tmp_path).decided, status(tmp_path).complete) == (asked, True, False)
    assert printed(tmp_path)[0] == f"{tmp_path}: decided after {asked:,} of 2,880 answers"
    assert printed(tmp_path)[-1] == f"earmark run {tmp_path} --until complete asks what was not needed"
    decided.sweep(tmp_path, decided.COMPLETE, stop=after(40))
    assert asked < status(tmp_path).answers < 2_880
    for path in [None, *(tmp_path / "pending").rglob("window-*.rest.parquet")]:
        if path is not None:
            path.unlink()  # as if a step had just been completed
        assert printed(tmp_path)[0] == f"{tmp_path}: decided; {status(tmp_path).answers:,} of 2,880 answers"
        assert not any("decided after" in line or "decided without" in line for line in printed(tmp_path))
    decided.sweep(tmp_path, decided.COMPLETE)
    assert printed(tmp_path)[0] == f"{tmp_path}: 2,880 of 2,880 answers"


def test_shards_of_walks_say_when_nothing_more_is_asked_of_them(tmp_path: Path) -> None:
    decided.sweep(tmp_path, shard=Shard(0, 2), stop=after(60))
    assert printed(tmp_path)[-1].endswith("--shard 1/2")
    decided.sweep(tmp_path, shard=Shard(0, 2))
    assert printed(tmp_path)[-1] == f"next: earmark merge RUN {tmp_path} OTHER-SHARDS..."
    decided.sweep(tmp_path, shard=Shard(1, 2))
    assert printed(tmp_path)[-1] == f"next: earmark run {tmp_path / 'spec.toml'} --out {tmp_path}"


def test_a_budget_that_no_walk_came_to_was_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decided.Steady, "changed", 1.0)
    decided.sweep(tmp_path, {"tolerances = [0.3]": "tolerances = [0.15]"})
    lines = printed(tmp_path)
    states = {words[1]: words[3] for words in (line.split("  ") for line in lines) if len(words) == 4}
    assert states["energy, budget 0.3"] == "not asked: decided without"
    assert states["energy, budget 0.8"] == f"decided after {len(decided.answered(tmp_path)['energy', 0.8])} of 360"


def test_while_a_process_is_at_it_nothing_is_to_be_typed(tmp_path: Path) -> None:
    sweep(tmp_path, stop=after(4))
    again = f"next: earmark run {tmp_path / 'spec.toml'} --out {tmp_path}"
    with SweepFolder(tmp_path).filling(WHOLE_SWEEP):
        assert printed(tmp_path)[-1].startswith(f"process {os.getpid()} on ")
        assert again not in printed(tmp_path)
    assert printed(tmp_path)[-1] == again
    sweep(tmp_path, shard=Shard(0, 2), stop=after(4))
    with SweepFolder(tmp_path).filling(Shard(0, 2)):
        assert any(line.endswith("is at shard 1/2 now") for line in printed(tmp_path))
        assert not any(line.startswith(again) for line in printed(tmp_path))
    (tmp_path / ".filling-1-of-1").write_text("process 1 on a machine that is off")
    assert printed(tmp_path)[-1] == f"{again} --shard 1/2"
