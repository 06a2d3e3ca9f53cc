"""Reductions that cut time into runs, or pick positions by their place: what they need of the states is little or none.

Knows arrays only.
"""

import hashlib

import numpy as np

from earmark.engine.arrays import FloatArray, IntArray
from earmark.engine.compressors.tokens.reduction import Reduction


def pool(n: int, k: int) -> Reduction:
    """k runs of neighbours, as equal as they can be; where k divides n, those of an average pooling."""
    return Reduction.of_runs(np.arange(k) * n // k, n)


def sample(n: int, k: int) -> Reduction:
    """The middle one of each of k equal runs."""
    return Reduction.of_kept((2 * np.arange(k) + 1) * n // (2 * k), n)


def random(n: int, k: int, name: str) -> Reduction:
    """k positions drawn without replacement, by a hash of a name: of the recording, and of the seed."""
    digest = hashlib.blake2b(name.encode(), digest_size=16).digest()
    rng = np.random.default_rng(int.from_bytes(digest, "little"))
    return Reduction.of_kept(rng.permutation(n)[:k], n)


def segment(states: FloatArray, k: int) -> Reduction:
    """Runs that begin where neighbours (n, d) are least alike; among equals, at the earlier one."""
    likeness = neighbours_alike(states)
    borders = np.argsort(likeness, kind="stable")[: k - 1] + 1
    return Reduction.of_runs(np.concatenate([[0], np.sort(borders)]), len(states))


def neighbours_alike(states: FloatArray) -> FloatArray:
    """(n - 1,) cosine of each state with the next one."""
    unit = directions(states)
    return np.asarray((unit[1:] * unit[:-1]).sum(axis=1))


def directions(states: FloatArray) -> FloatArray:
    """(n, d) of length 1; a state that is 0 stays so."""
    length = np.sqrt((states * states).sum(axis=-1, keepdims=True))
    return np.asarray(states / np.where(length > 0, length, 1.0))


def adjacent(states: FloatArray, k: int) -> Reduction:
    """The most alike neighbours merged, one pair after the other, until k runs are left: means weighted by size."""
    n = len(states)
    total, size = states.astype(np.float64).copy(), np.ones(n)
    after: IntArray = np.arange(1, n + 1)  # the run behind each run; n: none
    before: IntArray = np.arange(-1, n - 1)
    likeness = np.append(neighbours_alike(states.astype(np.float64)), -np.inf)  # of each run with the one behind it
    for _ in range(n - k):
        first = int(np.argmax(likeness))
        second = int(after[first])
        total[first] += total[second]
        size[first] += size[second]
        likeness[second] = -np.inf
        after[first] = after[second]
        if after[first] < n:
            before[after[first]] = first
        for run in (int(before[first]), first):
            if run >= 0:
                likeness[run] = _alike(total, run, int(after[run]))
    starts = [0]
    while after[starts[-1]] < n:
        starts.append(int(after[starts[-1]]))
    return Reduction.of_runs(starts, n)


def _alike(total: FloatArray, run: int, behind: int) -> float:
    """The cosine of two runs' means; -inf where there is none behind."""
    if behind >= len(total):
        return -np.inf
    unit = directions(total[[run, behind]])
    return float((unit[0] * unit[1]).sum())
