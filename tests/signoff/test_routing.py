"""Routing: each family's own walk, against a plain loop over families and budgets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.engine.signoff.families import families_of
from earmark.engine.signoff.routing import policy, split

BUDGETS = (0.1, 0.4, 0.8, 1.0)
KEPT = np.array([[0.2, 0.5, 0.9, 1.0], [0.1, 0.4, 0.8, 1.0]])  # clips of "a" are short: one chunk is a fifth of them
FAMILIES = families_of(["a"] * 10 + ["b"] * 30, {}, 1)


@given(st.lists(st.lists(st.sampled_from([0.0, 0.012, 0.013, 0.5]), min_size=3, max_size=3), min_size=2, max_size=2))
def test_every_family_goes_as_far_as_its_own_walk(p: list[list[float]]) -> None:
    alpha = 0.025
    found = policy(np.array([[*of, 0.0] for of in p]), BUDGETS, KEPT, FAMILIES, 0.05, alpha)
    for of, route in zip(p, found.families, strict=True):
        expected = 1.0
        for budget, at in sorted(zip(BUDGETS, of, strict=False), reverse=True):
            if at > alpha / 2:
                break
            expected = budget
        assert route.budget == expected
        assert (route.p is None) == (expected == 1.0)
        assert route.p is None or route.p <= split(alpha, FAMILIES)
    shares = [
        dict(zip(BUDGETS, kept, strict=True))[route.budget] for kept, route in zip(KEPT, found.families, strict=True)
    ]
    by_hand = (10 * shares[0] + 30 * shares[1]) / 40
    assert found.retained == pytest.approx(by_hand)


def test_a_share_of_alpha_is_all_that_a_family_may_spend() -> None:
    p = np.array([[0.02, 0.02, 0.02, 0.0], [0.01, 0.01, 0.01, 0.0]])  # .02 would pass at alpha, not at its half
    assert [route.budget for route in policy(p, BUDGETS, KEPT, FAMILIES, 0.05, 0.025).families] == [1.0, 0.1]
