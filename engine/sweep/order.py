"""What a sweep evaluates, in the order that makes early answers useful: raw, then budgets from the largest down, and
the permuted questions of the audits after everything a verdict needs.

A level is complete before the next one begins. Pure: knows a spec and which methods read the question.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

from earmark.engine.outcomes.schema import ANCHOR, UNCOMPRESSED, CellKey
from earmark.engine.signoff.gain import AGNOSTIC, CONDITIONED
from earmark.engine.spec import Spec


class Curve(NamedTuple):
    """A method in one of its seeds, under one stream of questions."""

    method: str
    seed: int
    stream: str

    def key(self, answerer: str, corpus: str, budget: float) -> CellKey:
        """Its cell at a budget."""
        return CellKey(answerer, corpus, self.method, self.seed, self.stream, budget)


@dataclass(frozen=True, slots=True)
class Level:
    """Cells that are filled together, at one budget."""

    name: str
    budget: float
    curves: tuple[Curve, ...]

    @property
    def permuted(self) -> bool:
        """Whether it is for the audits only."""
        return self.name.startswith("streams")

    def keys(self, answerer: str, corpus: str) -> dict[Curve, CellKey]:
        """The cells of an answerer."""
        return {curve: curve.key(answerer, corpus, self.budget) for curve in self.curves}


def levels(spec: Spec, asking: Collection[str]) -> tuple[Level, ...]:
    """All levels of an answerer; `asking` are the methods whose selector reads the question."""
    made = [Level("raw", 1.0, (Curve(UNCOMPRESSED, 0, ANCHOR),))]
    anchors = tuple(Curve(method.name, seed, ANCHOR) for method in spec.methods for seed in method.seeds)
    made += [Level(f"anchor-{budget!r}", budget, anchors) for budget in spec.budgets]
    naive = naive_streams(spec)
    with_partners = {*asking, *(name.removesuffix(CONDITIONED) + AGNOSTIC for name in asking)}
    others = [
        Curve(method.name, seed, stream)
        for method in spec.methods
        for seed in method.seeds
        for stream in (*permuted_streams(spec), *naive)
        if method.name in (with_partners if stream in naive else asking)
    ]
    if naive and others:  # the answerer gets other questions there: they have a raw reference of their own
        made.append(Level("streams-1", 1.0, tuple(Curve(UNCOMPRESSED, 0, stream) for stream in naive)))
    if others:
        made += [Level(f"streams-{budget!r}", budget, tuple(others)) for budget in spec.budgets]
    return tuple(made)


def permuted_streams(spec: Spec) -> list[str]:
    """Only the selector gets another question."""
    return _numbered("permuted", spec.streams.permuted_global, spec.streams.permuted_family)


def naive_streams(spec: Spec) -> list[str]:
    """The answerer gets it too."""
    return _numbered("naive", spec.streams.naive_global, spec.streams.naive_family)


def _numbered(kind: str, everywhere: int, within: int) -> list[str]:
    return [f"{kind}-global-{i}" for i in range(1, everywhere + 1)] + [
        f"{kind}-family-{i}" for i in range(1, within + 1)
    ]
