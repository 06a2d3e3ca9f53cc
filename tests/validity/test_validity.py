"""The promise itself: in worlds of known truth the certified rule is wrong at most alpha of the time."""

import numpy as np
import pytest
import simulation as sim

WORLDS = {world.name: world for world in sim.WORLDS}
SHORT = [name for name in WORLDS if "large families" not in name]  # what a quick run can afford


def at_most_alpha(false: np.ndarray) -> bool:
    """Within three binomial standard errors."""
    return bool(false.mean() <= sim.ALPHA + 3 * np.sqrt(sim.ALPHA * (1 - sim.ALPHA) / len(false)))


@pytest.mark.parametrize("name", SHORT)
def test_certified_in_short(name: str) -> None:
    assert at_most_alpha(sim.certified(WORLDS[name], 300, seed=5).false)


@pytest.mark.parametrize("name", [name for name in SHORT if len(WORLDS[name].families) > 1])
def test_routing_in_short(name: str) -> None:
    assert at_most_alpha(sim.routed(WORLDS[name], 100, seed=5))


def test_the_check_can_fail() -> None:
    """The paper's rule is caught by the same check: n = 50 without improvements approves far too often."""
    assert not at_most_alpha(sim.paper(WORLDS["one family, n = 50, .051, no -1"], 300, seed=5)[0].false)


def test_the_certified_rule_has_power() -> None:
    world = WORLDS["power: AudioMCQ-like, safe from .4"]
    found = sim.certified(world, 100, seed=5)
    assert (found.certified == world.smallest_safe).mean() >= 0.8
    harmless = sim.certified(WORLDS["power: no answer changes"], 5, seed=5)
    assert (harmless.certified == 0).all()


@pytest.mark.validity
@pytest.mark.parametrize("name", WORLDS)
def test_certified_in_full(name: str) -> None:
    assert at_most_alpha(sim.certified(WORLDS[name], 4000, seed=11).false)


@pytest.mark.validity
@pytest.mark.parametrize("name", [name for name in WORLDS if len(WORLDS[name].families) > 1])
def test_routing_in_full(name: str) -> None:
    assert at_most_alpha(sim.routed(WORLDS[name], 4000, seed=11))
