"""What a selector does with the question: against plain sets, random draws and hand-made scores."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.engine.signoff.audits.selection import jaccard, random_jaccard, shares

SETS = st.lists(st.tuples(st.sets(st.integers(0, 130)), st.sets(st.integers(0, 130))), min_size=1, max_size=20)


@given(SETS)
def test_jaccard_is_that_of_sets(pairs: list[tuple[set[int], set[int]]]) -> None:
    ours, theirs = ([sorted(pair[i]) for pair in pairs] for i in (0, 1))
    expected = [len(a & b) / len(a | b) if a and b else np.nan for a, b in pairs]
    got = jaccard(*(pa.array(of, pa.list_(pa.int16())) for of in (ours, theirs)))
    np.testing.assert_allclose(got, expected)


def test_a_row_without_audio_does_not_count() -> None:
    got = jaccard(pa.array([None, [1], None]), pa.array([[1], [1], None]))
    np.testing.assert_array_equal(got, [np.nan, 1.0, np.nan])


@pytest.mark.parametrize(("chunks", "kept"), [(10, 1), (10, 2), (10, 6), (10, 9), (7, 7), (120, 24), (2, 1)])
def test_the_random_floor_is_that_of_random_sets(chunks: int, kept: int) -> None:
    rng = np.random.default_rng(chunks * kept)
    draws = []
    for _ in range(4000):
        a, b = (set(rng.choice(chunks, kept, replace=False).tolist()) for _ in range(2))
        draws.append(len(a & b) / len(a | b))
    error = 5 * np.std(draws) / len(draws) ** 0.5 + 1e-12
    assert random_jaccard(chunks, kept) == pytest.approx(np.mean(draws), abs=error)


def test_shares_tell_what_varies() -> None:
    chunk, question = np.array([1.0, 2.0, 4.0]), np.array([0.5, -1.0])
    assert shares([np.tile(chunk, (2, 1))]).chunk == pytest.approx(1)
    assert shares([np.tile(question[:, None], (1, 3))]).question == pytest.approx(1)
    assert shares([np.outer([1.0, -1.0], [1.0, 0.0, -1.0])]).interaction == pytest.approx(1)
    added = shares([chunk[None] + question[:, None]])
    assert added.interaction == pytest.approx(0, abs=1e-12)
    assert added.chunk + added.question == pytest.approx(1)


def test_shares_add_up_over_recordings_of_any_length() -> None:
    rng = np.random.default_rng(3)
    found = shares([rng.normal(size=(5, t)) + 100 * t for t in (2, 9, 30)])  # levels of recordings are no variance
    assert sum(found) == pytest.approx(1)
    assert found.interaction > 0.5
    assert all(np.isnan(shares([np.ones((3, 4))])))
