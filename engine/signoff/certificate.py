"""The certificate: its types, of which certificate.json is the shadow, its schema, and how one is read.

docs/certificate.md says more of each field. `certify` makes one; knows no outcomes.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from earmark.engine.design.fields import BUDGET, COUNT, SHA256
from earmark.engine.design.rule import Rule
from earmark.engine.errors import InputError
from earmark.engine.outcomes.input_file import InputFile
from earmark.engine.reading import parse_json, read_bytes
from earmark.engine.signoff import json_form, json_schema
from earmark.engine.signoff.answerer_files import AnswererEntry
from earmark.engine.signoff.audit_entry import (
    AnswerFlips,
    ArchitectureGap,
    Chain,
    Coarsening,
    Contamination,
    FamilyGains,
    FamilyOverlap,
    Gain,
    GainOverSeeds,
    KeptChunks,
    LabelNoise,
    QueryUse,
    SelectorShares,
)
from earmark.engine.signoff.claim_entry import Claim
from earmark.engine.signoff.flip_entry import CurveFlips
from earmark.engine.signoff.json_form import Beside, Gained, Named, to_json
from earmark.engine.signoff.preview import Preview
from earmark.engine.signoff.result_entry import ResultEntry
from earmark.engine.signoff.walk_entry import WalkEntry

SCHEMA: Literal["earmark.certificate/2"] = "earmark.certificate/2"
CERTIFICATE_FILE = "certificate.json"
MOST_BYTES = 1 << 28  # of a certificate, or of its page
_WITHHELD = "claim.withheld"
_NAME_ONE = "name a certificate.json"
_MOST_PATH = 4096  # characters of a path that is stated


class Declared(NamedTuple):
    """Whether a run has a plan, and in what the sign-off departs from it."""

    plan: Annotated[str | None, "SHA-256 of plan.json; null: nothing was declared beforehand", SHA256]
    differences: Annotated[tuple[str, ...], "every way in which this sign-off departs from it, in sentences"]


class Follows(NamedTuple):
    """The certificate before, and what the chain has spent with this one."""

    certificate: Annotated[str, "its path"]
    sha256: Annotated[str, "of its bytes", SHA256]
    look: Annotated[int, "of those that were declared; 1 where rows are new", COUNT]
    alpha_spent: Annotated[float, "by the chain, this one included"]
    checked: Annotated[bool, "whether the runs before were there, so that recordings could be compared"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedRule(Rule):
    """The rule that was applied, with what it left open filled in."""

    stated_gamma: Annotated[
        float | None, "the part of alpha that pays for unknown rates of change; null under the paper's", Named("gamma")
    ]


class TrainedOn(NamedTuple):
    """How much a selector was trained on."""

    corpus: Annotated[str, "that trained it"]
    sources: Annotated[int, "of this corpus", COUNT]


class Overlap(NamedTuple):
    """Sources of a corpus in the run that trained the selector."""

    corpus: Annotated[str, "in the run"]
    n_shared: Annotated[int, "sources that trained it", COUNT, Named("sources")]
    n_sources: Annotated[int, "of so many in the run", COUNT, Named("of")]


class SelectorCard(NamedTuple):
    """One learned selector of a run, as the certificate names it."""

    method: Annotated[str, "that it is"]
    seed: Annotated[int, "training seed", COUNT]
    hash: Annotated[str | None, "of its weights"]
    trained_on: Annotated[tuple[TrainedOn, ...], "corpora"]
    in_domain: Annotated[bool, "declared to be trained on sources that it is certified on"]
    overlap: Annotated[tuple[Overlap, ...], "sources of the run that trained it"]


class CellErrors(NamedTuple):
    """The rows of one cell that have no answer."""

    answerer: Annotated[str, "who was asked"]
    corpus: Annotated[str, "of the questions"]
    method: Annotated[str, "what was kept"]
    seed: Annotated[int, "training seed", COUNT]
    stream: Annotated[str, "which questions: anchor, permuted or naive ones"]
    budget: Annotated[float, "share that is kept", BUDGET]
    rows: Annotated[int, "of the cell", COUNT]
    errors: Annotated[int, "rows that were asked and failed", COUNT]
    not_asked: Annotated[int, "rows that were not asked, because their raw row failed", COUNT]
    too_short: Annotated[int, "rows of which too little was kept to be heard", COUNT]
    first: Annotated[tuple[str, ...], "the first of them, as `sample_id: status`"]
    compressor: Annotated[int, "rows of which their compressor made nothing", COUNT, Gained("0.1.0")] = 0
    complaint: Annotated[str | None, "the most frequent status of those rows; null without any", Gained("0.1.0")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Audits:
    """Diagnostics: they describe, and approve nothing."""

    seeds: Annotated[tuple[GainOverSeeds, ...], "gains over at least two training seeds"] = ()
    query_use: Annotated[tuple[QueryUse, ...], "per regime and protocol"] = ()
    contamination: Annotated[tuple[Contamination, ...], "per regime with both protocols"] = ()
    label_noise: Annotated[tuple[LabelNoise, ...], "per key and budget below 1"] = ()
    coarsening: Annotated[tuple[Coarsening, ...], "per key and budget below 1"] = ()
    architecture_gap: Annotated[tuple[ArchitectureGap, ...], "per pair of answerers, corpus and interface"] = ()
    family_gains: Annotated[tuple[FamilyGains, ...], "per pair of selectors and tolerance"] = ()
    kept_chunks: Annotated[tuple[KeptChunks, ...], "per method, seed, regime, partition and budget below 1"] = ()
    score_shares: Annotated[tuple[SelectorShares, ...], "per selector that reads the question"] = ()
    flip_rates: Annotated[tuple[AnswerFlips, ...], "per answerer"] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What may be shipped on these outcomes, why not more, and the counts behind it."""

    schema: Annotated[Literal["earmark.certificate/2"], "of this file; a draft that only gains fields until 1.0"]
    made_by: Annotated[Mapping[str, str], "versions of earmark, python and packages; not compared by `earmark verify`"]
    run: Annotated[str, "the run folder, relative to the folder of the certificate"]
    rule: Annotated[StatedRule, "the declared rule"]
    preview: Annotated[
        Preview | None, "only where the outcomes are of part of the examples: nothing is approved", Beside("preview")
    ] = None
    claim: Annotated[Claim, "the one guarantee"]
    declared: Annotated[Declared, "what was declared beforehand, and in what this sign-off departs from it"]
    follows: Annotated[Follows | None, "the certificate before"]
    warnings: Annotated[tuple[str, ...], "sentences to read before believing the rest"]
    inputs: Annotated[tuple[InputFile, ...], "every file that was read"]
    answerers: Annotated[
        tuple[AnswererEntry, ...],
        "who answered, an entry per answerer; empty for outcomes that were imported",
        Gained("0.1.0"),
    ] = ()
    selectors: Annotated[tuple[SelectorCard, ...], "learned selectors with a card in the run"]
    errors: Annotated[tuple[CellErrors, ...], "every cell with rows that have no answer"]
    results: Annotated[tuple[ResultEntry, ...], "one entry per answerer, corpus, method, seed and partition"]
    gains: Annotated[tuple[Gain, ...], "agnostic minus conditioned frontier"]
    chains: Annotated[tuple[Chain, ...], "families added one by one"]
    overlaps: Annotated[tuple[FamilyOverlap, ...], "whether two families need the same audio"]
    flips: Annotated[tuple[CurveFlips, ...], "what flipped where the walk of a result stopped", Gained("0.1.0")] = ()
    walks: Annotated[
        tuple[WalkEntry, ...], "what was asked until it was decided; empty where everything was", Gained("0.1.0")
    ] = ()
    audits: Annotated[Audits, "diagnostics"] = field(default_factory=Audits)

    TOGETHER: ClassVar[Mapping[str, Any]] = {  # as JSON Schema says it
        "if": {"required": ["preview"]},
        "then": {"properties": {"claim": {"properties": {"withheld": {"minItems": 1}}}}},
    }

    def __post_init__(self) -> None:
        """A preview withholds every approval."""
        if self.preview is not None and not self.claim.withheld:
            raise InputError(
                "certificate", "must say why nothing is approved: there is a preview", "make it again", _WITHHELD
            )


def read(path: Path) -> Certificate:
    """A certificate from its file; raises InputError for anything else, and names the first field that is not one."""
    return parse(read_data(path), path)


def read_data(path: Path) -> bytes:
    """The bytes of a certificate's file."""
    return read_bytes(path, _NAME_ONE, MOST_BYTES)


def parse(data: bytes, where: object) -> Certificate:
    """A certificate from the bytes of its file; `where` is what errors call it."""
    return from_content(parse_json(data, where, _NAME_ONE), where)


def to_bytes(certificate: Certificate) -> bytes:
    """What certificate.json holds: equal certificates have equal bytes."""
    text = json.dumps(to_json(certificate), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        name = ascii(text[error.start : error.end])
        raise InputError(CERTIFICATE_FILE, f"would hold a name that is not UTF-8 ({name})", "rename it") from None


def from_content(content: Any, where: object) -> Certificate:
    """A certificate from the JSON that its file holds; `where` is what errors call it."""
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        schema = content.get("schema") if isinstance(content, dict) else None
        raise InputError(where, f"schema is {schema!r}", f"this Earmark reads {SCHEMA}")
    certificate = json_form.from_json(Certificate, content, where)
    for path in _paths(certificate):
        if "\0" in path or len(path) > _MOST_PATH:
            raise InputError(where, f"states a path that cannot be one ({path[:20]!r}...)", _NAME_ONE)
    return certificate


def _paths(certificate: Certificate) -> Iterator[str]:
    yield certificate.run
    yield from (file.path for file in certificate.inputs)
    if certificate.follows is not None:
        yield certificate.follows.certificate


def rule_of(stated: Certificate) -> Rule:
    """The rule that a certificate states."""
    return Rule(**{field.name: getattr(stated.rule, field.name) for field in fields(Rule)})


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of certificate.json; docs/schema/certificate.json holds it."""
    return json_schema.schema_of(Certificate, "certificate.json of Earmark")
