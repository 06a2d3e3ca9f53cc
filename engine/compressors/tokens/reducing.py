"""Reductions by their names, as an excerpt carries them and as an answerer carries them out.

Knows positions and states; no clip and no model.
"""

import json
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

import numpy as np

from earmark.engine.arrays import FloatArray, Scores
from earmark.engine.compressors.tokens import merging, picking, runs
from earmark.engine.compressors.tokens.reduction import Reduction, kept_positions
from earmark.engine.design.compressors import BUILT_IN, Stage


class PositionScorer(Protocol):
    """What says how much each position is worth: `token_scorer` brings a trained one, the tests one of a line."""

    asks: bool  # whether it reads the question
    tie: float  # scores nearer than that are equal

    @property
    def encoder(self) -> str:
        """Identity of the model whose states it reads."""

    @property
    def identity(self) -> str | None:
        """What its scores depend on beside states and question."""

    def position_scores(self, states: FloatArray, question: str) -> Scores:
        """One score (n,) for each of these states (n, d), whatever else is in a batch."""


class ReductionSpec(NamedTuple):
    """What happens to the audio positions of an excerpt: before they enter a decoder, or inside it."""

    kind: str
    budget: float  # the share of positions that is kept
    sized: bool  # each stands at its group's centre, as heavy as the group is large
    window_s: float = 0.0  # of ltbm: how far apart may be merged
    n_pivots: int = 0  # of dart
    seed: int = 0  # of random_tokens
    scorer: PositionScorer | None = None  # of learned_tokens
    question: str = ""  # that the scorer reads, or what happens inside a decoder
    choices: tuple[str, ...] = ()  # of this question, where it is read inside a decoder
    layer: int = 0  # after how many layers of a decoder; 0 but for compressors of layers

    @property
    def words(self) -> str:
        """What tells it from all others."""
        scorer = None if self.scorer is None else self.scorer.identity
        words = {**self._asdict(), "scorer": scorer}
        if not self.is_inside:  # as it was before there was anything inside a decoder
            del words["choices"], words["layer"]
        return json.dumps(words)

    @property
    def stage(self) -> Stage:
        """Where it happens: before the decoder (tokens), or inside it."""
        return BUILT_IN[self.kind].stage

    @property
    def is_inside(self) -> bool:
        """Whether it happens inside the decoder: what the encoder makes is then left whole."""
        return self.stage != "tokens"


def reduction_of(spec: ReductionSpec, states: FloatArray, seconds: float, name: str) -> Reduction:
    """What becomes of the states (n, d) of so many seconds of audio; `name` is what chance may depend on.

    ValueError where a state is not finite: likeness would be NaN, and groups an accident.
    """
    if not np.isfinite(states).all():
        raise ValueError("what the encoder made is not finite")
    n = len(states)
    k = kept_positions(spec.budget, n)
    by_name: Mapping[str, Callable[[], Reduction]] = {
        "pool": lambda: runs.pool(n, k),
        "sample": lambda: runs.sample(n, k),
        "segment": lambda: runs.segment(states, k),
        "adjacent": lambda: runs.adjacent(states, k),
        "ltbm": lambda: merging.ltbm(states, k, spec.window_s * n / seconds),
        "global_merge": lambda: merging.global_merge(states, k),
        "divprune": lambda: picking.divprune(states, k),
        "dart": lambda: picking.dart(states, k, spec.n_pivots),
        "random_tokens": lambda: runs.random(n, k, f"{name} {spec.seed}"),
        "learned_tokens": lambda: _best(spec, states, k),
    }
    return by_name[spec.kind]()


def _best(spec: ReductionSpec, states: FloatArray, k: int) -> Reduction:
    """The states that a scorer puts first."""
    assert spec.scorer is not None, "learned_tokens has a scorer"
    return picking.best(spec.scorer.position_scores(states, spec.question), k, spec.scorer.tie)
