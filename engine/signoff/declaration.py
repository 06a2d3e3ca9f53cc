"""What was declared before the first answer, and what is done now: every difference, in a sentence.

A rule that was changed after outcomes were seen, or outcomes of another plan, carry no guarantee. Knows plan.json, the
rule and the hashes that cells carry; no outcomes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from earmark.engine.design.keys import CellKey
from earmark.engine.design.rule import Rule
from earmark.engine.errors import InputError
from earmark.engine.outcomes.plan_file import PlanFile
from earmark.engine.signoff.certificate import Declared
from earmark.engine.signoff.judged_partitions import QUERY_FAMILY, Partitions
from earmark.engine.signoff.rules.group_tests import family_minimum

_FREE = ("max_error_rate", "reference_answerer")  # count as harm, or describe
_DESCRIBE = ("replicates", "seed")  # under the certified rule; the paper's decides by them
_CALLED = {"name": "rule"}  # what a field is called in a sentence, where not by its own name


def compare(
    plan: PlanFile | None,
    rule: Rule,
    partitions: Partitions,
    plans: Mapping[CellKey, str | None],
    n_rows: Mapping[str, int],
) -> Declared:
    """Every difference between the plan and this sign-off.

    `partitions` are those that are judged, `plans` the hash of the plan that each cell carries, `n_rows` is by
    corpus.
    """
    if plan is None:
        sentences = ["The cells were written under a plan.json that is not here: nobody can tell what was declared."]
        return Declared(None, tuple(sentences if any(plans.values()) else []))
    differences = [*_rule(plan, rule, partitions.names), *_labels(plan, partitions), *_cells(plan, rule, plans)]
    corpus = plan.corpus
    n = n_rows.get(corpus.name, 0)
    if n != corpus.examples:
        differences.append(f"The plan declared {corpus.examples:,} rows of {corpus.name}, and there are {n:,}.")
    return Declared(plan.sha256, tuple(differences))


def _labels(plan: PlanFile, partitions: Partitions) -> list[str]:
    """A sentence for each partition whose labels are not those that the plan declared."""
    labels = partitions.hashes(plan.corpus.name)
    return [
        f"Families of partition '{name}' are not those that the plan declared."
        for name in partitions.names
        if name in plan.labels and labels.get(name) != plan.labels[name]
    ]


def _cells(plan: PlanFile, rule: Rule, plans: Mapping[CellKey, str | None]) -> list[str]:
    """Sentences on cells of another plan, and on raw and silent ones that are gone.

    Under the certified rule a missing compressed cell is none of them: it ends the walk.
    """
    sentences = []
    foreign = sorted(str(key) for key, sha256 in plans.items() if sha256 != plan.sha256)
    if foreign:
        sentences.append(
            f"{len(foreign)} of {len(plans)} cells were not written under this plan.json ({foreign[0]}): "
            "it was changed afterwards, or they are of another run."
        )
    begun_answerers = {key.answerer for key in plans}
    steps = [step for step in plan.steps if not step.permuted and (rule.name == "paper" or not step.compressed)]
    declared_keys = [
        key
        for a in plan.answerers
        if a in begun_answerers
        for step in steps
        for key in step.keys(a, plan.corpus.name).values()
    ]
    missing = [str(key) for key in declared_keys if key not in plans]
    if missing:
        sentences.append(f"{len(missing)} cells that the plan declared are not here ({missing[0]}).")
    return sentences


def _rule(plan: PlanFile, rule: Rule, partitions: Sequence[str]) -> list[str]:
    """A sentence for each field of the rule, and for the partitions, that is not as the plan declared it."""
    declared = declared_rule(plan)
    free = (*_FREE, *_DESCRIBE) if rule.name == "certified" == declared.name else _FREE
    names = [field.name for field in fields(Rule) if field.name not in (*free, "partitions")]
    pairs = [(name, _value(declared, name), _value(rule, name)) for name in names]
    pairs.append(("partitions", list(plan.partitions) or [QUERY_FAMILY], list(partitions)))
    return [
        f"The plan declared {_CALLED.get(name, name)} = {_shown(before)}, and this is signed off with {_shown(now)}."
        for name, before, now in pairs
        if before != now
    ]


def _value(rule: Rule, name: str) -> Any:
    """A field in a form that can be compared: a minimum that follows from the rest of the rule counts as unset."""
    value = getattr(rule, name)
    if name == "min_family" and value == family_minimum(replace(rule, min_family=None)):
        value = None
    return list(value) if isinstance(value, tuple) else dict(value) if isinstance(value, Mapping) else value


def _shown(value: Any) -> str:
    """A value for a sentence."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return "nothing" if value in (None, [], {}) else f"{value:g}" if isinstance(value, float) else str(value)


def declared_rule(plan: PlanFile) -> Rule:
    """The rule that a plan declares; raises InputError where it cannot be read."""
    field_names = {field.name for field in fields(Rule)}
    content = dict(plan.rule)
    unknown = sorted(content.keys() - field_names)
    if unknown:
        raise InputError(plan.path, f"declares {', '.join(unknown)}, which no rule has", "restore the file")
    try:
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in content.items()}
        return Rule(**values)
    except (TypeError, ValueError, InputError) as error:
        raise InputError(plan.path, f"declares a rule that cannot be ({error})", "restore the file") from None
