"""What a sweep is to evaluate and what counts as safe: a TOML file as frozen data, or a refusal with the line.

Every key is a field of a class in `sections`. Opens no corpus, loads no model and no selector.
"""

import dataclasses
import hashlib
import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from earmark.engine.design.compressors import (
    AV,
    AXIS_WORDS,
    BUILT_IN,
    BY_CHANCE,
    CACHE_NAMES,
    CHOOSING,
    CHUNKS,
    DART,
    LAYER_NAMES,
    LEARNED_TOKENS,
    LTBM,
    TOKEN_NAMES,
    UNITS,
    WAVE_NAMES,
    is_brought,
    share_of,
)
from earmark.engine.design.endpoint import FORM, endpoint_of, is_served
from earmark.engine.design.fields import NEEDED, Field, Word, default_of, fields_of
from earmark.engine.design.keys import (
    SILENCE,
    UNCOMPRESSED,
    agnostic_partner,
    is_conditioned,
    name_problem,
    refuse_close_budgets,
)
from earmark.engine.design.rule import Rule
from earmark.engine.design.sections import (
    HEURISTICS,
    KEPT,
    PARTS,
    PLAIN,
    REACHING,
    SEED,
    AnswererSpec,
    AuditsSpec,
    CorpusSpec,
    MachineSpec,
    MethodSpec,
    PartitionsSpec,
    StreamsSpec,
    SweepKeys,
    Until,
)
from earmark.engine.design.toml_tables import TomlDocument, TomlTable
from earmark.engine.errors import InputError, choose, instead
from earmark.engine.printable import shortened
from earmark.engine.reading import read_bytes

MOST_SPEC_BYTES = 1 << 20
MOST_CELLS = 100_000
_MOST_SHOWN = 60  # characters of a value in an error
# all of a spec's partitions are judged, methods declare in_domain, and imported rows a source
_NOT_IN_A_SPEC = ("partitions", "in_domain", "source")


THERE = "there"  # in place of a value: a table is there


class Difference(NamedTuple):
    """A key that two specs, or plans, have otherwise."""

    key: str  # [sweep] window
    before: Any  # None: nothing
    now: Any

    def __str__(self) -> str:
        return f"{self.key}: {_in_words(self.before)} before, {_in_words(self.now)} now"


def _in_words(value: Any) -> str:
    if value is None:
        return "nothing"
    return shortened(value if value == THERE else json.dumps(value, ensure_ascii=False), _MOST_SHOWN)


@dataclass(frozen=True, slots=True)
class Spec:
    """A whole sweep and its sign-off."""

    corpus: CorpusSpec
    answerers: tuple[AnswererSpec, ...]
    methods: tuple[MethodSpec, ...]
    budgets: tuple[float, ...]  # falling, 1.0 left out: that is the raw reference
    window: int  # recordings that are answered together
    until: Until  # when to stop asking: no answer depends on it
    streams: StreamsSpec
    partitions: PartitionsSpec
    rule: Rule
    audits: AuditsSpec
    machine: MachineSpec
    text: str = dataclasses.field(repr=False)

    def sha256(self) -> str:
        """Of everything that outcomes depend on: neither layout and comments, nor the rule and the machine."""
        return hashlib.sha256(json.dumps(self._outcomes_depend_on(), sort_keys=True).encode()).hexdigest()

    def _outcomes_depend_on(self) -> dict[str, Any]:
        content = {
            name: value for name, value in asdict(self).items() if name not in ("text", "rule", "machine", "until")
        }
        corpus = {key: value for key, value in content["corpus"].items() if value or key not in PARTS}
        answerers = [_without_reaching(answerer) for answerer in self.answerers]
        audits = {key: value for key, value in content["audits"].items() if key not in KEPT}
        return {**content, "corpus": corpus, "answerers": answerers, "audits": audits}

    @property
    def key_variables(self) -> tuple[str, ...]:
        """The environment variables that hold keys of its answerers."""
        return tuple(answerer.key_env for answerer in self.answerers if answerer.key_env is not None)

    def candidate_names(self, corpus: str) -> list[str]:
        """What [rule] candidates may name: METHOD, ANSWERER/METHOD or ANSWERER/CORPUS/METHOD, each perhaps @SEED."""
        arms = [arm for method in self.methods for arm in method.arms]
        answerers = [answerer.name for answerer in self.answerers]
        return [
            *arms,
            *(f"{answerer}/{arm}" for answerer in answerers for arm in arms),
            *(f"{answerer}/{corpus}/{arm}" for answerer in answerers for arm in arms),
        ]

    def differing(self, other: "Spec") -> list[Difference]:
        """The keys of another spec that make its outcomes others, with their values here and there."""
        ours, theirs = self._keys(), other._keys()
        differences = [
            Difference(key, ours.get(key), theirs.get(key))
            for key in dict.fromkeys([*ours, *theirs])
            if ours.get(key) != theirs.get(key)
        ]
        tables = {difference.key for difference in differences if THERE in difference}
        inside = tuple(f"{table}: " for table in tables)  # keys of a table that only one of the two has
        differences = [difference for difference in differences if not difference.key.startswith(inside)]
        if "[sweep] budgets" in (difference.key for difference in differences):  # those of the methods come from it
            differences = [difference for difference in differences if not difference.key.endswith(": budgets")]
        others = [difference for difference in differences if not difference.key.endswith("]] order")]
        return others or differences

    def _keys(self) -> dict[str, Any]:
        """Every key that outcomes depend on, as errors call it: `[sweep] window`, `[[methods]] energy: seeds`."""
        keys: dict[str, Any] = {}
        for section, content in self._outcomes_depend_on().items():
            if section in ("budgets", "window"):
                keys[f"[sweep] {section}"] = content
            elif isinstance(content, Mapping):
                keys |= {f"[{section}] {key}": value for key, value in content.items()}
            else:
                for table in content:
                    keys[f"[[{section}]] {table['name']}"] = THERE
                    keys |= {f"[[{section}]] {table['name']}: {key}": value for key, value in table.items()}
                keys[f"[[{section}]] order"] = [table["name"] for table in content]
        return keys


def _without_reaching(answerer: AnswererSpec) -> dict[str, Any]:
    """The keys of an answerer on which its answers depend."""
    return {key: value for key, value in asdict(answerer).items() if key not in REACHING}


def read(path: Path) -> Spec:
    """Read a spec file."""
    data = read_bytes(path, "name a TOML file, or make one with `earmark init CORPUS`", MOST_SPEC_BYTES)
    try:
        text = data.decode("utf-8-sig")  # some editors begin a file with a mark
    except UnicodeDecodeError as error:
        raise InputError(path, f"is not UTF-8 ({error})", "save it as UTF-8") from None
    return parse(text.replace("\r\n", "\n").replace("\r", "\n"), path.name)


def rule_of_run(run: Path) -> Rule:
    """The rule of the sweep that made a run folder, or the defaults where none did."""
    return read(run / "spec.toml").rule if os.path.lexists(run / "spec.toml") else Rule()


def clips_of_run(run: Path) -> int:
    """How many recordings the sweep that made a run folder keeps to listen to; 0 where none did."""
    return read(run / "spec.toml").audits.clips if os.path.lexists(run / "spec.toml") else 0


def parse(content: str, file: str = "spec.toml") -> Spec:
    """The spec in a text; `file` is what errors call it."""
    document = TomlDocument(content, file, [section.strip("[]") for section in SECTIONS])
    sweep = document.table("sweep")
    keys = SweepKeys(**sweep.read(SweepKeys))
    budgets = _falling(keys.budgets, sweep, "budgets")
    spec = Spec(
        corpus=_corpus(document.table("corpus")),
        answerers=_answerers(document),
        methods=_methods(document, budgets),
        budgets=budgets,
        window=keys.window,
        until=keys.until,
        streams=_streams(document.table("streams")),
        partitions=_partitions(document.table("partitions")),
        rule=_rule(document.table("rule")),
        audits=AuditsSpec(**document.table("audits").read(AuditsSpec)),
        machine=MachineSpec(**document.table("machine").read(MachineSpec)),
        text=content,
    )
    _check_together(spec, document)
    return spec


def answerer_of(keys: Mapping[str, Any], where: str) -> AnswererSpec:
    """An answerer by itself, as a spec with these keys has it; `where` is what errors call them."""
    return _answerer(TomlTable(where, "answerers", keys, lambda _: 0))


# Sections --------------------------------------------------------------------------------------------------


def _answerers(document: TomlDocument) -> tuple[AnswererSpec, ...]:
    answerers: list[AnswererSpec] = []
    for table in document.tables("answerers"):
        answerer = _answerer(table)
        if answerer.name in {other.name for other in answerers}:
            key = "name" if "name" in table else "model"
            raise table.refusal(key, "is the name of two answerers", "name them apart")
        answerers.append(answerer)
    if not answerers:
        document.table("answerers").read(AnswererSpec)
    return tuple(answerers)


def _answerer(table: TomlTable) -> AnswererSpec:
    values = table.read(AnswererSpec)
    _check_served(values, table)
    _check_plain(values, table)
    last = values["model"].removeprefix(PLAIN).rstrip("/").rpartition("/")[2].rpartition("#")[2]
    answerer = AnswererSpec(**{"name": last, **values})
    _check_folder_name(table, "name" if "name" in table else "model", answerer.name)
    return answerer


def _check_served(values: Mapping[str, Any], table: TomlTable) -> None:
    """What may be said of an answerer that is served, and of one that is not."""
    try:
        endpoint = endpoint_of(values["model"])
    except ValueError as error:  # the value is not repeated: it may hold a password
        do = f"write {FORM}, and the name of the key's environment variable as key_env"
        raise InputError(f"{table.where('model')} model", str(error), do) from None
    wrong = ("dtype", "split") if endpoint else REACHING
    for key in wrong:
        if key in table:
            what = "says nothing: a server decides it" if endpoint else "says nothing: the answerer is not served"
            raise table.refusal(key, what, "leave it out")


def _check_plain(values: Mapping[str, Any], table: TomlTable) -> None:
    """A refusal of what a model behind its own processor cannot do."""
    if values["model"].strip() == PLAIN:
        raise table.refusal("model", "names no model", f"write {PLAIN}tiny, {PLAIN}FOLDER or {PLAIN}NAME_ON_THE_HUB")
    if values["model"].startswith(PLAIN) and values.get("split"):
        raise table.refusal("split", "is true, but a plain model hears one audio", "leave it out")


def _methods(document: TomlDocument, budgets: Sequence[float]) -> tuple[MethodSpec, ...]:
    """The methods, each with its compressor and, where it has its own, its budgets as falling shares."""
    methods: list[MethodSpec] = []
    for table in document.tables("methods"):
        method = MethodSpec(**table.read(MethodSpec))
        name = method.name
        if name == UNCOMPRESSED:
            raise table.refusal("name", "is the raw reference, which is always run", "leave it out")
        _check_folder_name(table, "name", name)
        if name == SILENCE:
            raise table.refusal("name", "is the control, which is always run", "leave it out")
        if name in {other.name for other in methods}:
            raise table.refusal("name", "is the name of two methods", "name them apart")
        method = _with_budgets(_with_compressor(method, table), table, budgets)
        _check_seeds(method, table)
        methods.append(method)
        _check_partners(methods, table)
    if not methods:
        document.table("methods").read(MethodSpec)
    return tuple(methods)


def _check_partners(methods: Sequence[MethodSpec], table: TomlTable) -> None:
    """Refuse a pair X_agnostic and X_conditioned, between which a gain is computed, on two axes."""
    axes = {method.name: method.counted_on for method in methods}
    for name in filter(is_conditioned, axes):
        partner = agnostic_partner(name)
        if axes.get(partner, axes[name]) != axes[name]:
            what = f"makes a pair of {partner} and {name}, whose budgets are shares of different things"
            raise table.refusal("name", what, "give it another name, or both the same axis")


def _with_compressor(method: MethodSpec, table: TomlTable) -> MethodSpec:
    """A method with the compressor and the selector that its keys stand for."""
    for key in ("compressor", "selector"):
        if "command" in table and key in table:
            raise table.refusal(key, "stands beside command", "leave out one of the two")
    compressor = method.compressor
    if method.command:
        if "{in}" not in method.command or "{out}" not in method.command:
            raise table.refusal("command", "must hold {in} and {out}", 'write "... {in} ... {out} ..."')
        if method.command.lstrip().startswith("{"):
            raise table.refusal("command", "begins with no program", 'write "PROGRAM {in} {out}"')
    elif not compressor:
        chooses = method.name in CHOOSING
        compressor = method.name if method.name in BUILT_IN and (chooses or not method.selector) else CHUNKS
    selector = method.selector or (method.name if compressor == CHUNKS and method.name in HEURISTICS else "")
    method = replace(method, compressor=compressor, selector=selector)
    _check_compressor(method, table)
    if method.name in {*BUILT_IN, *HEURISTICS} - {compressor, selector}:
        what = f"is the name of a {'selector' if method.name in HEURISTICS else 'compressor'}, and this is another one"
        raise table.refusal("name", what, "give it another name")
    return method


def _check_compressor(method: MethodSpec, table: TomlTable) -> None:
    """What may be said of a compressor of its kind."""
    keeps_chunks = method.compressor == CHUNKS
    if keeps_chunks and not method.selector:
        if "compressor" in table:
            do = f"add selector = ..., or name it {', '.join(HEURISTICS[:-1])} or {HEURISTICS[-1]}"
            raise table.refusal("compressor", "keeps chunks, but no selector says which", do)
        names = (*HEURISTICS, *WAVE_NAMES, *TOKEN_NAMES, *LAYER_NAMES, *CACHE_NAMES)
        do = instead(method.name, names, "add compressor = ... or selector = ...")
        what = f"must be one of {', '.join(names)}, or have a compressor, a selector or a command"
        raise table.refusal("name", what, do)
    if method.selector and method.compressor not in CHOOSING:
        what = f"says nothing: {method.label} has no selector"
        raise table.refusal("selector", what, 'leave it out, or set compressor = "chunks"')
    if method.compressor == AV:
        raise table.refusal("compressor", "names no encoder", 'write "av:libopus"')
    if "axis" in table and not is_brought(method.compressor):
        raise table.refusal("axis", f"says nothing: {method.label} has its own", "leave it out")
    _check_tokens(method, table)
    if "timeout_s" in table and keeps_chunks:
        raise table.refusal("timeout_s", "says nothing: chunks are cut at once", "leave it out")


def _check_tokens(method: MethodSpec, table: TomlTable) -> None:
    """What may be said of a compressor inside an answerer, and of no other."""
    is_inside, of_layers = method.stage != "waves", method.stage == "layers"
    if method.compressor == LEARNED_TOKENS and method.selector in ("", *HEURISTICS):
        key = next(key for key in ("selector", "compressor", "name") if key in table)
        do = "set selector = the folder of one from `earmark selector train --tokens`"
        raise table.refusal(key, "keeps audio tokens, but no trained selector says which", do)
    for key, fits in (
        ("sized", method.kind.may_be_sized),
        ("after", is_inside),
        ("layer", of_layers),
        ("window_s", method.compressor == LTBM),
        ("pivots", method.compressor == DART),
    ):
        if key in table and not fits:
            by_chance = key == "sized" and method.compressor == "random"
            do = 'write compressor = "random_tokens", or leave it out' if by_chance else "leave it out"
            raise table.refusal(key, f"says nothing of {method.label}", do)
    if "timeout_s" in table and is_inside:
        raise table.refusal("timeout_s", "says nothing: the answerer reduces tokens", "leave it out")
    if of_layers and method.kind.asks and method.layer == 0:
        what = f"leaves {method.label} nothing to look at: no layer has attended yet"
        raise table.refusal("layer", what, 'set 1 or more, or write compressor = "uniform_layers"')
    if method.after:
        try:
            first_of(method.after)
        except InputError as error:
            raise table.refusal("after", error.what, error.do) from None


def first_of(after: str) -> tuple[str, float]:
    """The compressor and the share of `COMPRESSOR@BUDGET`; InputError where it is none that needs nothing else."""
    name, mark, budget = after.rpartition("@")
    if not mark or name not in (*HEURISTICS, *WAVE_NAMES):
        names = ", ".join((*HEURISTICS, *WAVE_NAMES))
        raise InputError(after, "is no COMPRESSOR@BUDGET", f"name one of {names}, such as opus@12kbps")
    return name, share_of(budget, BUILT_IN[CHUNKS if name in HEURISTICS else name])


def _with_budgets(method: MethodSpec, table: TomlTable, budgets: Sequence[float]) -> MethodSpec:
    """A method with its budgets as falling shares below 1: its own, in whatever unit, or else the sweep's."""
    kind = method.kind
    keys = [key for key in ("budgets", *(unit.key for unit in UNITS)) if key in table]
    if len(keys) > 1:
        raise table.refusal(keys[1], f"stands beside {keys[0]}", "give budgets in one unit")
    for unit in UNITS:
        if unit.key in table and unit not in kind.units:
            what = f"says nothing: {method.label} counts {AXIS_WORDS[kind.axis]}, not {unit.word}"
            raise table.refusal(unit.key, what, f"give {' or '.join(reversed(kind.budget_keys))}")
    shares = [*(method.budgets or budgets)]
    for unit in kind.units:
        shares = [unit.share(value) for value in getattr(method, unit.key)] or shares
    if kind.only is not None:
        (unit,) = kind.units
        only = unit.share(kind.only)
        below = [share for share in shares if share < 1]
        if keys and not (below and all(math.isclose(share, only) for share in below)):
            what = f"must be {kind.only:g} {unit.word}: {method.label} has no other"
            raise table.refusal(keys[0], what, f"leave {keys[0]} out")
        shares = [only]
    return replace(method, budgets=_falling(shares, table, keys[0] if keys else "budgets"))


def _check_seeds(method: MethodSpec, table: TomlTable) -> None:
    """What may be said of seeds, and of what trained a method."""
    is_trained = method.compressor in CHOOSING and method.selector not in HEURISTICS
    label = method.selector or method.label
    draws = method.selector == "random" or method.compressor in BY_CHANCE
    if len(method.seeds) > 1 and not (is_trained or draws):
        raise table.refusal("seeds", f"must be one seed: {label} draws nothing", "leave it out")
    if method.in_domain and not is_trained:
        raise table.refusal("in_domain", f"says nothing: {label} is not trained here", "leave it out")
    if is_trained and len(method.seeds) > 1 and SEED not in method.selector:
        raise table.refusal("selector", f"must hold {SEED}, as there are several seeds", f'write "...-{SEED}"')


def _check_folder_name(table: TomlTable, key: str, name: str) -> None:
    problem = name_problem(name)
    if problem is not None:
        raise table.refusal(key, problem, "give it another name")


def _corpus(table: TomlTable) -> CorpusSpec:
    corpus = CorpusSpec(**table.read(CorpusSpec))
    if corpus.name is not None:
        _check_folder_name(table, "name", corpus.name)
    return corpus


def _falling(budgets: Sequence[float], table: TomlTable, key: str) -> tuple[float, ...]:
    """The budgets below 1, from the largest down: 1 is the raw reference. `key` is what gave them."""
    compressed = tuple(sorted((budget for budget in budgets if budget < 1), reverse=True))
    if not compressed:
        raise table.refusal(key, "must have a budget below 1: that is the raw reference", "ask for less")
    try:
        refuse_close_budgets("", compressed)
    except InputError as error:
        raise table.refusal(key, error.what, error.do) from None
    return compressed


def _streams(table: TomlTable) -> StreamsSpec:
    streams = StreamsSpec(**table.read(StreamsSpec))
    if streams.family is not None and not (streams.permuted_family or streams.naive_family):
        raise table.refusal("family", "says nothing: no question is permuted within families", "set permuted_family")
    if "seed" in table and not streams.any:
        raise table.refusal("seed", "says nothing: no question is permuted", "set permuted_global")
    return streams


def _partitions(table: TomlTable) -> PartitionsSpec:
    partitions = PartitionsSpec(**table.read(PartitionsSpec))
    if partitions.semantic is None:
        for key in ("encoder", "seed", "min_family"):
            if key in table:
                raise table.refusal(key, "says nothing without semantic", "add semantic = CLUSTERS")
    return partitions


def _rule(table: TomlTable) -> Rule:
    values = table.read(Rule, without=_NOT_IN_A_SPEC)
    try:
        return Rule(**values)
    except InputError as error:
        key = error.key if error.key and error.key in table else None
        raise table.refusal(key, error.what, error.do) from None


def with_until(spec: Spec, until: Until) -> Spec:
    """The spec that asks until then, in its text too; InputError where that cannot say so."""
    if spec.until == until:
        return spec
    text, line = spec.text, f'until = "{until}"'
    if spec.until == SweepKeys().until and not re.search(r"(?m)^\s*until\s*=", text):
        text, there = re.subn(r"(?m)^(\s*\[\s*sweep\s*\].*)$", rf"\1\n{line}", text, count=1)
        text += "" if there else f"\n[sweep]\n{line}\n"
    else:
        text = re.sub(r"""(?m)^(\s*)until\s*=\s*(["'])\w*\2""", rf"\1{line}", text, count=1)
    try:
        changed = parse(text)
    except InputError:
        changed = spec
    if changed != replace(spec, until=until, text=text):
        raise InputError("--until", "cannot be written into [sweep] of this spec", f"write {line} there")
    return changed


def _check_together(spec: Spec, document: TomlDocument) -> None:
    """What no section can know by itself."""
    n_streams = 1 + sum(astuple(spec.streams)[:4])
    cells = len(spec.answerers) * sum(len(m.seeds) * len(m.budgets) for m in spec.methods) * n_streams
    if cells > MOST_CELLS:
        what = f"asks for {cells:,} cells (answerers x seeds x budgets x streams), more than {MOST_CELLS:,}"
        raise document.table("sweep").refusal(None, what, "part it into several specs")
    if spec.until == "decided" and spec.rule.name != "certified":
        raise document.table("sweep").refusal(
            "until", "needs the certified rule: the paper's judges all rows", "drop it"
        )
    streams = document.table("streams")
    if spec.streams.any and not any(method.may_read_questions for method in spec.methods):
        raise streams.refusal(None, "permutes questions, but no method reads them", "add a selector that does")
    declared = [*spec.partitions.names, *(["semantic"] if spec.partitions.semantic else [])]
    known_later = not spec.partitions.names or spec.partitions.side is not None  # what a corpus or a table brings
    if spec.streams.family is not None and not known_later and spec.streams.family not in declared:
        raise streams.refusal("family", "is no partition of this spec", choose(spec.streams.family, declared))
    _check_reducing(spec, document)
    methods = {method.name for method in spec.methods}
    naive = [key for key in ("naive_global", "naive_family") if getattr(spec.streams, key)]
    for method in sorted(methods) if naive else ():
        partner = agnostic_partner(method)
        if is_conditioned(method) and partner not in methods:
            raise streams.refusal(naive[0], f"compares {method} with {partner}, which is no method", "add it, or set 0")
    names = [answerer.name for answerer in spec.answerers]
    if spec.rule.reference_answerer is not None and spec.rule.reference_answerer not in names:
        rule = document.table("rule")
        do = choose(spec.rule.reference_answerer, names)
        raise rule.refusal("reference_answerer", "is no answerer of this spec", do)
    for place, candidate in enumerate(spec.rule.candidates):
        if not _may_be_candidate(spec, candidate):
            do = choose(candidate, [method.name for method in spec.methods])
            raise document.table("rule").refusal(f"candidates[{place}]", "is no method of this spec", do, candidate)


def _check_reducing(spec: Spec, document: TomlDocument) -> None:
    """Refuse tokens, layers and caches of a server before it is asked: none is reached behind its encoder."""
    reducing = [method.name for method in spec.methods if method.stage != "waves"]
    for table, answerer in zip(document.tables("answerers"), spec.answerers, strict=True):
        if reducing and is_served(answerer.model):  # the model is not repeated: it may hold a password
            what = f"is a server, which hears waves: {', '.join(reducing)} would change what its model computes"
            raise InputError(f"{table.where('model')} model", what, "leave these methods out, or the answerer")


def _may_be_candidate(spec: Spec, candidate: str) -> bool:
    """Whether it names a method; what the corpus is called is known later where the spec does not say it."""
    if candidate in spec.candidate_names(spec.corpus.name or ""):
        return True
    return spec.corpus.name is None and any(
        candidate.startswith(f"{answerer.name}/")
        and candidate.endswith(f"/{arm}")
        and len(candidate) > len(f"{answerer.name}//{arm}")
        for answerer in spec.answerers
        for method in spec.methods
        for arm in method.arms
    )


SECTIONS: dict[str, Any] = {
    "[corpus]": CorpusSpec,
    "[[answerers]]": AnswererSpec,
    "[sweep]": SweepKeys,
    "[[methods]]": MethodSpec,
    "[streams]": StreamsSpec,
    "[partitions]": PartitionsSpec,
    "[rule]": Rule,
    "[audits]": AuditsSpec,
    "[machine]": MachineSpec,
}


def keys_in(described: Any) -> dict[str, Field]:
    """The keys that a section may have, of the class that describes it."""
    without = _NOT_IN_A_SPEC if described is Rule else ()
    return {key: field for key, field in fields_of(described).items() if key not in without}


def keys_table() -> str:
    """Every key of a spec as the Markdown table of docs/run.md."""
    lines = ["| section | key | default | what |", "|---|---|---|---|"]
    for section, described in SECTIONS.items():
        shown = f"`{section}`"
        for key, entry in keys_in(described).items():
            words = entry.check.words if isinstance(entry.check, Word) else ()
            about = (
                entry.about if all(word in entry.about for word in words) else f"{entry.about} ({entry.check.wanted})"
            )
            lines.append(f"| {shown} | `{key}` | {_default_words(described, key, entry)} | {about} |")
            shown = ""
    return "\n".join(line.replace("|  |", "| |") for line in lines) + "\n"


def _default_words(described: Any, key: str, entry: Field) -> str:
    value = default_of(described, key)
    if entry.default:
        return entry.default
    if value is NEEDED:
        return "needed"
    if isinstance(value, bool):
        return str(value).lower()
    return f"[{', '.join(map(str, value))}]" if isinstance(value, tuple) else str(value)
