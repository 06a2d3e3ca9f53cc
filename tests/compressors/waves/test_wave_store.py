"""Coded waves on disk: exact, within declared bytes, and never another wave than was put there."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from earmark.engine.compressors.waves.wave_method import Sent
from earmark.engine.compressors.waves.wave_store import WaveKey, WaveStore

KEY = WaveKey("opus, libsndfile 1.2.2 on bits", 0.1, "ab" * 16)
SAMPLES = np.random.default_rng(0).standard_normal(1_000).astype(np.float32)
SENT = Sent(SAMPLES, 1234)
LARGE = 1 << 30


def same(got: Sent | None, expected: Sent) -> bool:
    return got is not None and got.bits == expected.bits and got.samples.tobytes() == expected.samples.tobytes()


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.wave"))


@pytest.mark.parametrize("bits", [None, 0, 1234])
def test_a_wave_comes_back_exactly(tmp_path: Path, bits: int | None) -> None:
    store = WaveStore(tmp_path / "waves", LARGE)
    assert store.get(KEY) is None
    store.put({KEY: Sent(SAMPLES, bits)})
    assert same(store.get(KEY), Sent(SAMPLES, bits))
    assert same(WaveStore(tmp_path / "waves", LARGE).get(KEY), Sent(SAMPLES, bits))


def test_nothing_is_another_waves(tmp_path: Path) -> None:
    store = WaveStore(tmp_path, LARGE)
    store.put({KEY: SENT})
    others = [KEY._replace(identity="gsm"), KEY._replace(budget=0.10000001), KEY._replace(clip="cd" * 16)]
    assert all(store.get(other) is None for other in others)
    (file,) = files(tmp_path)
    file.rename(tmp_path / others[0].file)  # a file that stands under another wave's name
    assert store.get(others[0]) is None


def test_what_is_cut_off_or_forged_is_not_there(tmp_path: Path) -> None:
    store = WaveStore(tmp_path, LARGE)
    store.put({KEY: SENT})
    (file,) = files(tmp_path)
    whole = file.read_bytes()
    line, _, payload = whole.partition(b"\n")
    forged = json.dumps(json.loads(line) | {"bits": 1}).encode()
    nothing_finite = Sent(np.full(10, np.nan, np.float32), 1)
    contents = [b"", b"{}", b"[]\n", b"null\n1234", line, whole[:-1], whole[:-4], whole + b"\0\0\0\0", payload]
    contents += [forged + b"\n" + payload, whole[:200] + b"\1" + whole[201:], b"x" * 5_000, line + b"\n"]
    for content in contents:
        file.write_bytes(content)
        assert store.get(KEY) is None, content[:80]
    store.put({KEY: nothing_finite})  # with the right hash
    assert store.get(KEY) is None
    store.put({KEY: SENT})
    assert same(store.get(KEY), SENT)


def test_what_is_no_file_is_not_there(tmp_path: Path) -> None:
    store = WaveStore(tmp_path, LARGE)
    os.mkfifo(tmp_path / KEY.file)
    assert store.get(KEY) is None
    (tmp_path / KEY.file).unlink()
    (tmp_path / KEY.file).mkdir()
    assert store.get(KEY) is None


def test_the_bytes_that_were_declared_are_not_exceeded(tmp_path: Path) -> None:
    store = WaveStore(tmp_path, LARGE)
    store.put({KEY: SENT})
    (file,) = files(tmp_path)
    size = file.stat().st_size
    file.unlink()
    small = WaveStore(tmp_path, 3 * size + 10)
    keys = [KEY._replace(clip=f"{i:032x}") for i in range(6)]
    (tmp_path / "notes.txt").write_text("x" * 10 * size)  # nobody's wave
    for i, key in enumerate(keys):
        small.put({key: SENT})
        os.utime(tmp_path / key.file, ns=(i * 10**9, i * 10**9))
        assert sum(path.stat().st_size for path in files(tmp_path)) <= 3 * size + 10
        if i == 3:
            assert same(small.get(keys[1]), SENT)  # used last
    assert [i for i, key in enumerate(keys) if small.get(key) is not None] == [1, 4, 5]
    assert (tmp_path / "notes.txt").exists()


@pytest.mark.parametrize("most_bytes", [0, 100])
def test_nothing_is_kept_where_nothing_fits(tmp_path: Path, most_bytes: int) -> None:
    store = WaveStore(tmp_path / "waves", most_bytes)
    store.put({KEY: SENT})
    assert store.get(KEY) is None
    assert not (tmp_path / "waves").exists()


def test_several_are_kept_at_once_as_far_as_they_fit(tmp_path: Path) -> None:
    keys = [KEY._replace(clip=f"{i:032x}") for i in range(4)]
    WaveStore(tmp_path / "large", LARGE).put(dict.fromkeys(keys, SENT))
    sizes = [path.stat().st_size for path in files(tmp_path / "large")]
    assert len(sizes) == 4
    store = WaveStore(tmp_path / "small", sum(sizes[:2]) + 1)
    store.put({keys[0]: SENT})
    store.put(dict.fromkeys(keys[1:], SENT))
    assert [store.get(key) is not None for key in keys] == [False, True, True, False]
