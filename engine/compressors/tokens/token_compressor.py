"""A compressor of tokens, layers or the cache: all of a clip, or what another compressor lets through of it, of which
the answerer then drops some. Knows no model.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from earmark.engine.arrays import Scores
from earmark.engine.compressors.card import Card
from earmark.engine.compressors.compressor import ClipAndQuestion, Compressor, Excerpt, Refused
from earmark.engine.compressors.tokens.reducing import ReductionSpec
from earmark.engine.corpus.clip import chunk_count
from earmark.engine.design.compressors import BUILT_IN, Axis

_VERSION = 1  # of the reductions: another number makes other ones of the same words


class TokenCompressor:
    """Excerpts that carry a reduction, which an answerer carries out on its encoder's output or inside its decoder."""

    def __init__(
        self,
        name: str,
        spec: ReductionSpec,
        first: Compressor | None = None,
        first_budget: float = 1.0,
        card: Card | None = None,
    ) -> None:
        self.name = name
        self.card = card
        kind = BUILT_IN[spec.kind]
        self.axis: Axis = kind.axis
        self.reads_question = kind.asks or (spec.scorer is not None and spec.scorer.asks)
        self.encoder = None if spec.scorer is None else spec.scorer.encoder  # whose states it needs; None: anybody's
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
        for subject, excerpt in zip(clips, self._heard(clips, scores), strict=True):
            if isinstance(excerpt, Refused) or budget == 1:
                yield excerpt
            else:
                spec = self._spec._replace(budget=budget)
                if self.reads_question:
                    choices = subject.choices if spec.is_inside else ()
                    spec = spec._replace(question=subject.question or "", choices=choices)
                yield excerpt.reduced(spec)

    def _heard(self, clips: Sequence[ClipAndQuestion], scores: Sequence[Scores]) -> Iterator[Excerpt | Refused]:
        if self._first is not None:
            return self._first.excerpts(clips, scores, self._first_budget)
        return (subject.clip.seconds(range(chunk_count(subject.clip.audio))) for subject in clips)
