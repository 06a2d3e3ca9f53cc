"""A compressor of waves as the sweep sees it: every clip once, whatever is asked about it."""

from collections.abc import Iterator
from pathlib import Path

import brought_ones
import numpy as np
import pytest
from brought_ones import CLIP, brought

from earmark.engine.arrays import Waveform
from earmark.engine.compressors.compressor import ClipAndQuestion, Excerpt, OpenedClip, Refused
from earmark.engine.compressors.waves.wave_compressor import WaveCompressor
from earmark.engine.compressors.waves.wave_pool import WavePool
from earmark.engine.compressors.waves.wave_store import WaveStore

MODULE = """
import os
def counts(waveform, rate, budget):
    with open(os.environ["CALLS"], "a") as file:
        file.write(f"{waveform[0]:.1f} {budget}\\n")
    if waveform[0] > 2.5:
        raise ValueError("too loud")
    return waveform * budget, 1000
"""


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WavePool]:
    brought_ones.write_module(tmp_path, MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    with WavePool(1) as processes:
        yield processes


def asked_about(*clips: Waveform) -> list[ClipAndQuestion]:
    return [ClipAndQuestion(str(i), OpenedClip(str(i), clip), f"question {i}") for i, clip in enumerate(clips)]


def excerpts(compressor: WaveCompressor, clips: list[ClipAndQuestion], budget: float) -> list[Excerpt | Refused]:
    scores = compressor.rank(clips)
    assert [len(of_clip) for of_clip in scores] == [0] * len(clips)
    return list(compressor.excerpts(clips, scores, budget))


def test_each_clip_is_compressed_once(pool: WavePool, tmp_path: Path) -> None:
    store = WaveStore(tmp_path / "waves", 1 << 30)
    compressor = WaveCompressor("mine", brought("counts"), pool, store)
    assert compressor.identity == pool.identity(brought("counts"))
    first, second, loud = CLIP + 1, CLIP + 2, CLIP + 3
    clips = asked_about(first, first.copy(), second, loud, first, loud)
    heard = excerpts(compressor, clips, 0.5)
    assert (tmp_path / "calls").read_text() == "1.0 0.5\n2.0 0.5\n3.0 0.5\n"
    assert heard[3] == heard[5] == Refused("compressor: ValueError: too loud")
    for i, clip in ((0, first), (1, first), (2, second), (4, first)):
        excerpt = heard[i]
        assert isinstance(excerpt, Excerpt)
        assert excerpt.bits == 1000
        np.testing.assert_array_equal(excerpt.wave.audio.waveform(), clip * np.float32(0.5))
    assert heard[0] == heard[1] == heard[4] != heard[2]
    assert excerpts(compressor, clips, 0.5) == heard  # from the store, but for what failed, which is tried again
    assert (tmp_path / "calls").read_text().splitlines()[3:] == ["3.0 0.5"]
    excerpts(compressor, clips[:1], 0.25)
    assert (tmp_path / "calls").read_text().splitlines()[4:] == ["1.0 0.25"]


def test_a_whole_budget_is_the_clip_itself(pool: WavePool, tmp_path: Path) -> None:
    compressor = WaveCompressor("mine", brought("counts"), pool, WaveStore(tmp_path / "waves", 1 << 30))
    clips = asked_about(CLIP + 1, CLIP + 3)
    heard = excerpts(compressor, clips, 1.0)
    assert heard == [subject.clip.seconds(range(2)) for subject in clips]
    assert not (tmp_path / "calls").exists()


def test_a_wave_on_another_axis_is_another_wave(pool: WavePool, tmp_path: Path) -> None:
    store = WaveStore(tmp_path / "waves", 1 << 30)
    for axis in ("bits", "own"):
        excerpts(WaveCompressor("mine", brought("counts", axis), pool, store), asked_about(CLIP + 1), 0.5)
    assert (tmp_path / "calls").read_text() == "1.0 0.5\n" * 2


def test_what_arrived_before_a_stop_is_kept(pool: WavePool, tmp_path: Path) -> None:
    store = WaveStore(tmp_path / "waves", 1 << 30)
    compressor = WaveCompressor("mine", brought("counts"), pool, store)
    clips = asked_about(CLIP, CLIP + 1, CLIP + 2)
    some = compressor.excerpts(clips, compressor.rank(clips), 0.5)
    heard = next(some)
    some.close()  # type: ignore[attr-defined]
    (tmp_path / "calls").unlink()
    assert excerpts(compressor, clips[:1], 0.5) == [heard]
    assert "0.0 0.5" not in ((tmp_path / "calls").read_text() if (tmp_path / "calls").exists() else "")
