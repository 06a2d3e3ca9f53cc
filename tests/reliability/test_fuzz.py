"""A minute of hostile input, always the same: every reader reads it or refuses it, quickly and within memory.

`make soak` shows other inputs for an hour.
"""

import os
import resource
import sys
from pathlib import Path
from types import FrameType

import pytest
from fuzz_targets import targets
from fuzzing import Target, attack, changed
from reading_functions import functions_that_read

INPUTS = 24_000
SEED = 1
MOST_MIB = 1024
ENGINE = Path(__file__).parents[2] / "engine"
NOT_SHOWN = {
    "outcomes/long_table.py _digests": "hashes the bytes of cells",
    "sweep/windows.py of_block": "passes bytes on to where they are read, which is shown some",
}


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> list[Target]:
    return targets(tmp_path_factory.mktemp("fuzz"))


@pytest.fixture(scope="module")
def run_by_seeds(shown: list[Target]) -> set[tuple[str, int]]:
    """File and first line of every function of Earmark that runs while the targets read their files as they are."""
    ran: set[tuple[str, int]] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            ran.add((frame.f_code.co_filename, frame.f_code.co_firstlineno))

    sys.setprofile(note)
    try:
        _read_as_they_are(shown)
    finally:
        sys.setprofile(None)
    root = ENGINE.resolve()
    return {(os.path.realpath(path), line) for path, line in ran if Path(os.path.realpath(path)).is_relative_to(root)}


def _read_as_they_are(shown: list[Target]) -> None:
    for target in shown:
        for seed in target.seeds:
            target.read(seed)


def test_the_files_are_read_as_they_are(run_by_seeds: set[tuple[str, int]]) -> None:
    assert run_by_seeds


def test_whatever_is_done_to_a_file_it_is_read_or_refused(shown: list[Target]) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    share = INPUTS / sum(target.share for target in shown)
    counts = {target.name: attack(target, SEED, int(share * target.share) + 1) for target in shown}
    assert sum(count.inputs for count in counts.values()) >= INPUTS
    assert [failure for count in counts.values() for failure in count.failures] == []
    assert sum(count.refused for count in counts.values()) > INPUTS / 3
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MOST_MIB * 1024
    _read_as_they_are(shown)  # what one target changed and did not put back, another one would only refuse


def test_every_function_that_reads_files_of_others_is_shown_some(run_by_seeds: set[tuple[str, int]]) -> None:
    readers = dict(functions_that_read(ENGINE))
    not_shown = {name for name, place in readers.items() if place not in run_by_seeds}
    assert sorted(not_shown) == sorted(NOT_SHOWN), "give it a target in tests/support, or say here why it has none"


def test_an_input_is_made_again_by_its_number(shown: list[Target]) -> None:
    for target in shown:
        assert changed(target, SEED, 7) == changed(target, SEED, 7)


def test_what_is_neither_read_nor_refused_is_counted() -> None:
    def fragile(data: bytes) -> None:
        if data != b"whole":
            raise KeyError(data)

    count = attack(Target("fragile", (b"whole",), fragile), SEED, 50)
    assert len(count.failures) > 30
    assert "KeyError" in count.failures[0].what
