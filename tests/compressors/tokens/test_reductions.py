"""Reductions of an encoder's output: equal to slow twins, and the equalities between them."""

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.engine.arrays import FloatArray
from earmark.engine.compressors.tokens.merging import global_merge, ltbm
from earmark.engine.compressors.tokens.picking import best, dart, divprune
from earmark.engine.compressors.tokens.reducing import ReductionSpec, reduction_of
from earmark.engine.compressors.tokens.reduction import Reduction, kept_positions
from earmark.engine.compressors.tokens.runs import adjacent, pool, random, sample, segment

ALL: dict[str, Callable[[FloatArray, int], Reduction]] = {
    "pool": lambda states, k: pool(len(states), k),
    "sample": lambda states, k: sample(len(states), k),
    "random": lambda states, k: random(len(states), k, "a clip, seed 1"),
    "segment": segment,
    "adjacent": adjacent,
    "global_merge": global_merge,
    "ltbm": lambda states, k: ltbm(states, k, 3),
    "divprune": divprune,
    "dart": lambda states, k: dart(states, k, 4),
    "best": lambda states, k: best(states[:, 0], k, 0.0),
}


@st.composite
def reducible(draw: st.DrawFn) -> tuple[FloatArray, int]:
    n = draw(st.integers(1, 24))
    few = draw(st.booleans())  # few different values: ties
    values = st.integers(-1, 1) if few else st.integers(-1000, 1000)
    states = np.array(draw(st.lists(st.lists(values, min_size=3, max_size=3), min_size=n, max_size=n)), dtype=float)
    return states, draw(st.integers(1, n))


@pytest.mark.parametrize("name", ALL)
@given(reducible())
@settings(max_examples=60, deadline=None)
def test_every_reduction_has_k_groups_in_the_order_of_time(name: str, case: tuple[FloatArray, int]) -> None:
    states, k = case
    reduction = ALL[name](states, k)
    group = reduction.group
    assert len(group) == len(states)
    assert reduction.k == k
    kept = group[group >= 0]
    firsts = [int(np.argmax(group == g)) for g in range(k)]
    assert firsts == sorted(firsts)
    assert set(kept.tolist()) == set(range(k))
    assert reduction.sizes.sum() == pytest.approx(len(states))
    assert (reduction.sizes > 0).all()
    if k == len(states):
        assert group.tolist() == list(range(k))  # everything is kept as it is
        assert (reduction.sizes == 1).all()


@given(st.integers(1, 12), st.integers(1, 6))
def test_pool_is_an_average_pooling_where_k_divides_n(k: int, run: int) -> None:
    torch = pytest.importorskip("torch")
    states = torch.randn(1, 2, k * run)
    group = torch.from_numpy(pool(k * run, k).group)
    means = torch.stack([states[..., group == g].mean(dim=-1) for g in range(k)], dim=-1)
    assert torch.allclose(means, torch.nn.functional.avg_pool1d(states, run), atol=1e-6)


@given(reducible())
@settings(deadline=None)
def test_a_window_over_everything_is_no_window(case: tuple[FloatArray, int]) -> None:
    states, k = case
    assert ltbm(states, k, len(states)).group.tolist() == global_merge(states, k).group.tolist()


def cosine(a: list[float], b: list[float]) -> float:
    lengths = math.sqrt(sum(x * x for x in a)), math.sqrt(sum(x * x for x in b))
    a = [x / (lengths[0] or 1.0) for x in a]
    b = [x / (lengths[1] or 1.0) for x in b]
    return sum(x * y for x, y in zip(a, b, strict=True))


def numbered(groups: list[list[int]], n: int) -> list[int]:
    out = [-1] * n
    for number, members in enumerate(sorted(groups, key=min)):
        for member in members:
            out[member] = number
    return out


def mean(states: list[list[float]], members: list[int]) -> list[float]:
    return [sum(states[m][i] for m in members) for i in range(len(states[0]))]


def naive_adjacent(states: list[list[float]], k: int) -> list[int]:
    runs = [[i] for i in range(len(states))]
    while len(runs) > k:
        likeness = [round(cosine(mean(states, a), mean(states, b)), 9) for a, b in pairwise(runs)]
        at = likeness.index(max(likeness))
        runs[at : at + 2] = [runs[at] + runs[at + 1]]
    return numbered(runs, len(states))


def naive_merge(states: list[list[float]], k: int, window: float) -> list[int]:
    groups = [[i] for i in range(len(states))]
    while len(groups) > k:
        edges = []
        for a in range(0, len(groups), 2):
            options = [
                (-round(cosine(mean(states, groups[a]), mean(states, groups[b])), 9), b)
                for b in range(1, len(groups), 2)
                if abs(np.mean(groups[a]) - np.mean(groups[b])) <= window + 1e-9
            ]
            if options:
                edges.append((min(options)[0], a, min(options)[1]))
        if not edges:
            window *= 2
            continue
        for _, a, b in sorted(edges)[: len(groups) - k]:
            groups[b] = groups[b] + groups[a]
            groups[a] = []
        groups = sorted((g for g in groups if g), key=min)
    return numbered(groups, len(states))


def naive_divprune(states: list[list[float]], k: int) -> list[int]:
    n = len(states)
    far = [[round(1 - cosine(states[i], states[j]), 9) for j in range(n)] for i in range(n)]
    nearest = [min((far[i][j] for j in range(n) if j != i), default=0.0) for i in range(n)]
    kept = [nearest.index(max(nearest))]
    while len(kept) < k:
        rest = [i for i in range(n) if i not in kept]
        kept.append(max(rest, key=lambda i: (min(far[i][j] for j in kept), -i)))
    return numbered([[i] for i in kept], n)


def naive_dart(states: list[list[float]], k: int, n_pivots: int) -> list[int]:
    n = len(states)
    pivots = sorted(range(n), key=lambda i: (-sum(map(abs, states[i])), i))[: min(k, n_pivots)]
    kept = list(pivots)
    for turn, pivot in enumerate(pivots, start=1):
        share = len(pivots) + (k - len(pivots)) * turn // len(pivots) - len(kept)
        rest = sorted((round(cosine(states[i], states[pivot]), 9), i) for i in range(n) if i not in kept)
        kept += [i for _, i in rest[:share]]
    return numbered([[i] for i in kept], n)


def naive_segment(states: list[list[float]], k: int) -> list[int]:
    n = len(states)
    like = [round(cosine(states[i], states[i + 1]), 9) for i in range(n - 1)]
    borders = sorted(sorted(range(n - 1), key=lambda i: (like[i], i))[: k - 1])
    starts = [0, *(i + 1 for i in borders), n]
    return numbered([list(range(a, b)) for a, b in pairwise(starts)], n)


def naive_best(states: list[list[float]], k: int) -> list[int]:
    kept = sorted(range(len(states)), key=lambda i: (-states[i][0], i))[:k]
    return numbered([[i] for i in kept], len(states))


TWINS: dict[str, Callable[[list[list[float]], int], list[int]]] = {
    "segment": naive_segment,
    "adjacent": naive_adjacent,
    "global_merge": lambda states, k: naive_merge(states, k, math.inf),
    "ltbm": lambda states, k: naive_merge(states, k, 3),
    "divprune": naive_divprune,
    "dart": lambda states, k: naive_dart(states, k, 4),
    "best": naive_best,
}


@pytest.mark.parametrize("name", TWINS)
@pytest.mark.parametrize("seed", range(12))
def test_reductions_are_those_of_a_slow_twin(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 40))
    states = rng.standard_normal((n, 5))
    for k in {1, (n + 1) // 2, max(1, n - 1), n}:
        assert ALL[name](states, k).group.tolist() == TWINS[name](states.tolist(), k)


@pytest.mark.parametrize(("budget", "n", "k"), [(0.3, 10, 3), (0.29, 100, 29), (0.01, 10, 1), (1.0, 7, 7)])
def test_a_budget_pays_for_whole_positions(budget: float, n: int, k: int) -> None:
    assert kept_positions(budget, n) == k


def test_what_is_kept_stands_for_its_surroundings() -> None:
    reduction = Reduction.of_kept([1, 6], 8)
    assert reduction.centres.tolist() == [1, 6]
    assert reduction.sizes.tolist() == [4, 4]
    merged = Reduction.of_labels(np.array([5, 5, 2, 5, 2]))
    assert merged.group.tolist() == [0, 0, 1, 0, 1]
    assert merged.centres.tolist() == [pytest.approx(4 / 3), 3]
    assert merged.sizes.tolist() == [3, 2]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_states_that_are_not_finite_are_refused_whatever_the_kind(value: float) -> None:
    states = np.ones((4, 3))
    states[2, 1] = value
    for kind in ("pool", "global_merge", "dart"):
        spec = ReductionSpec(kind, 0.5, False, window_s=1, n_pivots=2)
        with pytest.raises(ValueError, match="not finite"):
            reduction_of(spec, states, 1.0, "a clip")
        assert len(reduction_of(spec, np.ones((4, 3)), 1.0, "a clip").group) == 4
