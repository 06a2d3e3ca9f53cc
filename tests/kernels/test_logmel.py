"""The log-mel kernel: mel power as NumPy computes it, and every chunk as if it were alone."""

import naive_features
import numba
import numpy as np
import pytest
from numba.core import config

from earmark.engine.compressors.chunks import features as f
from earmark.kernels.neural.logmel import mel_products, tables
from earmark.kernels.neural.simd import LANES

TABLES = tables(f.hann(), f.mel_filters())
LEAST = (f.SOFTEST, f.RANGE, f.FLOOR)
ONE_EACH = np.arange(f.FRAMES)  # every frame a group of its own: products are powers
FEW, SHORT = np.arange(12), 1_920  # frames, and the samples that they fit


def some_chunks(n: int, samples: int = 16_000) -> np.ndarray:
    """Noise, of levels that differ by orders of magnitude."""
    rng = np.random.default_rng(0)
    loud = 10.0 ** rng.uniform(-4, 0, (n, 1))
    return (loud * rng.normal(0, 0.3, (n, samples))).astype(np.float32)


def test_mel_power_is_that_of_the_slow_twin():
    chunks = some_chunks(3)
    powers, levels = mel_products(chunks, f.HOP, ONE_EACH, TABLES, LEAST)
    for lane, chunk in enumerate(chunks):
        level = np.abs(chunk).max()
        assert levels[0, lane] == level
        expected = np.maximum(naive_features.mel_power(chunk / np.float64(level)), max(f.RANGE, f.FLOOR / level**2))
        np.testing.assert_allclose(powers[0, :, :, lane], expected, rtol=1e-4)


def test_a_group_is_the_product_of_its_frames():
    chunks = some_chunks(1, SHORT)
    alone, _ = mel_products(chunks, f.HOP, FEW, TABLES, LEAST)
    together, _ = mel_products(chunks, f.HOP, FEW // 4, TABLES, LEAST)
    expected = alone.reshape(1, 3, 4, *alone.shape[2:]).astype(np.float64).prod(axis=2)
    np.testing.assert_allclose(together, expected, rtol=1e-6)


def test_a_chunk_is_computed_as_if_alone():
    chunks = some_chunks(2 * LANES + 3, SHORT)
    chunks[1] = 0.0
    together, _ = mel_products(chunks, f.HOP, FEW, TABLES, LEAST)
    for i in (0, 1, len(chunks) - 1):
        alone, _ = mel_products(chunks[i : i + 1], f.HOP, FEW, TABLES, LEAST)
        assert np.array_equal(alone[0, :, :, 0], together[i // LANES, :, :, i % LANES])


@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="nothing runs on threads without compilation")
def test_the_same_bytes_on_any_number_of_threads():
    chunks = some_chunks(3 * LANES)
    found = []
    before = numba.get_num_threads()
    for threads in (1, min(2, before)):
        numba.set_num_threads(threads)
        found.append(mel_products(chunks, f.HOP, ONE_EACH // 4, TABLES, LEAST)[0].tobytes())
    numba.set_num_threads(before)
    assert found[0] == found[1]


@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="nothing runs on threads without compilation")
def test_threads_are_a_bound_that_is_given_back(monkeypatch):
    seen, before = [], numba.get_num_threads()
    monkeypatch.setattr("earmark.kernels.neural.logmel._blocks", lambda *_: seen.append(numba.get_num_threads()))
    for threads in (None, 1, 10_000):
        mel_products(some_chunks(1, SHORT), f.HOP, FEW, TABLES, LEAST, threads)
        assert numba.get_num_threads() == before
    assert seen == [before, 1, config.NUMBA_NUM_THREADS]


def test_what_does_not_fit_is_a_bug():
    with pytest.raises(ValueError, match="rows of float32"):
        mel_products(np.zeros((1, 16_000)), f.HOP, ONE_EACH, TABLES, LEAST)
    with pytest.raises(ValueError, match="do not fit 8000 samples"):
        mel_products(np.zeros((1, 8_000), np.float32), f.HOP, ONE_EACH, TABLES, LEAST)
    with pytest.raises(ValueError, match="7999 samples are no multiple"):
        mel_products(np.zeros((1, 7_999), np.float32), f.HOP, FEW, TABLES, LEAST)
    for broken in (np.nan, np.inf):
        with pytest.raises(ValueError, match="not finite"):
            mel_products(np.full((1, SHORT), broken, np.float32), f.HOP, FEW, TABLES, LEAST)
    with pytest.raises(ValueError, match="frames of 400"):
        tables(f.hann()[1:], f.mel_filters())
    with pytest.raises(ValueError, match="no weight"):
        tables(f.hann(), np.ones((1, 201)))
