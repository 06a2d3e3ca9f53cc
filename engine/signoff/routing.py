"""The routing policy: every family at its own budget, or on raw audio, safe as a whole with confidence 1 - alpha.

Each of G families walks its own budgets from the largest down at alpha / G. An unsafe policy needs a family that
passed its first unsafe budget, which happens with probability at most alpha / G in each: alpha in all, whatever
depends on what. The policy claims every family's tolerance, and with it the same tolerance for the average. Knows
p-values, no outcomes and no files.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from earmark.engine.signoff.families import Families
from earmark.engine.signoff.rule import Policy, Route

FloatArray = npt.NDArray[np.float64]


def split(alpha: float, families: Families) -> float:
    """What each family may spend."""
    return alpha / len(families.names)


def policy(
    p: FloatArray, budgets: Sequence[float], kept: FloatArray, families: Families, tolerance: float, alpha: float
) -> Policy:
    """Every family at the smallest budget that its walk reaches; p (G, B) of tests at `split(alpha)`.

    `kept` (G, B) is the mean share of a clip's chunks that was kept.
    """
    each = split(alpha, families)
    routes = [
        _route(name, int(n), p[g], budgets, each)
        for g, (name, n) in enumerate(zip(families.names, families.size, strict=True))
    ]
    shares = [1.0 if r.budget == 1 else kept[g, list(budgets).index(r.budget)] for g, r in enumerate(routes)]
    retained = float(np.average(shares, weights=families.size))
    return Policy(tolerance, each, retained, routes)


def _route(family: str, n: int, p: FloatArray, budgets: Sequence[float], alpha: float) -> Route:
    """Down to the last budget that passes with all larger ones; budgets ascend."""
    route, worst = Route(family, n, 1.0, None), 0.0
    for b in reversed(range(len(budgets))):
        worst = max(worst, float(p[b]))
        if worst > alpha:
            break
        if budgets[b] < 1:
            route = Route(family, n, float(budgets[b]), worst)
    return route
