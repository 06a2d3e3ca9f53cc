"""Dots with intervals on one horizontal axis, one line per mark: gains around zero, and the steps of a chain.

Plain numbers in, one SVG out. Knows nothing of what the numbers mean; the words come from the caller.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from markupsafe import Markup

from earmark.engine.printable import columns_of
from earmark.engine.report import svg

WIDTH = 340
_START, _END = 128, 270
_COLUMNS, _MOST_COLUMNS, _COLUMN = 20, 64, 6.4  # of labels: as a rule, at most, and px of one
_TOP, _LINE, _PAD = 40, 16, 6


class Mark(NamedTuple):
    """One dot: its place, its interval and what is written at the right."""

    kind: str  # "average" (circle) or "family" (diamond)
    value: float | None
    lower: float | None
    upper: float | None
    written: str


class IntervalRow(NamedTuple):
    """A label with its marks; a row without marks is a heading."""

    label: str
    marks: Sequence[Mark] = ()
    strong: bool = False


class Dots(NamedTuple):
    """What one figure shows; `below` names the axis."""

    heading: str
    note: str
    below: str
    rows: Sequence[IntervalRow]
    more: str = ""  # on the rows that are left out


def values(rows: Iterable[IntervalRow]) -> list[float]:
    """Every number that the axis has to reach."""
    marks = (m for row in rows for m in row.marks)
    return [v for m in marks for v in (m.value, m.lower, m.upper) if v is not None]


def draw(
    dots: Dots, shared: Iterable[float], tick: Callable[[float], str], title: str, desc: str, path: bool = False
) -> Markup:
    """The figure; `shared` are the numbers that the axis has to reach, `path` joins the dots from row to row."""
    columns = min(max([_COLUMNS, *(columns_of(row.label) for row in dots.rows if row.marks)]), _MOST_COLUMNS)
    wider = round((columns - _COLUMNS) * _COLUMN)  # px
    start, end = _START + wider, _END + wider
    x = svg.axis(shared, start, end)
    body: list[str] = []
    dotted: dict[str, list[svg.Point2D]] = {"average": [], "family": []}
    whiskers: dict[str, str] = {"average": "", "family": ""}
    y = _TOP
    for row in dots.rows:
        lines = max(len(row.marks), 1)
        middle = y + _LINE * lines / 2 + 4
        weight = "strong" if row.strong or not row.marks else ""
        body.append(svg.name(0, middle, row.label, columns if row.marks else 52, weight))
        for i, mark in enumerate(row.marks):
            at = y + _LINE * (i + 0.5)
            body.append(svg.text(end + 8, at + 4, mark.written, weight))
            if mark.lower is not None and mark.upper is not None:
                whiskers[mark.kind] += svg.horizontal(at, x.at(mark.lower), x.at(mark.upper))
            if mark.value is not None:
                dotted[mark.kind].append((x.at(mark.value), at))
        y += _LINE * lines + _PAD
    grid = [
        svg.path("".join(svg.vertical(x.at(v), _TOP, y) for v in svg.ticks(x.low, x.high, 4) if v), "grid"),
        svg.path(svg.vertical(x.at(0), _TOP - 4, y), "zero"),
        *(svg.text(x.at(v), y + 14, tick(v), "middle") for v in svg.ticks(x.low, x.high, 4)),
        svg.text((start + end) / 2, y + 29, dots.below, "middle muted"),
    ]
    joined = [svg.path(svg.line(places), f"line {kind}") for kind, places in dotted.items() if path]
    marks = [
        svg.path(whiskers["average"], "whisker average"),
        svg.path(whiskers["family"], "whisker family"),
        svg.path(svg.circles(dotted["average"]), "mark average"),
        svg.path(svg.diamonds(dotted["family"]), "mark family"),
    ]
    if dots.more:
        body.append(svg.text(0, y + 45, f"… {dots.more}", "muted"))
    head = [svg.name(0, 14, dots.heading, 46, "heading"), svg.name(0, 30, dots.note, 58, "muted")]
    height = y + (52 if dots.more else 36)
    kind = "wide" if wider else "panel"  # scrolls, or shrinks to the screen
    return svg.frame(WIDTH + wider, height, title, desc, [*head, *grid, *joined, *body, *marks], kind)
