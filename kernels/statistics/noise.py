"""Label noise (method 10): does the worst family stay the worst when a share of the family labels are wrong?

Knows arrays only.
"""

from typing import NamedTuple

import numpy as np

from earmark.kernels.statistics.collapse import FloatArray, IntArray
from earmark.kernels.statistics.plain.draws import below, stream_keys, words

_NOISE = np.uint64(0xA0761D6478BD642F)  # sets these streams apart from the bootstrap's
_TWO64 = 2.0**64
_HELD = 1 << 14  # rows whose words are drawn at a time: they stay in the processor's cache


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
    rows = np.arange(len(code))
    for draw in range(draws):
        labels.size[draw] = np.bincount(_drawn(labels, draw, rows), minlength=n_families)
    return labels


def bottlenecks(labels: Labels, difference: FloatArray) -> IntArray:
    """The family (draws, columns) with the largest mean of each column of `difference` (n, columns).

    A column is summed as its change from the next one, which gives the same only where sums are exact: differences must
    be whole numbers, or multiples of one power of two.
    """
    n_columns, (draws, n_families) = difference.shape[1], labels.size.shape
    change = difference - np.append(difference[:, 1:], np.zeros((len(difference), 1)), axis=1)
    changed = np.flatnonzero(change.any(axis=1))
    row, column = np.nonzero(change[changed])  # neighbouring budgets change the same answers: few are not 0
    value = change[changed][row, column]
    worst = np.empty((draws, n_columns), np.int64)
    for draw in range(draws):
        target = column * n_families + _drawn(labels, draw, changed)[row]
        sums = np.bincount(target, weights=value, minlength=n_columns * n_families).reshape(n_columns, n_families)
        size = labels.size[draw]
        means = np.divide(sums[::-1].cumsum(axis=0)[::-1], size, out=np.full(sums.shape, -np.inf), where=size > 0)
        worst[draw] = means.argmax(axis=1)
    return worst


def _drawn(labels: Labels, draw: int, rows: IntArray) -> IntArray:
    """The labels of some rows in one of the draws."""
    keys = stream_keys(labels.seed, np.array([draw])) ^ _NOISE
    n_families = labels.size.shape[1]
    drawn = labels.code[rows]
    for begin in range(0, len(rows), _HELD):
        some = slice(begin, begin + _HELD)
        wrong = begin + np.flatnonzero(words(keys, 2 * rows[some] + 1) < labels.threshold)
        shift = 1 + below(words(keys, 2 * rows[wrong] + 2), n_families - 1)
        drawn[wrong] = (drawn[wrong] + shift) % n_families
    return drawn
