"""Band-limiting: what is below the cutoff passes, at its time; what is above is gone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wave_signals import RATE, chirp, extremes, impulse, lag, noise, sine

from earmark.engine.compressors.waves.lowpass import LowPass


@settings(max_examples=25, deadline=None)
@given(n=st.integers(RATE, 2 * RATE), budget=st.floats(0.01, 0.999))
def test_the_length_is_kept_and_bits_are_the_share_of_the_samples(n, budget):
    sent = LowPass().send(noise(n), budget)
    assert sent.samples.shape == (n,)
    assert sent.samples.dtype == np.float32
    assert sent.bits == pytest.approx(16 * n * budget, abs=16)


@pytest.mark.parametrize("budget", [0.9, 0.5, 1 / 3, 0.25, 0.1])
@pytest.mark.parametrize("n", [RATE, 2 * RATE + 1])
def test_nothing_comes_later(n, budget):
    rising = chirp(n, high_hz=0.8 * budget * RATE / 2)
    assert lag(rising, LowPass().send(rising, budget).samples) == 0
    assert lag(impulse(n), LowPass().send(impulse(n), budget).samples) == 0


@pytest.mark.parametrize("budget", [0.75, 0.5, 0.25])
def test_below_the_cutoff_passes_and_above_is_gone(budget):
    cutoff, middle = budget * RATE / 2, slice(RATE // 2, -RATE // 2)
    low, high = sine(2 * RATE, 0.85 * cutoff), sine(2 * RATE, 1.15 * cutoff)
    np.testing.assert_allclose(LowPass().send(low, budget).samples[middle], low[middle], atol=1e-4)
    assert np.abs(LowPass().send(high, budget).samples[middle]).max() < 1e-4


@pytest.mark.parametrize("kind", sorted(extremes(1)))
def test_the_same_twice(kind):
    samples = extremes(RATE + 1)[kind]
    once, again = (LowPass().send(samples, 0.3).samples for _ in range(2))
    np.testing.assert_array_equal(once, again)
    assert np.isfinite(once).all()


def test_more_budget_is_nearer_to_the_clip():
    clip = noise(RATE)
    errors = [float(np.square(LowPass().send(clip, budget).samples - clip).mean()) for budget in (0.1, 0.3, 0.5, 0.9)]
    assert errors == sorted(errors, reverse=True)
