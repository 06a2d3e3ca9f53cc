"""Names beside points: wherever the points are, none overlaps another, hides a named mark or leaves the figure."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from earmark.engine.report import pareto, svg
from earmark.engine.report.curves import Tolerance
from earmark.engine.report.numbers import POINTS
from earmark.engine.report.point_labels import Box, point_labels

WITHIN = Box(38, 43, 340, 247)
COLUMNS = 19

places = st.tuples(st.floats(140, 286), st.floats(50, 240))
names = st.text(st.characters(codec="utf-8", categories=("L", "N", "P")), min_size=1, max_size=40)


@given(st.lists(st.tuples(names, places), max_size=12), st.lists(places, max_size=20), st.floats(50, 240))
def test_no_label_overlaps_another_or_leaves_the_figure(
    named: list[tuple[str, svg.Point2D]], beaten: list[svg.Point2D], tolerance: float
) -> None:
    taken = [Box(300, tolerance - 7, 340, tolerance + 7)]
    marks = [Box.around(place, svg.CIRCLE) for place in beaten]
    labels = point_labels(named, COLUMNS, WITHIN, taken, marks)
    boxes = [label.box for label in labels]
    assert not any(one.meets(other) for one, other in combinations(boxes, 2))
    assert all(WITHIN.holds(box) for box in boxes)
    others = [*taken, *(Box.around(place, svg.DIAMOND) for _, place in named)]
    assert not any(box.meets(other) for box in boxes for other in others)
    assert len(labels) >= min(1, len(named)) or any(tolerance - 30 < y < tolerance + 30 for _, (_, y) in named)


def test_a_point_without_room_has_its_tooltip_alone() -> None:
    points = [pareto.ParetoPoint(f"method-{i} 50%", 1e6 * (1 + i / 1000), 0.02 - i / 10_000) for i in range(40)]
    panel = pareto.ParetoPanel("Bits", "bits a question", [*points, pareto.ParetoPoint("raw audio", 1e7, 0.0, True)])
    figure = pareto.draw(panel, [Tolerance(0.05, "5")], [point.bound for point in panel.points], POINTS, "")
    assert len(pareto.undominated(panel.points)) == 41
    assert all(f"<title>{point.name}: " in figure for point in panel.points)
    assert 2 <= figure.count(' strong"') < 20


def test_a_lone_point_stands_between_its_name_and_the_next_mark() -> None:
    ((left,), (right,)) = (point_labels([("opus 16 kb/s", (x, 100.0))], COLUMNS, WITHIN, [], []) for x in (280.0, 60.0))
    assert (left.side, right.side) == ("end", "start")
    (moved,) = point_labels(
        [("opus 16 kb/s", (280.0, 100.0))], COLUMNS, WITHIN, [], [Box.around((240.0, 100.0), svg.CIRCLE)]
    )
    assert moved.y != left.y
