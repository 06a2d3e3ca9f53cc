import naive_waves
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.kernels.waves.wsola import time_scaled


@settings(max_examples=25, deadline=None)
@given(
    samples=st.one_of(
        st.lists(st.integers(-3, 3), min_size=1, max_size=120),  # many ties
        st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=120),
    ),
    share=st.floats(0.05, 1.0),
    frame=st.sampled_from([2, 8, 20]),
    search=st.integers(0, 9),
)
def test_the_kernel_is_its_slow_twin_to_the_last_bit(samples, share, frame, search):
    wave = np.array(samples, dtype=np.float32)
    n_out = max(1, round(share * len(wave)))
    got = time_scaled(wave, n_out, frame, search)
    np.testing.assert_array_equal(got, naive_waves.wsola(wave, n_out, frame, search))
    assert got.dtype == np.float32


@pytest.mark.parametrize(
    ("samples", "arguments"),
    [
        (np.zeros(9), (5, 4, 2)),
        (np.zeros((3, 3), dtype=np.float32), (5, 4, 2)),
        (np.zeros(0, dtype=np.float32), (5, 4, 2)),
        (np.full(9, np.nan, dtype=np.float32), (5, 4, 2)),
        (np.zeros(9, dtype=np.float32), (0, 4, 2)),
        (np.zeros(9, dtype=np.float32), (5, 3, 2)),
        (np.zeros(9, dtype=np.float32), (5, 4, -1)),
    ],
)
def test_what_it_cannot_take_is_a_bug(samples, arguments):
    with pytest.raises(ValueError, match="samples"):
        time_scaled(samples, *arguments)
