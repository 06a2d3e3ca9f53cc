"""Reductions that keep some states as they are and drop the others: far apart, unlike pivots, or with the best scores.

The published methods that the first two follow give no code that could be found: these are reconstructions. Knows
arrays only.
"""

import numpy as np

from earmark.engine.arrays import FloatArray, Scores
from earmark.engine.compressors.chunks.cutting import top_chunks
from earmark.engine.compressors.tokens.reduction import Reduction
from earmark.engine.compressors.tokens.runs import directions


def divprune(states: FloatArray, k: int) -> Reduction:
    """Farthest points by cosine: the one that is the farthest from its nearest, then always the farthest from all that
    are kept; among equals the earlier one.
    """
    unit = directions(states.astype(np.float64))
    distance = 1.0 - unit @ unit.T
    np.fill_diagonal(distance, np.inf)
    kept = [int(np.argmax(distance.min(axis=1)))] if len(states) > 1 else [0]
    nearest = distance[kept[0]].copy()
    nearest[kept[0]] = -np.inf
    while len(kept) < k:
        kept.append(int(np.argmax(nearest)))
        nearest = np.minimum(nearest, distance[kept[-1]])
        nearest[kept[-1]] = -np.inf
    return Reduction.of_kept(kept, len(states))


def dart(states: FloatArray, k: int, n_pivots: int) -> Reduction:
    """The states with the largest L1 norm as pivots, and for each in turn its share of those least like it; the earlier
    among equals. DART ranks by norms of a decoder layer's keys: at an encoder's output there are none.
    """
    pivots = np.argsort(-np.abs(states.astype(np.float64)).sum(axis=1), kind="stable")[: min(n_pivots, k)]
    unit = directions(states.astype(np.float64))
    kept = pivots.tolist()
    ends = len(pivots) + (k - len(pivots)) * np.arange(1, len(pivots) + 1) // len(pivots)
    for pivot, end in zip(pivots.tolist(), ends.tolist(), strict=True):
        likeness = unit @ unit[pivot]
        likeness[kept] = np.inf
        kept += np.argsort(likeness, kind="stable")[: end - len(kept)].tolist()
    return Reduction.of_kept(kept, len(states))


def best(scores: Scores, k: int, tie: float) -> Reduction:
    """The k states with the highest scores (n,), which are equal within `tie`; among equals the earlier one."""
    return Reduction.of_kept(top_chunks(scores, k, tie), len(scores))
