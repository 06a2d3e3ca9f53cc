"""What walks are expected to ask: the share, the reason where it is nothing, and that it is always the same."""

import re
from collections.abc import Sequence

import numpy as np
import pytest

from earmark.engine.design.rule import Rule
from earmark.engine.signoff import order
from earmark.engine.signoff.families import families_of
from earmark.engine.signoff.rules import spending
from earmark.engine.signoff.rules.declared_walk import DeclaredRows, DeclaredWalk, declared_walk
from earmark.engine.signoff.sizes import Guess
from earmark.engine.signoff.walk_forecast import Asked, Simulation, asked, simulate, too_small

GUESS = Guess(excess=0.0, flips=0.1)


def walk_about(labels: Sequence[str], rows_per_recording: int = 1, rule: Rule | None = None) -> DeclaredWalk:
    """The walk of one candidate over rows with these labels, in blocks of 64."""
    rule, n = rule or Rule(), len(labels)
    source = np.arange(n) // rows_per_recording
    families = families_of(labels, {}, 1, source)
    places = order.places([f"r{number}" for number in source], [f"q{number}" for number in range(n)])
    sizes = [*[64] * (n // 64), *([n % 64] if n % 64 else [])]
    rows = DeclaredRows(source, places, {"native": families})
    return declared_walk(rows, sizes, rule, spending.levels(rule, 1, decided=True))


def share(outcome: Asked) -> float:
    """Of all evaluations, raw ones and silence too."""
    compressed = sum(float(counts.sum()) for counts in outcome.by_walk)
    places = sum(len(counts) for counts in outcome.by_walk)
    return (compressed + 2 * outcome.references) / (outcome.rows * (places + 2))


def test_a_harmful_method_is_refused_by_a_fraction_of_what_a_safe_one_asks() -> None:
    walk = walk_about(["a", "b", "c", "d"] * 1500)
    safe, harmed = (simulate(Simulation(walk, GUESS, harms), [10]) for harms in (False, True))
    assert 0.1 < share(safe) < 0.5
    assert share(harmed) < share(safe) / 5
    again = simulate(Simulation(walk, GUESS, harms=False), [10])
    assert share(again) == share(safe)


def test_larger_families_take_a_smaller_share_and_more_changes_a_larger_one() -> None:
    small, large = (simulate(Simulation(walk_about(["a", "b"] * n), GUESS, harms=False), [4]) for n in (300, 3000))
    assert share(large) < share(small)
    more = simulate(Simulation(walk_about(["a", "b"] * 3000), Guess(0.0, 0.2), harms=False), [4])
    assert share(more) > share(large)


def test_arms_of_other_lengths_have_their_own_and_many_are_told_from_some() -> None:
    walk = walk_about(["a", "b"] * 500)
    outcome = simulate(Simulation(walk, GUESS, harms=False), [2, 5, *[3] * 40])
    assert [len(counts) for counts in outcome.by_walk] == [2, 5, *[3] * 40]
    assert np.array_equal(outcome.by_walk[2], outcome.by_walk[-1])
    assert max(max(counts) for counts in outcome.by_walk) <= outcome.references <= outcome.rows


@pytest.mark.parametrize("rows_per_recording", [2, 6])
def test_a_walk_that_bets_on_recordings_comes_to_its_end(rows_per_recording: int) -> None:
    """One family of recordings with several questions each."""
    walk = walk_about(["a"] * 3000, rows_per_recording)
    assert walk.design.groups[0].test == "bets"
    rows_asked = asked(walk.design, np.zeros((3, 3000), dtype=np.int8))
    assert rows_asked[:, 0].all() or rows_asked.any(axis=1).all(), "it passes at every budget"
    assert rows_asked.mean() < 0.5, "and early"


def test_where_every_answer_gets_worse_it_is_given_up_after_a_block() -> None:
    walk = walk_about(["a"] * 3000, rule=Rule(tolerances=(0.5,)))
    rows_asked = asked(walk.design, np.ones((3, 3000), dtype=np.int8))
    assert rows_asked.sum(axis=1).tolist() == [64, 0, 0]


def test_nothing_is_asked_where_a_family_is_too_small_and_it_says_which() -> None:
    walk = walk_about(["rare"] * 10 + ["large"] * 500)
    assert share(simulate(Simulation(walk, GUESS, harms=False), [4])) == 0
    assert re.fullmatch(r"too small to be tested: 'rare' \('rare' has 10 of the 7\d it needs\)", too_small(walk))
    assert too_small(walk_about(["large"] * 500)) == ""
    routed = walk_about(["rare"] * 10 + ["large"] * 500, rule=Rule(claim="routing"))
    assert too_small(routed) == "", "a large family has a walk of its own"
    assert "no family is large enough" in too_small(walk_about(["rare"] * 10, rule=Rule(claim="routing")))
