"""One panel: how much harm each method and budget may do, against what it costs on a logarithmic axis.

Harm is on a square-root axis, since what matters is near the tolerance and most of it is far above. Plain numbers in,
one SVG out. A point is marked where no other one is both as cheap and as harmless.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from markupsafe import Markup

from earmark.engine.report import svg
from earmark.engine.report.curves import Tolerance
from earmark.engine.report.numbers import Unit, amount
from earmark.engine.report.point_labels import Box, point_labels

WIDTH, HEIGHT = 340, 290
_LEFT, _RIGHT, _TOP, _BOTTOM = 38, 300, 50, 240
_FIRST, _LAST = 140, 286  # px of the cheapest and the dearest: names stand mostly to the left of their marks
_HALF_LINE = 7  # px
_NAME_COLUMNS = 24
_TICK_GAP = 22  # px


class ParetoPoint(NamedTuple):
    """A method at a budget, or raw audio."""

    name: str
    cost: float  # above 0
    bound: float  # upper one, of the worst family's excess
    is_raw: bool = False


class ParetoPanel(NamedTuple):
    """What one panel shows."""

    heading: str
    cost: str  # what it is, and of what
    points: Sequence[ParetoPoint]

    @property
    def has_compressed(self) -> bool:
        """Whether there is more than raw audio."""
        return any(not point.is_raw for point in self.points)


def undominated(points: Sequence[ParetoPoint]) -> list[ParetoPoint]:
    """The points that no other one beats in cost or bound without losing in the other, from the cheapest up."""
    best = [p for p in points if not any(_beats(other, p) for other in points)]
    return sorted(best, key=lambda p: (p.cost, p.bound, p.name))


def _beats(other: ParetoPoint, point: ParetoPoint) -> bool:
    as_good = other.cost <= point.cost and other.bound <= point.bound
    return as_good and (other.cost, other.bound) != (point.cost, point.bound)


def draw(panel: ParetoPanel, tolerances: Sequence[Tolerance], shared: Iterable[float], unit: Unit, desc: str) -> Markup:
    """The panel; `shared` are the bounds of all panels that share the vertical axis."""
    y = HarmAxis.over([*shared, *(t.value for t in tolerances)])
    x = _cost_axis([p.cost for p in panel.points])
    best = undominated(panel.points)
    places = [_place(x, y, p) for p in best]
    body = [
        svg.name(0, 14, panel.heading, 56, "heading"),
        svg.text(0, 34, f"upper bound of the worst family, {unit.name} (square roots)", "muted"),
        *_grid(x, y, unit),
        svg.path("".join(svg.horizontal(y.at(t.value), _LEFT, _RIGHT) for t in tolerances), "tolerance"),
        *(svg.text(_RIGHT + 6, y.at(t.value) + 4, t.label, "tolerance") for t in tolerances),
        svg.path(svg.line(places), "line family"),
        *(_mark(x, y, p, p in best, unit) for p in sorted(panel.points, key=lambda p: (p.cost, p.bound, p.name))),
        *_names(panel.points, best, x, y, [t.value for t in tolerances]),
        svg.text((_LEFT + _RIGHT) / 2, _BOTTOM + 38, panel.cost, "middle muted"),
    ]
    return svg.frame(WIDTH, HEIGHT, f"Harm against cost: {panel.heading}, {panel.cost}", desc, body)


class HarmAxis(NamedTuple):
    """The vertical axis: square roots, below zero mirrored."""

    scale: svg.Scale

    @classmethod
    def over(cls, values: Iterable[float]) -> "HarmAxis":
        """An axis over all values and 0."""
        return cls(svg.axis(map(_root, values), _BOTTOM, _TOP))

    def at(self, value: float) -> float:
        """The px of a bound."""
        return self.scale.at(_root(value))

    def ticks(self, unit: Unit) -> list[float]:
        """Round numbers of the unit that are not too near each other."""
        steps = [0.0, *(digit * 10.0**power for power in range(-3, 3) for digit in (1, 2, 5))]
        chosen: list[float] = []
        for step in sorted([*steps, *(-step for step in steps[1:])], key=abs):
            value = step / unit.factor
            inside = self.scale.low <= _root(value) <= self.scale.high
            if inside and all(abs(self.at(value) - self.at(other)) >= _TICK_GAP for other in chosen):
                chosen.append(value)
        return chosen


def _root(value: float) -> float:
    return math.copysign(math.sqrt(abs(value)), value)


def _cost_axis(costs: Sequence[float]) -> svg.Scale:
    """The scale of the logarithms to base 10."""
    low, high = math.log10(min(costs)), math.log10(max(costs))
    return svg.Scale(low, max(high, low + 0.3), _FIRST, _LAST)


def _place(x: svg.Scale, y: HarmAxis, point: ParetoPoint) -> svg.Point2D:
    return x.at(math.log10(point.cost)), y.at(point.bound)


def _mark(x: svg.Scale, y: HarmAxis, point: ParetoPoint, best: bool, unit: Unit) -> str:
    """The mark of a point with its values: a diamond where nothing beats it, else a circle; raw is hollow."""
    shape = svg.diamonds if best else svg.circles
    kind = "mark hollow" if point.is_raw or not best else "mark"
    colour = "family" if best else "average"
    drawn = svg.path(shape([_place(x, y, point)]), f"{kind} {colour}")
    return svg.point(f"{point.name}: {amount(point.cost)}, upper bound {unit.words(point.bound)}", drawn)


def _names(
    points: Sequence[ParetoPoint], best: Sequence[ParetoPoint], x: svg.Scale, y: HarmAxis, tolerances: Sequence[float]
) -> list[str]:
    """The names of undominated points, the most harmless first; a point without room has its tooltip alone."""
    named = [(p.name, _place(x, y, p)) for p in sorted(best, key=lambda p: p.bound)]
    beaten = [Box.around(_place(x, y, p), svg.CIRCLE) for p in points if p not in best]
    words = [Box(_RIGHT, y.at(t) - _HALF_LINE, WIDTH, y.at(t) + _HALF_LINE) for t in tolerances]
    within = Box(_LEFT, _TOP - _HALF_LINE, WIDTH, _BOTTOM + _HALF_LINE)
    return [label.drawn() for label in point_labels(named, _NAME_COLUMNS, within, words, beaten)]


def _grid(x: svg.Scale, y: HarmAxis, unit: Unit) -> list[str]:
    marks = y.ticks(unit)
    costs = _round_costs(x)
    return [
        svg.path("".join(svg.horizontal(y.at(v), _LEFT, _RIGHT) for v in marks if v), "grid"),
        svg.path(svg.horizontal(y.at(0), _LEFT, _RIGHT), "zero"),
        *(svg.text(_LEFT - 5, y.at(v) + 4, unit.tick(v), "end") for v in marks),
        *(svg.text(x.at(math.log10(cost)), _BOTTOM + 20, amount(cost), "middle") for cost in costs),
    ]


def _round_costs(x: svg.Scale) -> list[float]:
    """Powers of ten within the scale, with twice and five times them where these are few."""
    decades = range(math.floor(x.low) - 1, math.ceil(x.high) + 1)
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7)):
        costs = [step * 10.0**decade for decade in decades for step in steps]
        within = [cost for cost in costs if x.low - 1e-9 <= math.log10(cost) <= x.high + 1e-9]
        if len(within) >= 2:
            break
    return within
