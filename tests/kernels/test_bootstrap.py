"""The fast bootstrap against its twins, and against the multinomial distribution that it must be."""

import math
import sys

import naive
import naive_kernels
import numba
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numba.core import config
from scipy import stats

from earmark.kernels.statistics import bootstrap
from earmark.kernels.statistics import collapse as collapsing
from earmark.kernels.statistics.bootstrap import resampled_sums
from earmark.kernels.statistics.collapse import ResamplingUnits, collapse, entries
from earmark.kernels.statistics.compiled import draws
from earmark.kernels.statistics.compiled.bootstrap import LANES
from earmark.kernels.statistics.noise import bottlenecks, noisy_labels
from earmark.kernels.statistics.order_statistics import percentile_ends
from earmark.kernels.statistics.plain.draws import below, stream_keys, words
from earmark.kernels.statistics.poisson import poisson_tables

INTERPRETED = bool(config.DISABLE_JIT)
REPLICATES = 128 if INTERPRETED else 20_000
FORMS = {"plain": sys.maxsize, "compiled": -1}  # the largest size that NumPy resamples


@pytest.fixture(params=FORMS)
def _form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the two forms, whatever the size."""
    monkeypatch.setattr(bootstrap, "_SMALL", FORMS[request.param])


def counts_of(multiplicity: list[int], **options: int) -> np.ndarray:
    """How often each unit is drawn: (units, replicates)."""
    n = len(multiplicity)
    units = ResamplingUnits(np.array(multiplicity), np.arange(n + 1), np.arange(n))
    alone = entries(units, [np.zeros((n, 1))], np.arange(n)[:, None], [n])
    return resampled_sums(units, alone, **{"seed": 1, "replicates": REPLICATES, **options})[:, -1]


@pytest.mark.parametrize(
    "multiplicity", [[1], [1, 1], [3, 1, 2, 1], [1] * 30, [20, 1, 1, 40], [500, 17, 16, 2, 1, 1], [5000, 300, 1]]
)
@pytest.mark.usefixtures("_form")
def test_counts_are_multinomial(multiplicity: list[int]) -> None:
    counts, n = counts_of(multiplicity), sum(multiplicity)
    assert (counts.sum(axis=0) == n).all()
    if INTERPRETED:
        return
    share = np.array(multiplicity) / n
    covariance = n * (np.diag(share) - np.outer(share, share))
    se = np.sqrt(np.diag(covariance) / REPLICATES)
    assert (np.abs(counts.mean(axis=1) - n * share) <= 5 * se + 1e-12).all()
    assert np.atleast_2d(np.cov(counts)) == pytest.approx(
        covariance, abs=6 * n * share.max() * math.sqrt(2 / REPLICATES) + 1e-12
    )
    for unit, p in enumerate(share):
        if p < 1:
            values, seen = np.unique(counts[unit].astype(int), return_counts=True)
            expected = REPLICATES * stats.binom.pmf(values, n, p)
            enough = expected >= 5
            if enough.sum() > 1:
                statistic = ((seen - expected)[enough] ** 2 / expected[enough]).sum()
                assert stats.chi2.sf(statistic, enough.sum() - 1) > 1e-5


@pytest.mark.usefixtures("_form")
def test_a_replicate_depends_on_nothing_but_seed_and_number() -> None:
    multiplicity = [40, 3, 1, 1, 17]
    whole = counts_of(multiplicity, replicates=3 * LANES + 5)
    for first, replicates in ((0, 1), (1, LANES), (LANES - 1, 2), (2 * LANES + 3, LANES)):
        part = counts_of(multiplicity, first=first, replicates=replicates)
        assert np.array_equal(part, whole[:, first : first + replicates])
    assert not np.array_equal(counts_of(multiplicity, seed=2, replicates=LANES), whole[:, :LANES])
    threads = numba.get_num_threads()
    try:
        for n_threads in {1, threads}:
            numba.set_num_threads(n_threads)
            assert np.array_equal(counts_of(multiplicity, replicates=3 * LANES + 5), whole)
    finally:
        numba.set_num_threads(threads)


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**40), st.integers(1, 2**31 - 1))
def test_random_words(seed: int, counter: int, n: int) -> None:
    key = draws.stream_key(seed, counter)
    assert int(key) == naive_kernels.stream_key(seed, counter)
    bits = draws.word(np.uint64(key), counter)
    assert int(bits) == naive_kernels.word(int(key), counter)
    assert int(draws.below(np.uint64(bits), n)) == naive_kernels.below(int(bits), n) < n
    assert stream_keys(seed, np.array([counter])).tolist() == [int(key)]
    drawn = words(np.array([key], np.uint64), np.array([counter]))
    assert drawn.tolist() == [int(bits)]
    assert below(drawn, n).tolist() == [naive_kernels.below(int(bits), n)]


@pytest.mark.parametrize("rate", [1e-3, 0.5, 1.0, 7.3, 16.0, 16.5, 40.0, 900.0])
@pytest.mark.parametrize("by_thresholds", [True, False])
def test_tables_hold_the_poisson_distribution(rate: float, by_thresholds: bool) -> None:
    tables = poisson_tables(np.array([rate]), np.array([by_thresholds]))
    if by_thresholds:
        cumulated = tables.thresholds / 2**32
        assert cumulated == pytest.approx(stats.poisson.cdf(np.arange(len(cumulated)), rate), abs=1e-8)
        assert stats.poisson.sf(len(cumulated), rate) < 1e-8
        return
    slots = 1 << int(tables.bits[0])
    share = np.zeros(slots)
    for slot in range(slots):
        stay = (int(tables.stay[slot]) + (int(tables.stay[slot]) == 2**32 - 1)) / 2**32
        share[slot] += stay / slots
        share[tables.alias[slot]] += (1 - stay) / slots
    expected = stats.poisson.pmf(int(tables.lowest[0]) + np.arange(slots), rate)
    assert share == pytest.approx(expected, abs=1e-8)


tables = st.integers(1, 25).flatmap(
    lambda n: st.tuples(
        st.lists(
            st.lists(st.sampled_from([-1.0, -0.0, 0.0, 0.5, 1.0]), min_size=3, max_size=3), min_size=n, max_size=n
        ),
        st.lists(st.integers(0, 2), min_size=n, max_size=n),
        st.lists(st.integers(0, 5), min_size=n, max_size=n),
    )
)


@settings(deadline=None)
@given(tables, st.booleans())
def test_collapse_keeps_every_row_and_merges_only_equals(table: tuple[list, list, list], by_source: bool) -> None:
    rows, family, sources = table
    source = np.unique(sources, return_inverse=True)[1] if by_source else None
    units = collapse([np.array(rows)], np.array(family)[:, None], source)
    expected = naive_kernels.collapse(
        [(f, *(x + 0.0 for x in row)) for f, row in zip(family, rows, strict=True)],
        None if source is None else source.tolist(),
    )
    found = {}
    for u, multiplicity in enumerate(units.multiplicity):
        members = units.rows[units.row_at[u] : units.row_at[u + 1]]
        found[tuple(sorted((family[i], *(x + 0.0 for x in rows[i])) for i in members))] = multiplicity
    assert found == expected


@settings(deadline=None)
@given(tables, st.booleans())
def test_rows_are_told_apart_where_they_share_a_digest(table: tuple[list, list, list], by_source: bool) -> None:
    rows, family, sources = table
    source = np.unique(sources, return_inverse=True)[1] if by_source else None
    expected = collapse([np.array(rows)], np.array(family)[:, None], source)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(collapsing, "_digests", lambda patterns: patterns[:, 0] % np.uint64(2))
        units = collapse([np.array(rows)], np.array(family)[:, None], source)
    assert all(np.array_equal(*pair) for pair in zip(units, expected, strict=True))


@settings(deadline=None, max_examples=60)
@given(tables, st.booleans(), st.sampled_from([1.0, 0.37, 40.0]), st.integers(0, 2**40), st.integers(1, 3))
def test_both_forms_resample_bit_for_bit_the_same(
    table: tuple[list, list, list], by_source: bool, scale: float, seed: int, copies: int
) -> None:
    rows, family, sources = (column * copies**4 for column in table)  # units of up to some thousand rows
    values, codes = scale * np.array(rows), np.array(family)[:, None]
    units = collapse([values], codes, np.unique(sources, return_inverse=True)[1] if by_source else None)
    both = []
    for largest in FORMS.values():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(bootstrap, "_SMALL", largest)
            both.append(resampled_sums(units, entries(units, [values], codes, [3]), seed=seed, replicates=70, first=5))
    assert both[0].dtype == both[1].dtype
    assert both[0].tobytes() == both[1].tobytes()


@pytest.mark.usefixtures("_form")
@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tables, st.booleans())
def test_sums_are_the_sums_of_the_drawn_rows(table: tuple[list, list, list], by_source: bool) -> None:
    rows, family, sources = table
    values, codes = np.array(rows), np.column_stack([family, np.zeros(len(family), dtype=int)])
    units = collapse(
        [values[:, :1], values[:, 1:]], codes, np.unique(sources, return_inverse=True)[1] if by_source else None
    )
    sums = resampled_sums(units, entries(units, [values[:, :2], values[:, 2:]], codes, [3, 1]), seed=3, replicates=5)
    drawn = counts_of(units.multiplicity.tolist(), seed=3, replicates=5)
    for r in range(5):
        expected = np.zeros((4, 4))
        for u, count in enumerate(drawn[:, r]):
            for i in units.rows[units.row_at[u] : units.row_at[u + 1]]:
                for f in (family[i], 3):  # the second partition has one family, after the first's three
                    expected[f] += count * np.append(values[i], 1.0)
        assert np.array_equal(sums[:, :, r], expected)


def test_real_values_are_summed_in_double_precision() -> None:
    values = np.array([[0.1], [0.2], [0.30000001]])
    units = collapse([values], np.zeros((3, 1), dtype=int))
    assert (
        resampled_sums(units, entries(units, [values], np.zeros((3, 1), dtype=int), [1]), seed=1, replicates=2).dtype
        == float
    )
    ones = collapse([np.ones((3, 1))], np.zeros((3, 1), dtype=int))
    assert entries(ones, [np.ones((3, 1))], np.zeros((3, 1), dtype=int), [1]).value.dtype == np.float32


@settings(deadline=None)
@given(
    st.lists(st.one_of(st.floats(-1e6, 1e6), st.sampled_from([0.0, 1.0, 5e-324, math.nan])), min_size=1, max_size=200),
    st.sampled_from([0.025, 0.05, 0.1, 0.25, 0.49]),
)
def test_percentiles_by_selection(values: list[float], alpha: float) -> None:
    kept = [x for x in values if x == x]
    lower, upper = percentile_ends(np.array(values), alpha)
    if not kept:
        assert np.isnan(lower)
        assert np.isnan(upper)
        return
    expected = naive.interval(kept, alpha)
    assert (lower, upper) == pytest.approx(expected, rel=1e-12, abs=1e-12)


@settings(deadline=None, max_examples=30)
@given(tables, st.sampled_from([0.1, 0.2, 0.5]))
def test_label_noise(table: tuple[list, list, list], rate: float) -> None:
    rows, family, _ = table
    labels = noisy_labels(np.array(family), 3, rate=rate, draws=4, seed=9)
    expected = naive_kernels.noisy_labels(family, 3, rate, 4, 9)
    assert labels.size.tolist() == [[label.count(f) for f in range(3)] for label in expected]
    found = bottlenecks(labels, np.array(rows))
    for d, c in np.ndindex(found.shape):
        names = [str(label) for label in expected[d]]
        assert str(found[d, c]) == naive.bottleneck([row[c] for row in rows], names)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: collapse([np.zeros((2, 1))], np.zeros((3, 1), dtype=int)), "same rows"),
        (lambda: collapse([np.full((2, 1), np.nan)], np.zeros((2, 1), dtype=int)), "finite"),
        (lambda: collapse([np.zeros((2, 1))], np.zeros((2, 1), dtype=int), np.array([0, 2])), "without a gap"),
        (lambda: counts_of([1], replicates=0), "replicates 0"),
        (lambda: counts_of([1], seed=-1), "seed -1"),
        (lambda: poisson_tables(np.array([0.0]), np.array([True])), "positive"),
        (lambda: percentile_ends(np.array([np.inf]), 0.1), "infinite"),
        (lambda: percentile_ends(np.array([1.0]), 0.5), "alpha"),
        (lambda: noisy_labels(np.array([0]), 1, rate=0.2, draws=1, seed=1), "nothing to flip"),
    ],
)
def test_wrong_arrays_are_refused(call, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        call()
