"""How much walks will ask that stop when they are decided: they are gone a few times over answers that are guessed.

The families, blocks and levels are those that were declared; only what compression changes is a guess. Knows no answer
but those that it is told, no price and no file.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from earmark.engine.arrays import BoolArray, FloatArray
from earmark.engine.errors import first_few
from earmark.engine.signoff.rules.declared_walk import DeclaredWalk
from earmark.engine.signoff.rules.group_tests import fewest_units
from earmark.engine.signoff.rules.sequential import Design, Walker
from earmark.engine.signoff.sizes import Guess

LEAST_CHANGES = 0.3  # at the largest budget, as a share of the changes that are guessed for the smallest
HARM = 2.0  # excess of a family that is harmed, in tolerances
_SETS = 5  # evaluation sets that are simulated, at most
_MOST_WALKS = 12  # that are gone in all of them, about
_MOST_ROWS = 3_000_000  # that are drawn for them, about
_SEED = 42

Changes = npt.NDArray[np.int8]  # (B, n) by how much a row's loss rises at each budget


@dataclass(frozen=True, slots=True)
class Simulation:
    """Guessed answers to the questions of a walk."""

    walk: DeclaredWalk
    guess: Guess  # at the smallest budget; its flips are fewer at larger ones
    harms: bool  # whether one family, another one in each set, is harmed at every budget

    def flips(self, n_budgets: int) -> FloatArray:
        """(B,) the share of answers that change at each budget, from the largest down."""
        if n_budgets == 1:
            return np.array([(1 + LEAST_CHANGES) / 2 * self.guess.flips])
        return self.guess.flips * np.linspace(LEAST_CHANGES, 1.0, n_budgets)

    def draw(self, number: int, arm: int, n_budgets: int) -> Changes:
        """What changes for an arm in a set, always the same."""
        rng = np.random.default_rng([_SEED, number, arm])
        rows = self.walk.rows
        n, n_sources = len(rows.source), int(rows.source.max()) + 1
        excess = self._excess(number)
        changes = np.empty((n_budgets, n), dtype=np.int8)
        for budget, share in enumerate(self.flips(n_budgets)):
            fate = rng.random(n)
            shared = rng.random(n) < math.sqrt(self.guess.icc)
            fate[shared] = rng.random(n_sources)[rows.source[shared]]
            flips = np.maximum(share, np.abs(excess))
            worse, better = fate < (flips + excess) / 2, 1 - fate < (flips - excess) / 2
            changes[budget] = worse.astype(np.int8) - better
        return changes

    def _excess(self, number: int) -> FloatArray:
        """(n,) the true excess of every row."""
        excess = np.full(len(self.walk.rows.source), self.guess.excess)
        if self.harms:
            families = next(iter(self.walk.rows.families_of.values()))
            largest = max(max(goal.tolerances.values()) for goal in self.walk.design.goals)
            excess[families.code == number % len(families.names)] = min(HARM * largest, 1.0)
        return excess


class Asked(NamedTuple):
    """How many rows are asked, of an answerer, on average over sets."""

    rows: int  # that there are
    by_walk: tuple[FloatArray, ...]  # (B,) for each arm, compressed ones at each budget
    references: float  # raw ones, and as many of silence


def simulate(simulation: Simulation, n_budgets: Sequence[int]) -> Asked:
    """How much arms with so many budgets ask; where they are many, some stand for others with as many budgets."""
    design, n = simulation.walk.design, len(simulation.walk.rows.source)
    n_walks = max(1, min(_MOST_WALKS, _MOST_ROWS // (n * max(n_budgets))))
    chosen = _some(n_budgets, n_walks)
    n_sets = max(1, min(_SETS, n_walks // len(chosen)))
    references = 0.0
    of_length = {length: np.zeros(length) for length in n_budgets}
    times = dict.fromkeys(of_length, 0)
    for number in range(n_sets):
        raw = np.zeros(n, dtype=np.bool_)
        for arm in chosen:
            rows_asked = asked(design, simulation.draw(number, arm, n_budgets[arm]))
            raw |= rows_asked.any(axis=0)
            of_length[n_budgets[arm]] += rows_asked.sum(axis=1)
            times[n_budgets[arm]] += 1
        references += float(raw.sum()) / n_sets
    return Asked(n, tuple(of_length[length] / times[length] for length in n_budgets), references)


def _some(n_budgets: Sequence[int], most: int) -> list[int]:
    """Arms that are simulated: one of each length, and then others, up to `most`."""
    first = {length: arm for arm, length in reversed(list(enumerate(n_budgets)))}
    others = [arm for arm in range(len(n_budgets)) if arm not in first.values()]
    return sorted([*first.values(), *others[: max(0, most - len(first))]])


def asked(design: Design, changes: Changes | FloatArray) -> BoolArray:
    """(B, n) which rows a walk asks at each budget, if answers change so."""
    rows_asked = np.zeros(changes.shape, dtype=np.bool_)
    visits = Walker(design, len(changes)).walk()
    visit = next(visits, None)
    while visit is not None:
        rows_asked[visit.budget, visit.rows] = True
        try:
            visit = visits.send(changes[visit.budget, visit.rows].astype(np.float64))
        except StopIteration:
            break
    return rows_asked


def too_small(walk: DeclaredWalk) -> str:
    """Why nothing is asked, as a part of a sentence, where families are too small for every goal; else empty."""
    name_of = {
        group: walk.rows.families_of[partition].names[f]
        for (partition, f), group in walk.group_of.items()
        if f < len(walk.rows.families_of[partition].names)
    }
    lacking: dict[int, int] = {}  # units that a group needs
    for goal in walk.design.goals:
        small = {
            group: fewest
            for group, tolerance in goal.tolerances.items()
            if walk.design.groups[group].n
            < (fewest := fewest_units(walk.design.groups[group].test, tolerance, goal.level))
        }
        if not small:
            return ""
        lacking |= small
    if not lacking:
        return "no family is large enough to be tested"
    names = [name_of.get(group, "all rows") for group in lacking]
    worst = max(lacking, key=lambda group: lacking[group] - walk.design.groups[group].n)
    has, name = walk.design.groups[worst].n, name_of.get(worst, "all rows")
    return f"too small to be tested: {first_few(names)} ('{name}' has {has:,} of the {lacking[worst]:,} it needs)"
