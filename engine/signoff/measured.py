"""What a method really uses of its axis, beside the budget that it was given: nothing else holds a compressor to it.

Knows the entries of verdicts; computes shares of what raw audio uses, and nothing of harm.
"""

from collections.abc import Iterable, Mapping

from earmark.engine.design.compressors import Axis
from earmark.engine.signoff.result_entry import ResultEntry, Used

_TIMES, _PLUS = 1.5, 0.02  # of a budget: codecs miss a rate that they are asked for, and containers have headers
FIGURES: Mapping[Axis | None, str] = {
    "seconds": "seconds",
    "duration": "seconds",
    "bits": "bits",
    "bandwidth": "bits",
    "positions": "positions",
    "layers": "positions",
    "cache": "positions",
}  # of `Used`


def measured_share(result: ResultEntry, used: Used) -> float | None:
    """What is used of that which budgets of a method are shares of, as a share of raw audio's; None: nobody knows."""
    if result.axis not in FIGURES:
        return None
    figure = FIGURES[result.axis]
    amount = getattr(used, figure)
    raw_amount = next((getattr(entry.used, figure) for entry in result.budgets if entry.budget == 1), None)
    return amount / raw_amount if amount is not None and raw_amount else None


def exceeded(results: Iterable[ResultEntry]) -> dict[float, float]:
    """The largest measured share by budget, where it is far above the budget, over results of one method."""
    shares: dict[float, float] = {}
    for result in results:
        for entry in result.budgets:
            share = measured_share(result, entry.used)
            if share is not None and share > _TIMES * entry.budget + _PLUS:
                shares[entry.budget] = max(share, shares.get(entry.budget, 0.0))
    return shares
