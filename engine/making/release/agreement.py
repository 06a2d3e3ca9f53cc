"""How near a model is to its original: differences of scores, and equal sets of chunks by budget and family.

Pure: what both did with each question in, figures out; which of them are good enough, `check` decides.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from earmark.engine.compressors.chunks.selector import LEARNED_TIE
from earmark.engine.making.release.comparison import BothKept, Comparison


class Parity(NamedTuple):
    """How far scores are from the original's."""

    largest: float
    spread: float  # standard deviation of the original's scores; at least what a tie is wide
    relative: float  # the largest difference in spreads
    worst_sample: str
    correlation: float | None  # of ranks within a clip, the mean over clips; None where none has two scores


class Agreement(NamedTuple):
    """How often both keep the same chunks, at one budget."""

    budget: float
    family: str | None  # None: all questions
    n: int
    same: int  # questions
    overlap: float  # mean share of the original's chunks that the model keeps too

    @property
    def share(self) -> float:
        return self.same / self.n


class Ties(NamedTuple):
    """Where equal scores stand on both sides of the last kept chunk, at one budget."""

    budget: float
    original: int  # questions
    model: int
    differently: int  # a tie for one of them only
    differently_kept: int  # of those, the ones that keep other chunks


def parity(heard: Comparison) -> Parity:
    """Differences of scores over the whole corpus."""
    errors = [float(np.abs(pair.original - pair.model).max()) for pair in heard.pairs]
    worst = int(np.argmax(errors))
    spread = max(float(np.concatenate([pair.original for pair in heard.pairs]).std(dtype=np.float64)), LEARNED_TIE)
    ranked = [
        np.corrcoef(np.argsort(np.argsort(pair.original)), np.argsort(np.argsort(pair.model)))[0, 1]
        for pair in heard.pairs
        if len(pair.original) > 1
    ]
    return Parity(
        errors[worst],
        spread,
        errors[worst] / spread,
        heard.pairs[worst].example.sample_id,
        float(np.mean(ranked)) if ranked else None,
    )


def agreement(heard: Comparison) -> list[Agreement]:
    """Of every budget: all questions, then each family by name."""
    families = sorted({pair.family for pair in heard.pairs})
    agreements = []
    for b, budget in enumerate(heard.budgets):
        agreements.append(_agreement(budget, None, [pair.kept[b] for pair in heard.pairs]))
        agreements += [
            _agreement(budget, family, [pair.kept[b] for pair in heard.pairs if pair.family == family])
            for family in families
        ]
    return agreements


def ties(heard: Comparison) -> list[Ties]:
    """Of every budget."""
    ties_by_budget = []
    for b, budget in enumerate(heard.budgets):
        kept = [pair.kept[b] for pair in heard.pairs]
        apart = [both for both in kept if both.tied[0] != both.tied[1]]
        original, model = (sum(both.tied[i] for both in kept) for i in range(2))
        ties_by_budget.append(Ties(budget, original, model, len(apart), sum(not both.same for both in apart)))
    return ties_by_budget


def _agreement(budget: float, family: str | None, kept: Sequence[BothKept]) -> Agreement:
    overlap = [len(np.intersect1d(both.original, both.model)) / len(both.original) for both in kept]
    return Agreement(budget, family, len(kept), sum(both.same for both in kept), float(np.mean(overlap)))
