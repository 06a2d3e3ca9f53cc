"""Chains and overlaps (method 3): which family costs how much budget, and whether two families need the same audio.

Every step and listed ratio is recomputed inside each replicate. Knows excess and families; no files.
"""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np

from earmark.engine.signoff.audit_entry import Chain, ChainStep, FamilyOverlap, PairRatio, RatioSummary
from earmark.engine.signoff.excess import Excess
from earmark.engine.signoff.families import Families
from earmark.engine.signoff.pair import Curve
from earmark.kernels.statistics import frontier as kernel
from earmark.kernels.statistics.order_statistics import percentile_ends

_LISTED_FAMILIES = 12  # beyond it nobody reads the pairs: their summary is kept


def chain(
    point: Excess,
    replicates: Excess,
    families: Families,
    curve: Curve,
    tolerance: float,
    alpha: float,
    key: Mapping[str, Any],
) -> Chain:
    """Add families from the smallest to the largest; each step's frontier and increment, with intervals.

    `key` are the fields of a ResultKey, here and below.
    """
    order = families.by_size
    frontier = kernel.chain(point.sums, order, curve.budgets, tolerance)[:, 0]
    resampled = kernel.chain(replicates.sums, order, curve.budgets, tolerance)
    lower, upper = percentile_ends(resampled, alpha)
    increment = np.diff(frontier, prepend=np.nan)
    increment_lower, increment_upper = percentile_ends(np.diff(resampled, axis=0), alpha)
    steps = tuple(
        ChainStep(
            step=i + 1,
            family=families.names[f],
            n=int(families.size[f]),
            n_cumulative=int(families.size[order[: i + 1]].sum()),
            frontier=float(frontier[i]),
            lower=float(lower[i]),
            upper=float(upper[i]),
            increment=float(increment[i]) if i else None,
            increment_lower=float(increment_lower[i - 1]) if i else None,
            increment_upper=float(increment_upper[i - 1]) if i else None,
        )
        for i, f in enumerate(order)
    )
    costs = np.nan_to_num(increment, nan=-np.inf)  # the first step has no increment, and is never the dearest
    dearest = families.names[order[int(costs.argmax())]] if costs.max() > 0 else None
    return Chain(**key, tolerance=tolerance, steps=steps, bottleneck=dearest)


def overlap(
    point: Excess,
    replicates: Excess,
    families: Families,
    curve: Curve,
    tolerance: float,
    alpha: float,
    key: Mapping[str, Any],
) -> FamilyOverlap | None:
    """Budget of two families together over the sum of their budgets, for every pair; None with one family.

    With many families the pairs are only summed up.
    """
    pairs = np.array(list(combinations(range(len(families.names)), 2)), dtype=np.int64)
    if not len(pairs):
        return None
    ratios = kernel.pair_ratios(point.sums, pairs, curve.budgets, tolerance)[:, 0]
    listed = pairs if len(families.names) <= _LISTED_FAMILIES else pairs[:0]
    lower, upper = percentile_ends(kernel.pair_ratios(replicates.sums, listed, curve.budgets, tolerance), alpha)
    return FamilyOverlap(
        **key,
        tolerance=tolerance,
        pairs=tuple(
            PairRatio((families.names[g], families.names[h]), float(ratios[i]), float(lower[i]), float(upper[i]))
            for i, (g, h) in enumerate(listed)
        ),
        summary=RatioSummary(
            pairs=len(pairs),
            min=float(ratios.min()),
            median=float(np.median(ratios)),
            mean=float(ratios.mean()),
            max=float(ratios.max()),
        ),
    )
