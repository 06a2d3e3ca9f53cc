"""What to do next, in one sentence a person can act on (Algorithm 1, step 6).

Reads the entries of a verdict; decides nothing about safety.
"""

from typing import Any, Literal, NamedTuple

from earmark.engine.signoff.families import Families
from earmark.engine.signoff.rule import Failure, Rule

Action = Literal["ship", "route", "raise", "collect"]

_LOCAL_SHARE = 0.5  # harm is local where two families hold at least this share of it ...
_LOCAL_FAMILIES = 2  # ... or where at most this many families fail


class Next(NamedTuple):
    """The recommended action, the families it is about, and the sentence."""

    action: Action
    families: list[str]
    text: str


def next_step(
    tolerance: float,
    approved: float | None,
    budgets: list[dict[str, Any]],
    families: Families,
    failure: Failure | None,
    rule: Rule,
) -> Next:
    """Ship; or collect more rows; or route the families that fail; or raise the budget."""
    if approved is not None and approved < 1:
        return Next("ship", [], f"ship at budget {approved:g}")
    compressed = [entry for entry in budgets if entry["budget"] < 1]
    if not compressed:
        return Next("collect", [], "evaluate budgets below 1")
    nearest = compressed[-1]
    budget = f"{nearest['budget']:g}"
    failing = [f["family"] for f in nearest["families"] if f["excess"] > tolerance]
    average_fails = nearest["excess_average"]["estimate"] > rule.average_tolerance(tolerance)
    if not failing and not average_fails:
        return _collect(budget, nearest, tolerance, families, failure, rule)
    concentrated = nearest["concentration_top2"] is not None and nearest["concentration_top2"] >= _LOCAL_SHARE
    local = len(failing) <= _LOCAL_FAMILIES or concentrated
    if failing and local and len(failing) < len(families.names) and not average_fails:
        names = ", ".join(f"'{name}'" for name in failing)
        return Next("route", failing, f"harm at {budget} is local: route {names} to raw audio, or retrain on them")
    if not failing:
        return Next("raise", [], f"the average excess at {budget} is too large: evaluate budgets above {budget}")
    wide = len(failing) > _LOCAL_FAMILIES or len(failing) == len(families.names) > 1
    spread = f"spread over {len(failing)} of {len(families.names)} families" if wide else "too large on average too"
    return Next(
        "raise", failing, f"harm at {budget} is {spread}: evaluate budgets above {budget}, or retrain the selector"
    )


def _collect(
    budget: str, nearest: dict[str, Any], tolerance: float, families: Families, failure: Failure | None, rule: Rule
) -> Next:
    """Nothing looks unsafe, but the rows do not show it."""
    fewest = rule.fewest_rows(tolerance)
    small = {name: int(size) for name, size in zip(families.names, families.size, strict=True) if size < fewest}
    if small:
        lacking = ", ".join(f"'{name}' (+{fewest - size})" for name, size in small.items())
        return Next("collect", list(small), f"collect more rows of {lacking}, or merge with --parent")
    doubt = f"the excess at {budget} is within tolerance but uncertain"
    if failure is None:
        wide = [f["family"] for f in nearest["families"] if f["upper"] > tolerance]
        return Next("collect", wide, f"{doubt}: collect more rows")
    named = f"'{failure.family}'" if failure.family else "all families"
    total = f" (about {failure.needed} in all for 90% power)" if failure.needed and failure.needed > failure.n else ""
    return Next("collect", [failure.family] if failure.family else [], f"{doubt}: collect more rows of {named}{total}")
