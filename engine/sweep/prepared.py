"""What a sweep needs before its first answer: the corpus in windows, its families, who is asked what, the selectors.

Opens tables and selectors; no recording, and no answerer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from earmark.engine.corpus import partitions
from earmark.engine.corpus.corpus import Corpus, open_corpus
from earmark.engine.corpus.partitions import Partition
from earmark.engine.errors import InputError
from earmark.engine.outcomes import store
from earmark.engine.selectors.loading import load
from earmark.engine.spec import PartitionsSpec, Spec
from earmark.engine.sweep.choices import Selectors
from earmark.engine.sweep.folder import SCHEMA, Plan, SweepFolder
from earmark.engine.sweep.order import Level, levels
from earmark.engine.sweep.streams import Question, Streams
from earmark.engine.sweep.windows import Survey, in_order, survey

ALL = "all"  # the family of everything, where a corpus has no families


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything but answerers and audio."""

    spec: Spec
    corpus: Corpus
    survey: Survey
    levels: tuple[Level, ...]
    selectors: Selectors
    streams: Streams
    family_of: Mapping[str, str]  # by sample: the first partition

    @property
    def plan(self) -> Plan:
        """What is to be done, as JSON."""
        found = self.survey
        return {
            "schema": SCHEMA,
            "spec": self.spec.sha256(),
            "corpus": {
                "name": self.corpus.name,
                "examples": found.examples,
                "recordings": found.recordings,
                "windows": found.windows,
                "sha256": found.sha256,
            },
            "window": self.spec.window,
            "answerers": [answerer.name for answerer in self.spec.answerers],
            "selectors": {
                f"{method}/{seed}": selector.weights
                for (method, seed), selector in self.selectors.items()
                if selector.weights is not None  # a spec names a place: others may lie there at another time
            },
            "levels": [
                {"name": level.name, "budget": level.budget, "curves": [list(curve) for curve in level.curves]}
                for level in self.levels
            ],
        }


def prepare(spec: Spec, run: Path, shares: int = 1) -> Prepared:
    """Open what the spec names, and begin its folder or find it begun alike; `shares` is the number of shards."""
    asked = spec.corpus
    corpus = open_corpus(Path(asked.path), asked.kind, name=asked.name, allow_outside=asked.allow_outside)
    selectors = {(m.name, seed): load(m.place(seed), seed) for m in spec.methods for seed in m.seeds}
    asking = {name for (name, _), selector in selectors.items() if selector.asks}
    if spec.streams.any and not asking:
        raise InputError("[streams]", "permutes questions, but no selector reads them", "set all of it to 0")
    found = survey(corpus, spec.window)
    _check_shares(found, spec.window, shares)
    folder = SweepFolder(run)
    families = _families(spec, corpus, run)
    primary = families[spec.streams.family or next(iter(families))] if families else {}
    first = next(iter(families.values())) if families else {}
    examples = list(in_order(corpus)) if spec.streams.any else []
    streams = Streams(
        [Question.of(e) for e in examples], [primary.get(e.sample_id, ALL) for e in examples], spec.streams.seed
    )
    made = Prepared(spec, corpus, found, levels(spec, asking), selectors, streams, _Families(first))
    folder.begin(made.plan, spec.text)
    return made


def _check_shares(found: Survey, window: int, shares: int) -> None:
    """InputError where some shard would have nothing to do."""
    if shares > found.windows:
        smaller = min(found.recordings // shares, window - 1)
        do = f"set window = {smaller} in [sweep], or use" if smaller else "use"
        what = f"is more shards than there are windows ({found.windows}, of {window} recordings each)"
        raise InputError(f"--shard I/{shares}", what, f"{do} at most {found.windows}")


class _Families(dict[str, str]):
    """A corpus without any partition has one family."""

    def __missing__(self, sample_id: str) -> str:
        return ALL


def _families(spec: Spec, corpus: Corpus, run: Path) -> dict[str, dict[str, str]]:
    """Family by sample, for every partition; made once and then read from the run folder."""
    read = store.read_partitions(run)
    if SweepFolder(run).plan() is None or read is None:
        made = declared(spec.partitions, corpus)
        if made:
            partitions.write(run, corpus, made)
        read = store.read_partitions(run)
    if read is None:
        return {}
    table = read[0].filter(pc.equal(read[0]["corpus"], corpus.name))
    ids = table["sample_id"].to_pylist()
    found = {name: dict(zip(ids, table[name].to_pylist(), strict=True)) for name in store.partition_names(table)}
    wanted = spec.streams.family
    if wanted is not None and wanted not in found:
        raise InputError(
            f'[streams] family = "{wanted}"', "is no partition of this spec", f"choose from {', '.join(found)}"
        )
    return found


def declared(asked: PartitionsSpec, corpus: Corpus) -> list[Partition]:
    """The partitions that a spec declares, or those that the corpus brings."""
    made = [partitions.named(corpus, name) for name in asked.names] or partitions.declared(corpus)
    if asked.side is not None:
        made += partitions.side_file(corpus, Path(asked.side))
    if asked.semantic is not None:
        from earmark.engine.corpus.semantic import ENCODER, semantic

        encoder: Any = asked.encoder or ENCODER
        clustered = semantic(corpus, asked.semantic, encoder=encoder, least=asked.min_family, seed=asked.seed)
        made.append(clustered.partition)
    return made
