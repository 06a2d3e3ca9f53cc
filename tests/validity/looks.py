"""Looking again as the advice says: new rows alone, or a plan that declared that rows would be added.

Knows one family of independent rows, or of recordings of unequal size, that is unsafe by a hair.
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from populations import Draw, Population

from earmark.engine.design.rule import Rule
from earmark.engine.signoff import power
from earmark.engine.signoff.order import places
from earmark.engine.signoff.rules.group_tests import GroupTest, group_test, p_values
from earmark.engine.signoff.rules.units import units_of

MOST_UNITS = 3_000  # that somebody would ask for after a refusal


class Looks(NamedTuple):
    """Per history: whether the first certificate, the second, and any of them approved what is unsafe."""

    first: np.ndarray
    second: np.ndarray

    @property
    def either(self) -> np.ndarray:
        return self.first | self.second


def new_rows_alone(of: Population, repeats: int, seed: int) -> Looks:
    """After a refusal as many new units as it names, judged by themselves at alpha."""
    rng, rule = np.random.default_rng(seed), Rule()
    found = []
    for _ in range(repeats):
        group = _tested([of.draw(rng)], rule)
        first, second = _passes(group, rule.alpha), False
        if not first:
            enough = power.needed(group, 0, rule.tolerances[0], rule.alpha)
            if enough is not None and enough <= MOST_UNITS:
                draws, units = [], 0
                while units < enough:
                    draws.append(of.draw(rng))
                    units += len(set(draws[-1].recordings))
                second = _passes(_tested(draws, rule), rule.alpha)
        found.append((first, second))
    return Looks(*(np.array(column) for column in zip(*found, strict=True)))


def declared_growth(of: Population, repeats: int, seed: int) -> Looks:
    """looks = 2: the rows, and then the rows with as many added, each at half of alpha."""
    rng, rule = np.random.default_rng(seed), Rule(looks=2)
    found = []
    for _ in range(repeats):
        draws = [of.draw(rng)]
        first = _passes(_tested(draws, rule), rule.look_alpha)
        draws.append(of.draw(rng))
        found.append((first, not first and _passes(_tested(draws, rule), rule.look_alpha)))
    return Looks(*(np.array(column) for column in zip(*found, strict=True)))


def _passes(group: GroupTest, level: float) -> bool:
    return bool(p_values([group], 0.05, level)[0][0] <= level)


def _tested(draws: list[Draw], rule: Rule) -> GroupTest:
    """All rows of some draws as one family, their recordings told apart."""
    names = [f"{i}/{name}" for i, draw in enumerate(draws) for name in draw.recordings]
    samples = [f"{i}/{name}" for i, draw in enumerate(draws) for name in draw.samples]
    change = np.concatenate([next(iter(draw.differences.values()))[:, :1] for draw in draws])
    source = pa.array(names).dictionary_encode().indices.to_numpy().astype(np.int64)
    return group_test(units_of(np.arange(len(names)), source, places(names, samples), rule), change)
