"""Encodings that are kept: as they were put there, and nothing else for one of them."""

from pathlib import Path

import numpy as np

from earmark.engine.answerers.shared.encodings import DIGEST_BYTES, Encodings

STATES = {f"{n:032x}": np.full((n + 1, 8), n, np.uint8) for n in range(6)}


def test_memory_keeps_what_was_used_last() -> None:
    kept = Encodings(100)
    for key, states in STATES.items():
        kept.put(key, states)
        assert kept.get(key, 8) is not None
    there = [key for key in STATES if kept.get(key, 8) is not None]
    assert there == list(STATES)[-2:]  # 40 and 48 bytes


def test_what_is_put_twice_counts_once() -> None:
    kept = Encodings(100)
    first, *_, last = STATES
    for _ in range(20):
        kept.put(first, STATES[first])
    kept.put(last, STATES[last])
    assert kept.get(first, 8) is not None
    assert kept.get(last, 8) is not None


def test_the_disk_keeps_what_came_first_within_its_bytes(tmp_path: Path) -> None:
    room = sum(states.nbytes + DIGEST_BYTES for states in list(STATES.values())[:3])
    for key, states in STATES.items():  # by processes that come one after the other
        Encodings(0, tmp_path / "e", room).put(key, states)
    again = Encodings(1000, tmp_path / "e", room)
    assert [key for key in STATES if again.get(key, 8) is not None] == list(STATES)[:3]
    one_process = Encodings(0, tmp_path / "f", room)
    for _ in range(2):
        for key, states in STATES.items():
            one_process.put(key, states)
    files = {path.name for path in (tmp_path / "f").glob("*.states")}
    assert files == {f"{key}.states" for key in list(STATES)[:3]}


def test_a_folder_that_cannot_be_written_keeps_nothing_and_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    kept = Encodings(1000, tmp_path / "file" / "e", 10_000)
    for key, states in STATES.items():
        kept.put(key, states)
    for key, states in STATES.items():
        got = kept.get(key, 8)
        assert got is not None
        np.testing.assert_array_equal(got, states)


def test_what_is_no_such_file_is_not_there(tmp_path: Path) -> None:
    first, second = list(STATES)[:2]
    kept = Encodings(0, tmp_path, 10_000)
    for key in (first, second):
        kept.put(key, STATES[key])
    paths = {key: tmp_path / f"{key}.states" for key in (first, second)}
    paths[first].write_bytes(paths[second].read_bytes())  # another one's
    assert Encodings(0, tmp_path, 10_000).get(first, 8) is None
    data = paths[second].read_bytes()
    for damaged in (data[:-1], data[:-1] + b"x", data[:20], b""):
        paths[second].write_bytes(damaged)
        assert Encodings(0, tmp_path, 10_000).get(second, 8) is None
    paths[second].write_bytes(data)
    assert Encodings(0, tmp_path, 10_000).get(second, 3) is None  # not so wide
    assert Encodings(0, tmp_path, 10_000).get(second, 8) is not None
