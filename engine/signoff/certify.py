"""From a run folder to a certificate: the whole sign-off on one screen.

docs/certificate.md describes the result field by field. Knows no report and no command line.
"""

import platform
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from earmark.engine.cores import usable_threads
from earmark.engine.design.keys import ANCHOR
from earmark.engine.design.rule import Rule
from earmark.engine.outcomes.imports import doubts
from earmark.engine.outcomes.input_file import InputFile
from earmark.engine.outcomes.plan_file import PLAN, read_plan
from earmark.engine.progress import Report, silent
from earmark.engine.signoff import declaration, follow, kept_clips, policy, preview
from earmark.engine.signoff.answerer_files import answerers as read_answerers
from earmark.engine.signoff.audit_entry import (
    ArchitectureGap,
    Chain,
    Coarsening,
    Contamination,
    FamilyGains,
    FamilyOverlap,
    Gain,
    KeptChunks,
    LabelNoise,
    QueryUse,
)
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
from earmark.engine.signoff.certificate import (
    CERTIFICATE_FILE,
    SCHEMA,
    Audits,
    Certificate,
    Follows,
    StatedRule,
    from_content,
)
from earmark.engine.signoff.excess import Excess, Observed, observe, replicate
from earmark.engine.signoff.families import Families
from earmark.engine.signoff.flip_entry import CurveFlips
from earmark.engine.signoff.flips import flips as flips_of
from earmark.engine.signoff.frontier import Frontiers, frontiers
from earmark.engine.signoff.json_form import to_json
from earmark.engine.signoff.judged_partitions import Partitions
from earmark.engine.signoff.pair import Curve, CurveKey, Paired, Rows, pair
from earmark.engine.signoff.preview import Preview
from earmark.engine.signoff.result_entry import FamilyHearing, ResultEntry, ResultKey
from earmark.engine.signoff.rules import certified, claim, paper, replay, spending
from earmark.engine.signoff.rules.group_tests import family_minimum
from earmark.engine.signoff.rules.spending import Levels
from earmark.engine.signoff.rules.verdict import resamples_sources, result
from earmark.engine.signoff.walk_entry import WalkEntry
from earmark.engine.signoff.walks import contradicted, early_passes, unneeded, walks
from earmark.engine.signoff.warnings import warnings
from earmark.kernels.statistics.noise import Labels


@dataclass
class _Sections:
    """The lists of the certificate, filled curve by curve."""

    results: list[ResultEntry] = field(default_factory=list)
    gains: list[Gain] = field(default_factory=list)
    chains: list[Chain] = field(default_factory=list)
    overlaps: list[FamilyOverlap] = field(default_factory=list)
    flips: list[CurveFlips] = field(default_factory=list)
    query_use: list[QueryUse] = field(default_factory=list)
    contamination: list[Contamination] = field(default_factory=list)
    label_noise: list[LabelNoise] = field(default_factory=list)
    coarsening: list[Coarsening] = field(default_factory=list)
    architecture_gap: list[ArchitectureGap] = field(default_factory=list)
    family_gains: list[FamilyGains] = field(default_factory=list)
    kept_chunks: list[KeptChunks] = field(default_factory=list)
    walks: list[WalkEntry] = field(default_factory=list)

    def add(self, signed: "_Signed") -> None:
        """Append the entries of one subject."""
        self.results += signed.results
        self.chains += signed.chains
        self.overlaps += signed.overlaps
        self.label_noise += signed.label_noise
        self.coarsening += signed.coarsening


class _CurveToSign(NamedTuple):
    """One curve under one partition, with everything that its verdict is computed from."""

    curve: Curve
    rows: Rows
    partition: str
    families: Families
    observed: Observed
    seen: Observed  # of it, what verdicts are about
    tested: certified.Tested | None  # under the certified rule
    hearing: Sequence[FamilyHearing]
    noise: Labels | None
    replicates: Excess | None  # of anchors


class _Signed(NamedTuple):
    """Frontiers of a subject by tolerance, and its entries of the certificate."""

    frontiers: dict[float, Frontiers]
    results: Sequence[ResultEntry] = ()
    chains: Sequence[Chain] = ()
    overlaps: Sequence[FamilyOverlap] = ()
    label_noise: Sequence[LabelNoise] = ()
    coarsening: Sequence[Coarsening] = ()
    judged: claim.Judged | None = None  # under the certified rule, for the claim
    alone: claim.JudgedAlone | None = None  # under the paper's


def certify(run: Path, rule: Rule, progress: Report = silent, follows: Follows | None = None) -> Certificate:
    """The certificate of the outcomes in `run` under `rule`; `follows` is the certificate before, if it continues one.

    Raises InputError where files cannot be paired or do not fit the rule, and UncertifiableError where too many rows
    failed.
    """
    mark = preview.read(run)
    plan = read_plan(run)
    if mark is not None and (plan is None or plan.decided is None or rule.name != "certified"):
        plan = None  # of walks that stop when they are decided the preview is the beginning
    guarded = leakage.guard(run, rule.in_domain)
    partitions = Partitions(run, rule.partitions)
    imported = doubts.read(run)
    paired = pair(run, rule, progress, plan, {} if imported is None else imported.axes)
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
    is_decided = plan is not None and plan.decided is not None
    levels = spending.levels(rule, max(1, len(candidates)), decided=is_decided)
    claimed = claim.curve_keys(candidates, ANCHOR)
    sections = _Sections()
    judged: dict[CurveKey, list[claim.Judged]] = {}
    alone: dict[CurveKey, list[claim.JudgedAlone]] = {}
    hearing: dict[tuple[str, str], dict[str, list[FamilyHearing]]] = {}
    gaps: list[str] = []  # in walks
    beyond: list[replay.Unneeded] = []  # walks
    for rows, curves in paired.groups:
        families_of = partitions.of(rows, rule)
        noise_of = {partition: robustness.noisy(families, rule.seed) for partition, families in families_of.items()}
        observed = {
            (curve.key, name): observe(curve, families) for curve in curves for name, families in families_of.items()
        }
        controls = {
            at: paired.controls[at] for at in dict.fromkeys((curve.key.answerer, curve.key.corpus) for curve in curves)
        }
        anchors = [curve for curve in curves if curve.key.stream == ANCHOR]
        tested: Mapping[certified.Subject, certified.Tested] = {}
        if rule.name == "certified":
            progress("testing families", 0, 0)
            if plan is not None and plan.decided is not None:
                is_preview = mark is not None
                replayed = replay.replay(anchors, rows, families_of, rule, levels, plan, is_preview=is_preview)
                tested = replayed.tested
                sections.walks += walks(anchors, families_of, replayed, plan)
                gaps += replayed.gaps
                beyond += replayed.unneeded
                controls = {
                    at: replace(control, asked=control.asked & replayed.needed.get(at, control.asked))
                    for at, control in controls.items()
                }
                if mark is None:
                    gaps += [
                        gap
                        for (answerer, _), control in controls.items()
                        for gap in listening.skipped(answerer, control, rows)
                    ]
            else:
                tested = certified.run_tests(anchors, rows, families_of, rule, levels, claimed, next(iter(families_of)))
        seen = {
            (curve.key, name): observe(curve, families, tested[curve.key, name].seen)
            for curve in anchors
            for name, families in families_of.items()
            if (curve.key, name) in tested
        }
        hearing |= {at: listening.listen(control, rows, families_of, rule) for at, control in controls.items()}
        located: dict[tuple[CurveKey, str, float], Frontiers] = {}
        done, before = 0, len(sections.results)
        for chunk in _resampled(rows, curves, families_of, rule):
            subjects = [
                _CurveToSign(
                    curve,
                    rows,
                    partition,
                    families,
                    observed[curve.key, partition],
                    seen.get((curve.key, partition), observed[curve.key, partition]),
                    tested.get((curve.key, partition)),
                    hearing[curve.key.answerer, curve.key.corpus][partition],
                    noise_of[partition],
                    replicates.get(partition),
                )
                for curve, replicates in chunk
                for partition, families in families_of.items()
            ]
            for subject, signed in zip(subjects, _sign_each(subjects, rule, levels, mark), strict=True):
                sections.add(signed)
                located |= {
                    (subject.curve.key, subject.partition, t): by_axis for t, by_axis in signed.frontiers.items()
                }
                if subject.curve.key in claimed and signed.judged is not None:
                    judged.setdefault(subject.curve.key, []).append(signed.judged)
                if subject.curve.key in claimed and signed.alone is not None:
                    alone.setdefault(subject.curve.key, []).append(signed.alone)
            done += len(chunk)
            progress("certifying curves", done, len(curves))
        signed_results = sections.results[before:]
        sections.flips += flips_of(
            run, signed_results, rows, families_of, rule, paired.inputs, decided=bool(sections.walks)
        )
        sections.gains += gain.gains(located, reference_answerer, rule)
        unfinished = query_use.incomplete(curves)
        comparable = {key: by_axis for key, by_axis in located.items() if key[0] not in unfinished}
        sections.query_use += query_use.query_use(comparable, rule)
        sections.contamination += query_use.contamination(comparable, rule)
        whole = [curve for curve in curves if not curve.is_part]  # what walks left out describes nothing
        sections.architecture_gap += robustness.architecture_gap(whole)
        whole_anchors = [curve for curve in whole if curve.key.stream == ANCHOR]
        sections.family_gains += _family_gains(whole_anchors, families_of, observed, reference_answerer, rule)
        sections.kept_chunks += selection.overlaps(whole, families_of)
    if mark is None:  # part of the examples need not have every family
        partitions.check_parents(rule.parents)
    listening.check_allowed(rule.allow_vacuous, hearing)
    score_shares, grids = beside.score_shares(run)
    flip_rates, flip_counts = beside.flip_rates(run)
    answerers, answerer_files = read_answerers(run)
    inputs = [*partitions.inputs, *paired.inputs, *guarded.inputs, *grids, *flip_counts, *answerer_files]
    inputs += [] if plan is None else [InputFile(PLAN, plan.file_sha256, len(plan.steps))]
    inputs += [] if imported is None else [imported.file]
    n_rows = {rows.corpus: len(rows.source) for rows, _ in paired.groups}
    declared = declaration.compare(
        plan if mark is None else None, rule, partitions, paired.plans if mark is None else {}, n_rows
    )
    withheld = [*preview.warnings(mark), *declared.differences, *gaps, *paired.unlike, *follow.doubts(follows)]
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
                candidate,
                [subject for key in sorted(claim.curve_keys([candidate], ANCHOR)) for subject in alone.get(key, [])],
                hearing.get((candidate.answerer, candidate.corpus), {}),
                rule,
            )
            for candidate in candidates
        ]
    shared = any(rows.n_sources < len(rows.source) for rows, _ in paired.groups)
    guaranteed = rule.name == "certified" and not (shared and rule.clustering == "ignore")
    stated = claim.entry(
        all_decided,
        rule,
        levels,
        withheld,
        guaranteed,
        lambda entries, approved: policy.policies(entries, approved, rule.tolerances[0], run),
    )
    certificate = Certificate(
        schema=SCHEMA,
        made_by=_made_by(),
        run=".",
        rule=_stated(rule, partitions.names, reference_answerer),
        preview=mark,
        claim=stated,
        declared=declared,
        follows=follows,
        warnings=(
            *withheld,
            *contradicted(sections.results, sections.walks),
            *(early_passes(sections.walks, sections.results) if mark is not None else ()),
            *(unneeded(beyond) if mark is None and not all(walk.whole for walk in sections.walks) else ()),
            *follow.warnings(follows, rule),
            *leakage.warnings(guarded),
            *warnings(sections.results, paired, hearing, imported, rule, stated, sections.walks),
        ),
        inputs=tuple(sorted(inputs)),
        answerers=tuple(answerers),
        selectors=tuple(guarded.selectors),
        errors=paired.errors,
        results=tuple(sections.results),
        gains=tuple(sections.gains),
        chains=tuple(sections.chains),
        overlaps=tuple(sections.overlaps),
        flips=tuple(sections.flips),
        walks=tuple(sections.walks),
        audits=Audits(
            seeds=tuple(seeds.gains_over_seeds(sections.gains)),
            query_use=tuple(sections.query_use),
            contamination=tuple(sections.contamination),
            label_noise=tuple(sections.label_noise),
            coarsening=tuple(sections.coarsening),
            architecture_gap=tuple(sections.architecture_gap),
            family_gains=tuple(sections.family_gains),
            kept_chunks=tuple(sections.kept_chunks),
            score_shares=tuple(score_shares),
            flip_rates=tuple(flip_rates),
        ),
    )
    certificate = kept_clips.attach(certificate, run)
    return from_content(to_json(certificate), CERTIFICATE_FILE)  # just as it will be read: no NaN, nothing of NumPy


def _stated(rule: Rule, partitions: Sequence[str], reference_answerer: str | None) -> StatedRule:
    """The rule as the certificate states it, with what it left open filled in."""
    declared = {field.name: getattr(rule, field.name) for field in fields(Rule)}
    return StatedRule(
        **declared
        | {
            "min_family": family_minimum(rule),
            "parents": dict(sorted(rule.parents.items())),
            "partitions": tuple(partitions),
            "reference_answerer": reference_answerer,
        },
        stated_gamma=rule.gamma if rule.name == "certified" else None,
    )


def _resampled(
    rows: Rows, curves: tuple[Curve, ...], families_of: Mapping[str, Families], rule: Rule
) -> Iterator[list[tuple[Curve, dict[str, Excess]]]]:
    """The curves with their replicates; permuted and naive streams are only ever compared by their observed values."""
    anchors = [curve for curve in curves if curve.key.stream == ANCHOR and not curve.is_part]
    source = rows.source if resamples_sources(rows, rule) else None
    if anchors:
        yield from replicate(anchors, families_of, source, replicates=rule.replicates, seed=rule.seed)
    yield [(curve, {}) for curve in curves if curve.key.stream != ANCHOR or curve.is_part]


def _sign_each(subjects: Sequence[_CurveToSign], rule: Rule, levels: Levels, mark: Preview | None) -> Iterator[_Signed]:
    """Each subject by itself, in order, on as many threads as this process may use."""
    with ThreadPoolExecutor(usable_threads()) as threads:
        yield from threads.map(lambda subject: _sign(subject, rule, levels, mark), subjects)


def _sign(subject: _CurveToSign, rule: Rule, levels: Levels, mark: Preview | None) -> _Signed:
    """The verdict and the diagnostics of one curve under one partition."""
    curve, rows, partition, families, observed, seen, tested, hearing, noise, resampled = subject
    located = {
        tolerance: frontiers(observed.excess, resampled, curve, tolerance, rule.average_tolerance(tolerance))
        for tolerance in (() if curve.is_part else rule.tolerances)
    }
    if resampled is None and tested is None:
        return _Signed(located)
    if tested is not None:
        judgement = certified.judge_curve(curve, families, seen, tested, rule, levels.look)
    else:
        assert resampled is not None, "an anchor has replicates"
        judgement = paper.judge_curve(curve, families, observed, resampled, rule)
    corrected = None if tested is None else claim.corrected(curve, families, seen, tested, rule, levels)
    judged = None if tested is None else claim.Judged(curve, partition, families, tested, corrected)
    of_all = observed if tested is not None and tested.seen is not None and not curve.is_part else None
    verdict = result(curve, rows, partition, families, seen, judgement, located, hearing, corrected, rule, mark, of_all)
    key = {field.name: getattr(verdict, field.name) for field in fields(ResultKey)}
    chains, overlaps = [], []
    for tolerance in rule.tolerances:
        if resampled is None:
            break
        of_tolerance = (observed.excess, resampled, families, curve, tolerance, rule.alpha, key)
        chains.append(chain.chain(*of_tolerance))
        overlap = chain.overlap(*of_tolerance)
        overlaps += [overlap] if overlap else []
    return _Signed(
        located,
        [verdict],
        chains,
        overlaps,
        () if curve.is_part else robustness.label_noise(curve, families, observed, noise, key),
        () if curve.is_part else robustness.coarsening(curve, families, observed, key),
        judged,
        claim.JudgedAlone(curve, partition, judgement) if tested is None else None,
    )


def _family_gains(
    anchors: Sequence[Curve],
    families_of: Mapping[str, Families],
    observed: Mapping[tuple[CurveKey, str], Observed],
    reference_answerer: str | None,
    rule: Rule,
) -> list[FamilyGains]:
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
