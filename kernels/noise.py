"""Label noise: does the worst family stay the worst when a share of the family labels are wrong? Knows arrays only."""

import numba
import numpy as np
import numpy.typing as npt

from earmark.kernels._jit import parallel_jit
from earmark.kernels.collapse import FloatArray, IntArray
from earmark.kernels.random import below, stream_key, word

_NOISE = np.uint64(0xA0761D6478BD642F)  # sets these streams apart from the bootstrap's
_TWO64 = 2.0**64


def noisy_labels(code: IntArray, n_families: int, *, rate: float, draws: int, seed: int) -> npt.NDArray[np.int32]:
    """Labels (draws, n) where each row has another family, drawn evenly, with probability `rate`."""
    if n_families < 2 or not 0 < rate < 1:
        raise ValueError(f"{n_families} families, rate {rate}: nothing to flip")
    labels = np.empty((draws, len(code)), np.int32)
    _flip(code, n_families, np.uint64(rate * _TWO64), seed, labels)
    return labels


def bottlenecks(labels: npt.NDArray[np.int32], difference: FloatArray, n_families: int) -> IntArray:
    """The family (draws, columns) with the largest mean of each column of `difference` (n, columns)."""
    row, column = np.nonzero(difference)
    found = np.empty((len(labels), difference.shape[1]), np.int64)
    _bottlenecks(labels, row, column, difference[row, column], n_families, found)
    return found


@parallel_jit
def _flip(code, n_families, threshold, seed, labels):
    draws, n = labels.shape
    for d in numba.prange(draws):
        key = stream_key(seed, d) ^ _NOISE
        for i in range(n):
            shift = 1 + below(word(key, 2 * i + 2), n_families - 1) if word(key, 2 * i + 1) < threshold else 0
            labels[d, i] = (code[i] + shift) % n_families


@parallel_jit
def _bottlenecks(labels, row, column, value, n_families, found):
    draws, n_columns = found.shape
    for d in numba.prange(draws):
        rows = np.zeros(n_families, np.int64)
        for label in labels[d]:
            rows[label] += 1
        sums = np.zeros((n_columns, n_families))
        for e in range(len(row)):
            sums[column[e], labels[d, row[e]]] += value[e]
        for c in range(n_columns):
            best, largest = 0, -np.inf
            for f in range(n_families):
                mean = sums[c, f] / rows[f] if rows[f] > 0 else -np.inf
                if mean > largest:
                    best, largest = f, mean
            found[d, c] = best
