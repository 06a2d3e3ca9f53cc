"""Where a conditioned gain comes from: each family's own frontier with and without the question, over training seeds.

A gain of the whole corpus can hang on one small family, or hide that one is harmed. These are observed values with
their spread over seeds; they decide nothing. Knows observed excess; no files.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from earmark.engine.arrays import FloatArray
from earmark.engine.design.keys import ANCHOR
from earmark.engine.signoff.audit_entry import FamilyGain, FamilyGains
from earmark.engine.signoff.audits.gain import agnostic_of, point_gain, reference_answerers
from earmark.engine.signoff.audits.seeds import spread
from earmark.engine.signoff.excess import Observed
from earmark.engine.signoff.families import Families
from earmark.engine.signoff.pair import Curve, CurveKey
from earmark.kernels.statistics import frontier as kernel


class ByFamily(NamedTuple):
    """The interpolated frontier of every family by itself."""

    families: Families
    frontier: FloatArray  # (F,)


def locate(curve: Curve, families: Families, observed: Observed, tolerance: float) -> ByFamily:
    """Each family's smallest interpolated budget within the tolerance: 1 where no smaller one is."""
    excess = np.ascontiguousarray(observed.family.T)  # (B, F): families take the place of replicates
    return ByFamily(families, kernel.interpolated(excess, curve.budgets, tolerance))


def gains(located: Mapping[tuple[CurveKey, str, float], ByFamily], reference_answerer: str | None) -> list[FamilyGains]:
    """Every family's gain in every pair of selectors, its values by seed and their spread."""
    values: dict[tuple[Any, ...], dict[int, FloatArray]] = defaultdict(dict)
    families_of: dict[tuple[Any, ...], Families] = {}
    for (conditioned, partition, tolerance), with_question in located.items():
        if conditioned.stream != ANCHOR:
            continue
        for answerer in reference_answerers(conditioned, reference_answerer):
            agnostic = agnostic_of(conditioned, located, partition, tolerance, answerer)
            if agnostic is None:
                continue
            without_question = located[agnostic, partition, tolerance]
            pair = (answerer, agnostic.method, conditioned._replace(seed=0), partition, tolerance)
            families_of[pair] = with_question.families
            values[pair][conditioned.seed] = np.array(
                [point_gain(a, c) for a, c in zip(without_question.frontier, with_question.frontier, strict=True)]
            )
    return [
        FamilyGains(
            kind="same-backbone" if answerer == key.answerer else "cross-backbone",
            answerer=key.answerer,
            reference_answerer=answerer,
            corpus=key.corpus,
            partition=partition,
            agnostic=agnostic_method,
            conditioned=key.method,
            tolerance=tolerance,
            seeds=tuple(sorted(by_seed)),
            families=tuple(
                _of_family(name, int(families_of[pair].size[f]), [float(by_seed[seed][f]) for seed in sorted(by_seed)])
                for f, name in enumerate(families_of[pair].names)
            ),
        )
        for pair, by_seed in values.items()
        for answerer, agnostic_method, key, partition, tolerance in [pair]
    ]


def _of_family(name: str, n: int, values: Sequence[float]) -> FamilyGain:
    """The gain of one family from its value in each seed."""
    return FamilyGain(family=name, n=n, values=tuple(values), **spread(values)._asdict())
