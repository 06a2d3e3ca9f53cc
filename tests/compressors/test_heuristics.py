"""Heuristic selectors: what they promise about every clip and every k."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.engine.compressors.chunks.heuristics import (
    Energy,
    Random,
    Uniform,
    energy_chunks,
    energy_scores,
    random_chunks,
    random_scores,
    uniform_chunks,
)
from earmark.engine.compressors.chunks.selector import SelectorInput

sizes = st.integers(1, 120).flatmap(lambda chunks: st.tuples(st.just(chunks), st.integers(1, chunks)))


@given(sizes)
def test_uniform_chunks_are_evenly_spaced(size):
    chunks, k = size
    kept = uniform_chunks(chunks, k)
    assert len(set(kept.tolist())) == k
    assert 0 <= kept[0] <= kept[-1] < chunks
    assert k == 1 or np.ptp(np.diff(kept)) <= 1


def test_uniform_refuses_what_is_not_there():
    with pytest.raises(ValueError, match="0 of 3"):
        uniform_chunks(3, 0)
    with pytest.raises(ValueError, match="4 of 3"):
        uniform_chunks(3, 4)


@given(sizes, st.text(max_size=8))
def test_random_chunks_depend_on_the_sample_and_nest(size, name):
    chunks, k = size
    kept = random_chunks(name, chunks, k)
    assert len(set(kept.tolist())) == k
    np.testing.assert_array_equal(kept, random_chunks(name, chunks, k))
    assert set(random_chunks(name, chunks, max(1, k - 1)).tolist()) <= set(kept.tolist())


def test_random_scores_differ_between_samples_and_seeds():
    assert not np.array_equal(random_scores("a", 5), random_scores("b", 5))
    assert not np.array_equal(random_scores("a", 5), random_scores("a", 5, seed=1))


def test_energy_is_the_rms_of_each_chunk_and_of_the_rest():
    audio = np.concatenate([np.full(16_000, 0.1), np.full(16_000, -0.4), np.full(40, 0.2)]).astype(np.float32)
    np.testing.assert_allclose(energy_scores(audio), [0.1, 0.4, 0.2], rtol=1e-6)
    assert energy_chunks(audio, 1).tolist() == [1]
    assert energy_chunks(audio, 2).tolist() == [1, 2]


@given(sizes, st.text(max_size=8))
def test_every_heuristic_is_a_selector(size, name):
    chunks, k = size
    audio = np.repeat(np.arange(chunks, dtype=np.float32) % 7 + 1, 16_000)
    clip = SelectorInput(name, audio)
    for selector, expected in (
        (Uniform(), uniform_chunks(chunks, k)),
        (Random(3), random_chunks(name, chunks, k, seed=3)),
        (Energy(), energy_chunks(audio, k)),
    ):
        assert not selector.asks
        (scores,) = selector.scores([clip])
        assert scores.shape == (chunks,)
        np.testing.assert_array_equal(selector.keep(scores, k), expected)
