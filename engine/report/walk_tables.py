"""The tables of a run that stopped when it was decided: what each walk asked, and how every test ended.

Every number is the certificate's own, rounded for reading.
"""

import math
from collections.abc import Sequence

from earmark.engine.report.decisions import Group
from earmark.engine.report.html_tables import HtmlTable, folded_if_long, numbers, text, weightiest
from earmark.engine.report.numbers import Unit, amount, count, p_value, percent
from earmark.engine.report.walk_words import all_rows_or, not_asked, state_words
from earmark.engine.report.words import who
from earmark.engine.signoff.result_entry import ResultEntry
from earmark.engine.signoff.walk_entry import WalkEntry, WalkTest


def budgets_asked(group: Group) -> HtmlTable | None:
    """How many rows each method was asked about at every declared budget; None where everything was."""
    rows = [
        (
            who(walk),
            percent(cell.budget),
            count(cell.rows),
            count(cell.of_rows),
            _ended(walk, cell.budget) if cell.rows else not_asked(walk),
        )
        for walk in group.walks
        for cell in walk.asked
    ]
    columns = [*text("Method"), *numbers("Budget", "Rows asked", "Of"), *text("How its walk went on")]
    return folded_if_long("What was asked, from the largest budget down", columns, rows) if rows else None


def _ended(walk: WalkEntry, budget: float) -> str:
    """What the tests at a budget came to."""
    tests = [test for test in walk.tests if test.budget == budget]
    if not tests:
        return "asked after it was decided"
    stops = [test for test in tests if test.state in ("failed", "given up")]
    if not stops and any(test.state == "open" for test in tests):
        return "not decided yet"
    if not stops:
        return "every family that was tested passed"
    more = f", and {len(stops) - 1} more" if len(stops) > 1 else ""
    return f"{all_rows_or(stops[0])} {state_words(stops[0])}{more}"


def tests(result: ResultEntry, walks: Sequence[WalkEntry], unit: Unit) -> HtmlTable | None:
    """Every test of a result's walk; None where it was not walked."""
    of_walk = [
        test
        for walk in walks
        if (walk.answerer, walk.corpus, walk.method, walk.seed)
        == (result.answerer, result.corpus, result.method, result.seed)
        for test in walk.tests
        if test.partition == result.partition
    ]
    listed, more = weightiest(of_walk, _weight)
    several = len({(test.tolerance, test.claim) for test in of_walk}) > 1
    rows = [
        (
            all_rows_or(test),
            percent(test.budget),
            *([f"{unit.tolerance(test.tolerance)}, {test.claim}"] if several else []),
            state_words(test),
            count(test.plus),
            count(test.minus),
            p_value(test.p if test.asked and test.state not in ("given up", "open") else None),
            amount(math.exp(test.peak)),
            count(test.peak_at),
        )
        for test in listed
    ]
    columns = [
        *text("Family"),
        *numbers("Budget"),
        *text(*(["Within, for"] if several else []), "How its test ended"),
        *numbers("Worse", "Better", "p", "Most capital", "After"),
    ]
    caption = f"How every test ended, each at {percent(of_walk[0].level)}" if of_walk else ""
    return HtmlTable(caption, columns, rows, folded=True, more=more) if rows else None


def _weight(test: WalkTest) -> float:
    """What stopped a walk comes before what was looked at long."""
    return test.asked + (math.inf if test.state in ("failed", "given up") else 0)
