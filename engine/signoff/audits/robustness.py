"""Robustness audits (method 5, 8, 10): wrong family labels, a coarser partition, another answerer.

Knows curves, families and observed excess; no files.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, Literal

import numpy as np

from earmark.engine.design.keys import ANCHOR
from earmark.engine.signoff.audit_entry import ArchitectureGap, Coarsening, GapCell, LabelNoise
from earmark.engine.signoff.excess import Observed, worst_family
from earmark.engine.signoff.families import Families, coarsened
from earmark.engine.signoff.pair import Curve, CurveKey
from earmark.kernels.statistics.noise import Labels, bottlenecks, noisy_labels

NOISE_RATE, NOISE_DRAWS = 0.2, 100
_NO_DAMAGE = 1e-12


def label_noise(
    curve: Curve, families: Families, observed: Observed, labels: Labels | None, key: Mapping[str, Any]
) -> list[LabelNoise]:
    """How often the worst family stays the worst when a fifth of the labels are replaced by other families'.

    `key` are the fields of a ResultKey, here and below.
    """
    if labels is None:
        return []
    budgets = np.flatnonzero(curve.budgets < 1)
    worst_under_noise = bottlenecks(labels, curve.difference[:, : len(budgets)])  # budget 1 is the last
    preserved = (worst_under_noise == observed.family[:, budgets].argmax(axis=0)).mean(axis=0)
    return [
        LabelNoise(
            **key,
            budget=float(curve.budgets[b]),
            rate=NOISE_RATE,
            draws=NOISE_DRAWS,
            bottleneck=worst_family(observed.family[:, b], families),
            preserved=float(share),
        )
        for b, share in zip(budgets, preserved, strict=True)
    ]


def noisy(families: Families, seed: int) -> Labels | None:
    """The noisy labels that every curve under this partition is tried with; None where there is one family."""
    if len(families.names) < 2:
        return None
    return noisy_labels(families.code, len(families.names), rate=NOISE_RATE, draws=NOISE_DRAWS, seed=seed)


def coarsening(curve: Curve, families: Families, observed: Observed, key: Mapping[str, Any]) -> list[Coarsening]:
    """The hidden damage that is left, and the share destroyed, when families are merged into two balanced groups."""
    if len(families.names) < 3:
        return []
    groups = coarsened(families)
    sums = observed.family * families.size[:, None]
    coarse = np.stack([sums[list(group)].sum(axis=0) / families.size[list(group)].sum() for group in groups])
    average = observed.average
    fine_damage, coarse_damage = observed.worst - average, coarse.max(axis=0) - average
    return [
        Coarsening(
            **key,
            budget=float(curve.budgets[b]),
            groups=tuple(tuple(families.names[f] for f in group) for group in groups),
            hidden_damage_fine=float(fine_damage[b]),
            hidden_damage_coarse=float(coarse_damage[b]),
            share_destroyed=float(1 - coarse_damage[b] / fine_damage[b]) if fine_damage[b] > _NO_DAMAGE else None,
        )
        for b in np.flatnonzero(curve.budgets < 1)
    ]


def architecture_gap(curves: Sequence[Curve]) -> list[ArchitectureGap]:
    """Difference of mean loss between answerers on the same rows, per pair of answerers and kind of interface."""
    by_key = {curve.key: curve for curve in curves if curve.key.stream == ANCHOR}
    answerers = sorted({key.answerer for key in by_key})
    entries = []
    for first, second in combinations(answerers, 2):
        cells: dict[Literal["clean", "native"], list[GapCell]] = defaultdict(list)
        for key, curve in by_key.items():
            second_curve = by_key.get(key._replace(answerer=second))
            if key.answerer == first and second_curve is not None:
                for interface, cell in _gaps(key, curve, second_curve):
                    cells[interface].append(cell)
        for interface, gap_cells in sorted(cells.items()):
            gaps = [cell.gap for cell in gap_cells]
            entries.append(
                ArchitectureGap(
                    answerers=(first, second),
                    corpus=curves[0].key.corpus,
                    interface=interface,
                    cells=tuple(gap_cells),
                    mean=float(np.mean(gaps)),
                    sd=float(np.std(gaps, ddof=1)) if len(gaps) > 1 else None,
                )
            )
    return entries


def _gaps(key: CurveKey, curve: Curve, second: Curve) -> list[tuple[Literal["clean", "native"], GapCell]]:
    """(interface, cell) at every budget that both ran; clean: both answerers heard the same chunks."""
    gaps: list[tuple[Literal["clean", "native"], GapCell]] = []
    for b, budget in enumerate(curve.budgets):
        matches = np.flatnonzero(second.budgets == budget)
        if not len(matches) or (budget == 1 and (curve.implied or second.implied)):
            continue
        b_second = int(matches[0])
        clean = curve.kept[b] is not None and curve.kept[b] == second.kept[b_second]
        gap = float(second.loss[b_second] - curve.loss[b])
        gaps.append(("clean" if clean else "native", GapCell(key.method, key.seed, float(budget), gap)))
    return gaps
