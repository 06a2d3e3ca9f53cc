"""What a sweep is to evaluate and what counts as safe: a TOML file as frozen data, or a refusal with the line.

docs/run.md has every key. Opens no corpus, loads no model and no selector.
"""

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from earmark.engine.design.keys import DTYPES, SILENCE, UNCOMPRESSED, agnostic_partner, is_conditioned
from earmark.engine.design.rule import Rule
from earmark.engine.design.toml_tables import TomlDocument, TomlTable, choice, flag, number, text, whole
from earmark.engine.errors import InputError

GRIDS = {
    "main": (0.05, 0.1, 0.2, 0.4, 1.0),  # the paper's
    "expanded": (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0),  # more of it at both ends
}
MOST_PERMUTATIONS = 10
HEURISTICS = ("uniform", "random", "energy")
_SEED = "{seed}"  # in a selector's place


@dataclass(frozen=True, slots=True)
class CorpusSpec:
    """Which questions about which recordings."""

    path: str
    kind: str | None = None
    name: str | None = None
    allow_outside: bool = False


@dataclass(frozen=True, slots=True)
class AnswererSpec:
    """An audio language model, and how it answers."""

    model: str
    name: str
    dtype: str = "float32"
    generate: int = 0
    split: bool = False


@dataclass(frozen=True, slots=True)
class MethodSpec:
    """A way to choose what is kept, and the seeds it comes in."""

    name: str
    selector: str  # a heuristic, a trained selector's folder or an .onnx file; {seed} in it is the seed
    seeds: tuple[int, ...] = (0,)
    in_domain: bool = False

    @property
    def arms(self) -> list[str]:
        """What it is called as a candidate: with all its seeds, or with one."""
        return [self.name, *(f"{self.name}@{seed}" for seed in self.seeds)]

    def place(self, seed: int) -> str:
        """Where the selector of a seed is."""
        return self.selector.replace(_SEED, str(seed))


@dataclass(frozen=True, slots=True)
class StreamsSpec:
    """How often questions are permuted, by what is permuted: the selector's alone, or the answerer's too."""

    permuted_global: int = 0
    permuted_family: int = 0
    naive_global: int = 0
    naive_family: int = 0
    family: str | None = None  # the partition within whose families; None: the first
    seed: int = 0

    @property
    def any(self) -> bool:
        """Whether anything is permuted at all."""
        return any((self.permuted_global, self.permuted_family, self.naive_global, self.naive_family))


@dataclass(frozen=True, slots=True)
class PartitionsSpec:
    """The families, declared before any outcome is seen."""

    names: tuple[str, ...] = ()  # empty: what the corpus brings
    side: str | None = None
    semantic: int | None = None
    encoder: str | None = None
    seed: int = 42
    min_family: int = 30


@dataclass(frozen=True, slots=True)
class AuditsSpec:
    """What is measured beside the cells."""

    flip_rate: int = 200  # raw questions that are answered twice; 0: none
    grid: int = 20  # recordings, and questions, of the factorial grid of scores


@dataclass(frozen=True, slots=True)
class MachineSpec:
    """Where and within what memory it runs; no result depends on it but for last bits."""

    device: str = "cpu"
    batch_tokens: int = 8192
    kv_mib: int = 512
    clip_mib: int = 512
    decoders: int | None = None  # processes that decode audio; None: 4 beside a GPU, none on a CPU


@dataclass(frozen=True, slots=True)
class Spec:
    """A whole sweep and its sign-off."""

    corpus: CorpusSpec
    answerers: tuple[AnswererSpec, ...]
    methods: tuple[MethodSpec, ...]
    budgets: tuple[float, ...]  # falling, 1.0 left out: that is the raw reference
    window: int  # recordings that are answered together
    streams: StreamsSpec
    partitions: PartitionsSpec
    rule: Rule
    audits: AuditsSpec
    machine: MachineSpec
    text: str = field(repr=False)

    def sha256(self) -> str:
        """Of everything that outcomes depend on: neither layout and comments, nor the rule and the machine."""
        return hashlib.sha256(json.dumps(self._outcomes_depend_on(), sort_keys=True).encode()).hexdigest()

    def _outcomes_depend_on(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if name not in ("text", "rule", "machine")}

    def candidate_names(self, corpus: str) -> list[str]:
        """What [rule] candidates may name: METHOD, ANSWERER/METHOD or ANSWERER/CORPUS/METHOD, each perhaps @SEED."""
        arms = [arm for method in self.methods for arm in method.arms]
        answerers = [answerer.name for answerer in self.answerers]
        return [
            *arms,
            *(f"{answerer}/{arm}" for answerer in answerers for arm in arms),
            *(f"{answerer}/{corpus}/{arm}" for answerer in answerers for arm in arms),
        ]

    def differing(self, other: "Spec") -> list[str]:
        """The keys of another spec that make its outcomes others, as errors call them: `[sweep] window`."""
        found: dict[str, None] = {}
        for section, ours in self._outcomes_depend_on().items():
            theirs = getattr(other, section)
            if section in ("budgets", "window"):
                if ours != theirs:
                    found[f"[sweep] {section}"] = None
            elif isinstance(theirs, tuple):
                if ours != tuple(asdict(entry) for entry in theirs):
                    found[f"[[{section}]]"] = None
            else:
                of_other = asdict(theirs)
                found |= {f"[{section}] {key}": None for key, value in ours.items() if value != of_other[key]}
        return list(found)


def read(path: Path) -> Spec:
    """Read a spec file."""
    try:
        return parse(path.read_text(encoding="utf-8"), path.name)
    except FileNotFoundError:
        raise InputError(path, "there is no such file", "make one with `earmark init CORPUS`") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(path, f"cannot be read ({error})", "name a TOML file") from None


def parse(content: str, file: str = "spec.toml") -> Spec:
    """The spec in a text; `file` is what errors call it."""
    document = TomlDocument(content, file)
    sweep = document.table("sweep")
    spec = Spec(
        corpus=_corpus(document.table("corpus")),
        answerers=_answerers(document),
        methods=_methods(document),
        budgets=_budgets(sweep),
        window=sweep.take("window", 64, whole(1, 100_000), "a whole number of recordings from 1"),
        streams=_streams(document.table("streams")),
        partitions=_partitions(document.table("partitions")),
        rule=_rule(document.table("rule")),
        audits=_audits(document.table("audits")),
        machine=_machine(document.table("machine")),
        text=content,
    )
    sweep.done()
    document.done()
    _check_together(spec, document)
    return spec


# Sections --------------------------------------------------------------------------------------------------


def _corpus(table: TomlTable) -> CorpusSpec:
    made = CorpusSpec(
        path=table.need("path", text, "a folder, a manifest or synthetic:SPLIT:CLIPS"),
        kind=table.take("kind", None, text, "the name of a benchmark"),
        name=table.take("name", None, text, "a name"),
        allow_outside=table.take("allow_outside", False, flag, "true or false"),
    )
    table.done()
    return made


def _answerers(document: TomlDocument) -> tuple[AnswererSpec, ...]:
    made: list[AnswererSpec] = []
    for table in document.tables("answerers"):
        model = table.need("model", text, '"tiny", a folder, or a name on the hub')
        one = AnswererSpec(
            model=model,
            name=table.take("name", model.rstrip("/").rpartition("/")[2], text, "a name"),
            dtype=table.take("dtype", "float32", choice(*DTYPES), ", ".join(DTYPES)),
            generate=table.take("generate", 0, whole(0, 64), "a whole number of tokens from 0 to 64"),
            split=table.take("split", False, flag, "true or false"),
        )
        table.done()
        if one.name in {other.name for other in made}:
            key = "name" if "name" in table else "model"
            raise table.refusal(key, "is the name of two answerers", "name them apart")
        made.append(one)
    if not made:
        document.table("answerers").need("model", text, '"tiny", a folder, or a name on the hub')
    return tuple(made)


def _methods(document: TomlDocument) -> tuple[MethodSpec, ...]:
    made: list[MethodSpec] = []
    seed = whole(0, 2**31 - 1)
    for table in document.tables("methods"):
        name = table.need("name", text, f"{', '.join(HEURISTICS)} or a name of your own")
        one = MethodSpec(
            name=name,
            selector=table.take("selector", name, text, "a heuristic, a selector's folder, or an .onnx file"),
            seeds=table.take_each("seeds", (0,), seed, "a whole number from 0"),
            in_domain=table.take("in_domain", False, flag, "true or false"),
        )
        table.done()
        if name == UNCOMPRESSED:
            raise table.refusal("name", "is the raw reference, which is always run", "leave it out")
        if name == SILENCE:
            raise table.refusal("name", "is the control, which is always run", "leave it out")
        if name in {other.name for other in made}:
            raise table.refusal("name", "is the name of two methods", "name them apart")
        if one.selector in ("uniform", "energy") and len(one.seeds) > 1:
            raise table.refusal("seeds", f"must be one seed: {one.selector} draws nothing", "leave it out")
        if one.selector == name and name not in HEURISTICS:
            raise table.refusal(
                "name", f"must be one of {', '.join(HEURISTICS)}, or have a selector", "add selector = ..."
            )
        if one.selector in HEURISTICS and one.in_domain:
            raise table.refusal("in_domain", f"says nothing: {one.selector} is not trained", "leave it out")
        if one.selector not in HEURISTICS and len(one.seeds) > 1 and _SEED not in one.selector:
            raise table.refusal("selector", f"must hold {_SEED}, as there are several seeds", f'write "...-{_SEED}"')
        made.append(one)
    if not made:
        document.table("methods").need("name", text, '"uniform"')
    return tuple(made)


def _budgets(table: TomlTable) -> tuple[float, ...]:
    def budget(value: Any) -> float:
        if not 0 < number(value) <= 1:
            raise ValueError
        return float(value)

    def grid(value: Any) -> tuple[float, ...]:
        return GRIDS[choice(*GRIDS)(value)]

    if isinstance(table.values.get("budgets"), list):
        found = table.take_each("budgets", (), budget, "in (0, 1]")
    else:
        found = table.take("budgets", GRIDS["main"], grid, f"{', '.join(GRIDS)} or a list of shares")
    compressed = tuple(sorted((b for b in found if b < 1), reverse=True))
    if not compressed:
        raise table.refusal("budgets", "must have a budget below 1", 'write "main", or shares of the audio')
    return compressed


def _streams(table: TomlTable) -> StreamsSpec:
    times, wanted = whole(0, MOST_PERMUTATIONS), f"a whole number from 0 to {MOST_PERMUTATIONS}"
    kinds = ("permuted_global", "permuted_family", "naive_global", "naive_family")
    made = StreamsSpec(
        **{kind: table.take(kind, 0, times, wanted) for kind in kinds},
        family=table.take("family", None, text, "the name of a partition"),
        seed=table.take("seed", 0, whole(0, 2**31 - 1), "a whole number from 0"),
    )
    table.done()
    if made.family is not None and not (made.permuted_family or made.naive_family):
        raise table.refusal("family", "says nothing: no question is permuted within families", "set permuted_family")
    if "seed" in table and not made.any:
        raise table.refusal("seed", "says nothing: no question is permuted", "set permuted_global")
    return made


def _partitions(table: TomlTable) -> PartitionsSpec:
    made = PartitionsSpec(
        names=table.take_each("names", (), text, "keyword, native or a label"),
        side=table.take("side", None, text, "a CSV, JSON lines or Parquet file"),
        semantic=table.take("semantic", None, whole(2, 10_000), "a whole number of clusters from 2"),
        encoder=table.take("encoder", None, text, "a sentence encoder"),
        seed=table.take("seed", 42, whole(0, 2**31 - 1), "a whole number from 0"),
        min_family=table.take("min_family", 30, whole(1, 10**6), "a whole number from 1"),
    )
    table.done()
    if made.semantic is None:
        for key in ("encoder", "seed", "min_family"):
            if key in table:
                raise table.refusal(key, "says nothing without semantic", "add semantic = CLUSTERS")
    return made


def _rule(table: TomlTable) -> Rule:
    """All of the rule but its partitions: those of the corpus are all judged."""
    share, count = "a number", "a whole number"
    taken: dict[str, Any] = {
        "name": table.take("name", None, text, "certified or paper"),
        "loss": table.take("loss", None, text, "zero-one or nll"),
        "alpha": table.take("alpha", None, number, share),
        "tolerances": table.take_each("tolerances", (), number, share) or None,
        "tolerance_average": table.take("tolerance_average", None, number, share),
        "clustering": table.take("clustering", None, text, "source, one-row or ignore"),
        "replicates": table.take("replicates", None, whole(100, 10**6), count),
        "seed": table.take("seed", None, whole(0, 2**63 - 1), count),
        "min_family": table.take("min_family", None, whole(1, 10**9), count),
        "parents": table.take("parents", None, _parents, "a table of FAMILY = PARENT"),
        "max_error_rate": table.take("max_error_rate", None, number, share),
        "reference_answerer": table.take("reference_answerer", None, text, "the name of an answerer"),
        "claim": table.take("claim", None, text, "budget, routing or both"),
        "candidates": table.take_each("candidates", (), text, "the name of a method") or None,
        "looks": table.take("looks", None, whole(1, 100), count),
        "max_rows_per_recording": table.take("max_rows_per_recording", None, whole(1, 10**9), count),
        "allow_vacuous": table.take_each("allow_vacuous", (), text, "the name of a family") or None,
    }
    table.done()
    try:
        return Rule(**{key: value for key, value in taken.items() if value is not None})
    except InputError as error:
        option, value = (word.rstrip(":").replace("-", "_") for word in str(error).split()[:2])
        key = {"rule": "name", "tolerance": "tolerances"}.get(option, option)
        average = taken["tolerance_average"]
        if option == "tolerance" and average is not None and value in (f"{average}", f"{average:g}"):
            key = key if average in (taken["tolerances"] or ()) else "tolerance_average"
        raise table.refusal(key if key in table else None, f"is refused ({error})", "mend it") from None


def _parents(value: Any) -> dict[str, str]:
    return {text(family): text(parent) for family, parent in dict(value).items()}


def _audits(table: TomlTable) -> AuditsSpec:
    made = AuditsSpec(
        flip_rate=table.take("flip_rate", 200, whole(0, 10_000), "a whole number of questions from 0 to 10000"),
        grid=table.take("grid", 20, whole(2, 200), "a whole number of recordings from 2 to 200"),
    )
    table.done()
    return made


def _machine(table: TomlTable) -> MachineSpec:
    memory = whole(1, 1 << 24)

    def device(value: Any) -> str:
        if not re.fullmatch(r"cpu|mps|cuda(:\d+)?", text(value)):
            raise ValueError
        return str(value)

    made = MachineSpec(
        device=table.take("device", "cpu", device, "cpu, cuda, cuda:N or mps"),
        batch_tokens=table.take("batch_tokens", 8192, memory, "a whole number of tokens from 1"),
        kv_mib=table.take("kv_mib", 512, memory, "a whole number of MiB from 1"),
        clip_mib=table.take("clip_mib", 512, memory, "a whole number of MiB from 1"),
        decoders=table.take("decoders", None, whole(0, 256), "a whole number of processes from 0"),
    )
    table.done()
    return made


def _check_together(spec: Spec, document: TomlDocument) -> None:
    """What no section can know by itself."""
    streams = document.table("streams")
    if spec.streams.any and all(method.selector in HEURISTICS for method in spec.methods):
        raise streams.refusal(None, "permutes questions, but no method reads them", "add a selector that does")
    declared = [*spec.partitions.names, *(["semantic"] if spec.partitions.semantic else [])]
    known_later = not spec.partitions.names or spec.partitions.side is not None  # what a corpus or a table brings
    if spec.streams.family is not None and not known_later and spec.streams.family not in declared:
        raise streams.refusal("family", "is no partition of this spec", f"choose from {', '.join(declared)}")
    methods = {method.name for method in spec.methods}
    naive = [key for key in ("naive_global", "naive_family") if getattr(spec.streams, key)]
    for method in sorted(methods) if naive else ():
        partner = agnostic_partner(method)
        if is_conditioned(method) and partner not in methods:
            raise streams.refusal(naive[0], f"compares {method} with {partner}, which is no method", "add it, or set 0")
    names = [answerer.name for answerer in spec.answerers]
    if spec.rule.reference_answerer is not None and spec.rule.reference_answerer not in names:
        rule = document.table("rule")
        raise rule.refusal("reference_answerer", "is no answerer of this spec", f"choose from {', '.join(names)}")
    for place, candidate in enumerate(spec.rule.candidates):
        if not _may_be_candidate(spec, candidate):
            known = ", ".join(method.name for method in spec.methods)
            raise document.table("rule").refusal(
                f"candidates[{place}]", "is no method of this spec", f"choose from {known}", candidate
            )


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
