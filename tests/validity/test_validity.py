"""The promise itself: in populations of known truth, what is approved is unsafe at most alpha of the time.

The short form sees gross errors only; that it sees those is shown by mutants, each an error that was once shipped. The
full form (`make validity`) is what docs/validity.md is made of.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import catalogue
import looks
import needed
import numpy as np
import papers_rule
import pytest
import shipped
from populations import Population

from earmark.engine.design.rule import Rule
from earmark.engine.signoff import order, pair
from earmark.engine.signoff.rules import group_tests, spending
from earmark.engine.signoff.rules.group_tests import GroupTest, group_test
from earmark.engine.signoff.rules.units import Units

ALPHA = 0.025
FULL, SHORT = 4_000, 120
UNSAFE = {of.name: of for of in (*catalogue.AUDITED, *catalogue.OWN, *catalogue.FIRST)}
POWERFUL = list(zip(catalogue.POWER, catalogue.LEAST_POWER, strict=True))
LARGE = [name for name in UNSAFE if "large families" in name or "AudioMCQ" in name]  # more than a quick run can afford


def most(repeats: int, alpha: float = ALPHA) -> float:
    """False approvals that luck allows: with 60 populations, beyond this one fails by luck in 6% of all runs."""
    return alpha * repeats + 3.1 * (alpha * (1 - alpha) * repeats) ** 0.5


def is_true(of: Population, repeats: int, seed: int) -> bool:
    return bool(shipped.verdicts(of, repeats, seed).false.sum() <= most(repeats))


@pytest.mark.parametrize("name", [name for name in UNSAFE if name not in LARGE])
def test_nothing_false_is_approved_in_short(name: str) -> None:
    assert is_true(UNSAFE[name], SHORT, seed=5)


# Mutants ---------------------------------------------------------------------------------------------------------


def order_by_id(patch: pytest.MonkeyPatch) -> None:
    """Recordings are bet on as their names say, which begin with data sets."""

    def places(recordings: list[str], samples: list[str]) -> np.ndarray:
        place = np.empty(len(samples), dtype=np.int64)
        place[sorted(range(len(samples)), key=lambda i: (recordings[i], samples[i]))] = np.arange(len(samples))
        return place

    patch.setattr(order, "places", places)


def sums_instead_of_means(patch: pytest.MonkeyPatch) -> None:
    """Sums, scaled by the largest recording of the sample: the excess over rows is tested, and called recordings'."""

    def mutant(units: Units, difference: np.ndarray) -> GroupTest:
        test = group_test(units, difference)
        if test.test != "bets":
            return test
        share = np.bincount(units.recording) / np.bincount(units.recording).max()
        return test._replace(values=test.values * share[:, None], weights=share, by_recording=test.by_row)

    patch.setattr(group_tests, "group_test", mutant)


def largest_of_the_sample(patch: pytest.MonkeyPatch) -> None:
    """Where the most rows of a recording were declared, the scale is what was seen instead."""

    def mutant(units: Units, difference: np.ndarray) -> GroupTest:
        test = group_test(units, difference)
        if units.most_rows is None:
            return test
        scale = units.most_rows / np.bincount(units.recording).max()
        return test._replace(values=test.values * scale, weights=test.weights * scale)

    patch.setattr(group_tests, "group_test", mutant)


def failures_dropped(patch: pytest.MonkeyPatch) -> None:
    """A row without an answer changes nothing."""
    joined_of = pair._join

    def mutant(cell: Any, raw: Any, silence: Any, rule: Rule) -> Any:
        joined = joined_of(cell, raw, silence, rule)
        return joined._replace(difference=np.where(cell.ok, joined.difference, 0.0))

    patch.setattr(pair, "_join", mutant)


def k_ignored(patch: pytest.MonkeyPatch) -> None:
    """Every candidate has all of alpha."""
    levels = spending.levels
    patch.setattr(spending, "levels", lambda rule, _k, **decided: levels(rule, 1, **decided))


DATA_SETS = UNSAFE["data sets in the names, harm in the second: 300 x 4"]
SHORT_ONES = UNSAFE["short recordings are harmed, long ones are not: 800 of 3 or 9"]
DECLARED = UNSAFE["the same, rows declared (at most 200)"]
FAILING = UNSAFE["rows fail, .051 of them: 400"]
EIGHT = UNSAFE["8 candidates, all unsafe: 600 rows"]


@pytest.mark.parametrize(
    ("mutate", "of"),
    [
        (order_by_id, DATA_SETS),
        (sums_instead_of_means, SHORT_ONES),
        (largest_of_the_sample, DECLARED),
        (failures_dropped, FAILING),
        (k_ignored, EIGHT),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_short_form_catches(
    mutate: Callable[[pytest.MonkeyPatch], None], of: Population, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutate(monkeypatch)
    assert not is_true(of, SHORT, seed=5)


def test_the_short_form_catches_the_papers_rule() -> None:
    world = next(world for world in papers_rule.WORLDS if world.name == "one family, n = 50, .051, no -1")
    assert papers_rule.paper(world, 100, seed=5)[0].sum() > most(100)


# Power and looks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("of", "least"), POWERFUL, ids=lambda value: getattr(value, "name", str(value)))
def test_it_has_power(of: Population, least: float) -> None:
    found = shipped.verdicts(of, 200, seed=5).approved.mean()
    assert found >= least - 3 * (least * (1 - least) / 200) ** 0.5


@pytest.mark.parametrize("setting", needed.SETTINGS[::6], ids=str)
def test_the_number_that_is_printed_gives_90_percent_in_short(setting: needed.Setting) -> None:
    n = needed.printed(setting)
    assert 0.8 <= needed.power(setting, n, 300, seed=5) <= 1.0


def test_a_second_look_costs_what_is_said() -> None:
    (of,) = (of for of in catalogue.AUDITED if of.name == "300 recordings of 1 to 10 rows")
    found = looks.new_rows_alone(of, SHORT, seed=5)
    assert found.first.sum() <= most(SHORT)
    assert found.either.sum() <= most(SHORT, 2 * ALPHA)
    assert looks.declared_growth(of, SHORT, seed=5).either.sum() <= most(SHORT)


# In full -----------------------------------------------------------------------------------------------------------


@pytest.mark.validity
@pytest.mark.parametrize("name", UNSAFE)
def test_nothing_false_is_approved_in_full(name: str) -> None:
    assert is_true(UNSAFE[name], FULL, seed=11)


@pytest.mark.validity
@pytest.mark.parametrize(("of", "least"), POWERFUL, ids=lambda value: getattr(value, "name", str(value)))
def test_it_has_power_in_full(of: Population, least: float) -> None:
    assert shipped.verdicts(of, FULL, seed=11).approved.mean() >= least


@pytest.mark.validity
@pytest.mark.parametrize("setting", needed.SETTINGS, ids=str)
def test_the_number_that_is_printed_gives_90_percent(setting: needed.Setting) -> None:
    assert 0.85 <= needed.power(setting, needed.printed(setting), FULL, seed=11) <= 0.95


@pytest.mark.validity
@pytest.mark.parametrize("of", catalogue.LOOKED_AT_TWICE, ids=lambda of: of.name)
def test_two_looks_cost_what_is_said(of: Population) -> None:
    alone = looks.new_rows_alone(of, FULL, seed=11)
    again = alone.second[~alone.first]
    assert alone.first.sum() <= most(FULL)
    assert again.sum() <= most(len(again))
    assert alone.either.sum() <= most(FULL, 2 * ALPHA)
    assert looks.declared_growth(of, FULL, seed=11).either.sum() <= most(FULL)


def test_another_seed_of_the_bootstrap_changes_no_test() -> None:
    of = UNSAFE["mild repeats: 250 of 1 to 3 rows"]
    other = replace(of, rule={"seed": 7})
    assert Rule(**other.rule).seed == 7  # type: ignore[arg-type]
    first, second = (shipped.verdicts(each, 60, seed=5) for each in (of, other))
    assert first.false.tolist() == second.false.tolist()
