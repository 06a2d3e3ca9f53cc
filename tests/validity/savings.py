"""What stopping when it is decided saves, and whether the verdict is that of all rows: worlds of benchmark sizes.

Sizes are those of families in public benchmarks; ten budgets; all numbers are of a single evaluation set each.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import shipped
from populations import Group, Population, Stratum, population

BUDGETS = tuple(round(0.05 + 0.09 * i, 2) for i in range(10))  # .05 to .86
LARGE = (6000,) * 4
FOUR = (1166, 1724, 6085, 10505)  # AudioMCQ by question type
NINE = (150, 420, 800, 1166, 1724, 2100, 3000, 4120, 6000)  # as many rows, by data set
DCASE = (120, 187, 250, 300, 350, 400)
TWELVE = (106, 212, 318, 318, 424, 424, 424, 530, 530, 530, 530, 654)  # MMSU by category
FORTY_SEVEN = (106,) * 47  # MMSU by task
MMAR = (165, 217, 618)
BIG_BENCH = (250,) * 4


class Saving(NamedTuple):
    """Of some evaluation sets."""

    share: float  # mean share of all evaluations that were asked
    agree: float  # share of methods of which the same was approved as by all rows
    more: float  # share of methods of which more was approved


class World(NamedTuple):
    """A population, what its walks may ask and how often they agree with all rows."""

    of: Population
    most: float | None  # share of evaluations; None: no promise
    least: float  # agreement


def compare(of: Population, repeats: int, seed: int) -> Saving:
    """Walks that stop when they are decided beside the complete rule, on the same evaluation sets."""
    walks, whole = (shipped.verdicts(of, repeats, seed, decided=decided) for decided in (True, False))
    more = walks.each - whole.each
    return Saving(float(walks.share.mean()), float((abs(more) < 1e-9).mean()), float((more < -1e-9).mean()))


def sized(
    name: str,
    sizes: Sequence[int],
    excess: float | Sequence[float],
    flips: float,
    rows: int = 1,
    k: int = 1,
    claim: str = "budget",
) -> Population:
    """Families of so many rows, all of the same excess and at least so many changes."""
    floor = np.broadcast_to(np.asarray(excess, dtype=float), len(BUDGETS))
    minus = max(0.0, (flips - float(floor.min())) / 2)
    groups = [
        Group(n // rows, (Stratum(1.0, tuple(floor.tolist()), minus, (rows,)),), f"f{i:02d}")
        for i, n in enumerate(sizes)
    ]
    arms = tuple(f"m{i}" for i in range(k))
    return population(name, groups, arms, budgets=BUDGETS, rule={"claim": claim}, coupled=False)


def falling(at_smallest: float, safe_from: float) -> tuple[float, ...]:
    """An excess that falls as the budget grows, and is at most half of the tolerance from `safe_from` on."""
    below = sum(budget < safe_from for budget in BUDGETS)
    steep = np.linspace(at_smallest, 0.06, below)
    return (*steep.tolist(), *np.linspace(0.025, 0.0, len(BUDGETS) - below).tolist())


FALLING = falling(0.25, 0.4)
SAFE = 0.0
WORLDS = (
    World(sized("4 families of 6,000, safe, flips 3%", LARGE, SAFE, 0.03), 0.07, 0.95),
    World(sized("4 families of 6,000, safe, flips 10%", LARGE, SAFE, 0.10), 0.2, 0.95),
    World(sized("4 families of 6,000, all unsafe (.10)", LARGE, 0.10, 0.12), 0.01, 0.95),
    World(sized("4 families of 6,000, borderline (.045)", LARGE, 0.045, 0.075), None, 0.95),
    World(sized("AudioMCQ, 4 types, safe, flips 3%", FOUR, SAFE, 0.03), 0.1, 0.95),
    World(sized("AudioMCQ, 9 families, harm falls", NINE, FALLING, 0.03), 0.1, 0.9),
    World(sized("AudioMCQ, 9 families, 8 methods", NINE, FALLING, 0.03, k=8), None, 0.9),
    World(sized("AudioMCQ, 9 families, routing", NINE, FALLING, 0.03, claim="routing"), None, 0.9),
    World(sized("DCASE, 6 families, harm falls", DCASE, FALLING, 0.03), None, 0.9),
    World(sized("MMSU, 12 families, harm falls", TWELVE, FALLING, 0.03), None, 0.9),
    World(sized("MMSU, 12 families, routing", TWELVE, FALLING, 0.03, claim="routing"), None, 0.9),
    World(sized("MMSU, 47 families of 106, harm falls", FORTY_SEVEN, FALLING, 0.03), None, 0.9),
    World(sized("MMAR, 3 families, harm falls", MMAR, FALLING, 0.03), None, 0.9),
    World(sized("BigBench, 4 families of 250, harm falls", BIG_BENCH, FALLING, 0.03), None, 0.9),
    World(sized("bets: 4 families of 1,000 recordings of 3 rows, safe", (3000,) * 4, SAFE, 0.03, rows=3), None, 0.95),
)
