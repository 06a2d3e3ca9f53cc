"""Betting against its slow twin, and the promises of its p-values: validity, one direction, bounds that invert."""

import math
from collections.abc import Iterator

import naive_exact
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mirrored import harm_p_value, lower_bound
from numba.core import config

from earmark.kernels.statistics import betting
from earmark.kernels.statistics.compiled import betting as kernels
from earmark.kernels.statistics.plain import betting as plain

INTERPRETED = bool(config.DISABLE_JIT)
ALPHA = 0.025


@pytest.fixture(autouse=True, scope="module", params=["kernels"] if INTERPRETED else ["plain", "kernels"])
def form(request: pytest.FixtureRequest) -> Iterator[str]:
    """Everything is computed in plain NumPy, and then everything by kernels, whatever its size."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("_FEW", "_FEW_DRAWN"):
            patch.setattr(betting, name, math.inf if request.param == "plain" else 0)
        yield request.param


Recordings = tuple[list[float], list[float]]


@st.composite
def recordings(draw: st.DrawFn) -> Recordings:
    """Means with weights of 1, or sums and sizes as shares of a declared size; more often below 0 than above."""
    sizes = draw(st.lists(st.integers(1, 5), min_size=1, max_size=40))
    weights = [size / 5 for size in sizes] if draw(st.booleans()) else [1.0] * len(sizes)
    shares = st.floats(-1, 1) if draw(st.booleans()) else st.floats(-1, 0.1)
    means = [draw(shares) for _ in sizes]
    if draw(st.booleans()):
        means = [float(round(mean)) for mean in means]
    return [mean * weight for mean, weight in zip(means, weights, strict=True)], weights


def clustered(rng: np.random.Generator, n: int, size: int, plus: float, minus: float, copied: float) -> np.ndarray:
    """Means of `size` differences each; each row copies its recording's difference with probability sqrt(ICC)."""

    def draw(shape: tuple[int, ...]) -> np.ndarray:
        u = rng.random(shape)
        return np.where(u < plus, 1.0, np.where(u < plus + minus, -1.0, 0.0))

    return np.where(rng.random((n, size)) < copied, draw((n, 1)), draw((n, size))).mean(axis=1)


# p ---------------------------------------------------------------------------------------------------------


@given(recordings(), st.floats(-0.95, 0.95))
@settings(deadline=None)
def test_p_equals_its_twin(observed: Recordings, eps: float) -> None:
    values, weights = observed
    expected = naive_exact.betting_p_value(values, weights, eps)
    assert betting.p_value(values, weights, eps) == pytest.approx(expected, rel=1e-9)
    assert harm_p_value([-value for value in values], weights, -eps) == pytest.approx(expected, rel=1e-9)


@given(recordings(), st.floats(-0.99, 0.99), st.floats(-0.99, 0.99))
def test_p_does_not_increase_with_the_excess(observed: Recordings, eps: float, other: float) -> None:
    low, high = min(eps, other), max(eps, other)
    assert betting.p_value(*observed, high) <= betting.p_value(*observed, low) * (1 + 1e-12)


@pytest.mark.parametrize(
    ("plus", "minus", "icc"), [(0.05, 0.0, 0.5), (0.10, 0.05, 0.5), (0.35, 0.30, 0.5), (0.05, 0.0, 0.0), (0.1, 0.05, 1)]
)
@pytest.mark.parametrize("n", [40, 300])
def test_false_rejections_are_rare(n: int, plus: float, minus: float, icc: float) -> None:
    """The truth is exactly eps, rows of a recording depend on each other."""
    rng, repeats = np.random.default_rng(7), 60 if INTERPRETED else 1500
    rejected = 0
    for _ in range(repeats):
        means = clustered(rng, n, 4, plus, minus, math.sqrt(icc))
        rejected += betting.p_value(means, np.ones(n), plus - minus) <= ALPHA
    assert rejected <= repeats * ALPHA + 3 * math.sqrt(repeats * ALPHA)


def test_false_rejections_are_rare_for_real_values_and_unequal_sizes() -> None:
    rng, repeats = np.random.default_rng(8), 40 if INTERPRETED else 1000
    rejected = 0
    for _ in range(repeats):
        weights = rng.integers(1, 9, size=200) / 8
        values = weights * np.clip(rng.normal(0, 0.2, size=200), -1, 1)
        rejected += betting.p_value(values, weights, 0.0) <= ALPHA
        rejected += harm_p_value(values, weights, 0.0) <= ALPHA
    assert rejected <= 2 * repeats * ALPHA + 3 * math.sqrt(2 * repeats * ALPHA)


def test_power() -> None:
    """At eps = .05: no flip in 77 recordings is enough, in 76 not; 300 recordings with 4% of flips mostly are."""
    assert betting.testable_recordings(0.05, ALPHA) == 77
    for n in (76, 77):
        assert (betting.p_value(np.zeros(n), np.ones(n), 0.05) <= ALPHA) == (n >= 77)
    rng, repeats = np.random.default_rng(9), 20 if INTERPRETED else 400
    means = [clustered(rng, 300, 4, 0.02, 0.02, math.sqrt(0.5)) for _ in range(repeats)]
    passed = sum(betting.p_value(of_run, np.ones(300), 0.05) <= ALPHA for of_run in means)
    assert passed >= (0.75 if INTERPRETED else 0.95) * repeats


def test_the_pass_rate_is_the_share_of_resamples_that_pass() -> None:
    rng, draws = np.random.default_rng(10), 60 if INTERPRETED else 600
    means = clustered(rng, 500, 4, 0.03, 0.02, math.sqrt(0.5))
    passed = 0
    for _ in range(draws):
        again = rng.choice(means, 200)
        passed += again.mean() <= 0.05 and betting.p_value(again, np.ones(200), 0.05) <= ALPHA
    rate = betting.pass_rate(means, np.ones(500), 200, 0.05, ALPHA, draws=draws, seed=1)
    assert rate == pytest.approx(passed / draws, abs=4 * math.sqrt(0.5 / draws))
    assert betting.pass_rate([1.0], [1.0], 200, 0.05, ALPHA, draws=5, seed=1) == 0


# The two forms ---------------------------------------------------------------------------------------------


@given(recordings(), st.floats(-0.99, 0.99), st.sampled_from([0.01, 0.025, 0.2]))
@settings(deadline=None)
def test_both_forms_have_the_same_p_and_bound(observed: Recordings, eps: float, alpha: float) -> None:
    y, w = (np.array(column) for column in observed)
    assert plain.p_values(y, w, np.array([eps]))[0] == pytest.approx(kernels.p_value(y, w, eps), rel=1e-12)
    assert plain.upper_bound(y, w, alpha) == pytest.approx(kernels.upper_bound(y, w, alpha), abs=1e-7)


@pytest.mark.parametrize(("n", "eps"), [(1, 0.5), (40, 0.02), (200, 0.05)])
def test_both_forms_draw_the_same_recordings(n: int, eps: float) -> None:
    rng, draws = np.random.default_rng(3), 50 if INTERPRETED else 400
    y, w = clustered(rng, 150, 4, 0.02, 0.02, 0.7), rng.integers(1, 5, size=150) / 4
    rate = plain.pass_rate(y * w, w, n, eps, ALPHA, draws, 5)
    assert rate == kernels.pass_rate(y * w, w, n, eps, math.log(1 / ALPHA), draws, 5)


def test_many_recordings_are_left_to_a_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(betting, "_FEW", 100)
    monkeypatch.setattr(kernels, "p_value", lambda *_: 0.25)
    assert betting.p_value(np.zeros(50), np.ones(50), 0.05) != 0.25
    assert betting.p_value(np.zeros(50), np.ones(50), 0.05, among=5_000) == 0.25
    assert betting.p_value(np.zeros(101), np.ones(101), 0.05) == 0.25


# Bounds ----------------------------------------------------------------------------------------------------


@given(recordings(), st.sampled_from([0.01, 0.025, 0.2]))
@settings(deadline=None)
def test_upper_bound_inverts_p(observed: Recordings, alpha: float) -> None:
    upper = betting.upper_bound(*observed, alpha)
    assert upper == 1 or betting.p_value(*observed, upper) <= alpha
    assert betting.p_value(*observed, max(upper - 1.1e-7, -1 + 1e-12)) > alpha


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_upper_bound_equals_its_twin(seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.integers(1, 4, size=25) / 3
    values = weights * rng.uniform(-1, 0.5, size=25)
    upper = betting.upper_bound(values, weights, 0.2)
    assert naive_exact.betting_upper_bound(list(values), list(weights), 0.2) - 0.001 <= upper
    assert upper <= naive_exact.betting_upper_bound(list(values), list(weights), 0.2) + 1e-7


@given(recordings())
@settings(deadline=None)
def test_a_lower_bound_is_the_last_excess_with_evidence_of_harm(observed: Recordings) -> None:
    values, weights = observed
    lower = lower_bound(values, weights, ALPHA)
    assert lower == -1 or harm_p_value(values, weights, lower) <= ALPHA
    assert lower <= betting.upper_bound(values, weights, ALPHA)


def test_bounds_at_the_ends() -> None:
    assert betting.upper_bound([1.0] * 50, [1.0] * 50, ALPHA) == 1
    assert lower_bound([-1.0] * 50, [1.0] * 50, ALPHA) == -1
    assert betting.upper_bound([0.0], [1.0], ALPHA) == 1


# Refusals --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "weights"),
    [
        ([], []),
        ([0.0, 1.0], [1]),
        ([[0.0]], [[1]]),
        ([0.5], [0.4]),
        ([float("nan")], [1]),
        ([float("inf")], [1]),
        ([0.0], [0]),
        ([0.0], [1.5]),
    ],
)
def test_wrong_recordings_are_refused(values: list[float], weights: list[float]) -> None:
    for call in (betting.p_value, harm_p_value, betting.upper_bound):
        with pytest.raises(ValueError, match="weight"):
            call(values, weights, 0.1)


@pytest.mark.parametrize("value", [-1.0, 1.0, float("nan")])
def test_wrong_levels_are_refused(value: float) -> None:
    for call in (betting.p_value, harm_p_value, betting.upper_bound):
        with pytest.raises(ValueError, match="is not in"):
            call([0.0], [1], value)
