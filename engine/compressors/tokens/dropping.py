"""What is dropped inside a decoder: audio positions after one of its layers, or keys and values of its cache.

Knows positions, what was attended to, and keys; no model and no question. Among equals the earlier position stays.
"""

from typing import NamedTuple

import numpy as np

from earmark.engine.arrays import FloatArray, IntArray, Scores
from earmark.engine.compressors.chunks.cutting import top_chunks
from earmark.engine.compressors.tokens import runs
from earmark.engine.compressors.tokens.reducing import ReductionSpec
from earmark.engine.compressors.tokens.reduction import Reduction, kept_positions

TIE = 1e-12  # scores that are nearer are equal: sums in another order are
SMOOTHED = 5  # neighbouring keys whose attention SnapKV averages


def after_layer(spec: ReductionSpec, n: int, attended: FloatArray, name: str) -> Reduction:
    """Which of n audio positions go on after a layer. `attended` (heads, n) is how much the last position of what was
    asked attended to each of them in that layer; chance may depend on `name`.
    """
    k = kept_positions(spec.budget, n)
    if spec.kind == "uniform_layers":
        return runs.sample(n, k)
    if spec.kind == "random_layers":
        return runs.random(n, k, f"{name} {spec.seed}")
    scores = fastv(attended) if spec.kind == "fastv" else selective_heads(attended)
    return Reduction.of_kept(top_chunks(scores, k, TIE), n)


def fastv(attended: FloatArray) -> Scores:
    """(n,) the mean over heads (heads, n)."""
    return np.asarray(attended.mean(axis=0))


def selective_heads(attended: FloatArray) -> Scores:
    """(n,) the mean over heads (heads, n), each weighted by how selective it is about this recording: 1 minus the
    entropy of its attention, as a share of the largest there is. How much of it is on audio counts as in `fastv`.

    After HeadRouter, which publishes no equations that could be found: a reconstruction.
    """
    if attended.shape[1] == 1:
        return fastv(attended)
    mass = attended.sum(axis=1, keepdims=True)
    shares = attended / np.where(mass > 0, mass, 1.0)
    logarithms = np.log(np.where(shares > 0, shares, 1.0))
    entropy = -(shares * logarithms).sum(axis=1, keepdims=True) / np.log(attended.shape[1])
    return fastv((1.0 - entropy) * attended)


class CacheShape(NamedTuple):
    """What there is of the audio in a cache."""

    layers: int
    heads: int  # that have keys
    n: int  # positions of the audio


def kept_entries(
    spec: ReductionSpec, shape: CacheShape, keys: FloatArray | None, attended: FloatArray | None, name: str
) -> IntArray:
    """(layers, heads, k) positions of the audio, rising, whose keys and values stay.

    `keys` (layers, heads, n, size) are for `kv_keydiff`, and `attended` (layers, heads, n), how much a question
    attended to each key, for `kv_snap`. Chance may depend on `name`.
    """
    layers, heads, n = shape
    k = kept_positions(spec.budget, n)
    if spec.kind == "kv_uniform":
        every = np.flatnonzero(runs.sample(n, k).group >= 0)
        return np.broadcast_to(every, (layers, heads, k)).copy()
    kept = np.empty((layers, heads, k), dtype=np.int64)
    for layer in range(layers):
        for head in range(heads):
            if spec.kind == "kv_random":
                drawn = runs.random(n, k, f"{name} {spec.seed} {layer} {head}")
                kept[layer, head] = np.flatnonzero(drawn.group >= 0)
                continue
            if spec.kind == "kv_snap":
                assert attended is not None, "kv_snap has watched a question"
                scores = smoothed(attended[layer, head])
            else:
                assert keys is not None, "kv_keydiff looks at keys"
                scores = unlike_the_mean(keys[layer, head])
            kept[layer, head] = top_chunks(scores, k, TIE)
    return kept


def smoothed(scores: Scores) -> Scores:
    """(n,) the mean over each score and its neighbours, beyond the ends 0, as SnapKV has it."""
    reach = SMOOTHED // 2
    around = np.lib.stride_tricks.sliding_window_view(np.pad(scores, reach), SMOOTHED)
    return np.asarray(around.mean(axis=1))


def unlike_the_mean(keys: FloatArray) -> Scores:
    """(n,) minus the cosine of each key (n, size) with the mean direction of all, as KeyDiff has it."""
    unit = runs.directions(keys)
    return np.asarray(-(unit @ runs.directions(unit.mean(axis=0, keepdims=True))[0]))
