"""Routing: each family's own walk, against a plain loop over families and budgets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.engine.signoff.families import families_of
from earmark.engine.signoff.rules.routing import AlphaShares, policy, shares
from earmark.kernels.statistics import exact

BUDGETS = (0.1, 0.4, 0.8, 1.0)
KEPT = np.array([[0.2, 0.5, 0.9, 1.0], [0.1, 0.4, 0.8, 1.0]])  # clips of "a" are short: one chunk is a fifth of them
FAMILIES = families_of(["a"] * 10 + ["b"] * 30, {}, 1)
HALF = AlphaShares(0.0125, np.array([True, True]))


@given(st.lists(st.lists(st.sampled_from([0.0, 0.012, 0.013, 0.5]), min_size=3, max_size=3), min_size=2, max_size=2))
def test_every_family_goes_as_far_as_its_own_walk(p: list[list[float]]) -> None:
    alpha = 0.025
    found = policy(np.array([[*of, 0.0] for of in p]), BUDGETS, KEPT, FAMILIES, 0.05, HALF)
    for of, route in zip(p, found.families, strict=True):
        expected = 1.0
        for budget, at in sorted(zip(BUDGETS, of, strict=False), reverse=True):
            if at > alpha / 2:
                break
            expected = budget
        assert route.budget == expected
        assert (route.p is None) == (expected == 1.0)
        assert route.p is None or route.p <= alpha / 2
    shares = [
        dict(zip(BUDGETS, kept, strict=True))[route.budget] for kept, route in zip(KEPT, found.families, strict=True)
    ]
    by_hand = (10 * shares[0] + 30 * shares[1]) / 40
    assert found.retained == pytest.approx(by_hand)


def test_a_share_of_alpha_is_all_that_a_family_may_spend() -> None:
    p = np.array([[0.02, 0.02, 0.02, 0.0], [0.01, 0.01, 0.01, 0.0]])  # .02 would pass at alpha, not at its half
    assert [route.budget for route in policy(p, BUDGETS, KEPT, FAMILIES, 0.05, HALF).families] == [1.0, 0.1]


def fewest(_f: int, level: float) -> int:
    return exact.testable_size(0.05, level, level / 50)


def test_alpha_goes_to_families_that_can_use_it() -> None:
    assert shares(0.025, [400, 300, 200], fewest).each == pytest.approx(0.025 / 3)
    found = shares(0.025, [40, 90, 300, 100, 72], fewest)  # 93 are needed at a third, 86 at a half, 73 at all of it
    assert (found.each, found.tested.tolist()) == (0.0125, [False, False, True, True, False])
    assert not shares(0.025, [10, 20], fewest).tested.any()


@given(st.lists(st.integers(1, 600), min_size=1, max_size=12))
def test_as_many_families_share_alpha_as_can_all_pass(n_units: list[int]) -> None:
    split = shares(0.025, n_units, fewest)
    most = next((m for m in range(len(n_units), 0, -1) if sum(n >= fewest(0, 0.025 / m) for n in n_units) >= m), 0)
    assert split.each == 0.025 / max(most, 1)
    assert split.tested.sum() == most
    assert sorted(np.array(n_units)[split.tested]) == sorted(n_units)[len(n_units) - most :]


def test_what_has_no_share_goes_to_raw_audio() -> None:
    p = np.zeros((2, 4))
    found = policy(p, BUDGETS, KEPT, FAMILIES, 0.05, AlphaShares(0.025, np.array([True, False])))
    assert [(route.budget, route.tested) for route in found.families] == [(0.1, True), (1.0, False)]
