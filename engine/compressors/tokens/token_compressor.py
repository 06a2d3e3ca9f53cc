"""A compressor of tokens: all of a clip, or what another compressor lets through of it, reduced inside the answerer."""

from collections.abc import Iterator, Sequence

import numpy as np

from earmark.engine.arrays import Scores
from earmark.engine.compressors.card import Card
from earmark.engine.compressors.compressor import ClipAndQuestion, Compressor, Excerpt, Refused
from earmark.engine.compressors.tokens.reducing import ReductionSpec
from earmark.engine.corpus.clip import chunk_count
from earmark.engine.design.compressors import Axis

_VERSION = 1  # of the reductions: another number makes other ones of the same words


class TokenCompressor:
    """Excerpts that carry a reduction, which an answerer carries out on its encoder's output."""

    axis: Axis = "positions"
    reads_question = False
    card: Card | None = None

    def __init__(self, name: str, spec: ReductionSpec, first: Compressor | None, first_budget: float) -> None:
        self.name = name
        self._spec = spec
        self._first, self._first_budget = first, first_budget
        before = "" if first is None else f" after {first.name} ({first.identity}) at {first_budget!r}"
        self.identity: str | None = f"tokens/{_VERSION} {spec._replace(budget=1.0).words}{before}"

    def rank(self, clips: Sequence[ClipAndQuestion]) -> list[Scores]:
        """What the first compressor thinks of each clip; nothing without one."""
        return [np.zeros(0) for _ in clips] if self._first is None else self._first.rank(clips)

    def excerpts(
        self, clips: Sequence[ClipAndQuestion], scores: Sequence[Scores], budget: float
    ) -> Iterator[Excerpt | Refused]:
        """What is heard of each clip, with the reduction of this budget."""
        spec = self._spec._replace(budget=budget)
        for excerpt in self._heard(clips, scores):
            yield excerpt if isinstance(excerpt, Refused) or budget == 1 else excerpt.reduced(spec)

    def _heard(self, clips: Sequence[ClipAndQuestion], scores: Sequence[Scores]) -> Iterator[Excerpt | Refused]:
        if self._first is not None:
            return self._first.excerpts(clips, scores, self._first_budget)
        return (subject.clip.seconds(range(chunk_count(subject.clip.audio))) for subject in clips)
