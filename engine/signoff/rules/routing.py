"""The routing policy: every family at its own budget, or on raw audio, safe as a whole with confidence 1 - alpha.

Each of m families walks its own budgets from the largest down at alpha / m. An unsafe policy needs a family that
passed its first unsafe budget, which happens with probability at most alpha / m in each: alpha in all, whatever
depends on what. Families that cannot pass at such a share spend none of it and go to raw audio. The policy claims
every family's tolerance, and with it the same tolerance for their mixture. Knows p-values, no outcomes and no files.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from earmark.engine.arrays import BoolArray, FloatArray
from earmark.engine.signoff.families import Families
from earmark.engine.signoff.rules.judgement import Policy, Route


class AlphaShares(NamedTuple):
    """How alpha is split: equally among the families that can pass at what they get."""

    each: float
    tested: BoolArray  # (F,)


def shares(alpha: float, n_units: Sequence[int], fewest: Callable[[int, float], int]) -> AlphaShares:
    """Split alpha equally among as many families as can all pass at such a share, chosen by their sizes alone.

    `n_units` are the independent units of each family, `fewest(f, level)` is the number that family f needs to
    pass at a level. Where more families could be tested than there are shares, those that exceed it most are.
    """
    chosen = np.zeros(len(n_units), dtype=np.bool_)
    m, too_many = 0, len(n_units) + 1  # m can all pass; fewer can too, for a larger share asks for no more units
    while too_many - m > 1:
        middle = (m + too_many) // 2
        n_able = sum(n >= fewest(f, alpha / middle) for f, n in enumerate(n_units))
        m, too_many = (middle, too_many) if n_able >= middle else (m, middle)
    if m == 0:
        return AlphaShares(alpha, chosen)
    spare = [n / fewest(f, alpha / m) for f, n in enumerate(n_units)]
    chosen[sorted(range(len(n_units)), key=lambda f: (-spare[f], f))[:m]] = True
    return AlphaShares(alpha / m, chosen)


def policy(
    p: FloatArray, budgets: Sequence[float], kept: FloatArray, families: Families, tolerance: float, split: AlphaShares
) -> Policy:
    """Every family at the smallest budget that its walk reaches; p (F, B) are of tests at level `split.each`.

    `kept` (F, B) is the mean share of a clip's chunks that was kept.
    """
    routes = [
        _route(name, int(n), p[f] if split.tested[f] else None, budgets, split.each)
        for f, (name, n) in enumerate(zip(families.names, families.size, strict=True))
    ]
    retained = [1.0 if r.budget == 1 else kept[f, list(budgets).index(r.budget)] for f, r in enumerate(routes)]
    return Policy(tolerance, split.each, float(np.average(retained, weights=families.size)), routes)


def _route(family: str, n: int, p: FloatArray | None, budgets: Sequence[float], alpha: float) -> Route:
    """The last budget below 1 that passes with all larger ones, else raw audio; budgets ascend, p None: untested."""
    route, worst = Route(family, n, 1.0, None, p is not None), 0.0
    if p is None:
        return route
    for b in reversed(range(len(budgets))):
        worst = max(worst, float(p[b]))
        if worst > alpha:
            break
        if budgets[b] < 1:
            route = Route(family, n, float(budgets[b]), worst, True)
    return route
