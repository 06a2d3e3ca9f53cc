"""The figure of a run that stopped when it was decided: evidence against rows, for every family and budget.

From `walks[]` alone. Chooses panels and words; `capital` draws them.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from markupsafe import Markup

from earmark.engine.report import capital
from earmark.engine.report.axes import unit_words
from earmark.engine.report.curves import Tolerance
from earmark.engine.report.decisions import Group
from earmark.engine.report.numbers import NONE, Unit, amount, count, percent
from earmark.engine.report.walk_words import all_rows_or, state_words
from earmark.engine.signoff.result_entry import ResultEntry
from earmark.engine.signoff.walk_entry import WalkEntry, WalkTest

HEADING = "Evidence against rows"
LOOK_FOR = (
    "Every answer is bet on: that its family is less harmed than the tolerance allows. Look for lines that reach "
    "the dashed one: these families pass early (●). Others pass or fail by the exact test of all their rows, or are "
    "given up (◆): what fails ends its walk, and leaves others undecided (○). No line is dashed where families are "
    "too small to pass early. The lowest are drawn at 0.05."
)
_STRANDS = 12
_PANELS = 6


class _Sought(NamedTuple):
    """What a walk wanted to show at a budget."""

    place: int  # of the tolerance in the rule
    claim: str
    below: float  # the budget, negative: walks go down


class _Look(NamedTuple):
    """All tests of a method at one budget, for one claim at one tolerance."""

    walk: WalkEntry
    result: ResultEntry
    sought: _Sought
    tests: Sequence[WalkTest]

    @property
    def ended(self) -> bool:
        """Whether a family ended the walk here."""
        return any(test.state in ("failed", "given up") for test in self.tests)


def panels(group: Group, unit: Unit) -> tuple[list[Markup], list[Markup]]:
    """The panels that tell most, where each walk ended and what was the last to pass, and all others."""
    looks = [look for result in group.results for look in _looks(result, group.walks)]
    looks = [look for look in looks if any(test.path for test in look.tests)]
    telling = [look for look in looks if _tells(look, looks)][:_PANELS]
    rest = [look for look in looks if look not in telling]
    return [_panel(look, unit) for look in telling], [_panel(look, unit) for look in rest]


def _looks(result: ResultEntry, walks: Sequence[WalkEntry]) -> Iterator[_Look]:
    """What the walk of a result looked at under its partition, from the largest budget down."""
    for walk in walks:
        if (walk.answerer, walk.corpus, walk.method, walk.seed) == _walk_of(result):
            by_look: dict[_Sought, list[WalkTest]] = {}
            for test in walk.tests:
                if test.partition == result.partition:
                    by_look.setdefault(_sought(test, result), []).append(test)
            yield from (_Look(walk, result, sought, by_look[sought]) for sought in sorted(by_look))


def _walk_of(result: ResultEntry) -> tuple[str, str, str, int]:
    return result.answerer, result.corpus, result.method, result.seed


def _sought(test: WalkTest, result: ResultEntry) -> _Sought:
    """What a test is a part of; an average has a tolerance of its own, which is no looser than that of its families."""
    tolerances = [entry.tolerance for entry in result.certified]
    of_families = min((t for t in tolerances if t >= test.tolerance), default=tolerances[0])
    return _Sought(tolerances.index(of_families), test.claim, -test.budget)


def _tells(look: _Look, looks: Sequence[_Look]) -> bool:
    """Whether a look is where its walk ended, or the last at which every family passed."""
    passed = [other for other in looks if other.result is look.result and not other.ended]
    passed = [other for other in passed if other.sought[:2] == look.sought[:2]]
    return look.ended or look is passed[-1]


def _panel(look: _Look, unit: Unit) -> Markup:
    """Of many families those that ended the walk, and then those that were looked at longest."""
    shown = sorted((test for test in look.tests if test.path), key=_weight)[:_STRANDS]
    first = look.tests[0]
    slowest = max((test for test in shown if _end(test) == "passes"), key=lambda test: test.asked, default=None)
    telling = [test for test in shown if _end(test) == "stops"] or [test for test in shown if test is slowest]
    goals = sorted({test.passing_peak for test in shown if test.passing_peak is not None})
    in_unit = unit_words(first.budget, look.result.axis)
    budget = percent(first.budget) if in_unit == NONE else in_unit
    heading = f"{look.walk.method}, seed {look.walk.seed}, at {budget}"
    panel = capital.CapitalPanel(
        heading,
        _note(look, len(shown), unit),
        shown[0].unit,
        [
            capital.Strand(
                all_rows_or(test),
                _path(test),
                _end(test),
                _words(test),
                any(test is other for other in telling),
            )
            for test in reversed(shown)
        ],
        [Tolerance(goal, f"{math.exp(goal):,.0f}") for goal in goals],
    )
    desc = "; ".join(_words(test) for test in shown)
    return capital.draw(panel, f"{desc}.")


def _path(test: WalkTest) -> list[tuple[int, float]]:
    """The way of a test; one that passed early ends where its capital was the highest, amid a visit."""
    points = [(point.units, point.log_capital) for point in test.path]
    if test.state != "passed early":
        return points
    return [*(point for point in points if point[0] < test.peak_at), (test.peak_at, test.peak)]


def _weight(test: WalkTest) -> tuple[int, int, str]:
    return ("stops", "undecided", "passes").index(_end(test)), -test.asked, all_rows_or(test)


def _end(test: WalkTest) -> capital.End:
    if test.state == "open":
        return "undecided"
    return "passes" if test.state in ("passed", "passed early") else "stops"


def _note(look: _Look, n_shown: int, unit: Unit) -> str:
    """For which claim and tolerance, where there are several, and what became of the families, in a few words."""
    claims = {entry.claim for entry in look.walk.tests}
    several = len(look.result.certified) > 1
    within = f"within {unit.tolerance(look.result.certified[look.sought.place].tolerance)}: " if several else ""
    sought = ("routed " if look.sought.claim == "routing" and len(claims) > 1 else "") + within
    n_passed = sum(_end(test) == "passes" for test in look.tests)
    stops = [test for test in look.tests if _end(test) == "stops"]
    more = f" ({n_shown} drawn)" if n_shown < len(look.tests) else ""
    if not stops:
        return f"{sought}{n_passed} of {len(look.tests)} pass{more}"
    ended = f"{all_rows_or(stops[0])} {stops[0].state}" if len(stops) == 1 else f"{len(stops)} fail or are given up"
    return f"{sought}{ended}, {n_passed} of {len(look.tests)} pass{more}"


def _words(test: WalkTest) -> str:
    """The values of a test."""
    changed = f"; {count(test.plus)} worse, {count(test.minus)} better" if test.plus or test.minus else ""
    line = "; too small to pass early" if test.passing_peak is None else f" of {amount(math.exp(test.passing_peak))}"
    return f"{all_rows_or(test)}: {state_words(test)}{changed}; at most {amount(math.exp(test.peak))}{line}"
