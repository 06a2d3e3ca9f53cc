"""One assignment says everything about a reduction: which group each position of an encoder's output belongs to.

It is an array, so it is hashed, stored and tested without a model. Knows positions; no states and no way of reducing.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from earmark.engine.arrays import FloatArray, IntArray

DROPPED = -1


class Reduction(NamedTuple):
    """The group of every position (n,), or DROPPED. Groups are numbered by the time of their first member."""

    group: IntArray

    @classmethod
    def of_runs(cls, starts: Sequence[int] | IntArray, n: int) -> "Reduction":
        """Neighbours together: a group begins at each of these positions, the first of which is 0."""
        begins = np.zeros(n, dtype=np.int64)
        begins[np.asarray(starts, dtype=np.int64)] = 1
        return cls(np.cumsum(begins) - 1)

    @classmethod
    def of_kept(cls, kept: Sequence[int] | IntArray, n: int) -> "Reduction":
        """These positions alone, the others dropped."""
        group = np.full(n, DROPPED, dtype=np.int64)
        group[np.sort(np.asarray(kept, dtype=np.int64))] = np.arange(len(kept))
        return cls(group)

    @classmethod
    def of_labels(cls, label: IntArray) -> "Reduction":
        """Positions of one label together, whatever the labels are."""
        _, first, inverse = np.unique(label, return_index=True, return_inverse=True)
        rank = np.empty(len(first), dtype=np.int64)
        rank[np.argsort(first)] = np.arange(len(first))
        return cls(rank[inverse])

    @property
    def k(self) -> int:
        """How many groups there are."""
        return int(self.group.max()) + 1

    @property
    def counts(self) -> IntArray:
        """(k,) members of each group."""
        return np.bincount(self.group[self.group >= 0], minlength=self.k)

    @property
    def centres(self) -> FloatArray:
        """(k,) mean position of the members of each group."""
        kept = np.flatnonzero(self.group >= 0)
        return np.bincount(self.group[kept], weights=kept, minlength=self.k) / self.counts

    @property
    def sizes(self) -> FloatArray:
        """(k,) how many positions each group stands for: its members, or, where some were dropped, the span to the
        midpoints between it and its neighbours.
        """
        if (self.group >= 0).all():
            return self.counts.astype(np.float64)
        centres = self.centres
        order = np.argsort(centres, kind="stable")
        borders = np.concatenate([[-0.5], (centres[order][1:] + centres[order][:-1]) / 2, [len(self.group) - 0.5]])
        spans = np.empty(self.k)
        spans[order] = np.diff(borders)
        return spans


def kept_positions(budget: float, n: int) -> int:
    """How many of n positions a budget pays for: at least one."""
    return max(1, int(budget * n + 1e-9))
