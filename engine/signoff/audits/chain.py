"""Chains and overlaps (method 3): which family costs how much budget, and whether two families need the same audio.

Every step and listed ratio is recomputed inside each replicate. Knows excess and families; no files.
"""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np

from earmark.engine.arrays import FloatArray, IntArray
from earmark.engine.signoff.audit_entry import PAIRED_FAMILIES, Chain, ChainStep, FamilyOverlap, PairRatio, RatioSummary
from earmark.engine.signoff.excess import Excess
from earmark.engine.signoff.families import Families
from earmark.engine.signoff.pair import Curve
from earmark.kernels.statistics import frontier as kernel
from earmark.kernels.statistics.order_statistics import percentile_ends

_LISTED_FAMILIES = 12  # beyond it nobody reads the pairs: their summary is kept
_STEP_BYTES = 1 << 24  # of the frontiers of a chain's steps held at a time


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
    frontier = kernel.chain(point.sums, order, curve.budgets, tolerance, _nothing(point, curve))[:, 0]
    (lower, upper), (increment_lower, increment_upper) = _chain_ends(replicates, order, curve, tolerance, alpha)
    increment = np.diff(frontier, prepend=np.nan)
    n_cumulative = families.size[order].cumsum()
    steps = tuple(
        ChainStep(
            step=i + 1,
            family=families.names[f],
            n=int(families.size[f]),
            n_cumulative=int(n_cumulative[i]),
            frontier=float(frontier[i]),
            lower=float(lower[i]),
            upper=float(upper[i]),
            increment=float(increment[i]) if i else None,
            increment_lower=float(increment_lower[i]) if i else None,
            increment_upper=float(increment_upper[i]) if i else None,
        )
        for i, f in enumerate(order)
    )
    costs = np.nan_to_num(increment, nan=-np.inf)  # the first step has no increment, and is never the dearest
    dearest = families.names[order[int(costs.argmax())]] if costs.max() > 0 else None
    return Chain(**key, tolerance=tolerance, steps=steps, bottleneck=dearest)


def _chain_ends(
    replicates: Excess, order: IntArray, curve: Curve, tolerance: float, alpha: float
) -> tuple[FloatArray, FloatArray]:
    """Percentile ends (2, F) of the frontier of every step and of its increment; the first has none (NaN).

    Some steps at a time, so that the replicates of a long chain need not be held.
    """
    n_replicates = replicates.sums.table.shape[1]
    n_steps = max(1, _STEP_BYTES // (8 * n_replicates))
    frontier_ends, increment_ends = np.empty((2, len(order))), np.empty((2, len(order)))
    so_far, before = _nothing(replicates, curve), np.full((1, n_replicates), np.nan)
    for first in range(0, len(order), n_steps):
        steps = slice(first, first + n_steps)
        frontier = kernel.chain(replicates.sums, order[steps], curve.budgets, tolerance, so_far)
        frontier_ends[:, steps] = percentile_ends(frontier, alpha)
        increment_ends[:, steps] = percentile_ends(np.diff(frontier, axis=0, prepend=before), alpha)
        before = frontier[-1:]
    return frontier_ends, increment_ends


def _nothing(excess: Excess, curve: Curve) -> FloatArray:
    """The largest mean of no family: (B, R)."""
    return np.full((len(curve.budgets), excess.sums.table.shape[1]), -np.inf)


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

    With many families the pairs are only summed up, with very many those of the largest ones.
    """
    paired = families.largest(PAIRED_FAMILIES)
    names = [families.names[f] for f in np.flatnonzero(paired)]
    pairs = np.array(list(combinations(range(len(names)), 2)), dtype=np.int64)
    if not len(pairs):
        return None
    ratios = kernel.pair_ratios(point.only(paired).sums, pairs, curve.budgets, tolerance)[:, 0]
    listed = pairs if len(names) <= _LISTED_FAMILIES else pairs[:0]
    resampled = kernel.pair_ratios(replicates.only(paired).sums, listed, curve.budgets, tolerance)
    lower, upper = percentile_ends(resampled, alpha)
    return FamilyOverlap(
        **key,
        tolerance=tolerance,
        pairs=tuple(
            PairRatio((names[g], names[h]), float(ratios[i]), float(lower[i]), float(upper[i]))
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
