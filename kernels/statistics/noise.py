"""Label noise (method 10): does the worst family stay the worst when a share of the family labels are wrong?

Knows arrays only.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from earmark.kernels.statistics.collapse import FloatArray, IntArray
from earmark.kernels.statistics.plain.draws import below, stream_keys, words

_NOISE = np.uint64(0xA0761D6478BD642F)  # sets these streams apart from the bootstrap's
_TWO64 = 2.0**64
_HELD = 1 << 13  # words drawn at a time: they stay in the processor's cache, and their memory with the process


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
    for some, drawn in _drawn(labels, np.arange(len(code))):
        cell = np.arange(len(drawn))[:, None] * n_families + drawn
        labels.size[some] = np.bincount(cell.reshape(-1), minlength=len(drawn) * n_families).reshape(-1, n_families)
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
    for some, drawn in _drawn(labels, changed):
        shape = (len(drawn), n_columns, n_families)
        cell = (np.arange(len(drawn))[:, None] * n_columns + column) * n_families + drawn[:, row]
        changes = np.bincount(cell.reshape(-1), np.tile(value, len(drawn)), math.prod(shape)).reshape(shape)
        sums, size = changes[:, ::-1].cumsum(axis=1)[:, ::-1], labels.size[some, None]
        means = np.divide(sums, size, out=np.full(shape, -np.inf), where=size > 0)
        worst[some] = means.argmax(axis=2)
    return worst


def _drawn(labels: Labels, rows: IntArray) -> Iterator[tuple[slice, IntArray]]:
    """The labels (some, rows) of some rows in some of the draws, one part of the draws after the other."""
    draws, n_families = labels.size.shape
    keys = stream_keys(labels.seed, np.arange(draws)) ^ _NOISE
    n_some = max(1, _HELD // max(1, len(rows)))
    for first in range(0, draws, n_some):
        some = slice(first, first + n_some)
        drawn = np.tile(labels.code[rows], (len(keys[some]), 1))
        for begin in range(0, len(rows), _HELD):
            wrong = words(keys[some, None], 2 * rows[begin : begin + _HELD] + 1) < labels.threshold
            draw, row = np.divmod(np.flatnonzero(wrong), wrong.shape[1])
            row += begin
            shift = 1 + below(words(keys[some][draw], 2 * rows[row] + 2), n_families - 1)
            drawn[draw, row] = (drawn[draw, row] + shift) % n_families
        yield some, drawn
