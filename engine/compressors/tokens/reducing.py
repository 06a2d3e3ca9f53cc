"""Reductions by their names, as an excerpt carries them and as an answerer carries them out.

Knows positions and states; no clip and no model.
"""

import json
from collections.abc import Callable, Mapping
from typing import NamedTuple

from earmark.engine.arrays import FloatArray
from earmark.engine.compressors.tokens import merging, picking, runs
from earmark.engine.compressors.tokens.reduction import Reduction, kept_positions


class ReductionSpec(NamedTuple):
    """What happens to the audio positions of an excerpt before they enter a decoder."""

    kind: str
    budget: float  # the share of positions that is kept
    sized: bool  # each stands where its group is, and weighs as much
    window_s: float = 0.0  # of ltbm: how far apart may be merged
    n_pivots: int = 0  # of dart
    seed: int = 0  # of random_tokens

    @property
    def words(self) -> str:
        """What tells it from all others."""
        return json.dumps(self)


def reduction_of(spec: ReductionSpec, states: FloatArray, seconds: float, name: str) -> Reduction:
    """What becomes of the states (n, d) of so many seconds of audio; `name` is what chance may depend on."""
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
    }
    return by_name[spec.kind]()
