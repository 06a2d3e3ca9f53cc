"""Speed: as long as was asked for, at its own pitch, the same bytes everywhere."""

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wave_signals import RATE, chirp, extremes, impulse, loudest_hz, noise, sine

from earmark.engine.compressors.waves.speed import FRAME_MS, SEARCH_MS, Speed
from earmark.kernels.waves.wsola import time_scaled


@settings(max_examples=15, deadline=None)
@given(n=st.integers(RATE, 2 * RATE), budget=st.floats(0.05, 0.999))
def test_length_and_bits_are_the_share_of_the_duration(n, budget):
    sent = Speed().send(noise(n), budget)
    assert sent.samples.shape == (round(n * budget),)
    assert sent.samples.dtype == np.float32
    assert sent.bits == 16 * len(sent.samples)


@pytest.mark.parametrize("n", [RATE, RATE + 1, 3 * RATE - 7])
@pytest.mark.parametrize("signal", [noise, chirp, sine, impulse])
def test_speed_one_is_the_clip(n, signal):
    samples = signal(n)
    np.testing.assert_array_equal(time_scaled(samples, n, RATE * FRAME_MS // 1000, RATE * SEARCH_MS // 1000), samples)


@pytest.mark.parametrize("hz", [120, 440, 1000, 3000])
@pytest.mark.parametrize("budget", [0.9, 0.8, 1 / 1.5, 0.5, 0.25])
def test_a_tone_keeps_pitch_and_loudness(hz, budget):
    faster = Speed().send(sine(3 * RATE, hz), budget).samples
    assert loudest_hz(faster) == pytest.approx(hz, rel=0.01)
    assert np.sqrt(np.square(faster).mean()) == pytest.approx(0.3 / np.sqrt(2), rel=0.1)


@pytest.mark.parametrize("budget", [0.8, 0.5])
def test_what_sounds_in_the_middle_sounds_in_the_middle(budget):
    burst = np.zeros(4 * RATE, dtype=np.float32)
    burst[2 * RATE - 800 : 2 * RATE + 800] = sine(1600, 700)
    faster = Speed().send(burst, budget).samples
    centre = float((np.arange(len(faster)) * np.square(faster)).sum() / np.square(faster).sum())
    assert centre == pytest.approx(2 * RATE * budget, abs=RATE * (SEARCH_MS + FRAME_MS) / 1000)


@pytest.mark.parametrize("kind", sorted(extremes(1)))
def test_the_same_bytes_whatever_the_threads(kind):
    samples = extremes(RATE + 1)[kind]
    once = Speed().send(samples, 0.7).samples
    before = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        again = Speed().send(samples, 0.7).samples
    finally:
        numba.set_num_threads(before)
    np.testing.assert_array_equal(once, again)
    assert np.abs(once).max() <= np.abs(samples).max()  # a mean of samples of the clip
