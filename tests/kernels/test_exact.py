"""The exact test against enumeration of all outcomes, and what its p-values and bounds promise."""

import functools
import math
from collections.abc import Iterator

import naive_exact
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from mirrored import harm_p_values, lower_bounds, p_along, tango_z
from numba.core import config
from scipy import optimize, special, stats

from earmark.kernels.statistics import bounds, exact

INTERPRETED = bool(config.DISABLE_JIT)
ALPHA, GAMMA = 0.025, 0.0005
EXCESSES = [0.02, 0.05, 0.3, 0.0, -0.1]


@pytest.fixture(autouse=True, scope="module", params=["kernels"] if INTERPRETED else ["plain", "kernels"])
def form(request: pytest.FixtureRequest) -> Iterator[str]:
    """Everything is computed in plain NumPy, and then everything by kernels, whatever its size."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (exact, bounds):
            patch.setattr(module, "FEW", math.inf if request.param == "plain" else 0.0)
        yield request.param


@functools.cache
def outcomes(n: int) -> tuple[np.ndarray, np.ndarray]:
    a, c = np.array(naive_exact.outcomes(n)).T
    return a, c


def probabilities(n: int, q: float, excess: float) -> np.ndarray:
    """Of all `outcomes(n)`."""
    a, c = outcomes(n)
    ways = special.gammaln(n + 1) - special.gammaln(a + 1) - special.gammaln(c + 1) - special.gammaln(n - a - c + 1)
    parts = special.xlogy(a, (q + excess) / 2) + special.xlogy(c, (q - excess) / 2) + special.xlogy(n - a - c, 1 - q)
    return np.exp(ways + parts)


def table(n: int, p: np.ndarray) -> np.ndarray:
    """p by [plus, minus], NaN where there is no such outcome."""
    by_counts = np.full((n + 1, n + 1), np.nan)
    by_counts[outcomes(n)] = p
    return by_counts


# Score and p -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 7, 30])
@pytest.mark.parametrize("eps", [*EXCESSES, 0.9, -0.9])
def test_score_solves_the_likelihood_equation(n: int, eps: float) -> None:
    a, c = outcomes(n)
    expected = [naive_exact.tango_z(n, x, y, eps) for x, y in zip(a, c, strict=True)]
    assert tango_z(n, a, c, eps) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("n", [1, 2, 5, 12] if INTERPRETED else [1, 2, 5, 12, 25, 40])
@pytest.mark.parametrize("eps", EXCESSES)
def test_p_equals_enumeration(n: int, eps: float) -> None:
    expected = naive_exact.p_table(n, eps, GAMMA)
    a, c = np.array(list(expected)).T
    assert exact.p_values(n, a, c, eps, GAMMA) == pytest.approx(list(expected.values()), abs=1e-10)
    assert harm_p_values(n, c, a, -eps, GAMMA) == pytest.approx(list(expected.values()), abs=1e-10)


@pytest.mark.parametrize(("n", "a", "c", "eps"), [(6, 0, 1, 0.3), (6, 1, 3, 0.2), (9, 0, 0, 0.3), (9, 2, 6, -0.05)])
def test_p_equals_plain_loops(n: int, a: int, c: int, eps: float) -> None:
    assert exact.p_values(n, a, c, eps, GAMMA) == pytest.approx(naive_exact.p_value(n, a, c, eps, GAMMA), abs=1e-9)


@pytest.mark.parametrize(
    ("n", "a", "c", "eps"),
    [(3_000, 60, 40, 0.02), (80, 52, 7, 0.65), (265, 106, 13, 0.42)]
    if INTERPRETED
    else [
        (80, 52, 7, 0.65),  # the peak of p(q) is narrow
        (265, 106, 13, 0.42),
        (282, 27, 7, 0.1),
        (2_726, 272, 38, 0.0996),
        (20_000, 950, 60, 0.05),
        (20_000, 2_000, 1_100, 0.05),
        (20_000, 40, 60, 0.002),
        (20_000, 6_000, 6_300, 0.0),
        (20_000, 100, 700, -0.02),
        (200_000, 9_700, 20, 0.05),
        (200_000, 70_000, 60_700, 0.05),
        (200_000, 120_179, 620, 0.6),  # for these, P(X = k) underflows at either end of the walk
        (1_000_000, 50_180, 619, 0.05),
        (1_000_000, 1_038, 301_961, -0.3),
    ],
)
def test_p_equals_sums_by_scipy(n: int, a: int, c: int, eps: float) -> None:
    m = a + c
    low = max(stats.beta.ppf(GAMMA / 2, m, n - m + 1), abs(eps))
    high = max(stats.beta.ppf(1 - GAMMA / 2, m + 1, n - m), abs(eps))
    spread = 9 * np.sqrt(n * high) + 30
    flips = np.arange(max(0, int(n * low - spread)), min(n, int(n * high + spread)) + 1)
    least, most = np.full(len(flips), -1), flips.copy()
    limit = tango_z(n, a, c, eps) + 1e-9
    while (least < most).any():
        middle = (least + most + 1) // 2  # below 0 only where both are
        inside = tango_z(n, np.maximum(middle, 0), flips - np.maximum(middle, 0), eps) <= limit
        undecided = least < most
        least, most = (
            np.where(undecided & inside, middle, least),
            np.where(undecided & ~inside, middle - 1, most),
        )

    def p_at(q: float) -> float:
        below = stats.binom.cdf(least, flips, min((q + eps) / (2 * q), 1.0))
        return float(stats.binom.pmf(flips, n, q) @ below)

    points = 500 if n < 5_000 else 41
    qs = np.geomspace(low, high, points)
    qs[0], qs[-1] = low, high
    grid = [p_at(q) for q in qs]
    top = int(np.argmax(grid))
    around = (qs[max(top - 1, 0)], qs[min(top + 1, points - 1)])
    finer = optimize.minimize_scalar(lambda q: -p_at(q), bounds=around, method="bounded", options={"xatol": 1e-9})
    assert exact.p_values(n, a, c, eps, GAMMA) == pytest.approx(GAMMA + max(*grid, -finer.fun), abs=1e-10)


@pytest.mark.parametrize("n", [12] if INTERPRETED else [5, 25, 73, 106])
@pytest.mark.parametrize("eps", [0.02, 0.05, 0.1])
def test_p_follows_the_counts(n: int, eps: float) -> None:
    a, c = outcomes(n)
    p = table(n, exact.p_values(n, a, c, eps, GAMMA))
    rise_with_plus, rise_with_minus = np.diff(p, axis=0), np.diff(p, axis=1)
    assert np.nanmin(rise_with_plus) >= -1e-12
    # The nuisance interval follows a + c, so that one -1 more may cost a little; never where it would matter.
    assert np.nanmax(rise_with_minus) <= 1e-5
    assert not ((p[:, :-1] <= ALPHA) & (p[:, 1:] > ALPHA)).any()


def test_p_without_evidence_is_one() -> None:
    a, c = outcomes(12)
    z = tango_z(12, a, c, 0.05)
    p = exact.p_values(12, a, c, 0.05, GAMMA)
    assert (p[z >= -0.5] == 1).all()
    assert (p[z < -0.5] < 1).all()
    assert exact.p_values(1, 0, 0, 0.2, GAMMA) == 1  # z is -1/2 but for a rounding


# Without any flip ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("eps", [0.02, 0.05, 0.2])
def test_no_flip(eps: float) -> None:
    n = np.arange(8, 40 if INTERPRETED else 300)
    p = exact.p_values(n, 0, 0, eps, GAMMA)
    formula = GAMMA + (1 - eps) ** n
    evidence = tango_z(n, 0, 0, eps) < -0.5
    assert (p >= np.where(evidence, formula, 1) - 1e-12).all()
    # From some n on, a +1 among enough -1 is more extreme than no flip at all, and p a little above the formula.
    alone = np.array([tango_z(k, 1, k - 1, eps) > tango_z(k, 0, 0, eps) for k in n])
    assert p[evidence & alone] == pytest.approx(formula[evidence & alone], abs=1e-12)


@pytest.mark.parametrize(("eps", "alpha", "rows"), [(0.05, 0.025, 73), (0.02, 0.025, 184), (0.9999, 0.025, 1)])
def test_testable_size(eps: float, alpha: float, rows: int) -> None:
    gamma = alpha / 50
    assert exact.testable_size(eps, alpha, gamma) == rows
    assert exact.p_values(rows, 0, 0, eps, gamma) <= alpha
    assert rows == 1 or exact.p_values(rows - 1, 0, 0, eps, gamma) > alpha


@given(st.floats(0.001, 0.999), st.floats(0.001, 0.4))
def test_testable_size_is_the_first(eps: float, alpha: float) -> None:
    gamma = alpha / 50
    rows = exact.testable_size(eps, alpha, gamma)
    assert gamma + (1 - eps) ** rows <= alpha
    assert rows == 1 or gamma + (1 - eps) ** (rows - 1) > alpha


def test_without_the_nuisance_level_one_row_fewer_is_enough() -> None:
    assert exact.testable_size(0.05, 0.025, 1e-15) == 72


# What is promised: size and coverage -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "size"),
    [(12, 0.0237), (25, 0.0216), (72, 0.0239), (106, 0.0245), (250, 0.0244)][: 2 if INTERPRETED else None],
)
def test_worst_case_size(n: int, size: float) -> None:
    eps = 0.05
    rejected = exact.p_values(n, *outcomes(n), eps, GAMMA) <= ALPHA
    at_eps = [probabilities(n, q, eps)[rejected].sum() for q in np.geomspace(eps, 1, 200)]
    assert max(at_eps) <= ALPHA
    assert max(at_eps) == pytest.approx(size, abs=1e-4)
    beyond = [  # Barnard convexity: the worst truth is at eps itself
        max(probabilities(n, q, excess)[rejected].sum() for q in np.geomspace(excess, 1, 40))
        for excess in (0.052, 0.06, 0.08, 0.12, 0.2)
    ]
    assert sorted(beyond, reverse=True) == beyond
    assert beyond[0] <= max(at_eps)


@pytest.mark.parametrize("n", [5] if INTERPRETED else [5, 12, 20, 30])
def test_upper_bounds_cover(n: int) -> None:
    """Just above a bound it fails to cover; the worst truth is just above one of them."""
    upper = bounds.upper_bounds(n, *outcomes(n), ALPHA, GAMMA)
    for truth in np.unique(upper[upper < 1])[:: 1 if n < 30 else 3] + 1e-9:
        too_low = upper < truth
        worst = max(probabilities(n, q, truth)[too_low].sum() for q in np.linspace(abs(truth), 1, 25))
        assert worst <= ALPHA


# Bounds ----------------------------------------------------------------------------------------------------


@st.composite
def counts(draw: st.DrawFn) -> tuple[int, int, int]:
    n = draw(st.integers(1, 25 if INTERPRETED else 400))
    m = draw(st.integers(0, n))
    a = draw(st.integers(0, m))
    return n, a, m - a


@given(counts(), st.sampled_from([0.005, 0.025, 0.2]))
@settings(deadline=None, max_examples=15 if INTERPRETED else 150)
def test_upper_bound_inverts_p(observed: tuple[int, int, int], alpha: float) -> None:
    n, a, c = observed
    assume(a < n)
    upper = float(bounds.upper_bounds(n, a, c, alpha, alpha / 50))

    assert (a - c) / n < upper < 1
    assert exact.p_values(n, a, c, upper, alpha / 50) <= alpha
    near = upper - bounds.RESOLUTION * np.array([0, 0.1, 0.5, 1, 2, 5, 10])
    # alpha itself may lie within a jump of p
    assert p_along(n, a, c, np.maximum(near, -1 + 1e-12), alpha / 50).max() > 0.99 * alpha
    assert p_along(n, a, c, np.linspace(upper, 1 - 1e-9, 60), alpha / 50).max() <= alpha


@given(counts())
@settings(deadline=None, max_examples=10 if INTERPRETED else 50)
def test_a_lower_bound_is_the_last_excess_with_evidence_of_harm(observed: tuple[int, int, int]) -> None:
    n, a, c = observed
    lower = float(lower_bounds(n, a, c, ALPHA, GAMMA))
    assert lower <= (a - c) / n
    assert lower == -1 or harm_p_values(n, a, c, lower, GAMMA) <= ALPHA


@pytest.mark.parametrize(("n", "a", "c"), [(40, 0, 0), (40, 2, 3), (60, 1, 30), (100, 1, 0)])
def test_p_is_above_alpha_just_below_a_bound(n: int, a: int, c: int) -> None:
    upper = bounds.upper_bounds(n, a, c, ALPHA, GAMMA)
    assert exact.p_values(n, a, c, float(upper), GAMMA) <= ALPHA
    assert exact.p_values(n, a, c, float(upper) - bounds.RESOLUTION, GAMMA) > ALPHA


@pytest.mark.parametrize(
    ("n", "a", "c", "alpha"),
    [(20, 2, 6, ALPHA), (30, 2, 24, ALPHA), (30, 6, 5, ALPHA), (158, 1, 22, 0.005), (230, 1, 21, 0.005)][
        : 3 if INTERPRETED else None
    ],
)
def test_a_bound_is_above_every_crossing(n: int, a: int, c: int, alpha: float) -> None:
    """p passes alpha from above twice for these; a bound below the second time would not cover."""
    upper = float(bounds.upper_bounds(n, a, c, alpha, alpha / 50))
    step = 0.01 / n
    excesses = upper + step * (np.arange(-120, 60) + 0.1)
    passes = np.array([exact.p_values(n, a, c, e, alpha / 50) <= alpha for e in excesses])
    assert (np.diff(passes.astype(int)) == -1).any()
    assert passes[excesses >= upper].all()
    assert not passes[excesses < upper][-1]


def test_bounds_at_the_ends() -> None:
    assert bounds.upper_bounds(20, 20, 0, ALPHA, GAMMA) == 1
    assert lower_bounds(20, 0, 20, ALPHA, GAMMA) == -1
    assert -1 < bounds.upper_bounds(20, 0, 20, ALPHA, GAMMA) < -0.5
    assert bounds.upper_bounds(1, 0, 0, ALPHA, GAMMA) == pytest.approx(1 - (ALPHA - GAMMA), abs=bounds.RESOLUTION)


# Shapes and refusals ---------------------------------------------------------------------------------------


def test_shapes_broadcast() -> None:
    n, plus, minus = np.array([[30], [40]]), np.array([[0, 1, 2]]), 3
    p = exact.p_values(n, plus, minus, 0.05, GAMMA)
    assert p.shape == (2, 3)
    assert p[1, 2] == exact.p_values(40, 2, 3, 0.05, GAMMA)
    assert bounds.upper_bounds(n, plus, minus, ALPHA, GAMMA).shape == (2, 3)


@pytest.mark.parametrize(
    ("n", "plus", "minus"),
    [(0, 0, 0), (10, -1, 0), (10, 0, -1), (10, 6, 5), (10.0, 1, 1), (10, [1.0], 1), (10, 1, [0.5]), (10, True, 0)],
)
def test_wrong_counts_are_refused(n: float, plus: float, minus: float) -> None:
    for call in (
        lambda: exact.p_values(n, plus, minus, 0.05, GAMMA),
        lambda: bounds.upper_bounds(n, plus, minus, ALPHA, GAMMA),
    ):
        with pytest.raises(ValueError, match="counts"):
            call()


@pytest.mark.parametrize("eps", [1.0, -1.0, float("nan"), 2.0])
def test_wrong_excess_is_refused(eps: float) -> None:
    with pytest.raises(ValueError, match="eps"):
        exact.p_values(10, 1, 1, eps, GAMMA)
    with pytest.raises(ValueError, match="eps"):
        exact.testable_size(eps, ALPHA, GAMMA)


@pytest.mark.parametrize(
    ("alpha", "gamma"), [(0.0, GAMMA), (0.5, GAMMA), (ALPHA, 0.0), (ALPHA, ALPHA), (float("nan"), GAMMA)]
)
def test_wrong_levels_are_refused(alpha: float, gamma: float) -> None:
    with pytest.raises(ValueError, match=r"alpha|gamma"):
        bounds.upper_bounds(10, 1, 1, alpha, gamma)
    with pytest.raises(ValueError, match=r"alpha|gamma"):
        exact.testable_size(0.05, alpha, gamma)
