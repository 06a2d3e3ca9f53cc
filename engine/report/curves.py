"""One small panel: average and worst-family excess against the budget, with intervals and the tolerances.

Plain numbers in, one SVG out. Knows nothing of certificates, and decides nothing.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from markupsafe import Markup

from earmark.engine.report import svg
from earmark.engine.report.numbers import Unit, percent

WIDTH, HEIGHT = 340, 252
_LEFT, _RIGHT, _TOP, _BOTTOM = 38, 290, 56, 212
_MARK_GAP = 1.6  # px between the marks of the two series, so that both intervals can be seen


class Point(NamedTuple):
    """One budget of a series; `implied` ones were not run."""

    budget: float
    estimate: float
    lower: float | None
    upper: float | None
    implied: bool = False


class KeptAxis(NamedTuple):
    """The horizontal axis of a panel: what budgets are, and ticks; logarithmic from `smallest`, if there is one."""

    words: str
    ticks: Sequence[tuple[float, str]]
    smallest: float | None = None

    def at(self, budget: float) -> float:
        """The px of a budget."""
        if self.smallest is None:
            return svg.Scale(0, 1, _LEFT, _RIGHT).at(budget)
        return svg.Scale(math.log(self.smallest), 0, _LEFT + 8, _RIGHT).at(math.log(budget))


AUDIO_KEPT = KeptAxis("audio kept", [(share, percent(share)) for share in (0, 0.25, 0.5, 0.75, 1)])


class Curves(NamedTuple):
    """What one panel shows."""

    heading: str
    note: str
    average: Sequence[Point]
    family: Sequence[Point]
    alone: Sequence[float]  # the smallest budgets that pass by themselves
    approved: float | None = None  # the budget that is approved
    kept: KeptAxis = AUDIO_KEPT
    read: Sequence[str] = ()  # the values at each budget, in words


class Tolerance(NamedTuple):
    """A tolerance line and its label."""

    value: float
    label: str


def values(curves: Curves) -> list[float]:
    """Every number that the vertical axis has to reach."""
    points = [*curves.average, *curves.family]
    return [v for p in points for v in (p.estimate, p.lower, p.upper) if v is not None]


def panel(curves: Curves, tolerances: Sequence[Tolerance], shared: Iterable[float], unit: Unit, desc: str) -> Markup:
    """The panel; `shared` are the numbers of all panels that share the vertical axis."""
    y = svg.axis([*shared, *(t.value for t in tolerances)], _BOTTOM, _TOP)
    x = curves.kept
    alone = "".join(_below(x.at(b)) for b in sorted(set(curves.alone)) if b != curves.approved)
    approved = "" if curves.approved is None else _below(x.at(curves.approved))
    body = [
        svg.name(0, 14, curves.heading, 46, "heading"),
        svg.name(0, 31, curves.note, 58, "muted"),
        *_grid(x, y, unit),
        *_tolerance_lines(y, tolerances),
        *_series(x, y, curves.average, "average", -_MARK_GAP),
        *_series(x, y, curves.family, "family", _MARK_GAP),
        svg.path(alone, "alone"),
        svg.path(approved, "approved"),
        *_points(x, curves),
    ]
    return svg.frame(WIDTH, HEIGHT, f"Excess against budget: {curves.heading}", desc, body)


def _points(x: KeptAxis, curves: Curves) -> list[str]:
    """A strip over each budget with its values as a title, from the left."""
    places = sorted((x.at(point.budget), words) for point, words in zip(curves.family, curves.read, strict=False))
    middles = [(a + b) / 2 for (a, _), (b, _) in pairwise(places)]
    edges = [_LEFT, *middles, _RIGHT + 6]
    strips = zip(places, edges, edges[1:], strict=False)
    return [svg.point(words, _strip(start, end)) for (_, words), start, end in strips]


def _strip(start: float, end: float) -> str:
    return f'<rect x="{svg.px(start)}" y="{_TOP}" width="{svg.px(end - start)}" height="{_BOTTOM - _TOP}"/>'


def _below(x: float) -> str:
    """A triangle under the axis."""
    return f"M{svg.px(x)} {_BOTTOM + 1}l5 8h-10z"


def _grid(x: KeptAxis, y: svg.Scale, unit: Unit) -> list[str]:
    marks = svg.ticks(y.low, y.high, 7)
    body = [svg.path("".join(svg.horizontal(y.at(v), _LEFT, _RIGHT) for v in marks if v), "grid")]
    body.append(svg.path(svg.horizontal(y.at(0), _LEFT, _RIGHT), "zero"))
    body.append(svg.text(0, 48, f"excess, {unit.name}", "muted"))
    body += [svg.text(_LEFT - 5, y.at(v) + 4, unit.tick(v), "end") for v in marks]
    body += [svg.text(x.at(budget), _BOTTOM + 22, words, "middle") for budget, words in x.ticks]
    body.append(svg.text((_LEFT + _RIGHT) / 2, _BOTTOM + 36, x.words, "middle muted"))
    return body


def _tolerance_lines(y: svg.Scale, tolerances: Sequence[Tolerance]) -> list[str]:
    lines = "".join(svg.horizontal(y.at(t.value), _LEFT, _RIGHT) for t in tolerances)
    places = svg.spread([y.at(t.value) for t in tolerances], 13, _TOP)
    labels = [
        svg.text(_RIGHT + 9, place + 4, t.label, "tolerance") for t, place in zip(tolerances, places, strict=True)
    ]
    return [svg.path(lines, "tolerance"), *labels]


def _series(x: KeptAxis, y: svg.Scale, points: Sequence[Point], kind: str, shift: float) -> list[str]:
    """The line, the intervals and the marks of one series; marks of implied points are hollow."""
    mark = svg.circles if kind == "average" else svg.diamonds
    places = [(x.at(p.budget) + shift, y.at(p.estimate)) for p in points]
    whiskers = "".join(
        svg.vertical(place[0], y.at(p.lower), y.at(p.upper))
        for p, place in zip(points, places, strict=True)
        if p.lower is not None and p.upper is not None and p.lower < p.upper
    )
    run = [place for p, place in zip(points, places, strict=True) if not p.implied]
    implied = [place for p, place in zip(points, places, strict=True) if p.implied]
    return [
        svg.path(svg.line(places), f"line {kind}"),
        svg.path(whiskers, f"whisker {kind}"),
        svg.path(mark(run), f"mark {kind}"),
        svg.path(mark(implied), f"mark hollow {kind}"),
    ]
