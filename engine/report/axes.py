"""Budgets in words: what they are shares of, and the unit in which a compressor is asked for them.

Budgets of different axes are not compared: half of the seconds and half of the bits have nothing in common.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from earmark.engine.design.compressors import AXIS_WORDS, BITRATES, CUTOFFS, FACTORS, Axis
from earmark.engine.report.numbers import NONE, percent, significant

if TYPE_CHECKING:
    from earmark.engine.signoff.result_entry import ResultEntry

MethodAxes = Mapping[tuple[str, str, str], Axis | None]  # by answerer, corpus and method

_UNITS = {"duration": FACTORS, "bits": BITRATES, "bandwidth": CUTOFFS}
_WHOLES: Mapping[Axis | None, str] = {
    None: "of the audio",
    "seconds": "of the audio",
    "duration": "of the duration",
    "bits": "of the bits",
    "bandwidth": "of the bandwidth",
    "own": "of what it counts",
}


def method_axes(results: Iterable["ResultEntry"]) -> MethodAxes:
    """What the budgets of each method are shares of; None where nothing was declared."""
    return {(result.answerer, result.corpus, result.method): result.axis for result in results}


def axis_words(axis: Axis | None) -> str:
    """What a budget is a share of, as a line of its own; n/a where nothing was declared."""
    return NONE if axis is None else AXIS_WORDS[axis]


def whole_words(axis: Axis | None) -> str:
    """What a share is of, behind the share: `of the audio`, `of the bits`."""
    return _WHOLES[axis]


def unit_words(budget: float, axis: Axis | None) -> str:
    """A budget below 1 in the unit of its axis: `32 kb/s`, `2x`; n/a where there is none."""
    unit = _UNITS.get(axis or "")
    if unit is None or budget == 1:
        return NONE
    return f"{significant(unit.value(budget))}{'' if unit is FACTORS else ' '}{unit.word}"


def budget_words(budget: float, axis: Axis | None) -> str:
    """A budget with its unit: `12.5% (32 kb/s)`, `40%`."""
    return with_unit(percent(budget), budget, axis)


def share_words(budget: float, axis: Axis | None) -> str:
    """A budget with its unit and what it is a share of: `12.5% of the bits (32 kb/s)`, `40% of the audio`."""
    return with_unit(f"{percent(budget)} {whole_words(axis)}", budget, axis)


def with_unit(words: str, budget: float, axis: Axis | None) -> str:
    """Words for a budget, and in brackets the same in the unit of its axis, where it has one."""
    unit = unit_words(budget, axis)
    return words if unit == NONE else f"{words} ({unit})"
