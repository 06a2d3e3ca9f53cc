"""The paper's rule (method 5): percentile intervals of the paired bootstrap, judged budget by budget.

Has no guarantee over the search for the smallest budget. Knows excess and families; no files.
"""

from collections.abc import Mapping, Sequence

from earmark.engine.arrays import FloatArray
from earmark.engine.design.rule import Rule
from earmark.engine.errors import first_few
from earmark.engine.signoff.excess import Excess, Observed
from earmark.engine.signoff.families import Families
from earmark.engine.signoff.pair import Curve
from earmark.engine.signoff.rules.advice import NAMED
from earmark.engine.signoff.rules.group_tests import family_minimum
from earmark.engine.signoff.rules.judgement import RAW_ITSELF, Interval, Judgement, Verdict
from earmark.kernels.statistics.frontier import SLACK
from earmark.kernels.statistics.means import family_ends
from earmark.kernels.statistics.order_statistics import percentile_ends


def judge_curve(curve: Curve, families: Families, observed: Observed, replicates: Excess, rule: Rule) -> Judgement:
    """Intervals and three-way decisions at every budget."""
    average = _intervals(observed.average, replicates.average, rule)
    worst = _intervals(observed.worst, replicates.worst, rule)
    by_family = [
        _listed(family_estimates, *ends)
        for family_estimates, *ends in zip(observed.family, *family_ends(replicates.sums, rule.alpha), strict=True)
    ]
    testable = families.testable
    worst_testable: list[Interval | None] = [None] * len(curve.budgets)
    if testable.all():
        worst_testable = [*worst]
    elif testable.any():
        testable_replicates = replicates.only(testable)
        worst_testable = [*_intervals(observed.family[testable].max(axis=0), testable_replicates.worst, rule)]
    verdicts: dict[float, list[Verdict]] = {tolerance: [] for tolerance in rule.tolerances}
    for tolerance, b in ((t, b) for t in rule.tolerances for b in range(len(curve.budgets))):
        at_budget = {name: by_family[f][b] for f, name in enumerate(families.names)}
        verdicts[tolerance].append(
            RAW_ITSELF
            if curve.is_raw(b)
            else judge(rule, tolerance, average[b], at_budget, worst[b], worst_testable[b], families.rare)
        )
    return Judgement(average, worst, by_family, verdicts, {}, {})


def judge(
    rule: Rule,
    tolerance: float,
    average: Interval,
    families: Mapping[str, Interval],
    worst: Interval,
    worst_testable: Interval | None,
    rare: Sequence[str],
) -> Verdict:
    """Approve if all upper ends are within tolerance, reject if a lower end is above it, else inconclusive.

    `worst` is the maximum over all families, `worst_testable` over those that are not rare (None: all are rare).
    A rare family can neither pass nor fail: it makes an approval inconclusive.
    """
    average_tolerance = rule.average_tolerance(tolerance)
    if average.lower > average_tolerance + SLACK:
        return Verdict("reject", f"the average excess is above {average_tolerance:g} (lower end {average.lower:.4f})")
    if worst_testable is not None and worst_testable.lower > tolerance + SLACK:
        untestable = {*rare}
        name = max((f for f in families if f not in untestable), key=lambda f: families[f].estimate)
        return Verdict(
            "reject", f"the worst family, '{name}', is above {tolerance:g} (lower end {worst_testable.lower:.4f})"
        )
    if average.upper > average_tolerance + SLACK:
        return Verdict(
            "inconclusive", f"the average excess may be above {average_tolerance:g} (upper end {average.upper:.4f})"
        )
    if worst.upper > tolerance + SLACK:
        name = max(families, key=lambda f: families[f].upper)
        return Verdict(
            "inconclusive",
            f"the worst family may be above {tolerance:g} (upper end {worst.upper:.4f}; '{name}' reaches furthest)",
        )
    if rare:
        return Verdict("inconclusive", f"fewer than {family_minimum(rule)} rows in {first_few(rare, NAMED)}")
    return Verdict(
        "approve", f"upper ends: average {average.upper:.4f}, worst family {worst.upper:.4f}, both within tolerance"
    )


def _intervals(point: FloatArray, replicates: FloatArray, rule: Rule) -> list[Interval]:
    """One interval per entry of `point` (B,), from replicates (B, R)."""
    return _listed(point, *percentile_ends(replicates, rule.alpha))


def _listed(point: FloatArray, lower: FloatArray, upper: FloatArray) -> list[Interval]:
    """One interval per entry of three arrays (B,)."""
    return [Interval(*ends) for ends in zip(point.tolist(), lower.tolist(), upper.tolist(), strict=True)]
