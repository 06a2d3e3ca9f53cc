"""Evidence of a walk against its slow twin: the same in whatever portions it comes, and true whenever one looks."""

import math

import naive_walk
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.kernels.statistics import evidence
from earmark.kernels.statistics.evidence import Evidence

WHOLE = st.lists(st.sampled_from([-1.0, 0.0, 0.0, 0.0, 1.0]), min_size=1, max_size=120)
GRADED = st.lists(st.floats(-1, 1), min_size=1, max_size=60)
EPS = st.floats(-0.5, 0.9)


def portions(differences: list[float], cuts: list[int]) -> list[np.ndarray]:
    return np.split(np.array(differences), sorted(cut % (len(differences) + 1) for cut in cuts))


@given(WHOLE, EPS, st.lists(st.integers(0, 200), max_size=8))
def test_the_same_in_whatever_portions(differences: list[float], eps: float, cuts: list[int]) -> None:
    whole, cut = Evidence(eps), Evidence(eps)
    whole.feed(np.array(differences))
    for portion in portions(differences, cuts):
        cut.feed(portion)
    assert vars(cut) == vars(whole)


@given(WHOLE | GRADED, EPS)
def test_the_same_as_its_twin(differences: list[float], eps: float) -> None:
    expected = naive_walk.log_capitals(differences, eps)
    got = Evidence(eps)
    for n, d in enumerate(differences, 1):
        got.feed(np.array([d]))
        assert got.log_capital == pytest.approx(expected[n], abs=1e-9)
        assert got.peak == pytest.approx(max(expected[: n + 1]), abs=1e-9)
        assert expected[got.peak_row] == pytest.approx(got.peak, abs=1e-9)


@given(WHOLE, st.sampled_from([0.3, 0.05, 0.00125]))
def test_a_bound_is_where_the_evidence_ends(differences: list[float], alpha: float) -> None:
    bound = evidence.upper_bound(np.array(differences), alpha)
    assert bound <= 1.0
    if bound < 1.0:
        assert max(naive_walk.log_capitals(differences, bound)) >= -math.log(alpha) - 1e-9


def test_no_bet_gains_on_average_where_the_excess_is_eps() -> None:
    rng = np.random.default_rng(5)
    crossed = 0
    for _ in range(2_000):
        u = rng.random(400)
        grown = Evidence(0.05)
        grown.feed(np.where(u < 0.06, 1.0, np.where(u > 0.99, -1.0, 0.0)))
        crossed += grown.peak >= math.log(1 / 0.05)
    assert crossed <= 0.05 * 2_000 + 3.1 * math.sqrt(0.05 * 0.95 * 2_000)
