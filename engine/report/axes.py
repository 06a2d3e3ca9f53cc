"""Budgets in words: what they are shares of, and the unit in which a compressor is asked for them.

Budgets of different axes are not compared: half of the seconds and half of the bits have nothing in common.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from earmark.engine.design.compressors import AXIS_WORDS, BITRATES, CUTOFFS, FACTORS, Axis
from earmark.engine.report.numbers import NONE, percent, significant
from earmark.engine.signoff.measured import exceeded

if TYPE_CHECKING:
    from earmark.engine.signoff.certificate import Certificate
    from earmark.engine.signoff.claim_entry import CandidatePolicy

_UNITS = {"duration": FACTORS, "bits": BITRATES, "bandwidth": CUTOFFS}
_WHOLES: Mapping[Axis | None, str] = {
    None: "of the audio",
    "seconds": "of the audio",
    "duration": "of the duration",
    "bits": "of the bits",
    "bandwidth": "of the bandwidth",
    "positions": "of the audio tokens",
    "layers": "of the audio positions after the layer",
    "cache": "of the audio's keys and values",
    "own": "of what it counts",
}


class CandidateAxis(NamedTuple):
    """What the budgets of a candidate are shares of, and where it really uses far more of that."""

    axis: Axis | None  # None: nothing was declared
    exceeded: Mapping[float, float]  # what is measured, by budget

    def share(self, budget: float) -> str:
        """A budget as a share, and what is really used where that is far more: `50% of the audio (really 100%)`."""
        return share_words(budget, self.axis) + self.really(budget)

    def really(self, budget: float) -> str:
        """What is really used at a budget, in brackets behind it, where that is far more; else nothing."""
        return f" (really {percent(self.exceeded[budget])})" if budget in self.exceeded else ""

    def retained(self, share: str, policy: "CandidatePolicy | None") -> str:
        """A mean share over the families of a policy, and the budgets of it at which far more is really used."""
        budgets = sorted({route.budget for route in policy.families} & self.exceeded.keys()) if policy else []
        more = ", ".join(f"{percent(self.exceeded[budget])} at {percent(budget)}" for budget in budgets)
        return f"{share} {whole_words(self.axis)}" + (f" (really {more})" if more else "")


def candidate_axes(certificate: "Certificate") -> Mapping[str, CandidateAxis]:
    """What the budgets of every candidate of the claim are, by its name."""
    axes = {}
    for candidate in certificate.claim.candidates:
        place = (candidate.answerer, candidate.corpus, candidate.method)
        results = [
            r for r in certificate.results if (r.answerer, r.corpus, r.method) == place and r.seed in candidate.seeds
        ]
        axes[candidate.name] = CandidateAxis(results[0].axis if results else None, exceeded(results))
    return axes


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


def has_unit(axis: Axis | None) -> bool:
    """Whether budgets below 1 have a unit there, such as kb/s."""
    return axis in _UNITS


def short_words(budget: float, axis: Axis | None) -> str:
    """A budget in the unit of its axis, `32 kb/s`; as a number where it has none."""
    unit = unit_words(budget, axis)
    return f"{budget:g}" if unit == NONE else unit


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
