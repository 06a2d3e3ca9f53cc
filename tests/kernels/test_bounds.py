"""What an exact bound rests on: regions without roots, probabilities side by side, and the last time p passes alpha."""

import math
from collections.abc import Iterator

import naive_exact
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from mirrored import p_along
from numba.core import config

from earmark.kernels.statistics import bounds, exact
from earmark.kernels.statistics.compiled.binomial import clopper_pearson
from earmark.kernels.statistics.compiled.nuisance import grid_of, nuisance_at, summit
from earmark.kernels.statistics.compiled.region import region_of, score
from earmark.kernels.statistics.compiled.region_probability import LANES, p_at, p_at_lanes
from earmark.kernels.statistics.exact_case import FINE

INTERPRETED = bool(config.DISABLE_JIT)
MANY = 20 if INTERPRETED else 300


@pytest.fixture(autouse=True, scope="module", params=["kernels"] if INTERPRETED else ["plain", "kernels"])
def form(request: pytest.FixtureRequest) -> Iterator[str]:
    """Everything is computed in plain NumPy, and then everything by kernels, whatever its size."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (exact, bounds):
            patch.setattr(module, "FEW", math.inf if request.param == "plain" else 0.0)
        yield request.param


@st.composite
def counts(draw: st.DrawFn, most: int = 30 if INTERPRETED else 400) -> tuple[int, int, int]:
    n = draw(st.integers(1, most))
    m = draw(st.integers(0, n))
    a = draw(st.integers(0, m))
    return n, a, m - a


@st.composite
def claims(draw: st.DrawFn, most: int = 30 if INTERPRETED else 400) -> tuple[int, int, int, float]:
    """Counts, and an excess above the observed one."""
    n, a, c = draw(counts(most))
    observed = (a - c) / n
    eps = draw(st.one_of(st.just(0.0), st.floats(0.001, 0.999).map(lambda share: observed + share * (1 - observed))))
    assume(-0.999 < eps < 0.999)
    assume(score(n, a, c, eps) < -0.5)
    return n, a, c, eps


few_pass = settings(deadline=None, max_examples=MANY, suppress_health_check=[HealthCheck.filter_too_much])


# Regions ---------------------------------------------------------------------------------------------------


@given(claims(most=20))
@few_pass
def test_a_region_holds_what_is_no_less_extreme(test: tuple[int, int, int, float]) -> None:
    n, a, c, eps = test
    found = region_of(n, a, c, eps, eps, 0, n)
    rejected = naive_exact.region(n, a, c, eps)
    most = [max((x for x, y in rejected if x + y == flips), default=-1) for flips in range(n + 1)]
    assert found.k.tolist() == most


@given(claims(), st.floats(1e-9, 1), st.lists(st.integers(0, 1000), min_size=3, max_size=8))
@few_pass
def test_the_region_of_a_stretch_holds_the_regions_inside(
    test: tuple[int, int, int, float], length: float, thousandths: list[int]
) -> None:
    n, a, c, eps = test
    until = eps + length * (0.999 - eps)
    whole = region_of(n, a, c, eps, until, 0, n)
    for share in thousandths:
        e = eps + share / 1000 * (until - eps)
        assert (region_of(n, a, c, e, e, 0, n).k <= whole.k).all()


@given(claims(), st.floats(0, 1))
@few_pass
def test_a_score_below_zero_never_rises_with_the_excess(test: tuple[int, int, int, float], share: float) -> None:
    """What the regions of stretches rest on."""
    n, a, c, eps = test
    assert score(n, a, c, eps + share * (0.999 - eps)) <= score(n, a, c, eps) + 1e-9


# Probabilities side by side --------------------------------------------------------------------------------


@given(claims(), st.floats(0, 1), st.floats(0, 1))
@few_pass
def test_lanes_equal_one_at_a_time(test: tuple[int, int, int, float], one: float, other: float) -> None:
    """From q = |eps|, where all flips are of one kind, to q = 1."""
    n, a, c, eps = test
    low, high = (max(abs(eps), 1e-9) + share * (1 - abs(eps)) for share in sorted((one, other)))
    region = region_of(n, a, c, eps, eps, 0, n)
    q, mass, p = np.minimum(np.linspace(low, high, LANES), 1.0), np.empty(n + 1), np.empty(LANES)
    p_at_lanes(region, q, eps, mass, p)
    assert p == pytest.approx([p_at(region, float(x), eps, mass) for x in q], abs=1e-13)


@given(st.floats(0, 0.9), st.floats(1e-3, 0.1), st.floats(-0.5, 0.5))
def test_the_summit_of_a_parabola(low: float, width: float, eps: float) -> None:
    low = max(low, abs(eps))
    high = min(low + width, 1.0)
    grid = grid_of(eps, low, high, FINE)
    assert (np.diff(grid, axis=1) >= 0).all()
    assert (grid[1, 0], grid[1, -1]) == pytest.approx((low, high), abs=1e-12)
    middle = 0.4 * grid[0, 0] + 0.6 * grid[0, -1]
    place = summit(grid[0], -((grid[0] - middle) ** 2))
    assert place == pytest.approx(0.6, abs=1e-3)
    angle = float(grid[0, 0] + place * (grid[0, -1] - grid[0, 0]))
    assert low - 1e-12 <= nuisance_at(angle, min(low, abs(eps))) <= high + 1e-12


# The last time ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "a", "c", "alpha"),
    [(1, 0, 0, 0.025), (2, 0, 1, 0.025), (3, 1, 1, 0.2), (4, 0, 4, 0.025), (5, 2, 2, 0.005), (6, 5, 0, 0.025)]
    + ([] if INTERPRETED else [(7, 1, 5, 0.2), (8, 0, 0, 0.005), (8, 3, 4, 0.025)]),
)
def test_bounds_equal_a_plain_search(n: int, a: int, c: int, alpha: float) -> None:
    expected = naive_exact.upper_bound(n, a, c, alpha, alpha / 50)
    assert -3e-6 <= bounds.upper_bounds(n, a, c, alpha, alpha / 50) - expected <= 1.1 * bounds.RESOLUTION


def check(n: int, a: int, c: int, alpha: float) -> None:
    holds(n, a, c, float(bounds.upper_bounds(n, a, c, alpha, alpha / 50)), alpha)


def holds(n: int, a: int, c: int, upper: float, alpha: float) -> None:
    """All of a dense scan above the bound passes, and something closely below it does not."""
    if upper == 1.0:
        assert a == n or exact.p_values(n, a, c, 1 - 1e-9, alpha / 50) > alpha
        return
    steps = np.concatenate([[0.0], np.geomspace(1e-8, 0.1, 10 if INTERPRETED else 60), np.linspace(0.0, 2e-3, 20)])
    above = [e for e in upper + steps if e < bounds.LARGEST]
    assert p_along(n, a, c, above, alpha / 50).max() <= alpha
    below = [max(upper - share * bounds.RESOLUTION, -1 + 1e-12) for share in (0, 0.1, 0.3, 0.5, 0.8, 1, 1.5, 3)]
    assert p_along(n, a, c, below, alpha / 50).max() > 0.9999 * alpha


@pytest.mark.parametrize("alpha", [0.2, 0.025, 0.025 / 48])
def test_bounds_of_small_samples(alpha: float) -> None:
    for n in range(1, 5 if INTERPRETED else 13):
        a, c = np.array(naive_exact.outcomes(n)).T
        for outcome in zip(a.tolist(), c.tolist(), bounds.upper_bounds(n, a, c, alpha, alpha / 50), strict=True):
            holds(n, *outcome, alpha)


@given(counts(most=30 if INTERPRETED else 20_000), st.sampled_from([0.2, 0.025, 0.005, 0.025 / 48, 1e-5]))
@settings(deadline=None, max_examples=10 if INTERPRETED else 100)
def test_bounds_of_any_sample(observed: tuple[int, int, int], alpha: float) -> None:
    check(*observed, alpha)


@pytest.mark.parametrize(
    ("n", "a", "c", "alpha"),
    [
        (38, 19, 15, 0.025 / 48),  # a narrow peak over q: coarse grids let p pass 3e-4 too early
        (40, 21, 15, 0.025 / 48),
        (16, 7, 5, 0.2),
        (19, 1, 17, 0.025),
        (433, 62, 4, 0.025 / 48),  # a jump that looks like a crossing from far
        (413, 2, 56, 0.025 / 48),
        (442, 11, 93, 0.025 / 48),
    ][: 4 if INTERPRETED else None],
)
def test_bounds_that_were_hard(n: int, a: int, c: int, alpha: float) -> None:
    check(n, a, c, alpha)


def test_equal_counts_have_equal_bounds() -> None:
    width = 10 if INTERPRETED else 50
    n, a, c = np.full((3, width), 60), np.tile(np.arange(width) % 5, (3, 1)), np.full((3, width), 2)
    together = bounds.upper_bounds(n, a, c, 0.025, 0.0005)
    assert together.tolist() == [[float(bounds.upper_bounds(60, x, 2, 0.025, 0.0005)) for x in row] for row in a]


@pytest.mark.parametrize(("m", "n"), [(0, 1), (0, 400), (3, 400), (400, 400), (77, 20_000)])
def test_clopper_pearson(m: int, n: int) -> None:
    assert clopper_pearson(m, n, 0.0005) == pytest.approx(
        naive_exact.clopper_pearson(m, n, 0.0005) if n < 1000 else (0.0025064559, 0.0056197507), abs=1e-7
    )
