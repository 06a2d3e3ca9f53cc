"""The verdict on one curve under one partition: the `results[]` entry of the certificate.

Puts counts, intervals, decisions and frontiers of a curve into the certificate's words. Knows no files.
"""

from collections.abc import Sequence
from typing import Any

from earmark.engine.design.rule import Rule
from earmark.engine.signoff import excess
from earmark.engine.signoff.audits.listening import FamilyHearing
from earmark.engine.signoff.excess import Observed
from earmark.engine.signoff.families import Families
from earmark.engine.signoff.frontier import VARIANTS, Frontiers
from earmark.engine.signoff.pair import Curve, Rows
from earmark.engine.signoff.rules import advice
from earmark.engine.signoff.rules.judgement import Corrected, Failure, Judgement
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
) -> dict[str, Any]:
    """Everything the certificate says of one (answerer, corpus, method, seed, partition)."""
    budgets = _budgets(curve, families, observed, judgement, rule)
    return {
        "answerer": curve.key.answerer,
        "corpus": curve.key.corpus,
        "method": curve.key.method,
        "seed": curve.key.seed,
        "partition": partition,
        "reference": curve.reference,
        "n": len(families.code),
        "sources": rows.n_sources,
        "resampling": "source" if resamples_sources(rows, rule) else "example",
        "raw_loss": curve.raw_loss,
        "families": _families(hearing, judgement, rule, None if corrected is None else corrected.level),
        "average": _average(judgement, rule),
        "merged_families": [merge._asdict() for merge in families.merged],
        "rare_families": list(families.rare),
        "budgets": budgets,
        "frontiers": [_frontier(tolerance, frontiers[tolerance], curve, rule) for tolerance in rule.tolerances],
        "certified": [
            _certified(tolerance, budgets, families, judgement, rule, corrected if t == 0 else None)
            for t, tolerance in enumerate(rule.tolerances)
        ],
        "corrected": _corrected(corrected),
        "routing": [
            policy._asdict() | {"families": [route._asdict() for route in policy.families]}
            for policy in judgement.policies
        ],
    }


def resamples_sources(rows: Rows, rule: Rule) -> bool:
    """Whether whole recordings are drawn: some are shared by rows, and the rule does not ignore it."""
    return rule.clustering != "ignore" and rows.n_sources < len(rows.source)


def _families(
    hearing: Sequence[FamilyHearing], judgement: Judgement, rule: Rule, level: float | None
) -> list[dict[str, Any]]:
    """What is the same at every budget: whether a family listens, and how it is tested."""
    entries = [family._asdict() for family in hearing]
    for group, family in zip(judgement.groups, entries, strict=False):  # the last group is all rows
        family |= {
            "test": group.test,
            "estimand": group.estimand,
            "units": group.n,
            "unit": group.unit,
            "fewest": [group.fewest(tolerance, rule.look_alpha) for tolerance in rule.tolerances],
            "fewest_corrected": None if level is None else group.fewest(rule.tolerances[0], level),
        }
    return entries


def _average(judgement: Judgement, rule: Rule) -> dict[str, Any] | None:
    """How the average is tested, and at which tolerances it is: elsewhere it follows from its families."""
    if not judgement.groups:
        return None
    group = judgement.groups[-1]
    return {
        "test": group.test,
        "estimand": group.estimand,
        "units": group.n,
        "unit": group.unit,
        "tested": [rule.tests_average(tolerance) for tolerance in rule.tolerances],
    }


def _budgets(
    curve: Curve, families: Families, observed: Observed, judgement: Judgement, rule: Rule
) -> list[dict[str, Any]]:
    """One entry per budget: counts, excess, what families suffer, and the decision at every tolerance."""
    paradox = excess.consistency_paradox(curve)
    groups = judgement.groups
    ratios = [excess.probability_ratio(curve, families, b) for b in range(len(curve.budgets))]
    return [
        {
            "budget": float(budget),
            "implied": curve.implied and b == len(curve.budgets) - 1,
            "n": len(families.code),
            "plus": int(observed.plus[:, b].sum()),
            "minus": int(observed.minus[:, b].sum()),
            "mean_audio_tokens": float(curve.tokens[b]),
            "loss": float(curve.loss[b]),
            "excess_average": judgement.average[b]._asdict(),
            "excess_average_recordings": float(groups[-1].by_recording[b]) if groups else None,
            "excess_family": judgement.worst[b]._asdict(),
            "excess_family_tested": max(float(group.observed[b]) for group in groups[:-1]) if groups else None,
            "worst_family": excess.worst_family(observed.family[:, b], families),
            "hidden_damage": judgement.worst[b].estimate - judgement.average[b].estimate,
            "concentration_top2": excess.concentration_top2(observed.family[:, b], families),
            "answer_consistency": float(curve.consistency[b]),
            "consistency_paradox": bool(paradox[b]),
            "copies_of_raw": None if curve.copies is None else float(curve.copies[b]),
            "answers_of_silence": None if curve.silent is None else float(curve.silent[b]),
            "families": [
                {
                    "family": name,
                    "n": int(families.size[f]),
                    "plus": int(observed.plus[f, b]),
                    "minus": int(observed.minus[f, b]),
                    "excess": judgement.families[f][b].estimate,
                    "excess_recordings": float(groups[f].by_recording[b]) if groups else None,
                    "lower": judgement.families[f][b].lower,
                    "upper": judgement.families[f][b].upper,
                    "p": [judgement.p[tolerance][f][b] for tolerance in rule.tolerances] if judgement.p else None,
                    "rare": name in families.rare,
                    "probability_loss_ratio": ratios[b][f],
                }
                for f, name in enumerate(families.names)
            ],
            "decisions": [
                {"tolerance": tolerance, **judgement.verdicts[tolerance][b]._asdict()} for tolerance in rule.tolerances
            ],
        }
        for b, budget in enumerate(curve.budgets)
    ]


def _frontier(tolerance: float, frontiers: Frontiers, curve: Curve, rule: Rule) -> dict[str, Any]:
    """The entry of the frontiers at one tolerance; only the interpolated ones have intervals."""
    entry: dict[str, Any] = {"tolerance": tolerance, "tolerance_average": rule.average_tolerance(tolerance)}
    for axis in ("grid", "interpolated", "tokens"):
        entry[axis] = {variant: frontiers[axis, variant].point for variant in VARIANTS}
    entry["intervals"] = {}
    for variant in VARIANTS:
        replicates = frontiers["interpolated", variant].replicates
        lower, upper = percentile_ends(replicates, rule.alpha)
        entry["intervals"][variant] = {
            "lower": float(lower),
            "upper": float(upper),
            "at_smallest": float((replicates == curve.budgets[0]).mean()),
            "at_full": float((replicates == 1.0).mean()),
        }
    return entry


def _certified(
    tolerance: float,
    budgets: list[dict[str, Any]],
    families: Families,
    judgement: Judgement,
    rule: Rule,
    corrected: Corrected | None,
) -> dict[str, Any]:
    """A curve's own verdict; what to do next follows from its part in the claim, where it has one."""
    failure = judgement.failures.get(tolerance)
    decisions = {entry["budget"]: _decision(entry, tolerance) for entry in budgets}
    approved = [budget for budget, decision in decisions.items() if decision["decision"] == "approve"]
    smallest = min(approved, default=None)
    compressed = [budget for budget in decisions if budget < 1]
    if smallest is not None and smallest < 1:
        reason = decisions[smallest]["reason"]
    elif compressed:
        nearest = max(compressed)
        reason = f"no budget below 1 passes; at {nearest:g}, {decisions[nearest]['reason']}"
        if failure is not None and failure.missing:
            reason = f"no budget below 1 passes; {failure.reason}"
    else:
        reason = "no budget below 1 was evaluated"
    return {
        "tolerance": tolerance,
        "budget": smallest,
        "reason": reason,
        "first_failure": _plain(failure),
        "next": advice.next_step(
            tolerance,
            smallest if corrected is None else corrected.budget,
            budgets,
            families,
            judgement.groups[:-1],
            failure if corrected is None else corrected.first_failure,
            rule,
            rule.look_alpha if corrected is None else corrected.level,
        )._asdict(),
    }


def _corrected(corrected: Corrected | None) -> dict[str, Any] | None:
    """The walk at the level of the claim, as the certificate has it."""
    if corrected is None:
        return None
    return corrected._asdict() | {"first_failure": _plain(corrected.first_failure)}


def _decision(entry: dict[str, Any], tolerance: float) -> dict[str, Any]:
    """The decision at a tolerance in the entry of a budget."""
    return next(d for d in entry["decisions"] if d["tolerance"] == tolerance)


def _plain(failure: Failure | None) -> dict[str, Any] | None:
    """A failure as the certificate has it."""
    return None if failure is None else failure._asdict()
