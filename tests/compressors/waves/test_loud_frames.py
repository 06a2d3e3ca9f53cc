"""The loudness gate: the loudest frames, as many as the exact floor of the budget, in the order of time."""

from itertools import pairwise

import naive_waves
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from wave_signals import RATE, extremes, noise

from earmark.engine.compressors.waves.loud_frames import FRAME_SAMPLES, LoudFrames


@given(
    levels=st.lists(st.integers(0, 4), min_size=1, max_size=40),
    rest=st.integers(1, FRAME_SAMPLES),
    hundredths=st.integers(1, 99),
)
def test_they_are_those_of_the_slow_twin(levels, rest, hundredths):
    frames = [np.full(FRAME_SAMPLES, level * (-1) ** i / 4, dtype=np.float32) for i, level in enumerate(levels)]
    samples = np.concatenate(frames)[: (len(levels) - 1) * FRAME_SAMPLES + rest]
    sent = LoudFrames().send(samples, hundredths / 100)
    keep = max(1, hundredths * len(levels) // 100)
    assert sent.samples.tolist() == naive_waves.loud_frames(samples.tolist(), keep, FRAME_SAMPLES)
    assert sent.bits == 16 * len(sent.samples)


@pytest.mark.parametrize("n", [RATE, RATE + 1, 10 * RATE - 319])
def test_more_budget_keeps_what_less_kept(n):
    samples = noise(n)
    sets = [set(LoudFrames().send(samples, budget).samples.tolist()) for budget in (0.1, 0.3, 0.5, 0.9)]
    for few, many in pairwise(sets):
        assert few < many


def test_all_alike_keeps_the_beginning():
    samples = np.arange(RATE, dtype=np.float32) % FRAME_SAMPLES / FRAME_SAMPLES
    sent = LoudFrames().send(samples, 0.29)
    assert len(sent.samples) == 14 * FRAME_SAMPLES  # of 50
    np.testing.assert_array_equal(sent.samples, samples[: 14 * FRAME_SAMPLES])


@pytest.mark.parametrize("kind", sorted(extremes(1)))
def test_the_same_twice(kind):
    samples = extremes(RATE + 1)[kind]
    once, again = (LoudFrames().send(samples, 0.3).samples for _ in range(2))
    np.testing.assert_array_equal(once, again)
    assert once.dtype == np.float32
