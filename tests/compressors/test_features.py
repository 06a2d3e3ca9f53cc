"""Features: the slow twin's, whatever the level, the length and the company."""

import naive_features
import numpy as np
import pytest

from earmark.engine.compressors.chunks import features as f
from earmark.engine.compressors.chunks.selector import SelectorInput

SECOND = 16_000
RNG = np.random.default_rng(0)
TIMES = np.arange(SECOND) / SECOND
NOISE = RNG.normal(0, 0.1, SECOND).astype(np.float32)
CLIPS = {
    "noise": NOISE,
    "a tone": (0.5 * np.sin(2 * np.pi * 440 * TIMES)).astype(np.float32),
    "a tone in silence": np.where(TIMES < 0.3, np.sin(2 * np.pi * 3000 * TIMES), 0).astype(np.float32),
    "a click": np.eye(1, SECOND, 700, dtype=np.float32)[0],
    "clipped": np.clip(20 * NOISE, -1, 1),
    "offset": NOISE + np.float32(0.7),
    "only offset": np.full(SECOND, 0.5, np.float32),
    "far beyond full scale": NOISE * np.float32(1e20),
    "soft": NOISE * np.float32(1e-4),
    "1e-8": NOISE * np.float32(1e-7),
    "silence": np.zeros(SECOND, np.float32),
    "a rest of 40 samples": RNG.normal(0, 0.1, SECOND + 40).astype(np.float32),
}


@pytest.mark.parametrize("name", CLIPS)
def test_features_are_those_of_the_slow_twin(name):
    got = f.chunk_features(CLIPS[name])
    assert got.dtype == np.float32
    assert got.flags.c_contiguous
    np.testing.assert_allclose(got, naive_features.chunk_features(CLIPS[name]), atol=2e-4)


def test_all_silence_is_alike_to_the_last_bit():
    silences = [CLIPS["silence"], CLIPS["1e-8"], -CLIPS["1e-8"], np.zeros(3 * SECOND + 5, np.float32)]
    rows = np.concatenate(f.batch_features(silences))
    assert len(np.unique(rows, axis=0)) == 1
    np.testing.assert_allclose(rows, np.log10(f.FLOOR), rtol=1e-6)


def test_a_clip_is_heard_alike_in_any_company():
    clips = [CLIPS["noise"], CLIPS["a rest of 40 samples"], CLIPS["a tone"]]
    together = f.batch_features(clips)
    assert [len(rows) for rows in together] == [1, 2, 1]
    for clip, rows in zip(clips, together, strict=True):
        assert np.array_equal(f.chunk_features(clip), rows)


def test_an_average_is_over_all_frames_of_a_second():
    groups = f.frame_groups()
    assert len(groups.of_frame) == f.FRAMES
    assert np.bincount(groups.of_frame).tolist().count(4) == 24
    sizes = np.bincount(groups.of_frame)
    np.testing.assert_allclose(groups.share @ sizes, 1.0)
    np.testing.assert_allclose(f.stretches().sum(axis=1), 1.0)


def test_mel_filters_are_those_of_the_slow_twin():
    expected = np.stack([naive_features.mel_filter(band) for band in range(f.BANDS)])
    np.testing.assert_allclose(f.mel_filters(), expected, atol=1e-12)


def test_more_chunks_than_are_computed_at_once():
    clips = [NOISE[: 8_000 + 10 * i] for i in range(f._CHUNKS_AT_ONCE + 3)]
    got = f.batch_features(clips)
    assert len(got) == len(clips)
    assert np.array_equal(got[-1], f.chunk_features(clips[-1]))


def test_a_cache_keeps_features_by_content(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(8)
    one, other = (rng.normal(size=20_000).astype(np.float32) for _ in range(2))
    clips = [SelectorInput("a", one), SelectorInput("b", one.copy()), SelectorInput("c", other)]
    expected = f.features_of(clips)
    cache: dict[str, np.ndarray] = {}
    first = f.features_of(clips, cache=cache)
    assert len(cache) == 2
    monkeypatch.setattr(f, "_features", None)  # nothing is computed again
    again = f.features_of(clips[::-1], cache=cache)[::-1]
    for want, *got in zip(expected, first, again, strict=True):
        assert all(np.array_equal(want, g) for g in got)
