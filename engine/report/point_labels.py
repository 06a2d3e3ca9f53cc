"""Names beside points of a figure: none on another, on a mark that is named, or beyond the figure; else none at all.

Knows px and columns of text. A name without room is left out: every mark has its own as a tooltip.
"""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import NamedTuple

from earmark.engine.printable import columns_of
from earmark.engine.report import svg

_COLUMN, _LINE = 7.5, 12  # px of a bold column and of a line, in the widest of the usual fonts
_BASELINE = 4  # px of a line's middle above its baseline
_BESIDE = 8  # px between a point and its name
_PLACES = [(side, line) for line in (0, 1, -1, 2, -2) for side in ("end", "start")]  # lines below the point


class Box(NamedTuple):
    """A rectangle in px."""

    left: float
    top: float
    right: float
    bottom: float

    @classmethod
    def around(cls, place: svg.Point2D, r: float) -> "Box":
        """That of a mark."""
        return cls(place[0] - r, place[1] - r, place[0] + r, place[1] + r)

    def meets(self, other: "Box") -> bool:
        """Whether they have a common inner point."""
        beside = self.right <= other.left or other.right <= self.left
        return not (beside or self.bottom <= other.top or other.bottom <= self.top)

    def holds(self, other: "Box") -> bool:
        """Whether the other one is inside."""
        level = self.top <= other.top and other.bottom <= self.bottom
        return level and self.left <= other.left and other.right <= self.right


class PointLabel(NamedTuple):
    """A name, where it goes, and on which side of that."""

    name: str  # all of it
    columns: int  # that are shown
    x: float  # px of its end or its start
    y: float  # px of its baseline
    side: str  # end: it stands to the left of x; start: to the right

    @property
    def box(self) -> Box:
        """What it covers."""
        width = _COLUMN * columns_of(svg.shorten(self.name, self.columns))
        left = self.x - width if self.side == "end" else self.x
        middle = self.y - _BASELINE
        return Box(left, middle - _LINE / 2, left + width, middle + _LINE / 2)

    def drawn(self) -> str:
        return svg.name(self.x, self.y, self.name, self.columns, f"{self.side} strong")


def point_labels(
    named: Sequence[tuple[str, svg.Point2D]], columns: int, within: Box, taken: Iterable[Box], marks: Sequence[Box]
) -> list[PointLabel]:
    """Labels of at most `columns` for points in the order of their weight, those left out that have no room.

    Nothing is put on a box that is `taken`, nor on a named point; on other `marks` where there is no better place.
    """
    full = [*taken, *(Box.around(place, svg.DIAMOND) for _, place in named)]
    labels: list[PointLabel] = []
    for name, place in named:
        fitting = [
            label
            for label in _labels_of(name, place, columns)
            if within.holds(label.box) and not any(map(label.box.meets, chain(full, (other.box for other in labels))))
        ]
        if fitting:
            labels.append(min(fitting, key=lambda label: sum(map(label.box.meets, marks))))
    return labels


def _labels_of(name: str, place: svg.Point2D, columns: int) -> list[PointLabel]:
    """A name at every place around its point, the best first."""
    x, y = place
    beside = {"end": -_BESIDE, "start": _BESIDE}
    return [PointLabel(name, columns, x + beside[side], y + _BASELINE + line * _LINE, side) for side, line in _PLACES]
