"""A walk that stops when it is decided against its slow twin: visit by visit, in whatever blocks it is cut."""

from typing import NamedTuple

import naive_exact
import naive_walk
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.engine.design.rule import Rule, gamma_of
from earmark.engine.signoff.families import families_of
from earmark.engine.signoff.order import places
from earmark.engine.signoff.rules import spending
from earmark.engine.signoff.rules.declared_walk import DeclaredRows, DeclaredWalk, declared_walk, order
from earmark.engine.signoff.rules.group_tests import early_share, fewest_units
from earmark.engine.signoff.rules.sequential import TestRecord as Record
from earmark.engine.signoff.rules.sequential import Walker
from earmark.kernels.statistics import exact
from earmark.kernels.statistics.evidence import Evidence, fewest_rows


class Case(NamedTuple):
    walk: DeclaredWalk
    by_family: bool
    difference: np.ndarray  # (B, n)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A few families of rows alone or of shared recordings, cut into blocks; from harmless to harmful."""
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    n_families, across = draw(st.integers(1, 3)), draw(st.booleans())
    n_recordings = draw(st.integers(10, 130))
    most = draw(st.sampled_from([1, 1, 3]))
    source = np.repeat(np.arange(n_recordings), rng.integers(1, most + 1, n_recordings))
    n = len(source)
    family = rng.integers(n_families, size=n) if across else source % n_families
    claim = draw(st.sampled_from(["budget", "routing", "both"]))
    tolerances = draw(st.sampled_from([(0.3,), (0.15,), (0.15, 0.3)]))
    rule = Rule(alpha=draw(st.sampled_from([0.025, 0.2])), tolerances=tolerances, claim=claim)  # type: ignore[arg-type]
    recordings, samples = [f"r{i}" for i in source], [f"s{i}" for i in range(n)]
    families = families_of([f"f{k}" for k in family], {}, 0, source)
    rows = DeclaredRows(source, places(recordings, samples), {"family": families})
    asked_in = source[order(rows, rule)]
    of_recording = np.unique(np.cumsum(np.diff(asked_in, prepend=-1) != 0), return_counts=True)[1]
    cuts = np.flatnonzero(rng.random(len(of_recording) - 1) < draw(st.sampled_from([0.05, 0.3, 1.0]))) + 1
    sizes = [int(portion.sum()) for portion in np.split(of_recording, cuts)]
    walk = declared_walk(rows, sizes, rule, spending.levels(rule, 1, decided=True))
    harm = draw(st.sampled_from([0.0, 0.02, 0.1, 0.3]))
    u = rng.random((draw(st.integers(1, 4)), n))
    return Case(walk, walk.design.by_family, np.where(u < harm, 1.0, np.where(u > 0.96, -1.0, 0.0)))


def twin(case: Case) -> naive_walk.NaiveWalk:
    design = case.walk.design
    groups = []
    for units in design.groups:
        recordings = [units.rows[units.recording == r].tolist() for r in range(units.n)]
        test = units.test
        groups.append(naive_walk.Group(recordings, test == "bets", lambda e, a, test=test: fewest_units(test, e, a)))
    goals = [naive_walk.Goal(dict(goal.tolerances), goal.level) for goal in design.goals]
    everyone = np.argsort(design.place).tolist()
    return naive_walk.NaiveWalk(groups, goals, everyone, design.block.tolist(), design.by_family, final, bet)


def final(values: list[float], _weights: list[float], n: int, eps: float, level: float) -> float:
    return float(exact.p_values(n, values.count(1.0), values.count(-1.0), eps, gamma_of(level)))


def bet(values: list[float], weights: list[float], n: int, eps: float, _level: float) -> float:
    return naive_exact.betting_p_value(values, weights, eps, n)


def gone(case: Case) -> tuple[list[naive_walk.Asked], list[Record]]:
    walker = Walker(case.walk.design, len(case.difference))
    visits, asked = walker.walk(), []
    visit = next(visits, None)
    while visit is not None:
        asked.append(naive_walk.Asked(visit.budget, visit.block, visit.rows.tolist()))
        try:
            visit = visits.send(case.difference[visit.budget, visit.rows])
        except StopIteration:
            break
    return asked, walker.records


@given(cases())
@settings(deadline=None, max_examples=60)
def test_it_goes_as_its_twin(case: Case) -> None:
    expected_visits, expected_ends = twin(case).walk(case.difference.tolist())
    visits, records = gone(case)
    assert visits == expected_visits
    ends = [naive_walk.End(r.goal, r.group, r.budget, r.state, r.asked) for r in records if r.state != "open"]
    by_test = {end[:3]: end for end in ends}
    for end in expected_ends:
        assert by_test.pop(end[:3]) == end  # whatever another goal looked at later
    assert not by_test


@given(cases())
@settings(deadline=None, max_examples=30)
def test_what_passes_is_within_its_level(case: Case) -> None:
    for record in gone(case)[1]:
        level = case.walk.design.goals[record.goal].level
        if record.state != "open":  # its walk ended before it was decided
            assert (record.p <= level) == (record.state in ("passed", "passed early"))


@given(cases())
@settings(deadline=None, max_examples=30)
def test_what_passes_early_has_reached_the_line_of_its_record(case: Case) -> None:
    for record in gone(case)[1]:
        if record.state == "passed early":
            assert record.passing_peak is not None
            assert record.peak >= record.passing_peak - 1e-9


@pytest.mark.parametrize("tolerance", [0.02, 0.05, 0.3])
def test_a_group_that_cannot_pass_early_spends_nothing_on_it(tolerance: float) -> None:
    n = fewest_rows(tolerance, 0.05 * 0.025)
    assert early_share(n - 1, tolerance, 0.025) == 0.0
    assert early_share(n, tolerance, 0.025) == 0.05
    unchanged = Evidence(tolerance)
    unchanged.feed(np.zeros(n - 1))
    assert np.exp(-unchanged.peak) / 0.05 > 0.025
    unchanged.feed(np.zeros(1))
    assert np.exp(-unchanged.peak) / 0.05 <= 0.025
    assert fewest_units("exact", tolerance, 0.025) < n


def of_shared_recordings(n_recordings: int, *, across: bool) -> tuple[DeclaredWalk, np.ndarray]:
    """A walk over two families of recordings of one to eight rows each, in blocks of five; and differences."""
    rng = np.random.default_rng(7)
    sizes = rng.integers(1, 9, n_recordings)
    source = np.repeat(np.arange(n_recordings), sizes)
    n = len(source)
    family = np.arange(n) % 2 if across else source % 2
    rule = Rule(tolerances=(0.3,))
    families = families_of([f"f{k}" for k in family], {}, 0, source)
    rows = DeclaredRows(source, places([f"r{i}" for i in source], [f"s{i}" for i in range(n)]), {"family": families})
    asked_in = source[order(rows, rule)]
    of_recording = sizes[asked_in[np.flatnonzero(np.diff(asked_in, prepend=-1))]]
    block_sizes = [int(portion.sum()) for portion in np.split(of_recording, np.arange(5, n_recordings, 5))]
    return declared_walk(rows, block_sizes, rule, spending.levels(rule, 1, decided=True)), rng.random(n) < 0.1


@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("parity", [0, 1])
def test_a_shard_bets_on_the_recordings_that_it_has(across: bool, parity: int) -> None:
    walk, difference = of_shared_recordings(80, across=across)
    walker = Walker(walk.design, 1)
    visits, ours = walker.walk(), set()
    visit = next(visits, None)
    while visit is not None:
        is_ours = visit.block % 2 == parity
        ours |= set(visit.rows.tolist()) if is_ours else set()
        try:
            visit = visits.send(difference[visit.rows].astype(np.float64) if is_ours else None)
        except StopIteration:
            break
    for record in walker.records:
        units = walk.design.groups[record.group]
        assert units.test == "bets"
        rows_of = [units.rows[units.recording == r] for r in range(units.n)]
        values = [float(difference[rows].mean()) for rows in rows_of if set(rows.tolist()) <= ours]
        assert 0 < record.asked <= len(values)
        p = naive_exact.betting_p_value(values[: record.asked], [1.0] * record.asked, 0.3, units.n)
        assert record.p == pytest.approx(p)


def test_answers_that_end_in_one_family_leave_it_open_and_go_on_in_the_next() -> None:
    walk, difference = of_shared_recordings(80, across=False)
    walker = Walker(walk.design, 2)
    visits, asked = walker.walk(), {}
    visit = next(visits, None)
    while visit is not None:
        assert visit.budget == 0  # nothing is known at the one below
        group = next(g for g, units in enumerate(walk.design.groups) if visit.rows[0] in units.rows)
        asked[group] = asked.get(group, 0) + 1
        try:
            visit = visits.send(difference[visit.rows].astype(np.float64) if asked[group] < 3 else np.empty(0))
        except StopIteration:
            break
    assert asked == {0: 3, 1: 3}
    assert [record.state for record in walker.records] == ["open", "open"]
    assert all(0 < record.asked < record.of for record in walker.records)
