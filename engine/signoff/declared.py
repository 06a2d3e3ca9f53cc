"""What was declared before the first answer, and what is done now: every difference, in a sentence.

A rule that was changed after outcomes were seen, or outcomes of another plan, carry no guarantee. Knows plan.json, the
rule and the hashes that cells carry; no outcomes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, NamedTuple

from earmark.engine.errors import InputError
from earmark.engine.outcomes.plan_file import PlanFile
from earmark.engine.outcomes.schema import CellKey
from earmark.engine.signoff.partitions import QUERY_FAMILY, Partitions
from earmark.engine.signoff.rule import Rule

_FREE = ("replicates", "seed", "max_error_rate", "reference_answerer", "in_domain")  # describe, or count as harm


class Declared(NamedTuple):
    """Whether a run has a plan, and in what the sign-off departs from it."""

    plan: str | None  # its hash; None: nothing was declared beforehand
    differences: tuple[str, ...]


def compare(plan: PlanFile | None, rule: Rule, partitions: Partitions, plans: Mapping[CellKey, str | None]) -> Declared:
    """`partitions` are those that are judged, `plans` the hash that each cell carries."""
    hashes = {of for of in plans.values() if of is not None}
    if plan is None:
        gone = ["The cells were written under a plan.json that is not here: nobody can tell what was declared."]
        return Declared(None, tuple(gone if hashes else []))
    differences = _rule(plan, rule, partitions.names)
    labels = partitions.hashes(plan.corpus.name)
    differences += [
        f"Families of partition '{name}' are not those that the plan declared."
        for name in partitions.names
        if name in plan.labels and labels.get(name) != plan.labels[name]
    ]
    foreign = sorted(str(key) for key, of in plans.items() if of != plan.sha256)
    if foreign:
        differences.append(
            f"{len(foreign)} of {len(plans)} cells were not written under this plan.json ({foreign[0]}): "
            "it was changed afterwards, or they are of another run."
        )
    return Declared(plan.sha256, tuple(differences))


def _rule(plan: PlanFile, rule: Rule, partitions: Sequence[str]) -> list[str]:
    declared = declared_rule(plan)
    names = [field.name for field in fields(Rule) if field.name not in (*_FREE, "partitions")]
    pairs = [(name, _value(declared, name), _value(rule, name)) for name in names]
    pairs.append(("partitions", list(plan.partitions) or [QUERY_FAMILY], list(partitions)))
    return [
        f"The plan declared {name} = {_shown(before)}, and this is signed off with {_shown(now)}."
        for name, before, now in pairs
        if before != now
    ]


def _value(rule: Rule, name: str) -> Any:
    value = rule.family_minimum if name == "min_family" else getattr(rule, name)
    return list(value) if isinstance(value, tuple) else dict(value) if isinstance(value, Mapping) else value


def _shown(value: Any) -> str:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return "nothing" if value in (None, [], {}) else f"{value:g}" if isinstance(value, float) else str(value)


def declared_rule(plan: PlanFile) -> Rule:
    """The rule of a plan, as an object."""
    known = {field.name for field in fields(Rule)}
    content = dict(plan.rule)
    unknown = sorted(content.keys() - known)
    if unknown:
        raise InputError(plan.path, f"declares {', '.join(unknown)}, which no rule has", "restore the file")
    try:
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in content.items()}
        return Rule(**values)
    except (TypeError, ValueError) as error:
        raise InputError(plan.path, f"declares a rule that cannot be ({error})", "restore the file") from None
