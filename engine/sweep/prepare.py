"""What a sweep needs before its first answer: the corpus in blocks, its families, who is asked what, the selectors.

Opens tables and selectors; no recording, and no answerer.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earmark.engine.compressors.loading import LoadCompressor
from earmark.engine.corpus import partitions
from earmark.engine.corpus.corpus import Corpus, open_corpus
from earmark.engine.corpus.partition import Partition
from earmark.engine.corpus.side_files import side_file
from earmark.engine.design.keys import ALL
from earmark.engine.design.sections import PartitionsSpec
from earmark.engine.design.spec import Spec
from earmark.engine.design.steps import Step, steps_of
from earmark.engine.errors import InputError, choose
from earmark.engine.outcomes import partition_file
from earmark.engine.outcomes.plan_file import (
    SCHEMA,
    PlanFile,
    PlannedMethod,
    PlannedWalk,
    labels_hash,
    rule_content,
    step_content,
)
from earmark.engine.outcomes.store import PARTITIONS
from earmark.engine.signoff.rules.declared_walk import DeclaredWalk
from earmark.engine.sweep import selector_cards
from earmark.engine.sweep.blocks import Survey, in_order, survey
from earmark.engine.sweep.offers import Compressors
from earmark.engine.sweep.streams import Streams
from earmark.engine.sweep.sweep_folder import SweepFolder
from earmark.engine.sweep.walk_order import held, in_declared_order, walk_of


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything but answerers and audio."""

    spec: Spec
    corpus: Corpus
    as_read: Corpus  # the same, in the order in which its partitions are
    survey: Survey
    steps: tuple[Step, ...]
    compressors: Compressors
    streams: Streams
    family_of: Mapping[str, str]  # by sample: the first partition
    walk: DeclaredWalk | None  # of every method, where each stops when it is decided
    plan: Mapping[str, Any]  # what plan.json will hold, where the folder is not bound to one
    fresh: tuple[Partition, ...]  # partitions that the folder has not yet
    replaced: tuple[str, ...]  # those of a plan without an answer, which may get other labels

    def begin(self, folder: SweepFolder) -> None:
        """Write down what is to be done, unless the folder is bound to it already."""
        if self.fresh:
            partition_file.prepend(folder.run, self.as_read, self.fresh, self.replaced)
        folder.begin(self.plan, self.spec)
        selector_cards.write(self.compressors, folder.run)


def _content(
    spec: Spec,
    corpus: Corpus,
    counted: Survey,
    steps: Sequence[Step],
    compressors: Compressors,
    walk: DeclaredWalk | None,
) -> dict[str, Any]:
    """What a plan.json says is to be done, without the rule."""
    decided = None if walk is None else PlannedWalk(walk.design.by_family, counted.sizes)
    return {
        "schema": SCHEMA,
        "spec": spec.sha256(),
        "corpus": {
            "name": corpus.name,
            "examples": counted.examples,
            "recordings": counted.recordings,
            "windows": counted.blocks,
            "sha256": counted.sha256,
        },
        "window": spec.window,
        "answerers": [answerer.name for answerer in spec.answerers],
        "methods": {
            method.name: PlannedMethod(method.described, method.stage, method.counted_on)._asdict()
            for method in spec.methods
        },
        "compressors": {
            f"{method}/{seed}": compressor.identity
            for (method, seed), compressor in compressors.items()
            if compressor.identity is not None  # a spec names a place: others may lie there at another time
        },
        "levels": [step_content(step) for step in steps],
        **({} if decided is None else {"decided": {"by_family": decided.by_family, "blocks": list(decided.blocks)}}),
    }


def prepare(spec: Spec, run: Path, load: LoadCompressor, shares: int = 1) -> Prepared:
    """Open what the spec names; InputError where its folder is bound to something else. Writes nothing.

    `load` loads compressors, `shares` is the number of shards.
    """
    corpus_spec = spec.corpus
    corpus = open_corpus(
        Path(corpus_spec.path),
        corpus_spec.kind,
        name=corpus_spec.name,
        allow_outside=corpus_spec.allow_outside,
        split=corpus_spec.split,
        columns=corpus_spec.columns,
    )
    compressors = {(m.name, seed): load(m, seed) for m in spec.methods for seed in m.seeds}
    asking = {name for (name, _), compressor in compressors.items() if compressor.reads_question}
    if spec.streams.any and not asking:
        raise InputError("[streams]", "permutes questions, but no selector reads them", "set all of it to 0")
    _check_candidates(spec, corpus.name)
    folder = SweepFolder(run)
    before = folder.plan()
    begun = before if folder.answered() else None
    decided = _is_decided(spec, run, begun)
    planned = steps_of(spec, asking, decided=decided)

    def check(corpus: Corpus, counted: Survey, walk: DeclaredWalk | None) -> dict[str, Any]:
        """What the plan says is to be done; InputError where the folder is bound to something else."""
        _check_shares(counted, spec.window, shares)
        content = _content(spec, corpus, counted, planned, compressors, walk)
        if begun is not None:
            _check_compressors(begun, spec, compressors)
        folder.check(content, spec)
        return content

    walk = None
    if decided:
        corpus = held(corpus)
    else:
        counted = survey(corpus, spec.window)
        content = check(corpus, counted, walk)
    as_read = corpus
    replaced = before.partitions if before is not None and begun is None else ()
    fresh = _fresh(spec, corpus, run, begun)
    families = _families(spec, corpus, run, begun, [*fresh, *partition_file.beside(run, corpus, fresh, replaced)])
    if decided:
        corpus, declared_rows = in_declared_order(corpus, families, spec.rule)
        counted = survey(corpus, spec.window)
        walk = walk_of(spec, corpus.name, declared_rows, counted.sizes)
        content = check(corpus, counted, walk)
    labels = {name: labels_hash(family_of) for name, family_of in families.items()}
    plan = {**content, "labels": labels, "rule": rule_content(spec.rule, list(families))}
    first = _FamilyOrAll(next(iter(families.values()), {}))
    streams = _streams(spec, corpus, families)
    return Prepared(
        spec, corpus, as_read, counted, planned, compressors, streams, first, walk, plan, tuple(fresh), replaced
    )


def _is_decided(spec: Spec, run: Path, begun: PlanFile | None) -> bool:
    """Whether walks stop when they are decided: as the folder was begun. What is decided can be completed, not the
    other way round.
    """
    if begun is None:
        return spec.until == "decided"
    if spec.until == "decided" and begun.decided is None:
        do = "leave until out: it goes on to all answers, or name another folder with --out"
        raise InputError(run, 'was begun until = "complete", and its verdict takes all answers', do)
    return begun.decided is not None


def _check_compressors(plan: PlanFile, spec: Spec, compressors: Compressors) -> None:
    """InputError where another compressor stands in the place of one that the sweep was begun with."""
    for method in spec.methods:
        for seed in method.seeds:
            begun, now = plan.compressors.get(f"{method.name}/{seed}"), compressors[method.name, seed].identity
            if begun is not None and now is not None and begun != now:
                what = f"is {_cut(now)}, and the run was begun with {_cut(begun)}: it was exchanged"
                where = method.place(seed) or method.command or method.compressor
                raise InputError(where, what, "put that one back, or name another folder with --out")


def _cut(identity: str) -> str:
    """As much of an identity as tells it from others: the beginning of a hash, words as they are."""
    return f"{identity[:16]} (SHA-256)" if re.fullmatch("[0-9a-f]{64}", identity) else identity


def _streams(spec: Spec, corpus: Corpus, families: Mapping[str, Mapping[str, str]]) -> Streams:
    """Who gets whose question."""
    within = families[spec.streams.family or next(iter(families))] if families else {}
    examples = list(in_order(corpus)) if spec.streams.any else []
    return Streams([e.question for e in examples], [within.get(e.sample_id, ALL) for e in examples], spec.streams.seed)


def _check_candidates(spec: Spec, corpus: str) -> None:
    """InputError where [rule] candidates name another corpus: a spec need not say what its own is called."""
    for candidate in spec.rule.candidates:
        if candidate not in spec.candidate_names(corpus):
            what = f"is no method of this spec on the corpus '{corpus}'"
            raise InputError(f'[rule] candidates "{candidate}"', what, "name a method, or ANSWERER/CORPUS/METHOD")


def _check_shares(counted: Survey, block: int, shares: int) -> None:
    """InputError where some shard would have nothing to do."""
    if shares > counted.blocks:
        smaller = min(counted.recordings // shares, block - 1)
        do = f"set window = {smaller} in [sweep], or use" if smaller else "use"
        what = f"is more shards than there are windows ({counted.blocks}, of {block} recordings each)"
        raise InputError(f"--shard I/{shares}", what, f"{do} at most {counted.blocks}")


class _FamilyOrAll(dict[str, str]):
    """A corpus without any partition has one family."""

    def __missing__(self, sample_id: str) -> str:
        return ALL


def _fresh(spec: Spec, corpus: Corpus, run: Path, bound: PlanFile | None) -> list[Partition]:
    """The partitions that the spec declares, where the run folder is not bound to them or has lost one."""
    partition_file.refuse_other_corpora(run, corpus)
    names = {partition.name for partition in partition_file.written(run, corpus)}
    return [] if bound is not None and names >= set(bound.partitions) else declared(spec.partitions, corpus)


def _families(
    spec: Spec, corpus: Corpus, run: Path, plan: PlanFile | None, all_partitions: Sequence[Partition]
) -> dict[str, dict[str, str]]:
    """Family by sample, for every partition; those that the folder is bound to first.

    What `earmark corpus --out` wrote there stays, behind the partitions of the spec.
    """
    partitions_by_name = {partition.name: partition for partition in all_partitions}
    begun = plan.partitions if plan is not None else ()
    lost = [name for name in begun if name not in partitions_by_name]
    if lost:
        what = f"lacks the partition {lost[0]} that the sweep was begun with"
        raise InputError(run / PARTITIONS, what, "make it again with `earmark corpus --out`")
    partitions_by_name = {name: partitions_by_name[name] for name in dict.fromkeys([*begun, *partitions_by_name])}
    wanted = spec.streams.family
    if partitions_by_name and wanted is not None and wanted not in partitions_by_name:
        raise InputError(
            f'[streams] family = "{wanted}"',
            "is no partition of this spec",
            choose(wanted, partitions_by_name),
        )
    ids = [example.sample_id for example in corpus.examples] if partitions_by_name else []
    return {name: dict(zip(ids, partition.families, strict=True)) for name, partition in partitions_by_name.items()}


def declared(partitions_spec: PartitionsSpec, corpus: Corpus) -> list[Partition]:
    """The partitions that a spec declares, or those that the corpus brings."""
    made_partitions = [partitions.named(corpus, name) for name in partitions_spec.names] or partitions.declared(corpus)
    if partitions_spec.side is not None:
        made_partitions += side_file(corpus, Path(partitions_spec.side))
    if partitions_spec.semantic is not None:
        from earmark.engine.corpus.semantic import ENCODER, semantic

        encoder: Any = partitions_spec.encoder or ENCODER
        clustered = semantic(
            corpus,
            partitions_spec.semantic,
            encoder=encoder,
            least=partitions_spec.min_family,
            seed=partitions_spec.seed,
        )
        made_partitions.append(clustered.partition)
    return made_partitions
