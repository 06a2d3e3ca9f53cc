"""plan.json: what a sweep declared before its first answer, which is which cells it fills and the rule that will judge.

Every cell that the sweep writes carries the plan's SHA-256, so a plan that was edited afterwards no longer fits its
cells. Knows JSON and the keys of cells; neither specs nor selectors, and it deletes nothing.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, get_args

from earmark.engine.design.compressors import Axis, Stage
from earmark.engine.design.keys import name_problem, refuse_close_budgets
from earmark.engine.design.rule import Rule
from earmark.engine.design.steps import Arm, Kind, Place, Step
from earmark.engine.errors import InputError
from earmark.engine.reading import parse_json, read_bytes

PLAN = "plan.json"
SCHEMA = "earmark.sweep/3"
_HASH = re.compile(r"[0-9a-f]{64}")
_MOST_BYTES = 1 << 26  # 100,000 cells with the longest names take half of it
_MOST = 1 << 53  # of anything that is counted
_RESTORE = "restore the plan.json that the sweep wrote, or begin in another folder"
_KEYS = (
    "schema",
    "spec",
    "corpus",
    "window",
    "answerers",
    "methods",
    "compressors",
    "levels",
    "decided",
    "labels",
    "rule",
)


class PlannedCorpus(NamedTuple):
    """The corpus of a sweep: its size, and a fingerprint of every question and right answer."""

    name: str
    examples: int  # how many there are
    recordings: int  # how many different ones
    windows: int  # how many blocks of recordings are answered together
    sha256: str  # of every question and right answer


class PlannedWalk(NamedTuple):
    """How a sweep that stops when it is decided goes along."""

    by_family: bool  # one family after the other; else all of them together, block by block
    blocks: tuple[int, ...]  # numbers of rows, in the order that they are asked in


class PlannedMethod(NamedTuple):
    """What a method is."""

    compressor: (
        str  # as the spec names it; a command as it is; inside a decoder with its layer, and whether it is sized
    )
    stage: Stage  # where it acts
    axis: Axis  # what its budgets are shares of


@dataclass(frozen=True, slots=True)
class PlanFile:
    """A validated plan.json."""

    path: Path
    content: Mapping[str, Any]  # all of the file, as JSON
    sha256: str  # of the content; the cells of the sweep carry it
    file_sha256: str  # of its bytes; a certificate states it
    spec: str  # SHA-256 of everything in the spec that outcomes depend on: not of [rule] and [machine]
    corpus: PlannedCorpus
    window: int  # recordings that are answered together
    answerers: tuple[str, ...]
    methods: Mapping[str, PlannedMethod]  # by name
    compressors: Mapping[str, str]  # identity by METHOD/SEED: a hash of weights, or parameters and a library's version
    steps: tuple[Step, ...]  # in the order in which they are filled
    decided: PlannedWalk | None  # None: everything is asked
    labels: Mapping[str, str]  # by partition, `labels_hash` of the family of every sample
    rule: Mapping[str, Any]  # the declared `design.rule.Rule`, as `rule_content` writes it

    def budgets(self, arm: Arm) -> tuple[float, ...]:
        """The budgets below 1 at which verdicts are about an arm, from the largest down."""
        return tuple(budget for step in self.steps if step.compressed for other, budget in step.places if other == arm)

    @property
    def arms(self) -> tuple[Arm, ...]:
        """Every method, seed and stream that verdicts are about, each once."""
        return tuple(dict.fromkeys(arm for step in self.steps if step.compressed for arm in step.arms))

    @property
    def partitions(self) -> tuple[str, ...]:
        """The names of the partitions that are judged, in the order of partitions.parquet; none: query_family."""
        return tuple(self.rule["partitions"])


def plan_hash(content: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON of a plan: keys sorted, no blanks."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def labels_hash(family_of: Mapping[str, str]) -> str:
    """SHA-256 of the family of every sample, in the order of their names."""
    return hashlib.sha256(json.dumps(sorted(family_of.items()), separators=(",", ":")).encode()).hexdigest()


def rule_content(rule: Rule, partitions: Sequence[str]) -> dict[str, Any]:
    """A rule as a plan holds it: every field as JSON, with the names of the partitions that are judged."""
    content = json.loads(json.dumps(asdict(rule)))
    return {**content, "partitions": list(partitions)}


def differing(plan: Mapping[str, Any], other_plan: Mapping[str, Any]) -> list[str]:
    """The keys in which two plans differ, those of a section by their own names: corpus.sha256, rule.alpha."""
    keys: list[str] = []
    for key in dict.fromkeys([*plan, *other_plan]):
        ours, theirs = plan.get(key), other_plan.get(key)
        if ours == theirs:
            continue
        if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
            keys += [f"{key}.{name}" for name in differing(ours, theirs)]
        else:
            keys.append(key)
    return keys


def read_plan(run: Path) -> PlanFile | None:
    """The plan of a run folder, or None where no sweep was begun; InputError for anything malformed in it."""
    path = run / PLAN
    if not os.path.lexists(path):
        return None
    data = read_bytes(path, _RESTORE, _MOST_BYTES)
    content = parse_json(data, path, _RESTORE)
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise InputError(
            path, f"is not a plan that this Earmark reads ({SCHEMA})", "name another folder, or begin in a new one"
        )
    return parse_plan(path, content, hashlib.sha256(data).hexdigest())


def parse_plan(path: Path, content: dict[str, Any], file_sha256: str) -> PlanFile:
    """Check a plan's content; `path` is what errors name."""
    unknown = [key for key in content if key not in _KEYS]
    if unknown:
        raise _refusal(path, f"has an unknown key {unknown[0]}")
    table = _JsonObject(path, "", content)
    corpus = _JsonObject(path, "corpus.", table.take("corpus", _is_mapping, "a table"))
    planned = PlannedCorpus(
        name=corpus.take("name", _is_name, "a name"),
        examples=corpus.take("examples", _is_count, "a whole number from 1"),
        recordings=corpus.take("recordings", _is_count, "a whole number from 1"),
        windows=corpus.take("windows", _is_count, "a whole number from 1"),
        sha256=corpus.take("sha256", _is_hash, "a SHA-256"),
    )
    return PlanFile(
        path=path,
        content=content,
        sha256=plan_hash(content),
        file_sha256=file_sha256,
        spec=table.take("spec", _is_hash, "a SHA-256"),
        corpus=planned,
        window=table.take("window", _is_count, "a whole number from 1"),
        answerers=tuple(table.take("answerers", _are_folder_names, "a list of different names")),
        methods=_methods(path, table.take("methods", _is_mapping, "a table of methods")),
        compressors=table.take("compressors", _is_mapping_of_texts, "a table of texts"),
        steps=_steps(path, table.take("levels", _is_list, "a list of levels"), planned.name),
        decided=_walk(path, content.get("decided"), planned.examples),
        labels=table.take("labels", _is_mapping_of_hashes, "a table of hashes"),
        rule=_rule(path, table.take("rule", _is_mapping, "a table")),
    )


def _walk(path: Path, entry: Any, n_rows: int) -> PlannedWalk | None:
    if entry is None:
        return None
    if not _is_mapping(entry) or entry.keys() != set(PlannedWalk._fields):
        raise _refusal(path, f"has in decided something else than {', '.join(PlannedWalk._fields)}")
    table = _JsonObject(path, "decided.", entry)
    blocks = table.take("blocks", lambda value: _is_list(value) and all(map(_is_count, value)), "a list of counts")
    if sum(blocks) != n_rows:
        raise _refusal(path, f"has in decided.blocks {sum(blocks):,} rows of {n_rows:,}")
    return PlannedWalk(table.take("by_family", lambda value: isinstance(value, bool), "true or false"), tuple(blocks))


def _methods(path: Path, entries: Mapping[str, Any]) -> dict[str, PlannedMethod]:
    methods = {}
    for name, entry in entries.items():
        if not _is_mapping(entry) or entry.keys() != set(PlannedMethod._fields):
            raise _refusal(path, f"has in methods.{name} something else than {', '.join(PlannedMethod._fields)}")
        table = _JsonObject(path, f"methods.{name}.", entry)
        methods[name] = PlannedMethod(
            compressor=table.take("compressor", _is_name, "a name"),
            stage=table.take("stage", lambda value: value in get_args(Stage), " or ".join(get_args(Stage))),
            axis=table.take("axis", lambda value: value in get_args(Axis), " or ".join(get_args(Axis))),
        )
    return methods


def _steps(path: Path, entries: list[Any], corpus: str) -> tuple[Step, ...]:
    steps: list[Step] = []
    for number, entry in enumerate(entries):
        where = f"levels[{number}]"
        if not _is_mapping(entry):
            raise _refusal(path, f"has in {where} no table")
        table = _JsonObject(path, f"{where}.", entry)
        name = table.take("name", lambda value: isinstance(value, str), "a name")
        budget = float(table.take("budget", _is_budget, "in (0, 1]"))
        curves = table.take("curves", _is_list, "curves")
        places = tuple(_place(path, f"{where}.curves", curve, budget) for curve in curves)
        kind = name.partition("-")[0]
        step = Step(kind, places) if kind in get_args(Kind) else None
        if step is not None and step.of_one_arm and len(places) > 1:
            raise _refusal(path, f"has in {where} ({name}) {len(places)} curves, and such a level has one")
        if step is None or step.name != name or step.budget != budget or not step.has_its_budget:
            raise _refusal(path, f"has in {where} the name {name!r} for budget {budget!r}, which no level has")
        if name in {other.name for other in steps}:
            raise _refusal(path, f"has the level {name} twice")
        try:
            distinct = len(set(step.keys("any", corpus).values()))
        except InputError as error:
            raise _refusal(path, f"has in {where} a cell that cannot be ({error})") from None
        if distinct < len(places):
            raise _refusal(path, f"has in {where} a curve twice")
        steps.append(step)
    _refuse_close_budgets_of_an_arm(path, steps)
    return tuple(steps)


def _refuse_close_budgets_of_an_arm(path: Path, steps: Sequence[Step]) -> None:
    walks: dict[Arm, list[float]] = {}
    for step in steps:
        for arm, budget in step.places:
            walks.setdefault(arm, []).append(budget)
    try:
        for budgets in walks.values():
            refuse_close_budgets(path, budgets)
    except InputError as error:
        raise _refusal(path, error.what) from None


def step_content(step: Step) -> dict[str, Any]:
    """A step as a plan holds it: an arm that is not at the step's budget has its own behind it."""
    curves = [[*arm] if budget == step.budget else [*arm, budget] for arm, budget in step.places]
    return {"name": step.name, "budget": step.budget, "curves": curves}


def _place(path: Path, where: str, entry: Any, budget: float) -> Place:
    own = isinstance(entry, list) and len(entry) == 4 and _is_budget(entry[3])
    arm = entry[:3] if own else entry
    if not (
        isinstance(arm, list)
        and len(arm) == 3
        and _is_name(arm[0])
        and isinstance(arm[1], int)
        and not isinstance(arm[1], bool)
        and arm[1] >= 0
        and isinstance(arm[2], str)
    ):
        raise _refusal(path, f"has in {where} something else than [method, seed, stream]")
    return Place(Arm(*arm), float(entry[3]) if own else budget)


def _rule(path: Path, rule: Mapping[str, Any]) -> Mapping[str, Any]:
    """The declared rule as it is: only its partitions are checked here, the rest by whoever compares it."""
    partitions = rule.get("partitions")
    if not (isinstance(partitions, list) and all(map(_is_name, partitions))):
        raise _refusal(path, "has no list of names in rule.partitions")
    return rule


class _JsonObject:
    """A JSON object whose values are checked as they are taken."""

    def __init__(self, path: Path, prefix: str, values: Mapping[str, Any]) -> None:
        self._path = path
        self._prefix = prefix
        self._values = values

    def take(self, key: str, check: Callable[[Any], bool], expected: str) -> Any:
        """The value of a key; InputError where it is missing or `check` says no."""
        if key not in self._values:
            raise _refusal(self._path, f"lacks {self._prefix}{key}")
        if not check(self._values[key]):
            raise _refusal(self._path, f"has in {self._prefix}{key} something else than {expected}")
        return self._values[key]


def _refusal(path: Path, problem: str) -> InputError:
    return InputError(path, problem, _RESTORE)


# Checks ----------------------------------------------------------------------------------------------------


def _is_mapping(value: Any) -> bool:
    return isinstance(value, dict)


def _is_mapping_of_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _is_mapping_of_hashes(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_hash, value.values()))


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 0


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _are_names(value: Any) -> bool:
    return _is_list(value) and all(map(_is_name, value)) and len(set(value)) == len(value)


def _are_folder_names(value: Any) -> bool:
    return _are_names(value) and not any(map(name_problem, value))


def _is_hash(value: Any) -> bool:
    return isinstance(value, str) and _HASH.fullmatch(value) is not None


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _MOST


def _is_budget(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1
