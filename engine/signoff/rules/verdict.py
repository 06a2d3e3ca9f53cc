"""The verdict on one curve under one partition: the `results[]` entry of the certificate.

Puts counts, intervals, decisions and frontiers of a curve into the certificate's words. A preview is known here, where
decisions are made: it approves nothing. Knows no files.
"""

from collections.abc import Sequence
from dataclasses import fields

from earmark.engine.design.rule import Rule
from earmark.engine.signoff import excess
from earmark.engine.signoff.excess import Observed
from earmark.engine.signoff.families import Families
from earmark.engine.signoff.frontier import Frontiers
from earmark.engine.signoff.pair import Curve, Rows
from earmark.engine.signoff.preview import Preview
from earmark.engine.signoff.result_entry import (
    AverageTest,
    Bounds,
    BudgetDecision,
    BudgetEntry,
    ByVariant,
    CertifiedEntry,
    FamilyAtBudget,
    FamilyHearing,
    FrontierAxis,
    FrontierEntry,
    FrontierInterval,
    FrontierIntervals,
    Next,
    ResultEntry,
    ResultFamily,
    Used,
    Variant,
)
from earmark.engine.signoff.rules import advice
from earmark.engine.signoff.rules.group_tests import GroupTest
from earmark.engine.signoff.rules.judgement import Corrected, Interval, Judgement, Verdict
from earmark.kernels.statistics.order_statistics import percentile_ends


def result(
    curve: Curve,
    rows: Rows,
    partition: str,
    families: Families,
    observed: Observed,
    judgement: Judgement,
    frontiers: dict[float, Frontiers],
    hearing: Sequence[FamilyHearing],
    corrected: Corrected | None,
    rule: Rule,
    preview: Preview | None = None,
    of_all: Observed | None = None,
) -> ResultEntry:
    """Everything the certificate says of one (answerer, corpus, method, seed, partition).

    Of a `preview` no budget below 1 is approved and nothing is routed, whatever the judgement shows. `of_all`
    are all rows of a walk that was completed, of which it had looked at those that were `observed`.
    """
    budgets = _budgets(curve, families, observed, judgement, rule, preview, of_all)
    return ResultEntry(
        answerer=curve.key.answerer,
        corpus=curve.key.corpus,
        method=curve.key.method,
        seed=curve.key.seed,
        partition=partition,
        compressor=None if curve.planned is None else curve.planned.compressor,
        stage=None if curve.planned is None else curve.planned.stage,
        axis=curve.axis,
        reference=curve.reference,
        n=len(families.code),
        sources=rows.n_sources,
        resampling="source" if resamples_sources(rows, rule) else "example",
        raw_loss=curve.raw_loss,
        families=_families(hearing, judgement, rule, None if corrected is None else corrected.level),
        average=_average(judgement, rule),
        merged_families=families.merged,
        rare_families=families.rare,
        budgets=budgets,
        frontiers=tuple(_frontier(tolerance, located, curve, rule) for tolerance, located in frontiers.items()),
        certified=tuple(
            _withheld(tolerance, judgement, preview)
            if preview is not None and _passes_below_1(judgement.verdicts[tolerance], curve)
            else _certified(tolerance, budgets, families, hearing, judgement, rule, corrected if t == 0 else None)
            for t, tolerance in enumerate(rule.tolerances)
        ),
        corrected=corrected,
        routing=() if preview is not None else tuple(judgement.policies),
    )


def resamples_sources(rows: Rows, rule: Rule) -> bool:
    """Whether whole recordings are drawn: some are shared by rows, and the rule does not ignore it."""
    return rule.clustering != "ignore" and rows.n_sources < len(rows.source)


def _families(
    hearing: Sequence[FamilyHearing], judgement: Judgement, rule: Rule, level: float | None
) -> tuple[ResultFamily, ...]:
    """What is the same at every budget: whether a family listens, and, under the certified rule, how it is tested."""
    entries = []
    for f, family in enumerate(hearing):
        known = {field.name: getattr(family, field.name) for field in fields(FamilyHearing)}
        if not judgement.groups:
            entries.append(ResultFamily(**known))
            continue
        group = judgement.groups[f]
        entries.append(
            ResultFamily(
                **known,
                test=group.test,
                estimand=group.estimand,
                units=group.n,
                unit=group.unit,
                fewest=tuple(group.fewest(tolerance, judgement.level) for tolerance in rule.tolerances),
                fewest_corrected=None if level is None else group.fewest(rule.tolerances[0], level),
            )
        )
    return tuple(entries)


def _average(judgement: Judgement, rule: Rule) -> AverageTest | None:
    """How the average is tested, and at which tolerances it is: elsewhere it follows from its families."""
    if not judgement.groups:
        return None
    group = judgement.groups[-1]
    tested = tuple(rule.tests_average(tolerance) for tolerance in rule.tolerances)
    return AverageTest(group.test, group.estimand, group.n, group.unit, tested)


def _budgets(
    curve: Curve,
    families: Families,
    observed: Observed,
    judgement: Judgement,
    rule: Rule,
    preview: Preview | None,
    of_all: Observed | None,
) -> tuple[BudgetEntry, ...]:
    """One entry per budget: counts, excess, what families suffer, and the decision at every tolerance."""
    paradox = excess.consistency_paradox(curve)
    groups = judgement.groups
    testable = families.testable.tolist()
    ratios = [excess.probability_ratio(curve, families, b) for b in range(len(curve.budgets))]
    return tuple(
        BudgetEntry(
            budget=float(budget),
            implied=curve.implied and b == len(curve.budgets) - 1,
            n=int(observed.n[:, b].sum()),
            plus=int(observed.plus[:, b].sum()),
            minus=int(observed.minus[:, b].sum()),
            mean_audio_tokens=float(curve.tokens[b]),
            used=curve.used[b] if curve.used else Used(),
            loss=float(curve.loss[b]),
            excess_average=_bounds(judgement.average[b], groups[-1:], curve, b),
            excess_average_recordings=float(groups[-1].by_recording[b]) if groups else None,
            excess_family=_bounds(judgement.worst[b], groups[:-1], curve, b),
            excess_family_tested=max(float(group.observed[b]) for group in groups[:-1]) if groups else None,
            worst_family=excess.worst_family(observed.family[:, b], families),
            hidden_damage=judgement.worst[b].estimate - judgement.average[b].estimate,
            concentration_top2=excess.concentration_top2(observed.family[:, b], families),
            answer_consistency=float(curve.consistency[b]),
            consistency_paradox=bool(paradox[b]),
            copies_of_raw=None if curve.copies is None else float(curve.copies[b]),
            answers_of_silence=None if curve.silent is None else float(curve.silent[b]),
            families=tuple(
                FamilyAtBudget(
                    family=name,
                    n=int(observed.n[f, b]),
                    plus=int(observed.plus[f, b]),
                    minus=int(observed.minus[f, b]),
                    excess=ends.estimate,
                    excess_recordings=float(groups[f].by_recording[b]) if groups else None,
                    lower=ends.lower,
                    upper=ends.upper,
                    p=tuple(judgement.p[tolerance][f][b] for tolerance in rule.tolerances)
                    if judgement.p and (curve.is_raw(b) or not groups or groups[f].was_tested(b))
                    else None,
                    rare=not testable[f],
                    probability_loss_ratio=ratios[b][f],
                    excess_all=None if of_all is None or curve.is_raw(b) else float(of_all.family[f, b]),
                )
                for f, name in enumerate(families.names)
                for ends in [_bounds(judgement.families[f][b], groups[f : f + 1], curve, b)]
            ),
            decisions=tuple(
                _decision(tolerance, float(budget), judgement.verdicts[tolerance][b], preview)
                for tolerance in rule.tolerances
            ),
        )
        for b, budget in enumerate(curve.budgets)
        if not curve.is_part or curve.is_raw(b) or all(g.asked is None or g.asked[b] for g in groups[:-1])
    )


def _bounds(interval: Interval, groups: Sequence[GroupTest], curve: Curve, b: int) -> Bounds:
    """An estimate with its ends; without them where a walk that stopped when it was decided did not look at a group."""
    looked = curve.is_raw(b) or all(group.asked is None or group.asked[b] for group in groups)
    return Bounds(*interval) if looked else Bounds(interval.estimate, None, None)


def _decision(tolerance: float, budget: float, verdict: Verdict, preview: Preview | None) -> BudgetDecision:
    """What is decided at a budget: what the tests show, but that a preview approves nothing below 1."""
    if preview is not None and verdict.decision == "approve" and budget < 1:
        return BudgetDecision(tolerance, "inconclusive", preview.reason, verdict.p, verdict.p_adjusted)
    return BudgetDecision(tolerance, *verdict)


def _frontier(tolerance: float, frontiers: Frontiers, curve: Curve, rule: Rule) -> FrontierEntry:
    """The entry of the frontiers at one tolerance; only the interpolated ones have intervals."""

    def both(axis: FrontierAxis) -> ByVariant:
        return ByVariant(frontiers[axis, "average"].point, frontiers[axis, "family"].point)

    def interval(variant: Variant) -> FrontierInterval:
        replicates = frontiers["interpolated", variant].replicates
        lower, upper = percentile_ends(replicates, rule.alpha)
        return FrontierInterval(
            float(lower),
            float(upper),
            at_smallest=float((replicates == curve.budgets[0]).mean()),
            at_full=float((replicates == 1.0).mean()),
        )

    return FrontierEntry(
        tolerance=tolerance,
        tolerance_average=rule.average_tolerance(tolerance),
        grid=both("grid"),
        interpolated=both("interpolated"),
        tokens=both("tokens"),
        intervals=FrontierIntervals(interval("average"), interval("family")),
    )


def _certified(
    tolerance: float,
    budgets: Sequence[BudgetEntry],
    families: Families,
    hearing: Sequence[FamilyHearing],
    judgement: Judgement,
    rule: Rule,
    corrected: Corrected | None,
) -> CertifiedEntry:
    """A curve's own verdict; what to do next follows from its part in the claim, where it has one."""
    failure = judgement.failures.get(tolerance)
    decisions = {entry.budget: entry.decision_at(tolerance) for entry in budgets}
    approved = [budget for budget, decision in decisions.items() if decision.decision == "approve"]
    smallest = min(approved, default=None)
    compressed = [budget for budget in decisions if budget < 1]
    if smallest is not None and smallest < 1:
        reason = decisions[smallest].reason
    elif compressed:
        nearest = max(compressed)
        reason = f"no budget below 1 passes; at {nearest:g}, {decisions[nearest].reason}"
        if failure is not None and failure.missing:
            reason = f"no budget below 1 passes; {failure.reason}"
    elif failure is not None:
        reason = f"no budget below 1 passes; at {failure.budget:g}, {failure.reason}"
    else:
        reason = "no budget below 1 was evaluated"
    return CertifiedEntry(
        tolerance=tolerance,
        budget=smallest,
        reason=reason,
        first_failure=failure,
        next=advice.next_step(
            tolerance,
            smallest if corrected is None else corrected.budget,
            budgets,
            families,
            hearing,
            judgement.groups[:-1],
            failure if corrected is None else corrected.first_failure,
            rule,
            judgement.level if corrected is None else corrected.level,
        ),
    )


def _withheld(tolerance: float, judgement: Judgement, preview: Preview) -> CertifiedEntry:
    """What a curve would have been approved for, were it no preview."""
    advised = Next("finish", [], "finish the sweep: a verdict takes all examples")
    failure = judgement.failures.get(tolerance)
    return CertifiedEntry(tolerance=tolerance, budget=None, reason=preview.reason, first_failure=failure, next=advised)


def _passes_below_1(verdicts: Sequence[Verdict], curve: Curve) -> bool:
    """Whether the tests show that some budget below 1 is safe."""
    decisions = zip(verdicts, curve.budgets, strict=True)
    return any(verdict.decision == "approve" and budget < 1 for verdict, budget in decisions)
