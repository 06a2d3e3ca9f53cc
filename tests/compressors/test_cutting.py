import numpy as np
import pytest
from cut import keep, keep_chunks
from hypothesis import given
from hypothesis import strategies as st

from earmark.engine.compressors.chunks.cutting import kept_chunks, top_chunks
from earmark.engine.compressors.compressor import audio_hash
from earmark.engine.corpus.clip import CHUNK_SAMPLES, chunk_count, clip


@pytest.mark.parametrize(
    ("budget", "chunks", "kept"),
    [
        (0.29, 100, 29),
        (0.05, 10, 1),
        (0.1, 10, 1),
        (0.2, 10, 2),
        (0.7, 10, 7),
        (0.3, 10, 3),
        (1.0, 7, 7),
        (0.05, 120, 6),
    ],
)
def test_a_budget_keeps_whole_chunks_in_exact_decimals(budget, chunks, kept):
    assert kept_chunks(budget, chunks) == kept


@given(hundredths=st.integers(1, 100), chunks=st.integers(1, 120))
def test_never_over_budget_but_for_the_floor_of_one(hundredths, chunks):
    k = kept_chunks(hundredths / 100, chunks)
    assert k == max(1, hundredths * chunks // 100)


@pytest.mark.parametrize("budget", [0.0, -0.1, 1.1, float("nan")])
def test_a_budget_outside_0_1_is_a_bug(budget):
    with pytest.raises(ValueError, match="budget"):
        kept_chunks(budget, 10)


@given(scores=st.lists(st.integers(0, 3), min_size=1, max_size=20), data=st.data())
def test_ties_go_to_the_earlier_chunk(scores, data):
    k = data.draw(st.integers(1, len(scores)))
    expected = sorted(sorted(range(len(scores)), key=lambda t: (-scores[t], t))[:k])
    assert top_chunks(np.array(scores, dtype=np.float32), k).tolist() == expected


@given(order=st.permutations(range(8)), noise=st.lists(st.floats(-1e-6, 1e-6), min_size=8, max_size=8))
def test_scores_nearer_than_a_tie_are_equal(order, noise):
    levels = np.array([0.5, 0.5, 0.5, 0.4999, 0.3, 0.3, 0.2998, 0.1])[list(order)]
    exact = np.array([0.5, 0.5, 0.5, 0.5, 0.3, 0.3, 0.3, 0.1])[list(order)]
    for k in range(1, 9):
        assert top_chunks(levels + noise, k, tie=1e-3).tolist() == top_chunks(exact, k).tolist()


def test_a_tie_may_be_a_chain():
    assert top_chunks(np.array([0.1, 0.2, 0.3, 1.0]), 2, tie=0.11).tolist() == [0, 3]


def test_a_clip_is_padded_to_one_chunk_and_cut_after_120():
    assert len(clip(np.ones(10, np.float32))) == CHUNK_SAMPLES
    assert len(clip(np.ones(130 * CHUNK_SAMPLES, np.float32))) == 120 * CHUNK_SAMPLES
    assert chunk_count(np.ones(CHUNK_SAMPLES + 1, np.float32)) == 2


def test_kept_chunks_stand_in_the_order_of_time_and_all_of_them_are_the_clip():
    audio = np.arange(3 * CHUNK_SAMPLES + 5, dtype=np.float32)
    kept = keep(audio, np.array([0.0, 2.0, 1.0, 3.0]), 0.5)
    assert kept.chunks.tolist() == [1, 3]
    assert np.array_equal(kept.audio, np.concatenate([audio[16_000:32_000], audio[48_000:]]))
    assert np.array_equal(keep(audio, np.zeros(4), 1.0).audio, audio)
    assert keep_chunks(audio, np.arange(4)).hash == audio_hash(audio)


def test_the_hash_knows_every_sample():
    audio = np.zeros(100, np.float32)
    other = audio.copy()
    other[50] = 1e-7
    assert audio_hash(audio) != audio_hash(other)
    assert audio_hash(audio) == audio_hash(audio.copy())
