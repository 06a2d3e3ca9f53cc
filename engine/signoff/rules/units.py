"""Which rows of a group are independent draws, and with them which test is theirs: from names alone, before outcomes.

No recording repeats: every row is a draw, and the exact test takes them all. Few do: one row of each recording, by
the constant order, and the exact test again. Else recordings are bet on. Knows no losses.
"""

from typing import NamedTuple

import numpy as np

from earmark.engine.arrays import IntArray
from earmark.engine.design.rule import Rule
from earmark.engine.errors import InputError
from earmark.engine.signoff.rules.judgement import Estimand, Test

MILD = 1.9  # rows a recording, on average: up to here one row of each shows more than bets on all (docs/validity.md)


class Units(NamedTuple):
    """A group of rows as n independent units."""

    test: Test
    estimand: Estimand
    n: int
    rows: IntArray  # the group, in the constant order
    recording: IntArray  # of each of these rows, from 0 to n - 1, rising
    most_rows: int | None  # declared of a recording, where sums of rows are bet on


def units_of(group: IntArray, source: IntArray, place: IntArray, rule: Rule) -> Units:
    """The units of the rows in `group`; raises InputError where a recording has more rows than were declared."""
    rows = group[np.argsort(place[group], kind="stable")]
    recording = np.zeros(len(rows), dtype=np.int64)
    if rule.clustering == "ignore":
        recording = np.arange(len(rows), dtype=np.int64)
    else:
        recording[1:] = np.cumsum(source[rows][1:] != source[rows][:-1])
    n = int(recording[-1]) + 1
    if n == len(rows):
        return Units("exact", "rows", n, rows, recording, None)
    if rule.max_rows_per_recording is not None:
        most = int(np.bincount(recording).max())
        if most > rule.max_rows_per_recording:
            raise InputError(
                f"max-rows-per-recording {rule.max_rows_per_recording}",
                f"was declared, and a recording has {most} rows",
                "declare no such number, and the mean of recordings is tested",
            )
        return Units("bets", "rows", n, rows, recording, rule.max_rows_per_recording)
    return Units(choose_test(len(rows), n, rule), "recordings", n, rows, recording, None)


def choose_test(n_rows: int, n_recordings: int, rule: Rule) -> Test:
    """The test of a family, by its numbers of rows and recordings."""
    if n_rows == n_recordings or rule.clustering == "ignore":
        return "exact"
    if rule.max_rows_per_recording is not None:
        return "bets"
    return "one-row" if rule.clustering == "one-row" or n_rows <= MILD * n_recordings else "bets"
