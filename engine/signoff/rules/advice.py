"""What to do next, in one sentence a person can act on, and that keeps alpha.

Rows that were judged may not be judged again with others added, nor may a walk be begun higher up because it failed:
the next verdict is on new rows alone, or was declared beforehand. Reads the entries of a verdict; decides nothing
about safety.
"""

from collections.abc import Sequence

from earmark.engine.design.rule import Rule
from earmark.engine.errors import first_few
from earmark.engine.signoff.families import Families
from earmark.engine.signoff.result_entry import BudgetEntry, Next
from earmark.engine.signoff.rules.group_tests import GroupTest, fewest_rows
from earmark.engine.signoff.rules.judgement import Failure

NAMED = 12  # families in a sentence; certificate.json lists all of them beside it
_LOCAL_SHARE = 0.5  # harm is local where two families hold at least this share of it ...
_LOCAL_FAMILIES = 2  # ... or where at most this many families fail


def next_step(
    tolerance: float,
    approved: float | None,
    budgets: Sequence[BudgetEntry],
    families: Families,
    groups: Sequence[GroupTest],
    failure: Failure | None,
    rule: Rule,
    level: float,
) -> Next:
    """What to do about one curve at one tolerance.

    `approved` is the budget that passes, `budgets` the entries of the certificate, `failure` where the walk at `level`
    stopped. Ship; or make families testable; or finish what was declared; or route; or go on with new rows.
    """
    if approved is not None and approved < 1:
        return Next("ship", [], f"alone it passes at budget {approved:g}: see the claim for what may be shipped")
    compressed = [entry for entry in budgets if entry.budget < 1]
    if not compressed:
        return Next("collect", [], "evaluate budgets below 1")
    small = _untestable(tolerance, families, groups, rule, level)
    if small is not None:
        return small
    if failure is not None and failure.missing:
        return Next("finish", [], f"{failure.reason}: finish the sweep, or restore the cell")
    nearest = compressed[-1]
    budget = f"{nearest.budget:g}"
    failing = [f.family for f in nearest.families if f.excess > tolerance]
    average_fails = nearest.excess_average.estimate > rule.average_tolerance(tolerance)
    if not failing and not average_fails:
        return _uncertain(budget, nearest, tolerance, failure)
    concentrated = nearest.concentration_top2 is not None and nearest.concentration_top2 >= _LOCAL_SHARE
    local = len(failing) <= _LOCAL_FAMILIES or concentrated
    if failing and local and len(failing) < len(families.names) and not average_fails:
        names = first_few(failing, NAMED)
        return Next(
            "route",
            failing,
            f"harm at {budget} is local: route {names} to raw audio, or change the method for them",
        )
    again = "certify budgets above it on new rows, alone, or change the method"
    if not failing:
        return Next("raise", [], f"the average excess at {budget} is too large: {again}")
    wide = len(failing) > _LOCAL_FAMILIES or len(failing) == len(families.names) > 1
    spread = f"spread over {len(failing)} of {len(families.names)} families" if wide else "too large on average too"
    return Next("raise", failing, f"harm at {budget} is {spread}: {again}")


def _untestable(
    tolerance: float, families: Families, groups: Sequence[GroupTest], rule: Rule, level: float
) -> Next | None:
    """Advice on families that could not pass even if no answer changed, None without any: it comes before all other."""
    lacking = []
    for f, name in enumerate(families.names):
        if groups:
            fewest, n = groups[f].fewest(tolerance, level), groups[f].n
            unit = groups[f].unit
        else:
            fewest, n, unit = fewest_rows(rule, tolerance), int(families.size[f]), "rows"
        if n < fewest:
            lacking.append((name, f"'{name}' ({n} of {fewest} {unit})"))
    if not lacking:
        return None
    named = ", ".join(text for _, text in lacking[:5]) + (f" and {len(lacking) - 5} more" if len(lacking) > 5 else "")
    return Next(
        "collect",
        [name for name, _ in lacking],
        f"untestable whatever the answers: {named}: certify new rows with more of them, or declare a parent beforehand",
    )


def _uncertain(budget: str, nearest: BudgetEntry, tolerance: float, failure: Failure | None) -> Next:
    """Advice where nothing looks unsafe, but too few rows show it."""
    doubt = f"the excess at {budget} is within tolerance but uncertain"
    if failure is None or failure.needed is None:
        wide = [f.family for f in nearest.families if f.upper is not None and f.upper > tolerance]
        return Next("collect", wide, f"{doubt}: certify new rows, alone, and more of them")
    named = f"'{failure.family}'" if failure.family else "all families"
    return Next(
        "collect",
        [failure.family] if failure.family else [],
        f"{doubt}: certify about {failure.needed} new {failure.unit} of {named}, alone, for 90% power",
    )
