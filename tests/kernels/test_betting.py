"""Betting against its slow twin, and the promises of its p-values: validity, one direction, bounds that invert."""

import math

import naive_exact
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core import config

from earmark.kernels import betting

INTERPRETED = bool(config.DISABLE_JIT)
ALPHA = 0.025

Sources = tuple[list[float], list[int]]


@st.composite
def sources(draw: st.DrawFn) -> Sources:
    """Sums of real or whole differences, more often below 0 than above."""
    sizes = draw(st.lists(st.integers(1, 5), min_size=1, max_size=40))
    whole = draw(st.booleans())
    shares = st.floats(-1, 1) if draw(st.booleans()) else st.floats(-1, 0.1)
    sums = [draw(shares) * size for size in sizes]
    return [float(round(total)) for total in sums] if whole else sums, sizes


def clustered(rng: np.random.Generator, n: int, size: int, plus: float, minus: float, copied: float) -> np.ndarray:
    """Sums of `size` differences each; each row copies its source's difference with probability sqrt(ICC)."""

    def draw(shape: tuple[int, ...]) -> np.ndarray:
        u = rng.random(shape)
        return np.where(u < plus, 1.0, np.where(u < plus + minus, -1.0, 0.0))

    return np.where(rng.random((n, size)) < copied, draw((n, 1)), draw((n, size))).sum(axis=1)


# p ---------------------------------------------------------------------------------------------------------


@given(sources(), st.floats(-0.95, 0.95))
@settings(deadline=None)
def test_p_equals_its_twin(observed: Sources, eps: float) -> None:
    sums, sizes = observed
    expected = naive_exact.betting_p_value(sums, sizes, eps)
    assert betting.p_value(sums, sizes, eps) == pytest.approx(expected, rel=1e-9)
    assert betting.harm_p_value([-total for total in sums], sizes, -eps) == pytest.approx(expected, rel=1e-9)


@given(sources(), st.floats(-0.99, 0.99), st.floats(-0.99, 0.99))
def test_p_does_not_increase_with_the_excess(observed: Sources, eps: float, other: float) -> None:
    low, high = min(eps, other), max(eps, other)
    assert betting.p_value(*observed, high) <= betting.p_value(*observed, low) * (1 + 1e-12)


@given(sources(), st.integers(2, 7), st.floats(-0.9, 0.9))
def test_copies_of_rows_say_nothing_new(observed: Sources, copies: int, eps: float) -> None:
    sums, sizes = observed
    repeated = [total * copies for total in sums], [size * copies for size in sizes]
    assert betting.p_value(*repeated, eps) == pytest.approx(betting.p_value(sums, sizes, eps), rel=1e-9)


@pytest.mark.parametrize(
    ("plus", "minus", "icc"), [(0.05, 0.0, 0.5), (0.10, 0.05, 0.5), (0.35, 0.30, 0.5), (0.05, 0.0, 0.0), (0.1, 0.05, 1)]
)
@pytest.mark.parametrize("n", [40, 300])
def test_false_rejections_are_rare(n: int, plus: float, minus: float, icc: float) -> None:
    """The truth is exactly eps, rows of a source depend on each other."""
    rng, repeats = np.random.default_rng(7), 60 if INTERPRETED else 1500
    sizes = np.full(n, 4)
    rejected = 0
    for _ in range(repeats):
        sums = clustered(rng, n, 4, plus, minus, math.sqrt(icc))
        rejected += betting.p_value(sums, sizes, plus - minus) <= ALPHA
    assert rejected <= repeats * ALPHA + 3 * math.sqrt(repeats * ALPHA)


def test_false_rejections_are_rare_for_real_values_and_unequal_sizes() -> None:
    rng, repeats = np.random.default_rng(8), 40 if INTERPRETED else 1000
    rejected = 0
    for _ in range(repeats):
        sizes = rng.integers(1, 9, size=200)
        sums = sizes * np.clip(rng.normal(0, 0.2, size=200), -1, 1)
        rejected += (betting.p_value(sums, sizes, 0.0) <= ALPHA) + (betting.harm_p_value(sums, sizes, 0.0) <= ALPHA)
    assert rejected <= 2 * repeats * ALPHA + 3 * math.sqrt(2 * repeats * ALPHA)


def test_power() -> None:
    """At eps = .05: no flip in 80 sources is enough, in 60 not; 300 sources with 4% of flips mostly are."""
    assert betting.p_value(np.zeros(80), np.full(80, 4), 0.05) <= ALPHA
    assert betting.p_value(np.zeros(60), np.full(60, 4), 0.05) > ALPHA
    rng, repeats, sizes = np.random.default_rng(9), 20 if INTERPRETED else 400, np.full(300, 4)
    sums = [clustered(rng, 300, 4, 0.02, 0.02, math.sqrt(0.5)) for _ in range(repeats)]
    passed = sum(betting.p_value(of_run, sizes, 0.05) <= ALPHA for of_run in sums)
    assert passed >= (0.75 if INTERPRETED else 0.95) * repeats


# Bounds ----------------------------------------------------------------------------------------------------


@given(sources(), st.sampled_from([0.01, 0.025, 0.2]))
@settings(deadline=None)
def test_upper_bound_inverts_p(observed: Sources, alpha: float) -> None:
    upper = betting.upper_bound(*observed, alpha)
    assert upper == 1 or betting.p_value(*observed, upper) <= alpha
    assert betting.p_value(*observed, max(upper - 1.1e-7, -1 + 1e-12)) > alpha


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_upper_bound_equals_its_twin(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 4, size=25)
    sums = sizes * rng.uniform(-1, 0.5, size=25)
    upper = betting.upper_bound(sums, sizes, 0.2)
    assert naive_exact.betting_upper_bound(list(sums), list(sizes), 0.2) - 0.001 <= upper
    assert upper <= naive_exact.betting_upper_bound(list(sums), list(sizes), 0.2) + 1e-7


@given(sources())
@settings(deadline=None)
def test_lower_bound_mirrors(observed: Sources) -> None:
    sums, sizes = observed
    lower = betting.lower_bound(sums, sizes, ALPHA)
    assert lower == -betting.upper_bound([-total for total in sums], sizes, ALPHA)
    assert lower == -1 or betting.harm_p_value(sums, sizes, lower) <= ALPHA
    assert lower <= betting.upper_bound(sums, sizes, ALPHA)


def test_bounds_at_the_ends() -> None:
    assert betting.upper_bound([4.0] * 50, [4] * 50, ALPHA) == 1
    assert betting.lower_bound([-4.0] * 50, [4] * 50, ALPHA) == -1
    assert betting.upper_bound([0.0], [1], ALPHA) == 1


# Refusals --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sums", "sizes"),
    [
        ([], []),
        ([0.0, 1.0], [1]),
        ([[0.0]], [[1]]),
        ([2.0], [1]),
        ([float("nan")], [1]),
        ([float("inf")], [1]),
        ([0.0], [0]),
        ([0.0], [1.5]),
    ],
)
def test_wrong_sources_are_refused(sums: list[float], sizes: list[int]) -> None:
    for call in (betting.p_value, betting.harm_p_value, betting.upper_bound, betting.lower_bound):
        with pytest.raises(ValueError, match="siz"):
            call(sums, sizes, 0.1)


@pytest.mark.parametrize("value", [-1.0, 1.0, float("nan")])
def test_wrong_levels_are_refused(value: float) -> None:
    for call in (betting.p_value, betting.harm_p_value, betting.upper_bound, betting.lower_bound):
        with pytest.raises(ValueError, match="is not in"):
            call([0.0], [1], value)
