"""Tables that turn one 32-bit uniform into a Poisson count, exactly to the last bit of the uniform.

Small rates: thresholds to compare with, which suits many lanes at once. Larger rates: alias tables (Walker; Vose).
Knows numba only.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from earmark.kernels._jit import jit

_WORDS = 2.0**32
_LAST = np.uint32(2**32 - 1)
_TAIL_SD = 8.5  # counts further out have a probability below the last bit of a 32-bit uniform


class PoissonTables(NamedTuple):
    """For K rates: thresholds[threshold_at[k] : threshold_at[k + 1]], or an alias table of 2^bits[k] slots."""

    threshold_at: npt.NDArray[np.int64]  # (K + 1,)
    thresholds: npt.NDArray[np.uint32]  # the count is how many thresholds a uniform reaches
    bits: npt.NDArray[np.int64]  # (K,) 0 where thresholds serve
    alias_at: npt.NDArray[np.int64]  # (K,)
    stay: npt.NDArray[np.uint32]  # a fraction below it stays in its slot
    alias: npt.NDArray[np.int64]
    lowest: npt.NDArray[np.int64]  # (K,) the count of slot 0


def poisson_tables(rates: npt.NDArray[np.float64], by_thresholds: npt.NDArray[np.bool_]) -> PoissonTables:
    """Tables for each of the `rates` (K,): thresholds where `by_thresholds`, else an alias table."""
    if not (np.isfinite(rates).all() and (rates > 0).all()):
        raise ValueError("rates must be positive and finite")
    return PoissonTables(*_tables(rates, by_thresholds))


@jit
def _tables(rates, by_thresholds):
    n = len(rates)
    room_thresholds, room_slots = 0, 0
    for k in range(n):
        if by_thresholds[k]:
            room_thresholds += _highest(rates[k]) + 1
        else:
            room_slots += 2 * (_highest(rates[k]) - _lowest(rates[k]) + 1)  # up to the next power of two
    threshold_at = np.zeros(n + 1, np.int64)
    thresholds = np.empty(room_thresholds, np.uint32)
    bits, alias_at, lowest = np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n, np.int64)
    stay, alias = np.empty(room_slots, np.uint32), np.empty(room_slots, np.int64)
    used_thresholds, used_slots = 0, 0
    for k in range(n):
        if by_thresholds[k]:
            cumulated = 0.0
            for count in range(_highest(rates[k]) + 1):
                cumulated += _probability(rates[k], count)
                if cumulated * _WORDS >= _WORDS - 1:
                    break
                thresholds[used_thresholds] = np.uint32(cumulated * _WORDS)
                used_thresholds += 1
        else:
            lowest[k], alias_at[k] = _lowest(rates[k]), used_slots
            bits[k] = _fill_alias(rates[k], lowest[k], stay[used_slots:], alias[used_slots:])
            used_slots += 1 << bits[k]
        threshold_at[k + 1] = used_thresholds
    return threshold_at, thresholds[:used_thresholds], bits, alias_at, stay[:used_slots], alias[:used_slots], lowest


@jit
def _fill_alias(rate, low, stay, alias):
    """Fill an alias table by Vose's method; returns the binary logarithm of its number of slots."""
    support = _highest(rate) - low + 1
    bits = 1
    while (1 << bits) < support:
        bits += 1
    slots = 1 << bits
    share = np.zeros(slots)
    for i in range(support):
        share[i] = _probability(rate, low + i)
    share *= slots / share.sum()
    poor, rich = np.empty(slots, np.int64), np.empty(slots, np.int64)
    n_poor, n_rich = 0, 0
    for i in range(slots):
        stay[i], alias[i] = _LAST, i
        if share[i] < 1.0:
            poor[n_poor] = i
            n_poor += 1
        else:
            rich[n_rich] = i
            n_rich += 1
    while n_poor > 0 and n_rich > 0:
        n_poor -= 1
        i, giver = poor[n_poor], rich[n_rich - 1]
        stay[i], alias[i] = np.uint32(min(share[i] * _WORDS, _WORDS - 1)), giver
        share[giver] -= 1.0 - share[i]
        if share[giver] < 1.0:
            n_rich -= 1
            poor[n_poor] = giver
            n_poor += 1
    return bits


@jit
def _lowest(rate):
    return max(0, int(rate - _TAIL_SD * math.sqrt(rate) - 5))


@jit
def _highest(rate):
    return int(rate + _TAIL_SD * math.sqrt(rate) + 14)


@jit
def _probability(rate, count):
    return math.exp(count * math.log(rate) - rate - math.lgamma(count + 1.0))
