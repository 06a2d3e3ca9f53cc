"""What every figure shares: axes, ticks, marks, labels that fit, and the frame with its title and description.

Plain numbers in, SVG text out; colours and fonts are classes of `report.css`. Knows nothing of certificates.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from markupsafe import Markup, escape

from earmark.engine.printable import columns_of

Point2D = tuple[float, float]  # x, y in px
DIAMOND, CIRCLE = 4.6, 3.5  # px from the middle of a mark to its edge


class Scale(NamedTuple):
    """A linear map of [low, high] to px [start, end]."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """The px of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def axis(values: Iterable[float], start: float, end: float) -> Scale:
    """An axis over all `values` and 0, widened a little, never empty."""
    all_values = [0.0, *values]
    low, high = min(all_values), max(all_values)
    pad = 0.06 * (high - low)
    if pad == 0:
        return Scale(-0.01, 0.01, start, end)
    return Scale(low - pad if low < 0 else low, high + pad if high > 0 else high, start, end)


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers inside [low, high], at most about `most`."""
    rough = (high - low) / most
    magnitude = 10 ** math.floor(math.log10(rough))
    step = next(m * magnitude for m in (1, 2, 2.5, 5, 10) if m * magnitude >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [k * step for k in range(first, last + 1)]


def spread(wanted: Sequence[float], gap: float, highest: float) -> list[float]:
    """Positions near the `wanted` ones, at least `gap` apart, none above (below in px) `highest`."""
    order = sorted(range(len(wanted)), key=lambda i: -wanted[i])  # from the lowest on the page, whose y is the largest
    placed = list(wanted)
    for lower, i in pairwise(order):
        placed[i] = min(placed[i], placed[lower] - gap)
    for i, above in zip(reversed(order), [None, *reversed(order)], strict=False):
        placed[i] = max(placed[i], highest if above is None else placed[above] + gap)
    return placed


# Marks -----------------------------------------------------------------------------------------------------


def px(value: float) -> str:
    """A coordinate with one decimal, as short as it can be."""
    text = f"{value:.1f}"
    return "0" if text == "-0.0" else text.removesuffix(".0")


def path(data: str, kind: str) -> str:
    """A path of class `kind`; nothing without data."""
    return f'<path class="{kind}" d="{data}"/>' if data else ""


def line(places: Sequence[Point2D]) -> str:
    """Path data that join the places."""
    return "M" + "L".join(f"{px(x)} {px(y)}" for x, y in places) if len(places) > 1 else ""


def circles(places: Iterable[Point2D], r: float = CIRCLE) -> str:
    """Path data of a circle around each place."""
    d = px(2 * r)
    return "".join(f"M{px(x - r)} {px(y)}a{r} {r} 0 1 0 {d} 0a{r} {r} 0 1 0 -{d} 0z" for x, y in places)


def diamonds(places: Iterable[Point2D], r: float = DIAMOND) -> str:
    """Path data of a diamond around each place."""
    return "".join(f"M{px(x)} {px(y - r)}l{r} {r}-{r} {r}-{r}-{r}z" for x, y in places)


def horizontal(y: float, x0: float, x1: float) -> str:
    return f"M{px(x0)} {px(y)}H{px(x1)}"


def vertical(x: float, y0: float, y1: float) -> str:
    return f"M{px(x)} {px(y0)}V{px(y1)}"


def point(words: str, drawn: str) -> str:
    """Something drawn with its values in words: a tooltip, and what the page's script reads."""
    return f'<g class="point"><title>{escape(words)}</title>{drawn}</g>'


# Words -----------------------------------------------------------------------------------------------------


def text(x: float, y: float, content: str, kind: str = "") -> str:
    attribute = f' class="{kind}"' if kind else ""
    return f'<text{attribute} x="{px(x)}" y="{px(y)}">{escape(content)}</text>'


def name(x: float, y: float, full: str, columns: int, kind: str = "") -> str:
    """A name cut to `columns`; the whole of it is the tooltip."""
    short = shorten(full, columns)
    tooltip = f"<title>{escape(full)}</title>" if short != full else ""
    attribute = f' class="{kind}"' if kind else ""
    return f'<text{attribute} x="{px(x)}" y="{px(y)}">{tooltip}{escape(short)}</text>'


def shorten(full: str, columns: int) -> str:
    """At most `columns` wide; the middle goes, since names differ at both ends."""
    if columns_of(full) <= columns:
        return full
    keep = columns - 1
    head, tail = "", ""
    for character in full:
        if columns_of(head + character) > (keep + 1) // 2:
            break
        head += character
    for character in reversed(full):
        if columns_of(character + tail) > keep // 2:
            break
        tail = character + tail
    return f"{head.rstrip()}…{tail.lstrip()}"


def frame(width: float, height: float, title: str, desc: str, body: Iterable[str], kind: str = "panel") -> Markup:
    """The figure itself; `title` and `desc` say in words what it shows."""
    return Markup(
        f'<svg class="{kind}" viewBox="0 0 {px(width)} {px(height)}" width="{px(width)}" height="{px(height)}" '
        f'role="img"><title>{escape(title)}</title><desc>{escape(desc)}</desc>{"".join(body)}</svg>'
    )
