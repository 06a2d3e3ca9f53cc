"""Across training seeds (method 4): mean, sd, Student-t interval and a direction label.

Knows one number per seed; not where it came from.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from earmark.engine.signoff.audit_entry import Direction, Gain, GainOverSeeds

_ZERO = 1e-12


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
    half = _student_t(len(values) - 1) * sd / len(values) ** 0.5
    return Spread(mean, sd, mean - half, mean + half, direction_of(values))


def _student_t(df: int) -> float:
    """The t with P(|T| < t) = 95% of Student's distribution. SciPy's takes longer to import than all seeds take."""
    low, high = 0.0, math.pi / 2
    while low < (middle := 0.5 * (low + high)) < high:
        low, high = (middle, high) if _within(middle, df) < 0.95 else (low, middle)
    return math.sqrt(df) * math.tan(high)


def _within(angle: float, df: int) -> float:
    """P(|T| < sqrt(df) tan(angle)) (Abramowitz and Stegun 26.7.3 and 26.7.4)."""
    cos, term, series = math.cos(angle), 1.0 if df % 2 == 0 else math.cos(angle), 0.0
    for power in range(df % 2, df - 1, 2):
        series += term
        term *= cos * cos * (power + 1) / (power + 2)
    share = math.sin(angle) * series
    return share if df % 2 == 0 else 2 / math.pi * (angle + share)


def direction_of(values: Sequence[float]) -> Direction:
    """The sign that all seeds agree on, or that they do not."""
    if all(abs(value) <= _ZERO for value in values):
        return "ZERO"
    if all(value > _ZERO for value in values):
        return "CONSISTENT+"
    if all(value < -_ZERO for value in values):
        return "CONSISTENT-"
    return "MIXED"


def gains_over_seeds(gains: Sequence[Gain]) -> list[GainOverSeeds]:
    """Each gain over its training seeds, where there are at least two."""
    grouped: dict[Gain, list[tuple[int, float]]] = defaultdict(list)
    for gain in gains:
        if gain.point is not None and np.isfinite(gain.point):
            grouped[_without_values(gain)].append((gain.seed, gain.point))
    return [
        GainOverSeeds(
            kind=gain.kind,
            answerer=gain.answerer,
            reference_answerer=gain.reference_answerer,
            corpus=gain.corpus,
            partition=gain.partition,
            agnostic=gain.agnostic,
            conditioned=gain.conditioned,
            tolerance=gain.tolerance,
            axis=gain.axis,
            variant=gain.variant,
            seeds=tuple(seed for seed, _ in by_seed),
            values=tuple(point for _, point in by_seed),
            **spread([point for _, point in by_seed])._asdict(),
            tolerance_average=gain.tolerance_average,
        )
        for gain, by_seed in grouped.items()
        if len(by_seed) > 1
    ]


def _without_values(gain: Gain) -> Gain:
    """What a gain is about, the same for every training seed."""
    return gain._replace(
        seed=0,
        agnostic_frontier=None,
        conditioned_frontier=None,
        point=None,
        lower=None,
        upper=None,
        p=None,
        direction=None,
        at_smallest=None,
        at_full=None,
    )
