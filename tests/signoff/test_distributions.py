"""Quantiles and tails that are computed here, against SciPy's, which takes longer to import than they take."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from earmark.engine.signoff.audits import listening, seeds
from earmark.engine.signoff.diff.sign_test import sign_p


@pytest.mark.parametrize("n", [2, 3, 4, 5, 8, 11, 50, 400])
def test_the_interval_over_seeds_is_students(n: int) -> None:
    values = np.random.default_rng(n).normal(size=n).tolist()
    spread = seeds.spread(values)
    expected = stats.t.interval(0.95, n - 1, np.mean(values), stats.sem(values))
    assert (spread.lower, spread.upper) == pytest.approx(expected, rel=1e-11, abs=1e-11)


@given(st.integers(1, 3000), st.floats(0, 1), st.sampled_from([0.2, 0.25, 1 / 3, 0.5, 1.0]))
def test_the_chance_of_guessing_so_many_is_the_binomial_tail(n: int, share: float, chance: float) -> None:
    right = round(share * n)
    loss = np.repeat([0.0, 1.0], [right, n - right])
    expected = stats.binom.sf(right - 1, n, chance)
    assert listening._p_guessing(loss, chance) == pytest.approx(expected, rel=1e-8, abs=1e-100)


@given(st.integers(0, 3000), st.floats(0, 1))
def test_the_chance_of_so_many_against_is_the_binomial_tail(n: int, share: float) -> None:
    against = round(share * n)
    assert sign_p(against, n - against) == pytest.approx(stats.binom.sf(against - 1, n, 0.5), rel=1e-8, abs=1e-100)


def test_what_is_beyond_all_numbers_is_none_or_all() -> None:
    assert listening._p_guessing(np.zeros(100_000), 0.25) == 0.0
    assert listening._p_guessing(np.repeat([0.0, 1.0], [1, 99_999]), 0.9) == 1.0
    assert (sign_p(100_000, 0), sign_p(1, 99_999)) == (0.0, 1.0)
