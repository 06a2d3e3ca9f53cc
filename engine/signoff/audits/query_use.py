"""The query-use audit (method 4): is the gain still there when the selector is shown another question?

Decoupled: only the selector gets the permuted question. Naive: the answerer gets it too, which contaminates.
Works on located frontiers; knows no outcomes.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from earmark.engine.design.keys import ANCHOR, agnostic_partner, is_conditioned, stream_of
from earmark.engine.design.rule import SMALL_PHI, SUBSTANTIAL_PHI, Rule
from earmark.engine.signoff.audit_entry import Band, Contamination, Protocol, QueryUse
from earmark.engine.signoff.audits.gain import AllFrontiers, agnostic_of, point_gain
from earmark.engine.signoff.audits.seeds import spread
from earmark.engine.signoff.frontier import VARIANTS
from earmark.engine.signoff.pair import Curve, CurveKey
from earmark.engine.signoff.result_entry import Variant
from earmark.kernels.statistics.frontier import SLACK

PROTOCOL: dict[str, Protocol] = {"permuted": "decoupled", "naive": "naive"}  # by the first word of the stream


class _Audit(NamedTuple):
    """The identity of one audit, over all training seeds."""

    answerer: str
    corpus: str
    partition: str
    agnostic: str
    conditioned: str
    tolerance: float
    variant: Variant
    regime: str


def query_use(frontiers: AllFrontiers, rule: Rule) -> list[QueryUse]:
    """An entry per audit and protocol: phi = G(anchor) - mean of G(permuted), per training seed, and over seeds."""
    entries = []
    for (audit, protocol), by_seed in _lost_gains(frontiers).items():
        values = [float(np.mean(lost)) for lost in by_seed.values()]
        entries.append(
            QueryUse(
                **audit._asdict(),
                protocol=protocol,
                seeds=tuple(by_seed),
                permutations=tuple(len(lost) for lost in by_seed.values()),
                values=tuple(values),
                **spread(values)._asdict(),
                band=band(float(np.mean(values))),
                tolerance_average=rule.average_tolerance(audit.tolerance),
            )
        )
    return entries


def contamination(frontiers: AllFrontiers, rule: Rule) -> list[Contamination]:
    """Naive minus decoupled phi per training seed that has both, and the ratio of their means."""
    lost = _lost_gains(frontiers)
    entries = []
    for (audit, protocol), naive in lost.items():
        decoupled = lost.get((audit, "decoupled"), {})
        seeds = [seed for seed in naive if seed in decoupled]
        if protocol != "naive" or not seeds:
            continue
        phi_naive, phi_decoupled = ([float(np.mean(lost_of[seed])) for seed in seeds] for lost_of in (naive, decoupled))
        values = [n - d for n, d in zip(phi_naive, phi_decoupled, strict=True)]
        mean_decoupled = float(np.mean(phi_decoupled))
        entries.append(
            Contamination(
                **audit._asdict(),
                protocol="naive - decoupled",
                seeds=tuple(seeds),
                values=tuple(values),
                **spread(values)._asdict(),
                ratio=float(np.mean(phi_naive)) / mean_decoupled if mean_decoupled else None,
                tolerance_average=rule.average_tolerance(audit.tolerance),
            )
        )
    return entries


def incomplete(curves: Sequence[Curve]) -> set[CurveKey]:
    """Keys of curves whose budgets are not those of their anchor: their frontiers cannot be compared yet."""
    anchors = {curve.key: _compressed(curve) for curve in curves if curve.key.stream == ANCHOR}
    return {
        curve.key
        for curve in curves
        if _compressed(curve) != anchors.get(curve.key._replace(stream=ANCHOR), _compressed(curve))
    }


def _compressed(curve: Curve) -> list[float]:
    return [budget for budget in curve.budgets.tolist() if budget < 1]


def band(phi: float) -> Band:
    """The band of a phi: null, small or substantial."""
    if abs(phi) < SMALL_PHI - SLACK:
        return "PHI1"
    return "PHI2" if abs(phi) < SUBSTANTIAL_PHI - SLACK else "PHI3"


def _lost_gains(frontiers: AllFrontiers) -> dict[tuple[_Audit, Protocol], dict[int, list[float]]]:
    """G(anchor) - G(permuted) of every permutation, by audit and protocol, then by training seed."""
    lost: dict[tuple[_Audit, Protocol], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for key, partition, tolerance in frontiers:
        stream = stream_of(key.stream)
        if stream is None or not is_conditioned(key.method):
            continue
        agnostic = agnostic_partner(key.method)
        for variant in VARIANTS:
            anchored = _gain(key._replace(stream=ANCHOR), frontiers, partition, tolerance, variant)
            permuted = _gain(key, frontiers, partition, tolerance, variant)
            if np.isfinite(anchored - permuted):
                audit = _Audit(
                    key.answerer, key.corpus, partition, agnostic, key.method, tolerance, variant, stream.regime
                )
                lost[audit, PROTOCOL[stream.protocol]][key.seed].append(anchored - permuted)
    return lost


def _gain(key: CurveKey, frontiers: AllFrontiers, partition: str, tolerance: float, variant: Variant) -> float:
    """Interpolated gain of a curve under its own answerer; NaN where it has no agnostic partner."""
    agnostic = agnostic_of(key, frontiers, partition, tolerance, key.answerer)
    if agnostic is None or (key, partition, tolerance) not in frontiers:
        return float("nan")
    return point_gain(
        frontiers[agnostic, partition, tolerance]["interpolated", variant].point,
        frontiers[key, partition, tolerance]["interpolated", variant].point,
    )
