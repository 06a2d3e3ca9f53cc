"""Label noise (method 10): does the worst family stay the worst when a share of the family labels are wrong?

Knows arrays only.
"""

from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from earmark.kernels._jit import jit, parallel_jit
from earmark.kernels.statistics.collapse import FloatArray, IntArray
from earmark.kernels.statistics.draws import below, stream_key, word

_NOISE = np.uint64(0xA0761D6478BD642F)  # sets these streams apart from the bootstrap's
_TWO64 = 2.0**64


class Labels(NamedTuple):
    """Family labels of n rows, drawn several times."""

    code: npt.NDArray[np.int32]  # (draws, n)
    size: IntArray  # (draws, families) rows of each family


def noisy_labels(code: IntArray, n_families: int, *, rate: float, draws: int, seed: int) -> Labels:
    """Labels in `draws` repetitions: with probability `rate` a row gets one of the other families, all as likely."""
    if n_families < 2 or not 0 < rate < 1:
        raise ValueError(f"{n_families} families, rate {rate}: nothing to flip")
    labels = np.empty((draws, len(code)), np.int32)
    _flip(code, n_families, np.uint64(rate * _TWO64), seed, labels)
    return Labels(labels, np.stack([np.bincount(label, minlength=n_families) for label in labels]))


def bottlenecks(labels: Labels, difference: FloatArray) -> IntArray:
    """The family (draws, columns) with the largest mean of each column of `difference` (n, columns).

    A column is summed as its change from the next one, which gives the same only where sums are exact: differences must
    be whole numbers, or multiples of one power of two.
    """
    change = difference.copy()  # from the next column: neighbouring budgets change the same answers
    change[:, :-1] -= difference[:, 1:]
    row, column = np.nonzero(change)
    worst = np.empty((len(labels.code), difference.shape[1]), np.int64)
    _bottlenecks(labels.code, labels.size, row, column, change[row, column], worst)
    return worst


@parallel_jit
def _flip(code, n_families, threshold, seed, labels):
    draws, n = labels.shape
    for d in numba.prange(draws):
        key = stream_key(seed, d) ^ _NOISE
        for i in range(n):
            shift = 1 + below(word(key, 2 * i + 2), n_families - 1) if word(key, 2 * i + 1) < threshold else 0
            labels[d, i] = (code[i] + shift) % n_families


@jit
def _bottlenecks(labels, size, row, column, value, worst):
    draws, n_columns = worst.shape
    n_families = size.shape[1]
    for d in range(draws):
        sums = np.zeros((n_columns, n_families))
        for e in range(len(row)):
            sums[column[e], labels[d, row[e]]] += value[e]
        for c in range(n_columns - 1, -1, -1):
            if c < n_columns - 1:
                sums[c] += sums[c + 1]
            best, largest = 0, -np.inf
            for f in range(n_families):
                mean = sums[c, f] / size[d, f] if size[d, f] > 0 else -np.inf
                if mean > largest:
                    best, largest = f, mean
            worst[d, c] = best
