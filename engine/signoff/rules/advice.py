"""What to do next, in one sentence a person can act on, and that keeps alpha.

Rows that were judged may not be judged again with others added, nor may a walk be begun higher up because it failed:
the next verdict is on new rows alone, or was declared beforehand. Reads the entries of a verdict; decides nothing
about safety.
"""

import shlex
from collections.abc import Collection, Mapping, Sequence

from earmark.engine.design.rule import Rule
from earmark.engine.errors import first_few
from earmark.engine.signoff.families import Families
from earmark.engine.signoff.result_entry import BudgetEntry, FamilyHearing, Next
from earmark.engine.signoff.rules.group_tests import GroupTest, fewest_rows
from earmark.engine.signoff.rules.judgement import Failure

_COUNTED = 5  # families whose rows are counted in a sentence
NAMED = 12  # families in a sentence; certificate.json lists all of them beside it
_LOCAL_SHARE = 0.5  # harm is local where two families hold at least this share of it ...
_LOCAL_FAMILIES = 2  # ... or where at most this many families fail


def next_step(
    tolerance: float,
    approved: float | None,
    budgets: Sequence[BudgetEntry],
    families: Families,
    hearing: Sequence[FamilyHearing],
    groups: Sequence[GroupTest],
    failure: Failure | None,
    rule: Rule,
    level: float,
) -> Next:
    """What to do about one curve at one tolerance.

    `approved` is the budget that passes, `budgets` the entries of the certificate, `failure` where the walk at `level`
    stopped. Ship; or finish what was declared; or do something about harm that was seen, which more rows do not end;
    or make families testable; or go on with new rows. Families that do not listen come first: nothing is approved on
    their word, however few answers change.
    """
    of_budget = rule.claim != "routing"  # a policy may send them to raw audio
    deaf = [family for family in hearing if of_budget and family.is_deaf(rule.allow_vacuous)]
    step = _of_tests(tolerance, approved, budgets, families, deaf, groups, failure, rule, level)
    if not deaf:
        return step
    first = _of_deaf(deaf)
    return first if step.action in ("ship", "collect") else first._replace(text=f"{first.text}; besides, {step.text}")


def _of_deaf(deaf: Sequence[FamilyHearing]) -> Next:
    """Advice on families that do not listen."""
    n_more = len(deaf) - _COUNTED
    listed = "; ".join(family.words for family in deaf[:_COUNTED]) + (f"; and {n_more} more" if n_more > 0 else "")
    do = "take an answerer or questions that need the audio, or declare it beforehand"
    option = f"--allow-vacuous {shlex.quote(deaf[0].family)}"
    return Next(
        "collect",
        [f.family for f in deaf],
        f"{listed}: nothing is approved on that, however few answers change: {do} ({option})",
    )


def _of_tests(
    tolerance: float,
    approved: float | None,
    budgets: Sequence[BudgetEntry],
    families: Families,
    deaf: Sequence[FamilyHearing],
    groups: Sequence[GroupTest],
    failure: Failure | None,
    rule: Rule,
    level: float,
) -> Next:
    """What the tests call for; what they show of families that do not listen (`deaf`) calls for nothing."""
    if approved is not None and approved < 1:
        return Next("ship", [], f"alone it passes at budget {approved:g}: see the claim for what may be shipped")
    compressed = [entry for entry in budgets if entry.budget < 1]
    if not compressed and failure is None:
        return Next("collect", [], "evaluate budgets below 1")
    lacking = _untestable(tolerance, families, groups, rule, level)
    unheard = {family.family for family in deaf}
    small = _collect({name: words for name, words in lacking.items() if name not in unheard})
    if failure is not None and failure.missing:
        return small or Next("finish", [], f"{failure.reason}: finish the sweep, or restore the cell")
    if failure is not None and failure.undecided:
        return small or Next("finish", [], "not decided yet: finish the sweep, which asks until it is")
    if failure is not None and (not compressed or failure.budget > compressed[-1].budget):
        return small or _of_one(failure)
    harm = _of_harm(tolerance, compressed[-1], families, {*lacking, *unheard}, rule)
    if harm is not None:
        return harm if small is None else harm._replace(text=f"{harm.text}; besides, {small.text}")
    return small or _uncertain(compressed[-1], tolerance, failure)


def _of_harm(
    tolerance: float, nearest: BudgetEntry, families: Families, ignored: Collection[str], rule: Rule
) -> Next | None:
    """Advice where harm was seen at the `nearest` budget to raw audio; None without any.

    What is seen in families that are too small, or do not listen (`ignored`), shows nothing by itself.
    """
    budget = f"{nearest.budget:g}"
    failing = [f.family for f in nearest.families if f.excess > tolerance and f.family not in ignored]
    average_fails = nearest.excess_average.estimate > rule.average_tolerance(tolerance)
    if not failing and not (average_fails and not ignored):
        return None
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


def _of_one(failure: Failure) -> Next:
    """Advice where one family ended a walk before every other was looked at."""
    named = [] if failure.family is None else [failure.family]
    whose = first_few(named) if named else "the average"
    text = f"{whose} ended the walk at {failure.budget:g}: change the method, or certify budgets above that on new "
    return Next("raise", named, text + "rows, alone")


def _untestable(
    tolerance: float, families: Families, groups: Sequence[GroupTest], rule: Rule, level: float
) -> dict[str, str]:
    """The families that could not pass even if no answer changed, and how many units each has and needs, in words."""
    lacking = {}
    for f, name in enumerate(families.names):
        if groups:
            fewest, n = groups[f].fewest(tolerance, level), groups[f].n
            unit = groups[f].unit
        else:
            fewest, n, unit = fewest_rows(rule, tolerance), int(families.size[f]), "rows"
        if n < fewest:
            lacking[name] = f"'{name}' ({n} of {fewest} {unit})"
    return lacking


def _collect(lacking: Mapping[str, str]) -> Next | None:
    """Advice on families that are too small; None without any."""
    if not lacking:
        return None
    names, n_more = [*lacking], len(lacking) - _COUNTED
    named = ", ".join([*lacking.values()][:_COUNTED]) + (f" and {n_more} more" if n_more > 0 else "")
    more = "certify new rows with more of them, or declare a parent beforehand"
    parent = f"--parent {shlex.quote(names[0])}=OTHER"
    return Next("collect", names, f"untestable whatever the answers: {named}: {more} ({parent})")


def _uncertain(nearest: BudgetEntry, tolerance: float, failure: Failure | None) -> Next:
    """Advice where nothing looks unsafe, but too few rows show it."""
    doubt = f"the excess at {nearest.budget:g} is within tolerance but uncertain"
    if failure is None or failure.needed is None:
        wide = [f.family for f in nearest.families if f.upper is not None and f.upper > tolerance]
        return Next("collect", wide, f"{doubt}: certify new rows, alone, and more of them")
    named = f"'{failure.family}'" if failure.family else "all families"
    return Next(
        "collect",
        [failure.family] if failure.family else [],
        f"{doubt}: certify about {failure.needed} new {failure.unit} of {named}, alone, for 90% power",
    )
