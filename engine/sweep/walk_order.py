"""The order in which a sweep asks that stops when it is decided: by a hash of names, so that nobody can choose it.

Holds a corpus in memory; opens no recording.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np

from earmark.engine.corpus.corpus import Corpus
from earmark.engine.design.keys import ALL
from earmark.engine.design.rule import Rule
from earmark.engine.design.spec import Spec
from earmark.engine.errors import InputError
from earmark.engine.signoff import order
from earmark.engine.signoff.families import families_of
from earmark.engine.signoff.judged_partitions import QUERY_FAMILY
from earmark.engine.signoff.rules import claim, declared_walk, spending
from earmark.engine.signoff.rules.declared_walk import DeclaredRows, DeclaredWalk
from earmark.engine.signoff.rules.group_tests import family_minimum

MOST_EXAMPLES = 20_000_000  # of a corpus that can be held


def held(corpus: Corpus) -> Corpus:
    """The corpus, read once and kept in memory; InputError where it cannot be, as one without an end cannot."""
    examples = tuple(islice(corpus.examples, MOST_EXAMPLES + 1))
    if len(examples) > MOST_EXAMPLES:
        what = f'has more than {MOST_EXAMPLES:,} questions, and until = "decided" asks in an order of its own'
        raise InputError(corpus.name, what, 'use until = "complete"')
    return replace(corpus, examples=examples)


def in_declared_order(
    corpus: Corpus, labels: Mapping[str, Mapping[str, str]], rule: Rule
) -> tuple[Corpus, DeclaredRows]:
    """A corpus that is held in the order in which a walk asks, and its rows; `labels` are families by sample, by
    partition.
    """
    examples = tuple(corpus.examples)
    rows = declared_rows([e.sample_id for e in examples], [e.source_id for e in examples], labels, rule)
    asked_in = declared_walk.order(rows, rule)
    families = {name: f._replace(code=f.code[asked_in]) for name, f in rows.families_of.items()}
    reordered = DeclaredRows(rows.source[asked_in], rows.place[asked_in], families)
    return replace(corpus, examples=tuple(examples[row] for row in asked_in.tolist())), reordered


def declared_rows(
    samples: Sequence[str], sources: Sequence[str], labels: Mapping[str, Mapping[str, str]], rule: Rule
) -> DeclaredRows:
    """The rows of a walk, in the order of `samples`; `labels` are families by sample, by partition."""
    code = {source: number for number, source in enumerate(dict.fromkeys(sources))}
    source = np.array([code[name] for name in sources], dtype=np.int64)
    recordings = None if rule.clustering == "ignore" else source
    first = next(iter(labels.values()), {})
    by_name = {
        name: families_of(
            [labels.get(name, first).get(sample, ALL) for sample in samples],
            rule.parents,
            family_minimum(rule),
            recordings,
        )
        for name in rule.partitions or labels or (QUERY_FAMILY,)
    }
    return DeclaredRows(source, order.places(sources, samples), by_name)


def walk_of(spec: Spec, corpus: str, rows: DeclaredRows, block_sizes: Sequence[int]) -> DeclaredWalk:
    """The walk of every method of a spec."""
    levels = spending.levels(spec.rule, n_candidates(spec, corpus), decided=True)
    return declared_walk.declared_walk(rows, block_sizes, spec.rule, levels)


def n_candidates(spec: Spec, corpus: str) -> int:
    """How many methods of a spec may be shipped, under each answerer: they share alpha."""
    arms = {
        claim.CandidateCurve(answerer.name, corpus, method.name, seed)
        for answerer in spec.answerers
        for method in spec.methods
        for seed in method.seeds
    }
    return max(1, len(claim.candidates(spec.rule.candidates, arms)))
