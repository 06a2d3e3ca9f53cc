"""Is the printed number of questions enough? Settings of rates, sizes and likeness, and the power at that number.

Simulated from independent draws: nothing here knows how the number was found.
"""

from typing import NamedTuple

import numpy as np

from earmark.engine.design.rule import Rule
from earmark.engine.signoff import power as shipped_power
from earmark.engine.signoff.order import places
from earmark.engine.signoff.rules.group_tests import group_test, p_values
from earmark.engine.signoff.rules.units import units_of


class Setting(NamedTuple):
    """What is true of a family; `sizes` are rows of a recording, each as likely."""

    excess: float
    flips: float
    tolerance: float = 0.05
    level: float = 0.025
    sizes: tuple[int, ...] = (1,)
    icc: float = 0.0

    def __str__(self) -> str:
        rows = f", {min(self.sizes)} to {max(self.sizes)} rows, ICC {self.icc:g}" if max(self.sizes) > 1 else ""
        return (
            f"excess {self.excess:g}, flips {self.flips:g}, tolerance {self.tolerance:g}, level {self.level:.2g}{rows}"
        )


_ONE_TO_TEN, _FOUR = tuple(range(1, 11)), (4,)
SETTINGS = (
    *(Setting(*rates) for rates in ((0.0, 0.01), (0.0, 0.02), (0.0, 0.03), (0.0, 0.08), (0.0, 0.15), (0.0, 0.3))),
    *(Setting(*rates) for rates in ((0.01, 0.01), (0.01, 0.02), (0.01, 0.05), (0.01, 0.1), (0.01, 0.3))),
    *(Setting(*rates) for rates in ((0.02, 0.02), (0.02, 0.04), (0.02, 0.1), (0.03, 0.03), (0.03, 0.1))),
    *(Setting(*rates) for rates in ((-0.01, 0.02), (-0.01, 0.1))),
    *(Setting(*rates, tolerance=0.02) for rates in ((0.0, 0.01), (0.0, 0.05), (0.005, 0.02), (0.01, 0.03))),
    *(Setting(*rates, level=0.025 / 8) for rates in ((0.0, 0.02), (0.0, 0.1), (0.01, 0.05), (0.02, 0.05))),
    *(Setting(0.0, 0.03, sizes=_ONE_TO_TEN, icc=icc) for icc in (0.0, 0.2, 0.5, 0.8)),
    *(Setting(0.0, 0.1, sizes=_ONE_TO_TEN, icc=icc) for icc in (0.0, 0.5, 0.8)),
    *(Setting(0.01, 0.05, sizes=_FOUR, icc=icc) for icc in (0.0, 0.2, 0.5, 0.8)),
    *(Setting(0.02, 0.1, sizes=_FOUR, icc=icc) for icc in (0.2, 0.5, 0.8)),
)


def printed(setting: Setting) -> int:
    """The number of rows, or of recordings."""
    if max(setting.sizes) == 1:
        found = shipped_power.needed_rows(setting.excess, setting.flips, setting.tolerance, setting.level)
    else:
        values, weights = shipped_power.recordings_like(setting.sizes, setting.excess, setting.flips, setting.icc)
        found = shipped_power.needed_recordings(values, weights, setting.tolerance, setting.level)
    assert found is not None, "the excess is within the tolerance"
    return found


def power(setting: Setting, n: int, repeats: int, seed: int) -> float:
    """Share of evaluation sets of n units that pass the shipped test."""
    rng, rule = np.random.default_rng(seed), Rule()
    plus, minus = (setting.flips + setting.excess) / 2, (setting.flips - setting.excess) / 2
    groups = []
    for _ in range(repeats):
        sizes = rng.choice(setting.sizes, size=n)
        recording = np.repeat(np.arange(n), sizes)
        shared = rng.random(len(recording)) < setting.icc**0.5
        fate = np.where(shared, rng.random(n)[recording], rng.random(len(recording)))
        change = np.where(fate < plus, 1.0, np.where(1 - fate < minus, -1.0, 0.0))
        if not groups or max(setting.sizes) > 1:
            names = [f"r{i}" for i in recording]
            place = places(names, [f"{name}/{k}" for k, name in enumerate(names)])
            units = units_of(np.arange(len(names)), recording, place, rule)
        groups.append(group_test(units, change[:, None]))
    return float(np.mean([p[0] <= setting.level for p in p_values(groups, setting.tolerance, setting.level)]))
