"""Families of one partition: codes, the merging of rare ones, and the two-way coarsening.

Knows labels only, no outcomes.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from earmark.engine.arrays import IntArray
from earmark.engine.errors import InputError
from earmark.engine.signoff.result_entry import Merge


class Families(NamedTuple):
    """A partition of n rows into F named families, sorted by name."""

    names: tuple[str, ...]
    code: IntArray  # (n,) index into names
    size: IntArray  # (F,)
    merged: tuple[Merge, ...]
    rare: tuple[str, ...]  # below the minimum and without a parent

    @property
    def testable(self) -> npt.NDArray[np.bool_]:
        """(F,) which families are not rare."""
        return np.array([name not in self.rare for name in self.names])

    @property
    def by_size(self) -> IntArray:
        """Family indices by increasing size, ties by name."""
        return np.argsort(self.size, kind="stable")


def families_of(
    labels: Sequence[str], parents: Mapping[str, str], min_family: int, recordings: IntArray | None = None
) -> Families:
    """Code the labels; families with fewer than `min_family` units join their declared parent, descendants first.

    A unit is a recording, or a row where `recordings` (n,) are not given.
    """
    units = range(len(labels)) if recordings is None else recordings.tolist()
    ancestors = {name: _ancestors(name, parents) for name in parents}
    final = {label: label for label in labels}  # the family that each label belongs to so far
    merged: list[Merge] = []
    while True:
        size = Counter(
            family for family, _ in {(final[label], unit) for label, unit in zip(labels, units, strict=True)}
        )
        movable = [name for name in size if size[name] < min_family and name in parents]
        waiting = {above for name in movable for above in ancestors[name]}  # what joins them may suffice
        moving = sorted(set(movable) - waiting)
        if not moving:
            break
        merged += [Merge(name, size[name], parents[name]) for name in moving]
        final = {label: parents[name] if name in moving else name for label, name in final.items()}
    names = tuple(sorted(size))
    index = {name: i for i, name in enumerate(names)}
    code = np.array([index[final[label]] for label in labels], dtype=np.int64)
    rare = tuple(name for name in names if size[name] < min_family)
    return Families(names, code, np.bincount(code, minlength=len(names)), tuple(merged), rare)


def coarsened(families: Families) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two groups of families of balanced size: the largest first, each to the smaller group so far."""
    groups: tuple[list[int], list[int]] = ([], [])
    rows = [0, 0]
    for family in sorted(range(len(families.names)), key=lambda f: (-families.size[f], families.names[f])):
        smaller = 0 if rows[0] <= rows[1] else 1
        groups[smaller].append(family)
        rows[smaller] += int(families.size[family])
    return tuple(sorted(groups[0])), tuple(sorted(groups[1]))


def _ancestors(family: str, parents: Mapping[str, str]) -> list[str]:
    """The parent of a family, its parent and so on; raises InputError for a circle."""
    ancestors: list[str] = []
    above = family
    while above in parents:
        above = parents[above]
        if above == family or above in ancestors:
            raise InputError(f"parent {family}", f"leads back to '{above}'", "parents must not form a circle")
        ancestors.append(above)
    return ancestors
