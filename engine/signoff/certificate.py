"""From a run folder to a certificate: the whole sign-off on one screen, then its file.

docs/certificate.md describes the result field by field. Knows no report and no command line.
"""

import json
import math
import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from earmark.engine.outcomes import atomic
from earmark.engine.outcomes.schema import ANCHOR
from earmark.engine.signoff import audit, certified, chain, gain, paper, query_use, seeds
from earmark.engine.signoff.excess import Excess, observe, replicate
from earmark.engine.signoff.families import Families
from earmark.engine.signoff.frontier import Frontiers, frontiers
from earmark.engine.signoff.paired import Curve, CurveKey, Paired, Progress, Rows, pair
from earmark.engine.signoff.partitions import Partitions
from earmark.engine.signoff.rule import Rule
from earmark.engine.signoff.verdict import resamples_sources, result
from earmark.engine.signoff.warnings import warnings

SCHEMA = "earmark.certificate/1"
FILE = "certificate.json"

Certificate = dict[str, Any]
Entries = list[dict[str, Any]]


def quiet(what: str, done: int, total: int) -> None:
    """A progress that shows nothing."""


@dataclass
class _Sections:
    """The lists of the certificate, filled curve by curve."""

    results: Entries = field(default_factory=list)
    gains: list[gain.Gain] = field(default_factory=list)
    chains: Entries = field(default_factory=list)
    overlaps: Entries = field(default_factory=list)
    query_use: Entries = field(default_factory=list)
    contamination: Entries = field(default_factory=list)
    label_noise: Entries = field(default_factory=list)
    coarsening: Entries = field(default_factory=list)
    architecture_gap: Entries = field(default_factory=list)


def certify(run: Path, rule: Rule, progress: Progress = quiet) -> Certificate:
    """Everything the outcomes in `run` allow to say under `rule`."""
    partitions = Partitions(run, rule.partitions)
    paired = pair(run, rule, progress)
    reference_answerer = rule.reference_answerer or gain.default_reference_answerer(_curve_keys(paired))
    gain.check_reference_answerer(reference_answerer, _curve_keys(paired))
    made = _Sections()
    for rows, curves in paired.groups:
        families_of = partitions.of(rows, rule)
        noise_of = {partition: audit.noisy(families, rule.seed) for partition, families in families_of.items()}
        located: dict[tuple[CurveKey, str, float], Frontiers] = {}
        for curve, replicates in _resampled(rows, curves, families_of, rule, progress):
            for partition, families in families_of.items():
                resampled = replicates[partition] if replicates else None
                of_curve = _sign(curve, rows, partition, families, noise_of[partition], resampled, rule, made)
                located |= {(curve.key, partition, tolerance): found for tolerance, found in of_curve.items()}
        made.gains += gain.gains(located, reference_answerer, rule.alpha)
        made.query_use += query_use.query_use(located, rule.alpha)
        made.contamination += query_use.contamination(located, rule.alpha)
        made.architecture_gap += audit.architecture_gap(curves)
    partitions.check_parents(rule.parents)
    certificate: Certificate = _plain(
        {
            "schema": SCHEMA,
            "made_by": _made_by(),
            "run": ".",
            "rule": {
                **asdict(rule),
                "gamma": rule.gamma if rule.name == "certified" else None,
                "min_family": rule.family_minimum,
                "parents": dict(sorted(rule.parents.items())),
                "partitions": partitions.names,
                "reference_answerer": reference_answerer,
            },
            "warnings": warnings(made.results, paired, rule),
            "inputs": [file._asdict() for file in sorted(partitions.inputs + paired.inputs)],
            "errors": [
                asdict(found.key) | {name: value for name, value in found._asdict().items() if name != "key"}
                for found in paired.errors
            ],
            "results": made.results,
            "gains": [found._asdict() for found in made.gains],
            "chains": made.chains,
            "overlaps": made.overlaps,
            "audits": {
                "seeds": seeds.gains_over_seeds(made.gains, rule.alpha),
                "query_use": made.query_use,
                "contamination": made.contamination,
                "label_noise": made.label_noise,
                "coarsening": made.coarsening,
                "architecture_gap": made.architecture_gap,
            },
        }
    )
    return certificate


def _resampled(
    rows: Rows, curves: tuple[Curve, ...], families_of: Mapping[str, Families], rule: Rule, progress: Progress
) -> Iterator[tuple[Curve, dict[str, Excess] | None]]:
    """The curves with their replicates; permuted and naive streams are only ever compared by their observed values."""
    anchors = [curve for curve in curves if curve.key.stream == ANCHOR]
    source = rows.source if resamples_sources(rows, rule) else None
    if anchors:
        yield from replicate(
            anchors, families_of, source, replicates=rule.replicates, seed=rule.seed, progress=progress
        )
    for curve in curves:
        if curve.key.stream != ANCHOR:
            yield curve, None


def _sign(
    curve: Curve,
    rows: Rows,
    partition: str,
    families: Families,
    noise: audit.Labels | None,
    resampled: Excess | None,
    rule: Rule,
    made: _Sections,
) -> dict[float, Frontiers]:
    """The verdict and the diagnostics of one curve under one partition; returns its frontiers by tolerance."""
    observed = observe(curve, families)
    located = {
        tolerance: frontiers(observed.excess, resampled, curve, tolerance, rule.average_tolerance(tolerance))
        for tolerance in rule.tolerances
    }
    if resampled is None:
        return located
    if rule.name == "certified":
        judgement = certified.judge_curve(curve, rows, families, observed, rule)
    else:
        judgement = paper.judge_curve(curve, families, observed, resampled, rule)
    verdict = result(curve, rows, partition, families, observed, judgement, located, rule)
    made.results.append(verdict)
    key = {name: verdict[name] for name in ("answerer", "corpus", "method", "seed", "partition")}
    for tolerance in rule.tolerances:
        of_tolerance = (observed.excess, resampled, families, curve, tolerance, rule.alpha)
        made.chains.append(key | chain.chain(*of_tolerance))
        overlap = chain.overlap(*of_tolerance)
        made.overlaps += [key | overlap] if overlap else []
    made.label_noise += [key | entry for entry in audit.label_noise(curve, families, observed, noise)]
    made.coarsening += [key | entry for entry in audit.coarsening(curve, families, observed)]
    return located


# Form -----------------------------------------------------------------------------------------------------


def _curve_keys(paired: Paired) -> list[CurveKey]:
    return [curve.key for _, curves in paired.groups for curve in curves]


def _made_by() -> dict[str, str]:
    packages = ("earmark", "numpy", "pyarrow", "scipy")
    return {"python": platform.python_version()} | {name: version(name) for name in packages}


def _plain(value: Any) -> Any:
    """Only what JSON has: NaN and infinity become null, arrays and tuples lists."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write(certificate: Certificate, run: Path, out: Path) -> Path:
    """Write `certificate.json` into `out`, with the way from there to the run folder."""
    placed = certificate | {"run": Path(os.path.relpath(run.resolve(), out.resolve())).as_posix()}
    path = out / FILE
    atomic.write_file(path, (json.dumps(placed, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode())
    return path
