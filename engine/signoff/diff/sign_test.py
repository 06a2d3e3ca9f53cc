"""The exact sign test, and its p-values corrected for there being several. Knows counts only."""

from collections.abc import Sequence

import numpy as np

from earmark.kernels.statistics.plain.walks import chance_of_at_least


def sign_p(n_against: int, n_for: int) -> float:
    """The chance of so many units against, or more, among those that changed, were both ways as likely.

    An upper bound of it where a unit is likelier to change the other way.
    """
    return chance_of_at_least(n_against, n_against + n_for, 0.5)


def corrected(counts: Sequence[tuple[int, int]], alpha: float) -> tuple[list[float | None], int]:
    """For units against and for, test by test: p corrected after Holm, and how many tests were paid for.

    A true hypothesis is rejected with a chance of at most alpha. What could not be rejected if all of its changes were
    against is not tested, and has None (Tarone): how many units changed says nothing of the direction.
    """
    chosen = _testable([against + in_favour for against, in_favour in counts], alpha)
    adjusted = _holm([sign_p(*counts[i]) for i in chosen])
    p: list[float | None] = [None] * len(counts)
    for i, value in zip(chosen, adjusted, strict=True):
        p[i] = value
    return p, len(chosen)


def _testable(n_changed: Sequence[int], alpha: float) -> list[int]:
    """Which tests can reject at alpha divided by their number, where that is as small as it can be."""
    least_p = 0.5 ** np.asarray(n_changed, dtype=np.float64)
    k = np.arange(1, len(least_p) + 1)
    n_chosen = np.searchsorted(np.sort(least_p), alpha / k, side="right")
    enough = np.flatnonzero(n_chosen <= k)
    return np.flatnonzero(least_p <= alpha / k[enough[0]]).tolist() if len(enough) else []


def _holm(p: Sequence[float]) -> list[float]:
    """p-values corrected after Holm."""
    order = np.argsort(p, kind="stable")
    stepped = np.asarray(p, dtype=np.float64)[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return [float(value) for value in adjusted]
