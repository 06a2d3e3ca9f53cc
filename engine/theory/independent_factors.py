"""The construction that separates the two frontiers: independent factors, of which each query asks for one.

The audio is (S, U, V): two independent answer factors and side information that nobody asks for. Without tolerance an
agnostic interface must carry both factors; a conditioned one carries the factor that is asked (Theorem 3.4).
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from earmark.engine.arrays import FloatArray
from earmark.engine.theory.audio_tasks import AudioTask, Query, entropy, make_task, mutual_information, zero_one

CONFIGURATIONS = ((2, 2), (2, 3), (3, 3), (2, 8), (4, 4), (5, 7))
PRIORS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)  # how often the first factor is asked


class Separation(NamedTuple):
    """The rates in bits that an interface needs which does not know the question, and one that does."""

    agnostic: float
    conditioned: float


def construction(first: FloatArray, second: FloatArray, prior: float, n_side: int = 2) -> AudioTask:
    """The task of two factors with laws (m1,) and (m2,), the first asked with probability `prior`.

    The side information is uniform over n_side values.
    """
    law = np.einsum("i,j->ij", first, second)[None].repeat(n_side, axis=0) / n_side
    _, u, v = np.indices(law.shape)
    queries = [
        Query(np.eye(len(values))[factor.ravel()], zero_one(len(values)))
        for factor, values in ((u, first), (v, second))
    ]
    return make_task(law.ravel(), queries, np.array([prior, 1 - prior]))


def closed_form(first: FloatArray, second: FloatArray, prior: float) -> Separation:
    """Agnostic H(U) + H(V) and conditioned their mean over queries (3.12); log m1 + log m2 for uniform factors."""
    return Separation(entropy(first) + entropy(second), prior * entropy(first) + (1 - prior) * entropy(second))


def enumerated(task: AudioTask) -> Separation:
    """Both frontiers by enumeration, for certain answers and 0-1 loss without tolerance.

    The cheapest lossless interface merges exactly the symbols of audio that have the same answers.
    """
    right = np.stack([query.posterior.argmax(axis=1) for query in task.queries], axis=1)  # (X, Q)
    return Separation(
        mutual_information(task.audio, _classes(right)),
        sum(float(p) * mutual_information(task.audio, _classes(right[:, [q]])) for q, p in enumerate(task.prior)),
    )


def cheapest_partition(task: AudioTask) -> float:
    """The least I(X; Z) in bits over all ways to merge symbols of audio that keep every answer, each of them tried."""
    right = np.stack([query.posterior.argmax(axis=1) for query in task.queries], axis=1)
    best = np.inf
    for blocks in _set_partitions(len(task.audio)):
        if all(len(np.unique(right[blocks == block], axis=0)) == 1 for block in range(blocks.max() + 1)):
            best = min(best, mutual_information(task.audio, _classes(blocks[:, None])))
    return best


def _classes(labels: npt.NDArray[np.int64]) -> FloatArray:
    """The deterministic channel (X, Z) that tells which of the distinct rows of labels (X, Q) a symbol has."""
    distinct, block = np.unique(labels, axis=0, return_inverse=True)
    return np.eye(len(distinct))[block.ravel()]


def _set_partitions(n: int) -> Iterator[npt.NDArray[np.int64]]:
    """Every partition of n symbols once, as blocks numbered in order of appearance."""

    def grow(blocks: list[int]) -> Iterator[npt.NDArray[np.int64]]:
        if len(blocks) == n:
            yield np.array(blocks)
            return
        for block in range(max(blocks, default=-1) + 2):
            yield from grow([*blocks, block])

    return grow([])
