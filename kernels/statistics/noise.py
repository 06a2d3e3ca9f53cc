"""Label noise (method 10): does the worst family stay the worst when a share of the family labels are wrong?

Knows arrays only.
"""

from typing import NamedTuple

import numba
import numpy as np

from earmark.kernels._jit import jit, parallel_jit
from earmark.kernels.statistics.collapse import FloatArray, IntArray
from earmark.kernels.statistics.draws import below, stream_key, word

_NOISE = np.uint64(0xA0761D6478BD642F)  # sets these streams apart from the bootstrap's
_TWO64 = 2.0**64


class Labels(NamedTuple):
    """Family labels of n rows, drawn several times: each is made where it is needed, so that draws take no memory."""

    code: IntArray  # (n,) the labels before a share of them is replaced
    threshold: np.uint64  # of a random word: below it a label is replaced
    seed: int
    size: IntArray  # (draws, families) rows of each family


def noisy_labels(code: IntArray, n_families: int, *, rate: float, draws: int, seed: int) -> Labels:
    """Labels in `draws` repetitions: with probability `rate` a row gets one of the other families, all as likely."""
    if n_families < 2 or not 0 < rate < 1:
        raise ValueError(f"{n_families} families, rate {rate}: nothing to flip")
    labels = Labels(code, np.uint64(rate * _TWO64), seed, np.zeros((draws, n_families), np.int64))
    _count(*labels)
    return labels


def bottlenecks(labels: Labels, difference: FloatArray) -> IntArray:
    """The family (draws, columns) with the largest mean of each column of `difference` (n, columns).

    A column is summed as its change from the next one, which gives the same only where sums are exact: differences must
    be whole numbers, or multiples of one power of two.
    """
    worst = np.empty((len(labels.size), difference.shape[1]), np.int64)
    row, column, change = _changes(difference)  # neighbouring budgets change the same answers
    _bottlenecks(*labels, row, column, change, worst)
    return worst


@jit
def _changes(difference):
    """(rows, columns, values) where a column differs from the next one, and the last from 0."""
    n, n_columns = difference.shape
    n_changes = 0
    for i in range(n):
        for c in range(n_columns):
            n_changes += difference[i, c] != (difference[i, c + 1] if c + 1 < n_columns else 0.0)
    row, column, value = np.empty(n_changes, np.int64), np.empty(n_changes, np.int32), np.empty(n_changes)
    e = 0
    for i in range(n):
        for c in range(n_columns):
            change = difference[i, c] - (difference[i, c + 1] if c + 1 < n_columns else 0.0)
            if change != 0.0:
                row[e], column[e], value[e] = i, c, change
                e += 1
    return row, column, value


@jit
def _noisy_label(key, i, label, threshold, n_families):
    """The label of row i in the draw whose key this is."""
    shift = 1 + below(word(key, 2 * i + 2), n_families - 1) if word(key, 2 * i + 1) < threshold else 0
    return (label + shift) % n_families


@parallel_jit
def _count(code, threshold, seed, size):
    draws, n_families = size.shape
    for d in numba.prange(draws):
        key = stream_key(seed, d) ^ _NOISE
        for i in range(len(code)):
            size[d, _noisy_label(key, i, code[i], threshold, n_families)] += 1


@jit
def _bottlenecks(code, threshold, seed, size, row, column, value, worst):
    draws, n_columns = worst.shape
    n_families = size.shape[1]
    for d in range(draws):
        key = stream_key(seed, d) ^ _NOISE
        sums = np.zeros((n_columns, n_families))
        last, label = -1, 0
        for e in range(len(row)):
            if row[e] != last:
                last = row[e]
                label = _noisy_label(key, last, code[last], threshold, n_families)
            sums[column[e], label] += value[e]
        for c in range(n_columns - 1, -1, -1):
            if c < n_columns - 1:
                sums[c] += sums[c + 1]
            best, largest = 0, -np.inf
            for f in range(n_families):
                mean = sums[c, f] / size[d, f] if size[d, f] > 0 else -np.inf
                if mean > largest:
                    best, largest = f, mean
            worst[d, c] = best
