"""A minute of hostile input, always the same: every reader reads it or refuses it, quickly and within memory.

`make soak` shows other inputs for an hour.
"""

import resource

import pytest
from fuzz_targets import targets
from fuzzing import Target, attack, changed

INPUTS = 24_000
SEED = 1
MOST_MIB = 1024


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> list[Target]:
    return targets(tmp_path_factory.mktemp("fuzz"))


def test_the_files_are_read_as_they_are(shown: list[Target]) -> None:
    for target in shown:
        for seed in target.seeds:
            target.read(seed)


def test_whatever_is_done_to_a_file_it_is_read_or_refused(shown: list[Target]) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    share = INPUTS / sum(target.share for target in shown)
    counts = {target.name: attack(target, SEED, int(share * target.share) + 1) for target in shown}
    assert sum(count.inputs for count in counts.values()) >= INPUTS
    assert [failure for count in counts.values() for failure in count.failures] == []
    assert sum(count.refused for count in counts.values()) > INPUTS / 3
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MOST_MIB * 1024


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
