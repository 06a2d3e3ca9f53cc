"""The exact test in plain NumPy and by kernels: one test, whose sizes alone say how it is computed."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core import config

from earmark.kernels.statistics import bounds, exact
from earmark.kernels.statistics.compiled import suprema as kernels
from earmark.kernels.statistics.exact_case import COARSE, FINE, Cases
from earmark.kernels.statistics.plain import suprema as plain

INTERPRETED = bool(config.DISABLE_JIT)
SIZES = st.integers(1, 30) if INTERPRETED else st.one_of(st.integers(1, 60), st.integers(1, 3_000))


@st.composite
def stretches(draw: st.DrawFn) -> tuple[Cases, np.ndarray, np.ndarray, np.ndarray]:
    """A few tests, each with a stretch of excesses above the observed one, some of them a point."""
    rows = []
    for _ in range(draw(st.integers(1, 6))):
        n = draw(SIZES)
        m = draw(st.integers(0, n))
        a = draw(st.integers(0, m))
        observed = (2 * a - m) / n
        eps = observed + draw(st.floats(0.0, 0.9)) * (0.999 - observed)
        until = draw(st.one_of(st.just(eps), st.floats(0.0, 0.999).map(lambda share, e=eps: e + share * (0.999 - e))))
        rows.append((n, a, m - a, eps, until, draw(st.sampled_from([COARSE, FINE]))))
    n, a, c, eps, until, points = (np.array(column) for column in zip(*rows, strict=True))
    levels = st.sampled_from([(0.0005, 1.0), (0.0005, 0.0245), (0.00001, 0.00051), (0.004, 0.196)])
    gamma, limit = np.array([draw(levels) for _ in rows]).T.copy()
    return Cases(n, a, c, *plain.clopper_pearson(a + c, n, gamma), limit), eps, until, points


@given(stretches())
@settings(deadline=None, max_examples=15 if INTERPRETED else 150)
def test_both_forms_have_the_same_p(asked: tuple[Cases, np.ndarray, np.ndarray, np.ndarray]) -> None:
    cases, eps, until, points = asked
    p, p_of_kernels = plain.p_values(cases, eps, until, points), kernels.p_values(cases, eps, until, points)
    exactly = (eps == until) | (cases.limit == 1.0)  # elsewhere the side of the limit is all that is promised
    assert p[exactly] == pytest.approx(p_of_kernels[exactly], abs=1e-12)
    assert ((p <= cases.limit) == (p_of_kernels <= cases.limit)).all()


@given(st.lists(SIZES.flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), min_size=1, max_size=8))
@settings(deadline=None, max_examples=20 if INTERPRETED else 100)
def test_both_forms_have_the_same_interval(shares: list[tuple[int, int]]) -> None:
    m, n = np.array(shares).T.copy()
    gamma = np.resize([0.0005, 0.1], len(m))
    for ends, ends_of_kernels in zip(
        plain.clopper_pearson(m, n, gamma), kernels.clopper_pearson(m, n, gamma), strict=True
    ):
        assert ends == pytest.approx(ends_of_kernels, abs=1e-13)


@given(st.lists(SIZES.flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(0, n))), min_size=1))
@settings(deadline=None, max_examples=3 if INTERPRETED else 30)
def test_both_forms_have_the_same_bounds(counts: list[tuple[int, int, int]]) -> None:
    n, plus, minus = np.array([(n, min(a, n - min(c, n)), min(c, n)) for n, a, c in counts]).T.copy()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bounds, "FEW", np.inf)
        upper = bounds.upper_bounds(n, plus, minus, 0.025, 0.0005)
        patch.setattr(bounds, "FEW", 0.0)
        assert upper == pytest.approx(bounds.upper_bounds(n, plus, minus, 0.025, 0.0005), abs=bounds.RESOLUTION)


def test_a_test_has_the_same_bits_in_any_company() -> None:
    n, plus, minus = np.array([(50, 1, 3), (400, 9, 20), (1200, 30, 1), (200, 4, 0), (7000, 300, 250)]).T.copy()
    together = exact.p_values(n, plus, minus, 0.05, 0.0005)
    assert together.tolist() == [
        float(exact.p_values(*counts, 0.05, 0.0005)) for counts in zip(n, plus, minus, strict=True)
    ]


@pytest.mark.parametrize("few", [np.inf, 0.0])
def test_a_bound_has_the_same_bits_beside_bounds_of_other_levels(few: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "FEW", few)
    n, plus, minus = np.array([(50, 1, 3), (400, 9, 20), (1200, 30, 1), (200, 4, 0), (7000, 300, 250)]).T.copy()
    alpha = np.array([0.025, 0.2, 0.0004, 0.025 / 6])[:, None]
    together = bounds.upper_bounds(n, plus, minus, alpha, alpha / 50)
    assert together.tolist() == [
        [float(bounds.upper_bounds(*counts, level, level / 50)) for counts in zip(n, plus, minus, strict=True)]
        for level in alpha.ravel()
    ]


BITS = """
import numpy as np
from earmark.kernels.statistics import betting, bounds, exact
n = np.array([50, 200, 400, 1200, 900])
plus, minus = np.array([[0, 3, 9, 30, 600], [1, 8, 2, 60, 20]])[:, None], np.array([[2, 3, 30, 1, 40]])
p = exact.p_values(n, plus, minus, 0.05, 0.0005)
b = bounds.upper_bounds(n, plus, minus, 0.025, 0.0005)
y, w = (np.arange(90) % 7 - 3.5) / 50, np.full(90, 0.75)
bets = [betting.p_value(y, w, 0.05), betting.upper_bound(y, w, 0.025), betting.testable_recordings(0.05, 0.025)]
rate = betting.pass_rate(y, w, 100, 0.05, 0.025, draws=200, seed=3)
print([float(x).hex() for x in [*p.ravel(), *b.ravel(), *bets, rate]])
"""
WITHOUT_AVX512 = "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR"


def test_small_tests_have_the_same_bits_on_other_processors_and_import_no_numba() -> None:
    outputs = []
    for features in ("", WITHOUT_AVX512, f"{WITHOUT_AVX512} AVX2 FMA3"):
        code = f"{BITS}\nimport sys\nassert 'numba' not in sys.modules"
        environment = {"PATH": "/usr/bin:/bin", "NPY_DISABLE_CPU_FEATURES": features}
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code], env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        outputs.append(done.stdout)
    assert len(set(outputs)) == 1


def test_the_sizes_alone_choose_the_form() -> None:
    few, many = np.full(10, 400), np.full(500, 400)
    assert exact.form_of(few, bounds.FEW).p_values is plain.p_values
    assert exact.form_of(many, bounds.FEW).p_values is kernels.p_values


@given(st.lists(SIZES.flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(0, n))), min_size=1))
@settings(deadline=None, max_examples=10 if INTERPRETED else 50)
def test_what_passes_is_what_has_a_small_p(counts: list[tuple[int, int, int]]) -> None:
    n, plus, minus = np.array([(n, min(a, n - min(c, n)), min(c, n)) for n, a, c in counts]).T.copy()
    p = exact.p_values(n, plus, minus, 0.05, 0.0005)
    clear = np.abs(p - 0.025) > 1e-4  # what a coarse grid may miss
    assert (exact.passes(n, plus, minus, 0.05, 0.025, 0.0005) == (p <= 0.025))[clear].all()
