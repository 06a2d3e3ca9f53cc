"""Frontiers of one curve: the smallest budget within a tolerance, on three axes, for the average and the worst family.

Observed values and replicates go through the same code. Knows no files and no rule.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from earmark.engine.arrays import FloatArray
from earmark.engine.signoff.excess import Excess
from earmark.engine.signoff.pair import Curve
from earmark.engine.signoff.result_entry import FrontierAxis, Variant
from earmark.kernels.statistics import frontier as kernel

AXES: tuple[FrontierAxis, ...] = ("interpolated", "grid", "tokens")
VARIANTS: tuple[Variant, ...] = ("average", "family")


class Frontier(NamedTuple):
    """One frontier on one axis; inf where no evaluated budget passes, NaN without token counts."""

    point: float
    replicates: FloatArray  # (R,), empty where nothing was resampled
    smallest: float  # the smallest evaluated budget on this axis: a frontier there is left-censored
    full: float  # budget 1 on this axis


Frontiers = Mapping[tuple[FrontierAxis, Variant], Frontier]


def frontiers(
    point: Excess, replicates: Excess | None, curve: Curve, tolerance: float, tolerance_average: float
) -> Frontiers:
    """Every frontier of a curve at one tolerance, with its replicates where there are any."""
    points = _locate(point, curve, tolerance, tolerance_average)
    resampled = _locate(replicates, curve, tolerance, tolerance_average) if replicates else {}
    none = np.empty(0)
    ends = {"tokens": (float(curve.tokens[0]), float(curve.tokens[-1]))}
    default_ends = (float(curve.budgets[0]), 1.0)
    return {
        (axis, variant): Frontier(float(value[0]), resampled.get((axis, variant), none), *ends.get(axis, default_ends))
        for (axis, variant), value in points.items()
    }


def _locate(
    excess: Excess, curve: Curve, tolerance: float, tolerance_average: float
) -> dict[tuple[FrontierAxis, Variant], FloatArray]:
    """(R,) the frontier of every replicate, by axis and variant."""
    located: dict[tuple[FrontierAxis, Variant], FloatArray] = {}
    variants: tuple[tuple[Variant, FloatArray, float], ...] = (
        ("average", excess.average, tolerance_average),
        ("family", excess.worst, tolerance),
    )
    for variant, values, limit in variants:
        crossing = kernel.interpolated(values, curve.budgets, limit)
        located["interpolated", variant] = crossing
        located["grid", variant] = kernel.grid(values, curve.budgets, limit)
        # Linear between budgets; the mean tokens of a budget are held at their observed value.
        located["tokens", variant] = np.interp(crossing, curve.budgets, curve.tokens)
    return located
