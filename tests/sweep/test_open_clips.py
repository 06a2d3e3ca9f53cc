"""Clips that a walk comes back to: decoded once while there is room, and the same when they are decoded again."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest

from earmark.engine.arrays import Waveform
from earmark.engine.corpus.example import AudioError, Example, Question
from earmark.engine.corpus.stream import Decoders
from earmark.engine.sweep import open_clips
from earmark.engine.sweep.blocks import Block
from earmark.engine.sweep.open_clips import OpenClips

SAMPLES = 16_000
DECODED: Counter[str] = Counter()


@dataclass(frozen=True)
class Counted:
    """A recording that says how often it was decoded."""

    name: str

    def waveform(self) -> Waveform:
        DECODED[self.name] += 1
        if self.name == "broken":
            raise AudioError("cannot be decoded")
        return np.full(SAMPLES, len(DECODED) / 100, dtype=np.float32)


def block(number: int, *names: str) -> Block:
    """Two questions about each of these recordings."""
    question = Question("What is heard?", ("rain", "wind"), 0)
    examples = [Example(f"{name}-{which}", name, Counted(name), question, {}) for name in names for which in "ab"]
    return Block(number, 0, tuple(examples))


@pytest.fixture(autouse=True)
def nothing_decoded() -> None:
    DECODED.clear()


def test_a_recording_is_decoded_once_for_all_that_is_asked_of_it() -> None:
    clips = OpenClips(Decoders(0))
    first = clips.of(block(0, "one", "two"))
    clips.of(block(1, "three"))
    again = clips.of(Block(0, 0, block(0, "one", "two").examples[1:]))
    assert DECODED == {"one": 1, "two": 1, "three": 1}
    assert [clip.example.sample_id for clip in again.clips] == ["one-b", "two-a", "two-b"]
    assert again.opened(0) is first.opened(0)


def test_a_recording_that_cannot_be_heard_has_a_status_every_time() -> None:
    clips = OpenClips(Decoders(0))
    for _ in range(2):
        asked = clips.of(block(0, "one", "broken"))
        assert asked.opened(2) is None
        assert asked.clips[2].status == "cannot be decoded"
    assert DECODED == {"one": 1, "broken": 1}


def test_what_was_not_used_for_longest_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_clips, "MOST_BYTES", 2 * SAMPLES * 4)
    clips = OpenClips(Decoders(0))
    for names in (("one",), ("two",), ("three",), ("one",), ("four",), ("three",), ("one",), ("two",)):
        clips.of(block(0, *names))
    assert DECODED == {"one": 1, "two": 2, "three": 1, "four": 1}


def test_a_block_is_held_whole_whatever_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_clips, "MOST_BYTES", 0)
    clips = OpenClips(Decoders(0))
    for _ in range(2):
        asked = clips.of(block(0, "one", "two", "three"))
        assert all(asked.opened(number) is not None for number in range(6))
    assert DECODED == {"one": 1, "two": 1, "three": 1}
    clips.of(block(1, "four"))
    clips.of(block(0, "one"))
    assert DECODED["one"] == 2
