"""Runs that are cut short: what was answered stays, nothing is answered twice, and the rest is answered next time."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import fakes
import pytest
from answering import answer_all, flip_rate, identity
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.engine.answerers import journal
from earmark.engine.answerers.answer_all import FlipRate
from earmark.engine.answerers.request import Progress, Result
from earmark.engine.answerers.shared.scheduler import AnswerOptions
from earmark.engine.design.keys import OK
from earmark.engine.errors import InputError
from earmark.engine.progress import stopping_on_signals

SMALL = AnswerOptions(batch_tokens=300, window_clips=2)


def after(steps: int) -> Callable[[], bool]:
    """A `stop` that lets so many steps pass."""
    left = iter(range(steps))
    return lambda: next(left, None) is None


def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path) -> None:
    requests = fakes.paper_shaped(4, 2)
    whole = {a.id: a for a in answer_all(fakes.FakeAnswerer(), requests, SMALL)}
    asked: list[bytes] = []
    answers = {}
    runs = 0
    while len(answers) < len(requests):
        runs += 1
        answerer = fakes.FakeAnswerer()
        with journal.opened(tmp_path / "answers.jsonl", "fake") as written:
            answers = {a.id: a for a in answer_all(answerer, requests, SMALL, written, stop=after(3))}
        asked += answerer.asked
    assert runs > 3
    assert answers == whole
    assert len(asked) == len(set(asked))  # in all the runs together


def test_work_is_merged_across_plans() -> None:
    requests = fakes.paper_shaped(2, 2)
    at_once, by_parts = fakes.FakeAnswerer(), fakes.FakeAnswerer()
    expected = {a.id: a for a in answer_all(at_once, requests, SMALL)}
    got = {a.id: a for a in answer_all(by_parts, iter(requests), replace(SMALL, planned_at_once=7))}
    assert got == expected
    assert sorted(by_parts.asked) == sorted(at_once.asked)


RESULTS = [
    Result(f"{i:032x}", "ABC"[i % 3], (0.1 * i, 1 / 3, 2.5), i, None if i % 2 else f"tëxt {i}", OK) for i in range(5)
] + [Result("f" * 32, status="failed: \n odd \u2028 text")]


def written(path: Path) -> None:
    with journal.opened(path, "me") as j:
        j.append(RESULTS[:2])
        j.append(RESULTS[2:])


@settings(max_examples=60)
@given(cut=st.integers(0, 2000))
def test_a_journal_cut_anywhere_keeps_its_whole_lines(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    path = tmp_path_factory.mktemp("journal") / "answers.jsonl"
    written(path)
    data = path.read_bytes()
    path.write_bytes(data[:cut])
    lines = data[:cut].count(b"\n")
    with journal.opened(path, "me") as j:
        assert list(j.results.values()) == RESULTS[: max(0, lines - 1)]
        j.append(RESULTS)
    with journal.opened(path, "me") as j:
        assert list(j.results.values()) == RESULTS
    assert path.read_bytes() == data


def test_a_damaged_line_is_skipped_and_its_work_done_again(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    written(path)
    data = bytearray(path.read_bytes())
    at = data.index(b'"label": "B"') + len(b'"label": "')
    data[at : at + 1] = b"C"
    path.write_bytes(bytes(data))
    with journal.opened(path, "me") as j:
        assert RESULTS[1].key not in j.results
        assert len(j.results) == len(RESULTS) - 1


def test_a_journal_belongs_to_one_answerer_and_one_process(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    written(path)
    with pytest.raises(InputError, match="another answerer"), journal.opened(path, "you"):
        pass
    with journal.opened(path, "me"), pytest.raises(InputError, match="another process"), journal.opened(path, "me"):
        pass
    (tmp_path / "notes.txt").write_text("hello\n")
    with pytest.raises(InputError, match="not a journal"), journal.opened(tmp_path / "notes.txt", "me"):
        pass
    answerer = fakes.FakeAnswerer()
    assert identity(answerer, AnswerOptions()) != identity(answerer, AnswerOptions(generate=5))
    assert identity(answerer, AnswerOptions()) == identity(answerer, AnswerOptions(batch_tokens=1, reuse=False))


def test_failures_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    requests = fakes.paper_shaped(1, 2)
    with journal.opened(path, "fake") as j:
        first = list(answer_all(fakes.FakeAnswerer(most_rows=0), requests[:3], SMALL, j))
    assert {a.status for a in first} == {"out of memory: no room for 1 rows"}
    with journal.opened(path, "fake") as j:
        again = list(answer_all(fakes.FakeAnswerer(), requests[:3], SMALL, j))
        assert sorted(again, key=lambda a: a.id) == sorted(first, key=lambda a: a.id)


def test_progress_adds_up() -> None:
    requests = fakes.paper_shaped(2, 6)
    seen: list[Progress] = []
    list(answer_all(fakes.FakeAnswerer(), requests, SMALL, report=seen.append))
    assert [p.answered for p in seen] == sorted(p.answered for p in seen)
    last = seen[-1]
    assert (last.answered, last.total, last.resumed, last.failed) == (len(requests), len(requests), 0, 0)
    assert last.saving.share == 1.0  # the fake spends nothing


def test_a_fake_never_flips_and_an_unsteady_one_does() -> None:
    requests = fakes.paper_shaped(2, 2)
    assert flip_rate(fakes.FakeAnswerer(), requests, SMALL).share == 0
    unsteady = fakes.FakeAnswerer()
    said = unsteady._said
    unsteady._said = lambda heard, question, n: said(heard + str(len(unsteady.asked) % 3), question, n)  # type: ignore[method-assign]
    found = flip_rate(unsteady, requests, SMALL)
    assert found.share is not None
    assert 0 < found.share < 1
    assert FlipRate(0, 0).share is None


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(1)


@pytest.fixture
def _foreground() -> Iterator[None]:
    """Where pytest itself runs in the background, interrupts are ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_foreground")
def test_signals_let_the_batch_finish() -> None:
    with stopping_on_signals() as stop:
        assert not stop()
        os.kill(os.getpid(), signal.SIGINT)
        assert stop()
        with pytest.raises(KeyboardInterrupt):
            interrupt()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_killed_again_and_again(tmp_path: Path) -> None:
    """A few hundred requests, killed four times; `benchmarks/scheduler_soak.py` does 20,000 and twenty."""
    script = Path(__file__).parents[2] / "benchmarks" / "scheduler_soak.py"
    run = subprocess.run(
        [sys.executable, script, "--requests", "1200", "--kills", "4", "--folder", tmp_path],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout.splitlines()[-1])["holds"]
