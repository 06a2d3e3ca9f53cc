"""From a run folder to a certificate: the whole sign-off on one screen, then its file.

docs/certificate.md describes the result field by field. Knows no report and no command line.
"""

import hashlib
import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np

from earmark.engine import files
from earmark.engine.design.keys import ANCHOR
from earmark.engine.design.rule import Rule
from earmark.engine.outcomes.imports import doubts
from earmark.engine.outcomes.plan_file import PLAN, read_plan
from earmark.engine.outcomes.store import InputFile
from earmark.engine.progress import silent
from earmark.engine.signoff import declaration, follow, policy, preview
from earmark.engine.signoff.audits import (
    beside,
    chain,
    family_gain,
    gain,
    leakage,
    listening,
    query_use,
    robustness,
    seeds,
    selection,
)
from earmark.engine.signoff.audits.listening import FamilyHearing
from earmark.engine.signoff.certificate import CERTIFICATE_FILE, SCHEMA, Certificate
from earmark.engine.signoff.excess import Excess, Observed, observe, replicate
from earmark.engine.signoff.families import Families
from earmark.engine.signoff.follow import Follows
from earmark.engine.signoff.frontier import Frontiers, frontiers
from earmark.engine.signoff.judged_partitions import Partitions
from earmark.engine.signoff.pair import Curve, CurveKey, Paired, Progress, Rows, pair
from earmark.engine.signoff.rules import certified, claim, paper
from earmark.engine.signoff.rules.group_tests import family_minimum
from earmark.engine.signoff.rules.verdict import resamples_sources, result
from earmark.engine.signoff.warnings import warnings
from earmark.kernels.statistics.noise import Labels

_AS_IT_IS = {str, int, bool, type(None)}

Entries = list[dict[str, Any]]


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
    family_gains: Entries = field(default_factory=list)
    kept_chunks: Entries = field(default_factory=list)

    def add(self, signed: "_Signed") -> None:
        """Append the entries of one subject."""
        self.results += signed.results
        self.chains += signed.chains
        self.overlaps += signed.overlaps
        self.label_noise += signed.label_noise
        self.coarsening += signed.coarsening


class _Subject(NamedTuple):
    """One curve under one partition, with everything that its verdict is computed from."""

    curve: Curve
    rows: Rows
    partition: str
    families: Families
    observed: Observed
    tested: certified.Tested | None  # under the certified rule
    hearing: Sequence[FamilyHearing]
    noise: Labels | None
    replicates: Excess | None  # of anchors


class _Signed(NamedTuple):
    """Frontiers of a subject by tolerance, and its entries of the certificate."""

    frontiers: dict[float, Frontiers]
    results: Sequence[dict[str, Any]] = ()
    chains: Sequence[dict[str, Any]] = ()
    overlaps: Sequence[dict[str, Any]] = ()
    label_noise: Sequence[dict[str, Any]] = ()
    coarsening: Sequence[dict[str, Any]] = ()
    judged: claim.Judged | None = None  # under the certified rule, for the claim


def certify(run: Path, rule: Rule, progress: Progress = silent, follows: Follows | None = None) -> Certificate:
    """The certificate of the outcomes in `run` under `rule`; `follows` is the certificate before, if it continues one.

    Raises InputError where files cannot be paired or do not fit the rule, and UncertifiableError where too many rows
    failed.
    """
    mark = preview.read(run)
    plan = read_plan(run) if mark is None else None
    guarded = leakage.guard(run, rule.in_domain)
    partitions = Partitions(run, rule.partitions)
    paired = pair(run, rule, progress, plan)
    imported = doubts.read(run)
    keys = _curve_keys(paired)
    reference_answerer = rule.reference_answerer or gain.default_reference_answerer(keys)
    gain.check_reference_answerer(reference_answerer, keys)
    candidate_curves = {
        claim.CandidateCurve(key.answerer, key.corpus, key.method, key.seed) for key in keys if key.stream == ANCHOR
    }
    if plan is not None:
        candidate_curves |= {
            claim.CandidateCurve(a, plan.corpus.name, arm.method, arm.seed) for a in plan.answerers for arm in plan.arms
        }
    candidates = claim.candidates(rule.candidates, candidate_curves)
    levels = claim.levels(rule, max(1, len(candidates)))
    claimed = claim.curve_keys(candidates, ANCHOR)
    sections = _Sections()
    judged: dict[CurveKey, list[claim.Judged]] = {}
    hearing: dict[tuple[str, str], dict[str, list[FamilyHearing]]] = {}
    for rows, curves in paired.groups:
        families_of = partitions.of(rows, rule)
        noise_of = {partition: robustness.noisy(families, rule.seed) for partition, families in families_of.items()}
        observed = {
            (curve.key, name): observe(curve, families) for curve in curves for name, families in families_of.items()
        }
        hearing |= {
            at: {
                name: listening.listen(paired.controls[at], rows, families, rule)
                for name, families in families_of.items()
            }
            for at in dict.fromkeys((curve.key.answerer, curve.key.corpus) for curve in curves)
        }
        anchors = [curve for curve in curves if curve.key.stream == ANCHOR]
        tested: Mapping[certified.Subject, certified.Tested] = {}
        if rule.name == "certified":
            tested = certified.run_tests(anchors, rows, families_of, rule, levels, claimed, next(iter(families_of)))
        located: dict[tuple[CurveKey, str, float], Frontiers] = {}
        done = 0
        for chunk in _resampled(rows, curves, families_of, rule):
            subjects = [
                _Subject(
                    curve,
                    rows,
                    partition,
                    families,
                    observed[curve.key, partition],
                    tested.get((curve.key, partition)),
                    hearing[curve.key.answerer, curve.key.corpus][partition],
                    noise_of[partition],
                    replicates.get(partition),
                )
                for curve, replicates in chunk
                for partition, families in families_of.items()
            ]
            for subject, signed in zip(subjects, _sign_each(subjects, rule, levels), strict=True):
                sections.add(signed)
                located |= {
                    (subject.curve.key, subject.partition, t): by_axis for t, by_axis in signed.frontiers.items()
                }
                if subject.curve.key in claimed and signed.judged is not None:
                    judged.setdefault(subject.curve.key, []).append(signed.judged)
            done += len(chunk)
            progress("certifying curves", done, len(curves))
        sections.gains += gain.gains(located, reference_answerer, rule.alpha)
        unfinished = query_use.incomplete(curves)
        comparable = {key: by_axis for key, by_axis in located.items() if key[0] not in unfinished}
        sections.query_use += query_use.query_use(comparable)
        sections.contamination += query_use.contamination(comparable)
        sections.architecture_gap += robustness.architecture_gap(curves)
        sections.family_gains += _family_gains(anchors, families_of, observed, reference_answerer, rule)
        sections.kept_chunks += selection.overlaps(curves, families_of)
    partitions.check_parents(rule.parents)
    listening.check_allowed(rule.allow_vacuous, hearing)
    score_shares, grids = beside.score_shares(run)
    flip_rates, flips = beside.flip_rates(run)
    inputs = [*partitions.inputs, *paired.inputs, *guarded.inputs, *grids, *flips]
    inputs += [] if plan is None else [InputFile(PLAN, _sha256(run / PLAN), len(plan.steps))]
    inputs += [] if imported is None else [imported.file]
    n_rows = {rows.corpus: len(rows.source) for rows, _ in paired.groups}
    declared = declaration.compare(plan, rule, partitions, paired.plans if mark is None else {}, n_rows)
    withheld = [*preview.warnings(mark), *declared.differences, *paired.unlike, *follow.doubts(follows)]
    if rule.name == "certified":
        all_decided = [
            claim.decide(
                candidate,
                [subject for key in sorted(claim.curve_keys([candidate], ANCHOR)) for subject in judged.get(key, [])],
                hearing.get((candidate.answerer, candidate.corpus), {}),
                rule,
                levels,
            )
            for candidate in candidates
        ]
    else:
        all_decided = [
            claim.by_verdicts(
                candidate, sections.results, hearing.get((candidate.answerer, candidate.corpus), {}), rule
            )
            for candidate in candidates
        ]
    shared = any(rows.n_sources < len(rows.source) for rows, _ in paired.groups)
    guaranteed = rule.name == "certified" and not (shared and rule.clustering == "ignore")
    stated = claim.entry(all_decided, rule, levels, withheld, guaranteed)
    stated |= {"policies": policy.policies(stated, run)}
    if mark is not None:
        preview.withhold(sections.results, mark)
    certificate: Certificate = _plain(
        {
            "schema": SCHEMA,
            "made_by": _made_by(),
            "run": ".",
            "rule": {
                **asdict(rule),
                "gamma": rule.gamma if rule.name == "certified" else None,
                "min_family": family_minimum(rule),
                "parents": dict(sorted(rule.parents.items())),
                "partitions": partitions.names,
                "reference_answerer": reference_answerer,
            },
            **({} if mark is None else {"preview": mark.entry()}),
            "claim": stated,
            "declared": declared._asdict(),
            "follows": None if follows is None else follows._asdict(),
            "warnings": [
                *withheld,
                *follow.warnings(follows, rule),
                *leakage.warnings(guarded),
                *warnings(sections.results, paired, hearing, imported, rule, stated),
            ],
            "inputs": [file._asdict() for file in sorted(inputs)],
            "selectors": [entry.entry() for entry in guarded.selectors],
            "errors": [
                asdict(errors.key) | {name: value for name, value in errors._asdict().items() if name != "key"}
                for errors in paired.errors
            ],
            "results": sections.results,
            "gains": _at_both([entry._asdict() for entry in sections.gains], rule),
            "chains": sections.chains,
            "overlaps": sections.overlaps,
            "audits": {
                "seeds": _at_both(seeds.gains_over_seeds(sections.gains), rule),
                "query_use": _at_both(sections.query_use, rule),
                "contamination": _at_both(sections.contamination, rule),
                "label_noise": sections.label_noise,
                "coarsening": sections.coarsening,
                "architecture_gap": sections.architecture_gap,
                "family_gains": sections.family_gains,
                "kept_chunks": sections.kept_chunks,
                "score_shares": score_shares,
                "flip_rates": flip_rates,
            },
        }
    )
    return certificate


def _at_both(entries: Entries, rule: Rule) -> Entries:
    """The entries with the tolerance at which the frontiers of the average were located, beside the families' own."""
    return [entry | {"tolerance_average": rule.average_tolerance(entry["tolerance"])} for entry in entries]


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _resampled(
    rows: Rows, curves: tuple[Curve, ...], families_of: Mapping[str, Families], rule: Rule
) -> Iterator[list[tuple[Curve, dict[str, Excess]]]]:
    """The curves with their replicates; permuted and naive streams are only ever compared by their observed values."""
    anchors = [curve for curve in curves if curve.key.stream == ANCHOR]
    source = rows.source if resamples_sources(rows, rule) else None
    if anchors:
        yield from replicate(anchors, families_of, source, replicates=rule.replicates, seed=rule.seed)
    yield [(curve, {}) for curve in curves if curve.key.stream != ANCHOR]


def _sign_each(subjects: Sequence[_Subject], rule: Rule, levels: certified.Levels) -> Iterator[_Signed]:
    """Each subject by itself, in order, on as many threads as kernels may use: they do not hold the interpreter."""
    with ThreadPoolExecutor(numba.get_num_threads()) as threads:
        yield from threads.map(lambda subject: _sign(subject, rule, levels), subjects)


def _sign(subject: _Subject, rule: Rule, levels: certified.Levels) -> _Signed:
    """The verdict and the diagnostics of one curve under one partition."""
    curve, rows, partition, families, observed, tested, hearing, noise, resampled = subject
    located = {
        tolerance: frontiers(observed.excess, resampled, curve, tolerance, rule.average_tolerance(tolerance))
        for tolerance in rule.tolerances
    }
    if resampled is None:
        return _Signed(located)
    if tested is not None:
        judgement = certified.judge_curve(curve, families, observed, tested, rule)
    else:
        judgement = paper.judge_curve(curve, families, observed, resampled, rule)
    corrected = None if tested is None else claim.corrected(curve, families, observed, tested, rule, levels)
    judged = None if tested is None else claim.Judged(curve, partition, families, tested, corrected)
    verdict = result(curve, rows, partition, families, observed, judgement, located, hearing, corrected, rule)
    key = {name: verdict[name] for name in ("answerer", "corpus", "method", "seed", "partition")}
    chains, overlaps = [], []
    for tolerance in rule.tolerances:
        of_tolerance = (observed.excess, resampled, families, curve, tolerance, rule.alpha)
        chains.append(key | chain.chain(*of_tolerance))
        overlap = chain.overlap(*of_tolerance)
        overlaps += [key | overlap] if overlap else []
    return _Signed(
        located,
        [verdict],
        chains,
        overlaps,
        [key | entry for entry in robustness.label_noise(curve, families, observed, noise)],
        [key | entry for entry in robustness.coarsening(curve, families, observed)],
        judged,
    )


def _family_gains(
    anchors: Sequence[Curve],
    families_of: Mapping[str, Families],
    observed: Mapping[tuple[CurveKey, str], Observed],
    reference_answerer: str | None,
    rule: Rule,
) -> Entries:
    """Every family's gain by itself, from observed values alone."""
    located = {
        (curve.key, name, t): family_gain.locate(curve, families, observed[curve.key, name], t)
        for curve in anchors
        for name, families in families_of.items()
        for t in rule.tolerances
    }
    return family_gain.gains(located, reference_answerer)


# Form -----------------------------------------------------------------------------------------------------


def _curve_keys(paired: Paired) -> list[CurveKey]:
    return [curve.key for _, curves in paired.groups for curve in curves]


def _made_by() -> dict[str, str]:
    packages = ("earmark", "numpy", "pyarrow", "scipy")
    return {"python": platform.python_version()} | {name: version(name) for name in packages}


def _plain(value: Any) -> Any:
    """Only what JSON has: NaN and infinity become null, tuples become lists. In place, since there is much of it."""
    kind = type(value)
    if kind is dict:
        for key, item in value.items():
            if type(item) not in _AS_IT_IS and not (type(item) is float and isfinite(item)):
                value[key] = _plain(item)
        return value
    if kind is list:
        for i, item in enumerate(value):
            if type(item) not in _AS_IT_IS and not (type(item) is float and isfinite(item)):
                value[i] = _plain(item)
        return value
    if kind is float:
        return value if isfinite(value) else None
    if kind in _AS_IT_IS:
        return value
    if isinstance(value, Mapping):
        return _plain(dict(value))
    if isinstance(value, (list, tuple, np.ndarray)):
        return _plain(list(value))
    return _plain(value.item()) if isinstance(value, np.generic) else value


def write(certificate: Certificate, run: Path, out: Path) -> Path:
    """Write `certificate.json` into `out`, with the way from there to the run, and policy.json where it routes."""
    policy.write(certificate, out)
    placed = certificate | {"run": _way(run, out)}
    if placed["follows"] is not None:
        placed["follows"] = placed["follows"] | {"certificate": _way(Path(placed["follows"]["certificate"]), out)}
    path = out / CERTIFICATE_FILE
    files.write_file(path, (json.dumps(placed, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode())
    return path


def _way(to: Path, start: Path) -> str:
    """The relative path from one folder to another path, with forward slashes."""
    return Path(os.path.relpath(to.resolve(), start.resolve())).as_posix()
