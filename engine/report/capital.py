"""One panel: how the capital of bets grows with the units that were looked at, a line for each family, on a log scale.

Where a line meets the dashed one its family passes early; where there is no dashed one, none can. Plain numbers in,
one SVG out; decides nothing.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from markupsafe import Markup

from earmark.engine.report import svg
from earmark.engine.report.curves import Tolerance
from earmark.engine.report.point_labels import Box, point_labels

WIDTH, HEIGHT = 340, 252
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 290, 56, 212
_LOWEST = math.log(0.05)  # capital that is less is drawn there
_POINTS = 24  # of a line, about
_NAMED = 3  # lines
_NAME_COLUMNS = 20
_HALF_LINE = 7  # px

End = Literal["passes", "stops", "undecided"]


class Strand(NamedTuple):
    """The way of one family; `telling` ones are named beside their ends."""

    name: str
    path: Sequence[tuple[int, float]]  # units, and the logarithm of the capital
    end: End
    words: str  # its values
    telling: bool


class CapitalPanel(NamedTuple):
    """What one panel shows."""

    heading: str
    note: str
    units: str  # rows or recordings
    strands: Sequence[Strand]
    goals: Sequence[Tolerance]  # logarithms to be reached, with their labels; none where all need all their units


def draw(panel: CapitalPanel, desc: str) -> Markup:
    """The panel; it has at least one line."""
    most = max(units for strand in panel.strands for units, _ in strand.path)
    reached = [log for strand in panel.strands for _, log in strand.path]
    highest = max([0.0, *(goal.value for goal in panel.goals), *reached])
    x = svg.Scale(0, most, _LEFT, _RIGHT - 8)
    y = svg.Scale(_LOWEST, highest + 0.06 * (highest - _LOWEST), _BOTTOM, _TOP)
    body = [
        svg.name(0, 14, panel.heading, 46, "heading"),
        svg.name(0, 31, panel.note, 58, "muted"),
        *_grid(x, y, panel.units),
        *_goals(y, panel.goals),
        *(svg.path(svg.line(_places(x, y, strand)), f"line {strand.end}") for strand in panel.strands),
        *(svg.point(strand.words, _mark(_places(x, y, strand)[-1], strand.end)) for strand in panel.strands),
        *_names(x, y, panel),
    ]
    return svg.frame(WIDTH, HEIGHT, f"Evidence against {panel.units}: {panel.heading}", desc, body)


def _places(x: svg.Scale, y: svg.Scale, strand: Strand) -> list[svg.Point2D]:
    """Where a line goes, from nothing looked at and a capital of 1 on."""
    every = max(1, -(-len(strand.path) // _POINTS))
    points = [(0, 0.0), *strand.path[::every]]
    if points[-1] != strand.path[-1]:
        points.append(strand.path[-1])
    return [(x.at(units), y.at(max(log, _LOWEST))) for units, log in points]


def _mark(place: svg.Point2D, end: End) -> str:
    """The end of a line: a circle where it passes, a diamond where it ends the walk, hollow where it is undecided."""
    shape = svg.diamonds if end == "stops" else svg.circles
    return svg.path(shape([place]), f"mark hollow {end}" if end == "undecided" else f"mark {end}")


def _grid(x: svg.Scale, y: svg.Scale, units: str) -> list[str]:
    top = math.floor(y.high / math.log(10) + 1e-9)
    step = 1 if top < 5 else 2
    powers = [-1, *range(0, top + 1, step)]
    at = {power: y.at(power * math.log(10)) for power in powers}
    body = [svg.path("".join(svg.horizontal(place, _LEFT, _RIGHT) for power, place in at.items() if power), "grid")]
    body.append(svg.path(svg.horizontal(at[0], _LEFT, _RIGHT), "zero"))
    body.append(svg.text(0, 48, "what bets made of 1, log scale", "muted"))
    body += [svg.text(_LEFT - 5, place + 4, f"{10.0**power:,.5g}", "end") for power, place in at.items()]
    whole = [tick for tick in svg.ticks(x.low, x.high) if tick == round(tick)]
    body += [svg.text(x.at(tick), _BOTTOM + 16, f"{tick:,.0f}", "middle") for tick in whole]
    body.append(svg.text((_LEFT + _RIGHT) / 2, _BOTTOM + 33, f"{units} that were looked at", "middle muted"))
    return body


def _goals(y: svg.Scale, goals: Sequence[Tolerance]) -> list[str]:
    lines = "".join(svg.horizontal(y.at(goal.value), _LEFT, _RIGHT) for goal in goals)
    places = svg.spread([y.at(goal.value) for goal in goals], 13, _TOP)
    labels = [
        svg.text(_RIGHT + 5, place + 4, goal.label, "tolerance") for goal, place in zip(goals, places, strict=True)
    ]
    return [svg.path(lines, "tolerance"), *labels]


def _names(x: svg.Scale, y: svg.Scale, panel: CapitalPanel) -> list[str]:
    """The names of telling lines beside their ends; one without room has its tooltip alone."""
    telling = [(strand.name, _places(x, y, strand)[-1]) for strand in panel.strands if strand.telling][:_NAMED]
    ends = [Box.around(_places(x, y, strand)[-1], svg.CIRCLE) for strand in panel.strands if not strand.telling]
    words = [Box(_LEFT, y.at(goal.value) - _HALF_LINE, WIDTH, y.at(goal.value) + _HALF_LINE) for goal in panel.goals]
    within = Box(_LEFT, _TOP - _HALF_LINE, WIDTH, _BOTTOM)
    return [label.drawn() for label in point_labels(telling, _NAME_COLUMNS, within, words, ends)]
