"""Across training seeds (method 4): mean, sd, Student-t interval and a direction label.

Knows one number per seed; not where it came from.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from scipy.special import stdtrit

from earmark.engine.signoff.audits.gain import Gain

Direction = Literal["CONSISTENT+", "CONSISTENT-", "MIXED", "ZERO"]

_ZERO = 1e-12
_IDENTITY = (
    *("kind", "answerer", "reference_answerer", "corpus", "partition", "agnostic", "conditioned"),
    *("tolerance", "axis", "variant"),
)


class Spread(NamedTuple):
    """Values of training seeds summed up; all but the mean and the direction are NaN for a single seed."""

    mean: float
    sd: float
    lower: float
    upper: float
    direction: Direction


def spread(values: Sequence[float]) -> Spread:
    """Mean, sd (n - 1), 95% Student-t interval (df = seeds - 1), and the direction."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return Spread(mean, float("nan"), float("nan"), float("nan"), direction_of(values))
    sd = float(np.std(values, ddof=1))
    half = float(stdtrit(len(values) - 1, 0.975)) * sd / len(values) ** 0.5
    return Spread(mean, sd, mean - half, mean + half, direction_of(values))


def direction_of(values: Sequence[float]) -> Direction:
    """The sign that all seeds agree on, or that they do not."""
    if all(abs(value) <= _ZERO for value in values):
        return "ZERO"
    if all(value > _ZERO for value in values):
        return "CONSISTENT+"
    if all(value < -_ZERO for value in values):
        return "CONSISTENT-"
    return "MIXED"


def gains_over_seeds(gains: Sequence[Gain]) -> list[dict[str, Any]]:
    """Each gain over its training seeds, where there are at least two."""
    grouped: dict[tuple[object, ...], list[Gain]] = defaultdict(list)
    for gain in gains:
        if np.isfinite(gain.point):
            grouped[tuple(getattr(gain, name) for name in _IDENTITY)].append(gain)
    return [
        {
            **dict(zip(_IDENTITY, key, strict=True)),
            "seeds": [gain.seed for gain in group],
            "values": [gain.point for gain in group],
            **spread([gain.point for gain in group])._asdict(),
        }
        for key, group in grouped.items()
        if len(group) > 1
    ]
