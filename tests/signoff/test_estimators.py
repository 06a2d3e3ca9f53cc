"""Every estimator against its slow twin, on random tables."""

import hashlib
from typing import NamedTuple
from unittest.mock import patch

import naive
import numpy as np
import pytest
import worlds
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.engine.design.rule import Rule
from earmark.engine.signoff import excess, order
from earmark.engine.signoff.audits import chain, gain, query_use, robustness, seeds
from earmark.engine.signoff.families import coarsened, families_of
from earmark.engine.signoff.frontier import frontiers
from earmark.engine.signoff.rules.judgement import Interval
from earmark.engine.signoff.rules.paper import judge
from earmark.kernels.statistics.bootstrap import resampled_sums
from earmark.kernels.statistics.collapse import ResamplingUnits, collapse, entries
from earmark.kernels.statistics.order_statistics import percentile_ends

KEY = {"answerer": "tiny", "corpus": "sounds", "method": "energy", "seed": 0, "partition": "native"}
SEED = 7
REPLICATES = 100
CLOSE = {"rel": 1e-9, "abs": 1e-9}

tolerances = st.sampled_from([0.0, 0.01, 0.05, 0.1, 0.25, 1 / 3])


FLIPS = st.sampled_from([-1.0, 0.0, 0.0, 1.0, 1.0])


class Table(NamedTuple):
    budgets: list[float]
    rows: list[list[float]]  # (n, B)
    labels: list[str]
    sources: list[int]

    @property
    def by_budget(self) -> list[list[float]]:
        return [list(column) for column in zip(*self.rows, strict=True)]

    @property
    def curve(self):
        return worlds.curve(self.budgets, self.rows)

    @property
    def families(self):
        return worlds.families(self.labels)


@st.composite
def tables(draw: st.DrawFn, values: st.SearchStrategy[float] = FLIPS) -> Table:
    n = draw(st.integers(1, 30))
    below = draw(st.lists(st.sampled_from([0.05, 0.1, 0.2, 0.4, 0.7]), unique=True, max_size=4))
    budgets = [*sorted(below), 1.0]
    rows = draw(st.lists(st.lists(values, min_size=len(budgets), max_size=len(budgets)), min_size=n, max_size=n))
    labels = draw(st.lists(st.sampled_from("abcde"), min_size=n, max_size=n))
    sources = draw(st.lists(st.integers(0, 9), min_size=n, max_size=n))
    return Table(budgets, rows, labels, np.unique(sources, return_inverse=True)[1].tolist())


real_tables = tables(values=st.floats(-1, 1, allow_nan=False, width=32))


@given(st.one_of(tables(), real_tables))
def test_excess_damage_concentration_and_counts(table: Table) -> None:
    observed = excess.observe(table.curve, table.families)
    for b, d in enumerate(table.by_budget):
        assert observed.average[b] == pytest.approx(naive.mean(d), **CLOSE)
        of_family = naive.excess_by_family(d, table.labels)
        assert dict(zip(table.families.names, observed.family[:, b], strict=True)) == pytest.approx(of_family, **CLOSE)
        assert observed.worst[b] == pytest.approx(naive.worst(d, table.labels)[1], **CLOSE)
        assert observed.plus[:, b].sum() == sum(x > 0 for x in d)
        assert observed.minus[:, b].sum() == sum(x < 0 for x in d)


@given(tables())
def test_worst_family_and_concentration(table: Table) -> None:
    observed = excess.observe(table.curve, table.families)
    for b, d in enumerate(table.by_budget):
        of_family = observed.family[:, b]
        assert excess.worst_family(of_family, table.families) == naive.worst(d, table.labels)[0]
        expected = naive.concentration_top2(d, table.labels)
        assert excess.concentration_top2(of_family, table.families) == (
            None if expected is None else pytest.approx(expected, **CLOSE)
        )


@given(st.one_of(tables(), real_tables), tolerances, tolerances)
def test_frontiers_on_three_axes(table: Table, tolerance: float, tolerance_average: float) -> None:
    curve = table.curve
    observed = excess.observe(curve, table.families).excess
    found = frontiers(observed, None, curve, tolerance, tolerance_average)
    average = [naive.mean(d) for d in table.by_budget]
    worst = naive.subset_excess(table.by_budget, table.labels, set(table.labels))
    for variant, values, eps in (("average", average, tolerance_average), ("family", worst, tolerance)):
        grid = naive.grid_frontier(table.budgets, values, eps)
        assert found["grid", variant].point == (float("inf") if grid is None else grid)
        interpolated = naive.interpolated_frontier(table.budgets, values, eps)
        assert found["interpolated", variant].point == pytest.approx(interpolated, **CLOSE)
        tokens = naive.token_frontier(table.budgets, [100 * b for b in table.budgets], values, eps)
        assert found["tokens", variant].point == pytest.approx(tokens, **CLOSE)


@given(tables(), tolerances)
def test_chain_and_overlaps(table: Table, tolerance: float) -> None:
    curve, families = table.curve, table.families
    point, resampled = _both(table)
    made = chain.chain(point, resampled, families, curve, tolerance, 0.025, KEY)
    expected = naive.chain(table.by_budget, table.labels, table.budgets, tolerance)
    assert [(s.family, s.n) for s in made.steps] == [(e[0], e[1]) for e in expected]
    for step, (_, _, frontier, increment) in zip(made.steps, expected, strict=True):
        assert step.frontier == pytest.approx(frontier, **CLOSE)
        assert step.increment == (None if increment is None else pytest.approx(increment, **CLOSE))
    overlap = chain.overlap(point, resampled, families, curve, tolerance, 0.025, KEY)
    assert (overlap is None) == (len(families.names) == 1)
    for pair in overlap.pairs if overlap else []:
        ratio = naive.overlap_ratio(table.by_budget, table.labels, table.budgets, *pair.families, tolerance)
        assert pair.ratio == pytest.approx(ratio, **CLOSE)


@settings(deadline=None, max_examples=40)
@given(tables(), tolerances)
def test_a_chain_is_the_same_some_steps_at_a_time(table: Table, tolerance: float) -> None:
    arguments = (*_both(table), table.families, table.curve, tolerance, 0.025, KEY)
    with patch.object(chain, "_STEP_BYTES", 1):
        step_by_step = chain.chain(*arguments)
    assert step_by_step == chain.chain(*arguments)


@settings(deadline=None, max_examples=40)
@given(tables(), tolerances)
def test_pairs_are_of_the_largest_families(table: Table, tolerance: float) -> None:
    arguments = (*_both(table), table.families, table.curve, tolerance, 0.025, KEY)
    every_pair = chain.overlap(*arguments)
    with patch.object(chain, "PAIRED_FAMILIES", 2):
        largest = chain.overlap(*arguments)
    if every_pair is None or largest is None:
        assert every_pair is largest
        return
    by_size = sorted(table.families.names, key=lambda name: (-table.labels.count(name), name))
    assert [pair for pair in every_pair.pairs if {*pair.families} == {*by_size[:2]}] == [*largest.pairs]
    assert largest.summary.pairs == 1


@settings(deadline=None, max_examples=40)
@given(tables(), tolerances, st.booleans())
def test_bootstrap_replicates_and_their_statistics(table: Table, tolerance: float, by_source: bool) -> None:
    """The rows of each replicate, given to the twin, give the twin's statistics: one resample for everything."""
    point, resampled = _both(table, by_source)
    expected = naive.resampled_statistics(
        table.by_budget, table.labels, _draws(table, by_source), table.budgets, tolerance
    )
    for r, statistics in enumerate(expected):
        assert resampled.average[:, r].tolist() == pytest.approx(statistics["average"], **CLOSE)
        assert resampled.worst[:, r].tolist() == pytest.approx(statistics["worst"], **CLOSE)
        for f, name in enumerate(table.families.names):
            of_family = [None if np.isnan(x) else x for x in resampled.family[f, :, r]]
            assert of_family == [None if x is None else pytest.approx(x, **CLOSE) for x in statistics["family"][name]]
    located = frontiers(point, resampled, table.curve, tolerance, tolerance)
    for variant in ("average", "family"):
        replicates = located["interpolated", variant].replicates
        assert replicates.tolist() == pytest.approx([s[f"{variant}_frontier"] for s in expected], **CLOSE)
        ends = percentile_ends(replicates, 0.025)
        assert [float(end) for end in ends] == pytest.approx(naive.interval(replicates.tolist(), 0.025), **CLOSE)


@settings(deadline=None, max_examples=40)
@given(tables(), st.data())
def test_partitions_share_one_resample(table: Table, data: st.DataObject) -> None:
    """The average of a replicate is the same under every partition."""
    other = data.draw(st.lists(st.sampled_from("xyz"), min_size=len(table.rows), max_size=len(table.rows)))
    together = _replicates(table, {"a": table.labels, "b": other})
    assert np.array_equal(together["a"].average, together["b"].average)


@settings(deadline=None, max_examples=60)
@given(tables(), tolerances, st.data())
def test_refinement_never_lowers_the_worst_family_nor_the_frontier(
    table: Table, tolerance: float, data: st.DataObject
) -> None:
    split = data.draw(st.lists(st.sampled_from("12"), min_size=len(table.rows), max_size=len(table.rows)))
    finer = [label + half for label, half in zip(table.labels, split, strict=True)]
    resampled = _replicates(table, {"coarse": table.labels, "fine": finer})
    coarse, fine = (
        (excess.observe(table.curve, worlds.families(labels)).excess, resampled[name])
        for name, labels in (("coarse", table.labels), ("fine", finer))
    )
    for of_coarse, of_fine in zip(coarse, fine, strict=True):  # observed, then every replicate
        assert (of_fine.worst >= of_coarse.worst - 1e-12).all()
        assert (of_coarse.worst >= of_coarse.average - 1e-12).all()  # the coarsest partition is the average
    frontier_of = [frontiers(*of_partition, table.curve, tolerance, tolerance) for of_partition in (coarse, fine)]
    for axis in ("grid", "interpolated"):
        of_coarse, of_fine = (found[axis, "family"] for found in frontier_of)
        assert of_fine.point >= of_coarse.point - 1e-9
        assert (of_fine.replicates >= of_coarse.replicates - 1e-9).all()


@given(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=60), st.integers(1, 20), st.data())
def test_rare_families_join_their_parents(labels: list[str], n_min: int, data: st.DataObject) -> None:
    # parents point upwards in the alphabet or to a new family, so that there is no circle
    parents = {
        child: data.draw(st.sampled_from([*"bcdefz"[i:], "z"]))
        for i, child in enumerate("abcde")
        if data.draw(st.booleans())
    }
    merged, rare = naive.merge_rare(labels, parents, n_min)
    found = families_of(labels, parents, n_min)
    assert [found.names[c] for c in found.code] == merged
    assert sorted(found.rare) == sorted(rare)
    assert found.size.sum() == len(labels)  # nothing is dropped


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 4)), min_size=1, max_size=12), st.integers(1, 4))
def test_a_family_is_as_large_as_its_recordings_are_many(rows: list[tuple[str, int]], n_min: int) -> None:
    labels, recordings = [label for label, _ in rows], np.array([recording for _, recording in rows])
    families = families_of(labels, {"a": "b"}, n_min, recordings)
    joined = len({recording for label, recording in rows if label == "a"}) < n_min
    own = {label: "b" if label == "a" and joined else label for label in "abc"}
    assert [families.names[code] for code in families.code] == [own[label] for label in labels]
    n_recordings = {name: len({r for label, r in rows if own[label] == name}) for name in families.names}
    assert families.rare == tuple(name for name in families.names if n_recordings[name] < n_min)
    assert [rows.tolist() for rows in families.members] == [
        [i for i, label in enumerate(labels) if own[label] == name] for name in families.names
    ]


@given(st.lists(st.tuples(st.sampled_from(["r", "é", ""]), st.integers(0, 9)), max_size=12))
def test_rows_are_in_the_order_of_the_hashes_of_their_names(rows: list[tuple[str, int]]) -> None:
    def digest(name: str) -> bytes:
        return hashlib.sha256(f"earmark order 1|{name}".encode()).digest()

    recordings, samples = [recording for recording, _ in rows], [str(sample) for _, sample in rows]
    pairs = [*zip(recordings, samples, strict=True)]
    by_hash = sorted(range(len(rows)), key=lambda i: [digest(name) for name in pairs[i]])
    assert order.places(recordings, samples)[by_hash].tolist() == [*range(len(rows))]


@given(tables())
def test_coarsening(table: Table) -> None:
    groups = coarsened(table.families)
    expected = naive.coarsen(table.labels)
    assert [sorted(table.families.names[f] for f in group) for group in groups] == [sorted(group) for group in expected]
    entries = robustness.coarsening(table.curve, table.families, excess.observe(table.curve, table.families), KEY)
    assert len(entries) == (len(table.budgets) - 1 if len(table.families.names) > 2 else 0)
    for entry, d in zip(entries, table.by_budget, strict=False):
        share = naive.share_destroyed(d, table.labels)
        assert entry.share_destroyed == (None if share is None else pytest.approx(share, rel=1e-6, abs=1e-6))


def test_label_noise_keeps_a_bottleneck_that_stands_out_and_loses_one_that_does_not() -> None:
    labels = ["a"] * 200 + ["b"] * 200
    clear = [[1.0, 0.0]] * 100 + [[0.0, 0.0]] * 300
    tied = [[1.0, 0.0]] * 21 + [[0.0, 0.0]] * 179 + [[1.0, 0.0]] * 20 + [[0.0, 0.0]] * 180
    kept = {}
    for name, rows in (("clear", clear), ("tied", tied)):
        curve, families = worlds.curve([0.4, 1.0], rows), worlds.families(labels)
        noise = robustness.noisy(families, SEED)
        (entry,) = robustness.label_noise(curve, families, excess.observe(curve, families), noise, KEY)
        assert entry.bottleneck == naive.bottleneck([row[0] for row in rows], labels) == "a"
        kept[name] = entry.preserved
    assert kept["clear"] == 1.0
    assert 0.3 < kept["tied"] < 0.8


@given(st.lists(st.sampled_from([-0.1, 0.0, 0.02, 0.3, 1e-14]), min_size=1, max_size=5))
def test_seeds_and_bands(values: list[float]) -> None:
    found = seeds.spread(values)
    expected = naive.student_t(values, 0.95)
    for one, other in zip(found[:4], expected[:4], strict=True):
        assert (None if np.isnan(one) else one) == (None if other is None else pytest.approx(other, **CLOSE))
    assert found.direction == naive.direction_over_seeds(values)
    for value in values:
        assert query_use.band(value) == naive.band(value)


@given(st.lists(st.sampled_from([-0.2, -0.0, 0.0, 0.1]), min_size=1, max_size=30))
def test_two_sided_p(replicates: list[float]) -> None:
    assert gain.two_sided_p(np.array(replicates)) == pytest.approx(naive.two_sided_p(replicates), **CLOSE)


ends = st.tuples(st.floats(-0.2, 0.2), st.floats(-0.2, 0.2)).map(sorted)


@given(ends, ends, st.sampled_from([0.0, 0.02, 0.05]), st.sampled_from([None, 0.01, 0.05]))
def test_the_paper_rule(average: list[float], family: list[float], tolerance: float, own: float | None) -> None:
    rule = Rule(name="paper", tolerances=(tolerance,), tolerance_average=own)
    interval = Interval(0.0, *average)
    worst = Interval(0.0, *family)
    verdict = judge(rule, tolerance, interval, {"a": worst}, worst, worst, ())
    eps_average = tolerance if own is None else own
    assert verdict.decision == naive.paper_decision(tuple(average), tuple(family), eps_average, tolerance)


def test_a_rare_family_can_neither_pass_nor_fail() -> None:
    rule, good, bad = Rule(name="paper"), Interval(0, -0.01, 0.01), Interval(0.5, 0.3, 0.7)
    assert judge(rule, 0.05, good, {"a": good, "b": good}, good, good, ["b"]).decision == "inconclusive"
    assert judge(rule, 0.05, good, {"a": good, "b": bad}, bad, good, ["b"]).decision == "inconclusive"
    assert judge(rule, 0.05, good, {"a": bad, "b": good}, bad, bad, ["b"]).decision == "reject"


def _replicates(table: Table, partitions: dict[str, list[str]], by_source: bool = False):
    coded = {name: worlds.families(labels) for name, labels in partitions.items()}
    source = np.array(table.sources) if by_source else None
    (((_, resampled),),) = excess.replicate([table.curve], coded, source, replicates=REPLICATES, seed=SEED)
    return resampled


def _both(table: Table, by_source: bool = False):
    observed = excess.observe(table.curve, table.families).excess
    return observed, _replicates(table, {"p": table.labels}, by_source)["p"]


def _draws(table: Table, by_source: bool) -> list[list[int]]:
    """The rows of each replicate: every unit counted as a family of its own."""
    source = np.array(table.sources) if by_source else None
    values = np.array(table.rows)
    units = collapse([values], table.families.code[:, None], source)
    n_units = len(units.multiplicity)
    once = [units.rows[units.row_at[u] : units.row_at[u + 1]].tolist() for u in range(n_units)]
    alone = ResamplingUnits(units.multiplicity, np.arange(n_units + 1), np.arange(n_units))
    of_unit = entries(alone, [np.zeros((n_units, 1))], np.arange(n_units)[:, None], [n_units])
    counts = resampled_sums(alone, of_unit, seed=SEED, replicates=REPLICATES)[:, -1].astype(int)
    return [[i for u in range(n_units) for i in once[u] * counts[u, r]] for r in range(REPLICATES)]
