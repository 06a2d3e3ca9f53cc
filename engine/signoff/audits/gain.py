"""Conditioned gains (method 4): the budget that knowing the question saves.

Works on frontiers that were located elsewhere; knows no outcomes. Field names are those of the certificate.
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from earmark.engine.design.keys import ANCHOR, agnostic_partner, is_agnostic, is_conditioned
from earmark.engine.design.rule import Rule
from earmark.engine.errors import InputError, choose
from earmark.engine.signoff.audit_entry import Gain
from earmark.engine.signoff.frontier import AXES, VARIANTS, Frontiers
from earmark.engine.signoff.pair import CurveKey
from earmark.engine.signoff.result_entry import FrontierAxis, Variant
from earmark.kernels.statistics.frontier import SLACK
from earmark.kernels.statistics.order_statistics import percentile_ends

AllFrontiers = Mapping[tuple[CurveKey, str, float], Frontiers]  # by curve, partition and tolerance


def gains(frontiers: AllFrontiers, reference_answerer: str | None, rule: Rule) -> list[Gain]:
    """Every conditioned gain that the curves allow: under one answerer, and against a reference answerer's selector."""
    all_gains = []
    for conditioned, partition, tolerance in frontiers:
        if conditioned.stream != ANCHOR:
            continue
        for answerer in reference_answerers(conditioned, reference_answerer):
            agnostic = agnostic_of(conditioned, frontiers, partition, tolerance, answerer)
            if agnostic is not None:
                pair = frontiers[agnostic, partition, tolerance], frontiers[conditioned, partition, tolerance]
                all_gains += [
                    _gain(agnostic, conditioned, partition, tolerance, axis, variant, pair, rule)
                    for axis in AXES
                    for variant in VARIANTS
                ]
    return all_gains


def default_reference_answerer(curves: Sequence[CurveKey]) -> str | None:
    """The first answerer by name that has an agnostic selector, where there are several answerers."""
    with_agnostic = sorted({key.answerer for key in curves if is_agnostic(key.method)})
    return with_agnostic[0] if with_agnostic and len({key.answerer for key in curves}) > 1 else None


def check_reference_answerer(reference: str | None, curves: Sequence[CurveKey]) -> None:
    """Refuse a reference answerer that the run does not have."""
    answerers = sorted({key.answerer for key in curves})
    if reference is not None and reference not in answerers:
        raise InputError(f"reference answerer {reference}", "is not in the run", choose(reference, answerers))


def reference_answerers(key: CurveKey, reference: str | None) -> list[str]:
    """The answerers whose agnostic selector a curve is compared with: its own, and the reference."""
    return [key.answerer] if reference in (None, key.answerer) else [key.answerer, str(reference)]


def agnostic_of(
    key: CurveKey, located: Collection[tuple[CurveKey, str, float]], partition: str, tolerance: float, answerer: str
) -> CurveKey | None:
    """The agnostic curve to compare with: its stream and seed, else the anchor, else the only seed there is."""
    if not is_conditioned(key.method):
        return None
    method = agnostic_partner(key.method)
    for stream in dict.fromkeys((key.stream, ANCHOR)):
        same_seed = CurveKey(answerer, key.corpus, method, key.seed, stream)
        partners = [
            partner
            for partner, p, t in located
            if (p, t) == (partition, tolerance) and partner._replace(seed=key.seed) == same_seed
        ]
        if same_seed in partners:
            return same_seed
        if len(partners) == 1:
            return partners[0]
    return None


def _gain(
    agnostic: CurveKey,
    conditioned: CurveKey,
    partition: str,
    tolerance: float,
    axis: FrontierAxis,
    variant: Variant,
    pair: tuple[Frontiers, Frontiers],
    rule: Rule,
) -> Gain:
    without_question, with_question = (frontiers[axis, variant] for frontiers in pair)
    lower = upper = p = float("nan")
    a, c = without_question.replicates, with_question.replicates
    if np.isfinite(a).all() and np.isfinite(c).all():
        replicates = a - c
        lower, upper = (float(end) for end in percentile_ends(replicates, rule.alpha))
        p = two_sided_p(replicates)
    return Gain(
        kind="same-backbone" if agnostic.answerer == conditioned.answerer else "cross-backbone",
        answerer=conditioned.answerer,
        reference_answerer=agnostic.answerer,
        corpus=conditioned.corpus,
        seed=conditioned.seed,
        partition=partition,
        agnostic=agnostic.method,
        conditioned=conditioned.method,
        tolerance=tolerance,
        axis=axis,
        variant=variant,
        agnostic_frontier=without_question.point,
        conditioned_frontier=with_question.point,
        point=point_gain(without_question.point, with_question.point),
        lower=lower,
        upper=upper,
        p=p,
        direction=None if np.isnan(lower) else "positive" if lower > 0 else "negative" if upper < 0 else "inconclusive",
        at_smallest=_share(a == without_question.smallest, c == with_question.smallest, known=not np.isnan(a).any()),
        at_full=_share(a == without_question.full, c == with_question.full, known=not np.isnan(a).any()),
        tolerance_average=rule.average_tolerance(tolerance),
    )


def _share(agnostic: npt.NDArray[np.bool_], conditioned: npt.NDArray[np.bool_], *, known: bool) -> float:
    """Share of replicates in which either holds; NaN where there are no frontiers on the axis."""
    return float((agnostic | conditioned).mean()) if known else float("nan")


def point_gain(agnostic: float, conditioned: float) -> float:
    """Agnostic minus conditioned frontier; NaN where either does not exist."""
    return agnostic - conditioned if np.isfinite(agnostic) and np.isfinite(conditioned) else float("nan")


def two_sided_p(replicates: npt.NDArray[np.float64]) -> float:
    """min(1, 2 min(P*(G <= 0), P*(G >= 0))) over bootstrap replicates of a gain (method 5)."""
    return float(min(1.0, 2 * min((replicates <= SLACK).mean(), (replicates >= -SLACK).mean())))
