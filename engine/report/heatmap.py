"""The heat map: one row per family, one column per budget, the excess printed and coloured around 0.

Plain numbers in, one SVG out. Colour repeats what the number in the cell says; nothing depends on it.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from earmark.engine.printable import columns_of
from earmark.engine.report import svg
from earmark.engine.report.numbers import Unit, count, percent

LEVELS = 4  # shades on each side of 0
_LABEL, _COUNT, _CELL_W, _CELL_H, _TOP = 132, 46, 46, 22, 44
_COLUMNS = 22  # of names, in _LABEL px; more where a name is longer
_MOST_COLUMNS = 64


class HeatMapRow(NamedTuple):
    """One family: its excess at each budget, None where it was not measured there."""

    family: str
    n: int
    rare: bool
    excess: Sequence[float | None]


class HeatMap(NamedTuple):
    """What one heat map shows; `worst` is the row of the worst family per budget."""

    heading: str
    budgets: Sequence[float]
    rows: Sequence[HeatMapRow]
    worst: Sequence[int | None]
    more: str = ""  # on the families that are left out


def draw(heat: HeatMap, limit: float, unit: Unit, desc: str) -> Markup:
    """The heat map; `limit` is the excess, above or below 0, of the deepest shade."""
    columns = min(max([_COLUMNS, *(columns_of(_label(row)) for row in heat.rows)]), _MOST_COLUMNS)
    left = math.ceil(_LABEL * columns / _COLUMNS) + _COUNT
    bottom = _TOP + _CELL_H * len(heat.rows)
    width = max(left + _CELL_W * len(heat.budgets) + 2, 340)
    body = [svg.name(0, 14, heat.heading, 46, "heading"), svg.text(0, _TOP - 9, "family", "muted")]
    body.append(svg.text(left - 8, _TOP - 9, "rows", "end muted"))
    body += [
        svg.text(left + _CELL_W * (c + 0.5), _TOP - 9, percent(budget), "middle")
        for c, budget in enumerate(heat.budgets)
    ]
    for r, row in enumerate(heat.rows):
        y = _TOP + _CELL_H * r + 15
        body.append(svg.name(0, y, _label(row), columns))
        body.append(svg.text(left - 8, y, count(row.n), "end muted"))
    body += _cells(heat, left, limit, unit)
    outlines = "".join(
        f"M{left + _CELL_W * c + 1} {_TOP + _CELL_H * r + 1}h{_CELL_W - 2}v{_CELL_H - 2}h{2 - _CELL_W}z"
        for c, r in enumerate(heat.worst)
        if r is not None
    )
    body.append(svg.path(outlines, "outline"))
    if heat.more:
        body.append(svg.text(0, bottom + 15, f"… {heat.more}", "muted"))
        bottom += _CELL_H
    body += _legend(bottom + 12, limit, unit)
    return svg.frame(width, bottom + 32, f"Excess by family and budget: {heat.heading}", desc, body, "heat")


def _label(row: HeatMapRow) -> str:
    return row.family + (" *" if row.rare else "")


def level(excess: float, limit: float) -> int:
    """The shade, -LEVELS to LEVELS; 0 is neutral."""
    return max(-LEVELS, min(LEVELS, round(LEVELS * excess / limit))) if limit > 0 else 0


def _cells(heat: HeatMap, left: int, limit: float, unit: Unit) -> list[str]:
    """One group per shade: a path of all its squares, then their numbers."""
    squares: dict[int, list[str]] = {}
    numbers: dict[int, list[str]] = {}
    for r, row in enumerate(heat.rows):
        for c, excess in enumerate(row.excess):
            x, y = left + _CELL_W * c, _TOP + _CELL_H * r
            if excess is None:
                numbers.setdefault(0, []).append(svg.text(x + _CELL_W / 2, y + 15, "–"))
                continue
            shade = level(excess, limit)
            squares.setdefault(shade, []).append(f"M{x} {y}h{_CELL_W}v{_CELL_H}h-{_CELL_W}z")
            digits = svg.text(x + _CELL_W / 2, y + 15, unit.number(excess))
            numbers.setdefault(shade, []).append(digits)
    return [
        f'<g class="{_shade(shade)}">{svg.path("".join(squares.get(shade, [])), "cell")}{"".join(numbers[shade])}</g>'
        for shade in sorted(numbers)
    ]


def _legend(y: int, limit: float, unit: Unit) -> list[str]:
    if limit == 0:
        return [svg.text(0, y + 11, "no excess anywhere", "muted")]
    body = [svg.text(100, y + 11, f"better {unit.number(-limit)}", "end muted")]
    for shade in range(-LEVELS, LEVELS + 1):
        square = f"M{106 + 14 * (shade + LEVELS)} {y}h14v14h-14z"
        body.append(f'<g class="{_shade(shade)}">{svg.path(square, "cell")}</g>')
    end = 106 + 14 * (2 * LEVELS + 1)
    body.append(svg.text(end + 6, y + 11, f"{unit.number(limit)} worse", "muted"))
    return body


def _shade(shade: int) -> str:
    """The class of a shade: h0 to h8, h4 neutral."""
    return f"h{shade + LEVELS}"
