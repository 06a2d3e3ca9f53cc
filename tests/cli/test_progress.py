"""What is said while waiting: on a terminal one line that fits it, elsewhere whole lines that become rare."""

import io
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.cli.progress import ProgressLine, duration, speed
from earmark.cli.say import columns, fitted
from earmark.cli.sign import sign
from earmark.engine.design.rule import Rule
from earmark.engine.printable import wrapped
from earmark.engine.progress import AtMost, stopping_on_signals
from earmark.engine.report.terminal import decision_table
from earmark.engine.signoff.certificate import read

SOUNDS = Path(__file__).parents[2] / "examples" / "sounds"


class Clock:
    """A time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True

    def shown(self) -> list[str]:
        """Every line that stood on it, without the blanks that erase the one before."""
        lines = [line.strip() for text in self.getvalue().split("\n") for line in text.split("\r")]
        return [line for line in lines if line]


@pytest.fixture(autouse=True)
def _progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests of everything else want none."""
    monkeypatch.delenv("EARMARK_PROGRESS", raising=False)


@pytest.fixture(params=[40, 60, 80])
def terminal(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("COLUMNS", str(request.param))
    return Terminal()


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    monkeypatch.delenv("COLUMNS", raising=False)
    return io.StringIO()


def test_the_line_on_a_terminal_fits_it_and_cuts_no_figure(terminal: Terminal) -> None:
    clock = Clock()
    with ProgressLine(terminal, clock) as progress:
        for done in (0, 4_000, 8_000):
            progress("Qwen2-Audio-7B-Instruct, permuted questions, budgets 0.4, 0.125:", done, 1_234_567)
            clock.now += 10
    columns = int(os.environ["COLUMNS"])
    assert all(len(line) < columns for line in terminal.shown())
    last = terminal.shown()[-1]
    assert " 8,000/1,234,567" in last
    assert ("51 min left" in last, "400/s" in last) == (True, columns > 40)
    assert last.startswith("Qwen")
    assert ".." in last
    assert terminal.getvalue().endswith("\r")  # the line is erased at the end


def test_a_step_of_unknown_length_says_how_long_it_has_taken(terminal: Terminal) -> None:
    clock = Clock()
    with ProgressLine(terminal, clock) as progress:
        progress("loading torch", 0, 0)
        assert terminal.shown() == ["loading torch ..."]
        clock.now = 12
        progress.tick()
    assert "loading torch ... 12 s" in terminal.shown()


def test_elsewhere_lines_come_after_10_s_then_rarer_and_a_last_one(pipe: io.StringIO) -> None:
    clock, when = Clock(), []
    with ProgressLine(pipe, clock) as progress:
        lines = 0
        for second in range(400):
            clock.now = second
            progress("tiny, raw audio:", second, 400)
            if pipe.getvalue().count("\n") > lines:
                lines, when = pipe.getvalue().count("\n"), [*when, second]
    assert when == [10, 30, 70, 130, 190, 250, 310, 370]
    printed = pipe.getvalue().splitlines()
    assert printed[0] == "tiny, raw audio: 10/400, 390 s left, 1.0/s".replace("390 s", "6 min")
    assert printed[-1] == "tiny, raw audio: 399/400, 1 s left, 1.0/s"


def test_elsewhere_quick_work_says_nothing(pipe: io.StringIO) -> None:
    clock = Clock()
    with ProgressLine(pipe, clock) as progress:
        for second in range(10):
            clock.now = second
            progress("reading cells", second, 10)
    assert pipe.getvalue() == ""


def test_elsewhere_a_step_that_reports_nothing_is_named_all_the_same(pipe: io.StringIO) -> None:
    clock = Clock()
    with ProgressLine(pipe, clock) as progress:
        progress("loading torch", 0, 0)
        clock.now = 11
        progress.tick()
    assert pipe.getvalue() == "loading torch ... 11 s\n"


def test_what_an_earlier_run_has_done_makes_this_one_no_quicker(pipe: io.StringIO) -> None:
    clock = Clock()
    with ProgressLine(pipe, clock) as progress:
        for second in range(12):
            clock.now = second
            progress("tiny, raw audio:", 900_000 + 2 * second, 1_000_000)
    assert pipe.getvalue().startswith("tiny, raw audio: 900,020/1,000,000, 13.9 h left, 2.0/s\n")


def test_the_time_that_loading_takes_slows_no_rate(pipe: io.StringIO) -> None:
    clock = Clock()
    with ProgressLine(pipe, clock) as progress:
        progress("tiny, raw audio:", 0, 100)
        progress("loading tiny", 0, 0)
        clock.now = 9
        progress("tiny, raw audio:", 0, 100)
        clock.now = 11
        progress("tiny, raw audio:", 20, 100)
    assert pipe.getvalue() == "tiny, raw audio: 20/100, 8 s left, 10/s\n"


def test_nothing_but_notes_is_printed_where_nobody_wants_progress(
    terminal: Terminal, pipe: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARMARK_PROGRESS", "0")
    for stream in (terminal, pipe):
        clock = Clock()
        with ProgressLine(stream, clock) as progress:
            progress("tiny, raw audio:", 0, 100)
            clock.now = 100
            progress("tiny, raw audio:", 20, 100)
            progress.note("stopping")
        assert stream.getvalue() == "stopping\n"


def test_a_note_is_printed_whatever_the_main_thread_is_at(pipe: io.StringIO) -> None:
    printed = threading.Event()

    def write(text: str) -> int:
        printed.set()
        return io.StringIO.write(pipe, text)

    pipe.write = write  # type: ignore[method-assign]
    with ProgressLine(pipe) as progress:
        progress.note("stopping")
        assert printed.wait(60)
    assert pipe.getvalue() == "stopping\n"


@pytest.fixture
def _foreground() -> Iterator[None]:
    """Where pytest itself runs in the background, interrupts are ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_foreground")
def test_the_first_signal_is_acknowledged_once_and_before_the_work_ends(pipe: io.StringIO) -> None:
    with ProgressLine(pipe) as progress, stopping_on_signals(lambda: progress.note("stopping")) as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop()
        os.kill(os.getpid(), signal.SIGTERM)
    print_after = pipe.write("stopped\n")
    assert print_after
    assert pipe.getvalue() == "stopping\nstopped\n"


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (89, "89 s"), (90, "2 min"), (5399, "90 min"), (5400, "1.5 h")]
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(("rate", "words"), [(1234.5, "1,234/s"), (2.25, "2.2/s"), (0.5, "30.0/min"), (0.001, "3.6/h")])
def test_speeds(rate: float, words: str) -> None:
    assert speed(rate) == words


SENTENCE = (
    "  stopping after what is under way: every window that is done is kept, this one will be asked again /a/long/path"
)


def test_a_sentence_on_a_terminal_ends_its_lines_where_words_end(terminal: Terminal) -> None:
    with ProgressLine(terminal) as progress:
        progress.note(SENTENCE)
        progress.say(SENTENCE)
    lines = terminal.getvalue().splitlines()
    assert lines[: len(lines) // 2] == lines[len(lines) // 2 :] == fitted(SENTENCE, terminal)
    first, *others = fitted(SENTENCE, terminal)
    assert others
    assert first.startswith("  stopping")
    assert all(line.startswith("    ") for line in others)
    assert all(len(line) <= columns(terminal) for line in (first, *others))
    assert " ".join(f"{first} {' '.join(others)}".split()) == SENTENCE.strip()


def test_a_sentence_elsewhere_is_one_line_that_can_be_searched(pipe: io.StringIO) -> None:
    with ProgressLine(pipe) as progress:
        progress.note(SENTENCE)
    assert pipe.getvalue() == SENTENCE + "\n"


def test_certify_on_a_terminal_breaks_no_word(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", terminal)
    sign(SOUNDS, Rule(replicates=100), tmp_path / "signed", as_json=False)
    lines, certificate = terminal.getvalue().splitlines(), read(tmp_path / "signed" / "certificate.json")
    assert all(len(line) <= columns(terminal) for line in lines if str(tmp_path) not in line)
    printed = " ".join(terminal.getvalue().split())
    for text in (*decision_table(certificate)[:6], *certificate.warnings):
        assert " ".join(text.split()) in printed


@given(st.text("ab .-/", max_size=200), st.integers(20, 80))
def test_only_a_word_that_is_longer_makes_a_line_longer_than_it_may_be(text: str, width: int) -> None:
    lines = wrapped(text, width)
    assert " ".join(" ".join(lines).split()) == " ".join(text.split())
    assert all(len(line) <= width or " " not in line.strip() for line in lines)


def test_what_may_end_earlier_says_how_much_is_left_at_most(terminal: Terminal) -> None:
    clock = Clock()
    with ProgressLine(terminal, clock) as progress:
        for done in (0, 1_200):
            progress("tiny, energy, budget 0.6:", done, AtMost(19_200))
            clock.now += 10
    assert " asked 1,200, at most 18,000 left" in terminal.shown()[-1]
    assert ("120/s" in terminal.shown()[-1]) == (int(os.environ["COLUMNS"]) > 40)
