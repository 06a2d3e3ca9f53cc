"""Encodings that are kept: as they were put there, the last used longest, and nothing else for one of them."""

from pathlib import Path

import numpy as np

from earmark.engine.answerers.shared.encodings import Encodings

STATES = {f"{n:032x}": np.full((n + 1, 8), n, np.uint8) for n in range(6)}


def test_memory_keeps_what_was_used_last() -> None:
    kept = Encodings(100)
    for key, states in STATES.items():
        kept.put(key, states)
        assert kept.get(key, 8) is not None
    there = [key for key in STATES if kept.get(key, 8) is not None]
    assert there == list(STATES)[-2:]  # 40 and 48 bytes


def test_the_disk_gives_back_what_was_put_there_within_its_bytes(tmp_path: Path) -> None:
    for key, states in STATES.items():
        Encodings(0, tmp_path / "e", 200).put(key, states)
    assert sum(path.stat().st_size for path in (tmp_path / "e").glob("*.states")) <= 200
    last = list(STATES)[-1]
    states = Encodings(1000, tmp_path / "e", 200).get(last, 8)
    assert states is not None
    np.testing.assert_array_equal(states, STATES[last])
    assert Encodings(1000, tmp_path / "e", 200).get(next(iter(STATES)), 8) is None


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
