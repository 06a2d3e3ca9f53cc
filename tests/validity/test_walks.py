"""The promise where a sweep stops when it is decided: nothing false is approved more often than alpha, whoever looks.

And what stopping saves, and how often the verdict is that of all rows. `make validity` has the full form.
"""

from collections.abc import Callable

import catalogue
import numpy as np
import pytest
import savings
import shipped
from populations import Population
from test_validity import EIGHT, FAILING, FULL, LARGE, SHORT, UNSAFE, failures_dropped, k_ignored, most, order_by_id

from earmark.engine.design.rule import gamma_of
from earmark.engine.signoff.rules import sequential
from earmark.engine.signoff.rules.group_tests import early_share
from earmark.engine.signoff.rules.units import Units
from earmark.kernels.statistics import exact

LEVEL, TOLERANCE, UNSAFE_EXCESS = 0.0125, 0.05, 0.0501  # two methods share alpha
SIZES, BUDGETS = (150, 300, 900), 3
TWO_LARGE = (900, 900)
SAVED = {world.of.name: world for world in savings.WORLDS}


def is_true(of: Population, repeats: int, seed: int) -> bool:
    return bool(shipped.verdicts(of, repeats, seed, decided=True).false.sum() <= most(repeats))


@pytest.mark.parametrize("name", [name for name in UNSAFE if name not in LARGE])
def test_no_walk_approves_what_is_false_in_short(name: str) -> None:
    assert is_true(UNSAFE[name], SHORT, seed=5)


@pytest.mark.validity
@pytest.mark.parametrize("name", UNSAFE)
def test_no_walk_approves_what_is_false_in_full(name: str) -> None:
    assert is_true(UNSAFE[name], FULL, seed=11)


# Mutants ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mutate", "of"), [(failures_dropped, FAILING), (k_ignored, EIGHT)])
def test_the_short_form_of_walks_catches(
    mutate: Callable[[pytest.MonkeyPatch], None], of: Population, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutate(monkeypatch)
    assert not is_true(of, SHORT, seed=5)


def test_the_short_form_of_walks_catches_an_order_by_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """Harmless data sets come first: a family passes before the harmful ones are looked at."""
    order_by_id(monkeypatch)
    (of,) = (of for of in catalogue.AUDITED if of.name == "data sets in the names, harm in the second: 300 x 4")
    assert not is_true(of, SHORT, seed=5)


# An adversary ------------------------------------------------------------------------------------------------------


class Test:
    """A family at a budget, looked at block by block."""

    __test__ = False

    def __init__(self, n: int) -> None:
        rows = np.arange(n)
        self.looked = sequential._GroupSoFar(Units("exact", "rows", n, rows, rows, None), [TOLERANCE])
        self.n = n
        self.early = early_share(n, TOLERANCE, LEVEL)

    def passes(self) -> bool:
        return self.looked.p(TOLERANCE, LEVEL, self.early) <= LEVEL

    def passes_without_a_share(self) -> bool:
        """A mutant: the exact test again after every block, each time at all of the level."""
        plus, minus = self.looked.counts()
        return bool(exact.p_values(self.looked.n, plus, minus, TOLERANCE, gamma_of(LEVEL)) <= LEVEL)


def world(rng: np.random.Generator, sizes: tuple[int, ...]) -> dict[tuple[int, int, int], np.ndarray]:
    """Differences by method, budget from the largest down, and family: one family is unsafe from some budget on."""
    differences = {}
    for method in range(2):
        harmed, begins = rng.integers(len(sizes)), rng.integers(BUDGETS if sizes is SIZES else 1)
        for budget in range(BUDGETS):
            for family, n in enumerate(sizes):
                excess = UNSAFE_EXCESS if family == harmed and budget >= begins else 0.0
                u = rng.random(n)
                worse, better = u < excess + 0.01, u >= 0.99
                differences[method, budget, family] = worse.astype(np.float64) - better
        differences[method, -1, 0] = np.array([begins])
    return differences


def is_fooled(
    rng: np.random.Generator, passes: Callable[[Test], bool], *, skips: bool = False, sizes: tuple[int, ...] = SIZES
) -> bool:
    """Whether an adversary gets an unsafe budget approved. It sees everything after each block, and picks method,
    budget, family and block size; it stops where it likes, goes back to what looked promising, and claims whichever
    walk has had a moment at which each of its families passed. Where it `skips`, it leaves out a block that did harm.
    """
    differences = world(rng, sizes)
    tests = {key: Test(sizes[key[2]]) for key in differences if key[1] >= 0}
    passed: set[tuple[int, int, int]] = set()
    seen: dict[tuple[int, int, int], int] = {}
    waiting = {key for key in tests if key[1] == 0}
    while waiting:
        promising = max(waiting, key=lambda key: (-differences_seen(tests[key]), rng.random()))
        key = promising if rng.random() < 0.7 else sorted(waiting)[rng.integers(len(waiting))]
        test, n = tests[key], int(rng.integers(1, 90))
        seen[key] = seen.get(key, 0) + n
        block = differences[key][seen[key] - n : seen[key]]
        if not (skips and block.sum() > 0):
            test.looked.feed(block)
        if test.looked.n and passes(test):
            passed.add(key)
        if key in passed or seen[key] >= test.n:
            waiting.discard(key)
            method, budget, _ = key
            if budget + 1 < BUDGETS and all((method, budget, family) in passed for family in range(len(sizes))):
                waiting |= {(method, budget + 1, family) for family in range(len(sizes))}
    for method in range(2):
        begins = int(differences[method, -1, 0][0])
        if all((method, budget, family) in passed for budget in range(begins + 1) for family in range(len(sizes))):
            return True
    return False


def differences_seen(test: Test) -> float:
    """The mean excess so far."""
    return float(test.looked.values.mean()) if test.looked.n else 0.0


def fooled(repeats: int, passes: Callable[[Test], bool], *, skips: bool = False, sizes: tuple[int, ...] = SIZES) -> int:
    rng = np.random.default_rng(11)
    return sum(is_fooled(rng, passes, skips=skips, sizes=sizes) for _ in range(repeats))


def test_an_adversary_that_sees_everything_is_not_approved_more_often_than_alpha() -> None:
    assert fooled(200, Test.passes) <= most(200)
    assert fooled(200, Test.passes, sizes=TWO_LARGE) <= most(200)


def test_it_would_be_if_all_of_alpha_were_spent_at_every_look() -> None:
    assert fooled(200, Test.passes_without_a_share, sizes=TWO_LARGE) > most(200)


def test_it_would_be_if_rows_counted_beyond_a_gap() -> None:
    assert fooled(60, Test.passes, skips=True, sizes=(3000, 3000)) > most(60)


@pytest.mark.validity
def test_an_adversary_in_full() -> None:
    assert fooled(FULL, Test.passes) <= most(FULL)
    assert fooled(FULL, Test.passes, sizes=TWO_LARGE) <= most(FULL)


# Savings -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(SAVED)[:6])
def test_a_walk_asks_little_and_agrees_in_short(name: str) -> None:
    world_of = SAVED[name]
    saving = savings.compare(world_of.of, 6, seed=5)
    assert world_of.most is None or saving.share <= 1.3 * world_of.most
    assert saving.agree >= 0.6
    assert saving.more <= 0.2


@pytest.mark.validity
@pytest.mark.parametrize("name", SAVED)
def test_a_walk_asks_little_and_agrees(name: str) -> None:
    world_of = SAVED[name]
    saving = savings.compare(world_of.of, 400, seed=11)
    assert world_of.most is None or saving.share <= world_of.most
    assert saving.agree >= world_of.least
