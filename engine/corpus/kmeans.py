"""Cosine k-means in plain NumPy: the same points, weights, k and seed give the same clusters, on any machine size.

Sums are NumPy's own, not those of a BLAS, whose order depends on the number of threads.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from earmark.engine.arrays import FloatArray, IntArray

RESTARTS = 10
ROUNDS = 100


class Clusters(NamedTuple):
    """Which cluster each point is in, numbered from the heaviest on, and the unit vectors in their middle."""

    cluster: IntArray  # (n,)
    centres: FloatArray  # (k, d)


def cosine_kmeans(points: npt.ArrayLike, weights: npt.ArrayLike, k: int, seed: int) -> Clusters:
    """k clusters of points (n, d) with weights (n,) by direction, the best of RESTARTS starts.

    Raises ValueError for n < k, and for a point that is zero or not finite.
    """
    x = np.array(points, dtype=np.float64)
    w = np.array(weights, dtype=np.float64)
    length = np.sqrt(np.einsum("nd,nd->n", x, x))
    if not 1 <= k <= len(x):
        raise ValueError(f"{k} clusters of {len(x)} points")
    if not np.isfinite(x).all() or (length == 0).any():
        raise ValueError("a point is zero or not finite")
    x /= length[:, None]
    rng = np.random.default_rng(seed)
    best, closest = None, -np.inf
    for _ in range(RESTARTS):
        centres = _refine(x, w, _start(x, w, k, rng))
        similarity = _similarity(x, centres)
        total = float((w * similarity.max(axis=1)).sum())
        if total > closest + 1e-12 * abs(total):  # a later start must be better, not equal up to rounding
            best, closest = centres, total
    assert best is not None, "there was a start"
    return _by_weight(_similarity(x, best).argmax(axis=1), w, best)


def _start(x: FloatArray, w: FloatArray, k: int, rng: np.random.Generator) -> FloatArray:
    """k centres of k-means++: each is a point, drawn by its distance from the centres before it."""
    chosen = [_draw(w, rng)]
    distance = 1 - _similarity(x, x[chosen])[:, 0]
    while len(chosen) < k:
        chosen.append(_draw(w * np.maximum(distance, 0), rng) if (distance > 1e-12).any() else len(chosen))
        distance = np.minimum(distance, 1 - _similarity(x, x[chosen[-1:]])[:, 0])
    return x[chosen].copy()


def _draw(weights: FloatArray, rng: np.random.Generator) -> int:
    """An index, drawn with probabilities in proportion to the weights."""
    sums = np.cumsum(weights)
    return int(min(np.searchsorted(sums, rng.random() * sums[-1], side="right"), len(weights) - 1))


def _refine(x: FloatArray, w: FloatArray, centres: FloatArray) -> FloatArray:
    """Centres after Lloyd's rounds, until no point changes its cluster.

    An emptied cluster starts again at the point that fits its own cluster worst.
    """
    before = None
    for _ in range(ROUNDS):
        similarity = _similarity(x, centres)
        cluster = similarity.argmax(axis=1)  # ties go to the lower number
        if before is not None and (cluster == before).all():
            break
        before = cluster
        worst = iter(np.argsort(similarity.max(axis=1), kind="stable"))
        centres = centres.copy()
        for j in range(len(centres)):
            mine = cluster == j
            middle = (x[mine] * w[mine, None]).sum(axis=0) if mine.any() else x[next(worst)]
            norm = np.sqrt((middle * middle).sum())
            if norm > 0:
                centres[j] = middle / norm
    return centres


def _similarity(x: FloatArray, centres: FloatArray) -> FloatArray:
    """(n, k) cosines of unit vectors."""
    cosines: FloatArray = np.einsum("nd,kd->nk", x, centres)
    return cosines


def _by_weight(cluster: IntArray, w: FloatArray, centres: FloatArray) -> Clusters:
    """The clusters, numbered from the heaviest on."""
    weight = np.bincount(cluster, weights=w, minlength=len(centres))
    order = np.argsort(-weight, kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return Clusters(rank[cluster], centres[order])
