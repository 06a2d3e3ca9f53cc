"""Families of one partition: codes, the merging of rare ones, and the two-way coarsening.

Knows labels only, no outcomes.
"""

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
        rare = set(self.rare)
        return np.array([name not in rare for name in self.names])

    def largest(self, most: int) -> npt.NDArray[np.bool_]:
        """(F,) which families are among the `most` largest, the first by name among equals."""
        mask = np.zeros(len(self.names), dtype=np.bool_)
        mask[np.argsort(-self.size, kind="stable")[:most]] = True
        return mask

    @property
    def members(self) -> list[IntArray]:
        """The rows of each family, ascending."""
        return np.split(np.argsort(self.code, kind="stable"), np.cumsum(self.size)[:-1])

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
    parents_above = {name: ancestors(name, parents) for name in parents}
    final = {label: label for label in labels}  # the family that each label belongs to so far
    place = {label: i for i, label in enumerate(final)}
    label_of_row = np.fromiter(map(place.__getitem__, labels), np.int64, len(labels))
    unit_of_row = np.arange(len(labels)) if recordings is None else recordings
    merged: list[Merge] = []
    while True:
        size = _units(final, label_of_row, unit_of_row)
        movable = [name for name in size if size[name] < min_family and name in parents]
        waiting = {above for name in movable for above in parents_above[name]}  # what joins them may suffice
        moving = sorted(set(movable) - waiting)
        if not moving:
            break
        merged += [Merge(name, size[name], parents[name]) for name in moving]
        parent_of = {name: parents[name] for name in moving}
        final = {label: parent_of.get(name, name) for label, name in final.items()}
    names = tuple(sorted(size))
    index = {name: i for i, name in enumerate(names)}
    code = np.array([index[family] for family in final.values()], dtype=np.int64)[label_of_row]
    rare = tuple(name for name in names if size[name] < min_family)
    return Families(names, code, np.bincount(code, minlength=len(names)), tuple(merged), rare)


def _units(final: Mapping[str, str], label_of_row: IntArray, unit_of_row: IntArray) -> dict[str, int]:
    """How many different units each family has; `final` is the family of each label, in the order of its codes."""
    place = {family: i for i, family in enumerate(dict.fromkeys(final.values()))}
    family_of_label = np.array([place[family] for family in final.values()], dtype=np.int64)
    n_units = int(unit_of_row.max()) + 1
    pairs = np.unique(family_of_label[label_of_row] * n_units + unit_of_row)
    return dict(zip(place, np.bincount(pairs // n_units, minlength=len(place)).tolist(), strict=True))


def coarsened(families: Families) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two groups of families of balanced size: the largest first, each to the smaller group so far."""
    groups: tuple[list[int], list[int]] = ([], [])
    rows = [0, 0]
    for family in sorted(range(len(families.names)), key=lambda f: (-families.size[f], families.names[f])):
        smaller = 0 if rows[0] <= rows[1] else 1
        groups[smaller].append(family)
        rows[smaller] += int(families.size[family])
    return tuple(sorted(groups[0])), tuple(sorted(groups[1]))


def ancestors(family: str, parents: Mapping[str, str]) -> list[str]:
    """The parent of a family, its parent and so on; raises InputError for a circle."""
    names: list[str] = []
    above = family
    while above in parents:
        above = parents[above]
        if above == family or above in names:
            raise InputError(f"parent {family}", f"leads back to '{above}'", "parents must not form a circle")
        names.append(above)
    return names
