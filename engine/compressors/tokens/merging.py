"""Reductions that merge what is alike, wherever it is: bipartite matching in rounds (ToMe), near by or all over.

The published methods they follow give no equations that could be found: these are reconstructions. Knows arrays only.
"""

import numpy as np

from earmark.engine.arrays import FloatArray, IntArray
from earmark.engine.compressors.tokens.reduction import Reduction
from earmark.engine.compressors.tokens.runs import directions


def global_merge(states: FloatArray, k: int) -> Reduction:
    """The most alike of every second state with any of the others, in rounds, until k groups are left."""
    return _merged(states, k, np.inf)


def ltbm(states: FloatArray, k: int, window: float) -> Reduction:
    """The same among states that are at most `window` positions apart; it is doubled where none may merge."""
    return _merged(states, k, window)


def _merged(states: FloatArray, k: int, window: float) -> Reduction:
    n = len(states)
    label: IntArray = np.arange(n)
    total, size, place = states.astype(np.float64).copy(), np.ones(n), np.arange(n, dtype=np.float64)
    while len(total) > k:
        sources, targets = np.arange(0, len(total), 2), np.arange(1, len(total), 2)
        unit = directions(total)
        likeness = unit[sources] @ unit[targets].T
        apart = np.abs(place[sources][:, None] - place[targets][None, :])
        likeness = np.where(apart <= window, likeness, -np.inf)
        if not np.isfinite(likeness).any():
            window *= 2
            continue
        best = np.argmax(likeness, axis=1)  # the earlier one among equals
        value = likeness[np.arange(len(sources)), best]
        order = np.argsort(-value, kind="stable")
        n_merged = min(len(total) - k, int(np.isfinite(value).sum()))
        into: IntArray = np.arange(len(total))
        into[sources[order[:n_merged]]] = targets[best[order[:n_merged]]]
        groups = Reduction.of_labels(into).group
        total, weighted = _sums(total, groups), np.bincount(groups, weights=place * size)
        size = np.bincount(groups, weights=size).astype(np.float64)
        place = np.asarray(weighted / size)
        label = groups[label]
    return Reduction.of_labels(label)


def _sums(rows: FloatArray, group: IntArray) -> FloatArray:
    """(k, d) sums of the rows (n, d) of each group, added in their order."""
    sums = np.zeros((int(group.max()) + 1, rows.shape[1]))
    np.add.at(sums, group, rows)
    return sums
