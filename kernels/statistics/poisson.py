"""Tables that turn one 32-bit uniform into a Poisson count, exactly to the last bit of the uniform.

Small rates: thresholds to compare with, which suits many lanes at once. Larger rates: alias tables (Walker; Vose).
A table is as
long as the standard deviation of its count, so plain Python fills it. Knows arrays only.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

TOP_UP = np.uint64(0xD1B54A32D192ED03)  # other random words for top-ups and for repeated draws
_WORDS = 2.0**32
_LAST = 2**32 - 1
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
    threshold_at, thresholds = [0], list[int]()
    bits, alias_at, stay, alias, lowest = list[int](), list[int](), list[int](), list[int](), list[int]()
    for rate, compared in zip(rates.tolist(), by_thresholds.tolist(), strict=True):
        alias_at.append(0 if compared else len(stay))
        if compared:
            thresholds += _thresholds(rate)
            bits.append(0)
            lowest.append(0)
        else:
            lowest.append(max(0, int(rate - _TAIL_SD * math.sqrt(rate) - 5)))
            slot_stay, slot_alias = _alias_slots(rate, lowest[-1])
            bits.append(len(slot_stay).bit_length() - 1)
            stay += slot_stay
            alias += slot_alias
        threshold_at.append(len(thresholds))
    return PoissonTables(
        np.array(threshold_at, np.int64),
        np.array(thresholds, np.uint32),
        np.array(bits, np.int64),
        np.array(alias_at, np.int64),
        np.array(stay, np.uint32),
        np.array(alias, np.int64),
        np.array(lowest, np.int64),
    )


def _thresholds(rate: float) -> list[int]:
    """How likely a count of 0, of at most 1, ... is, in units of the last bit of a uniform."""
    thresholds = []
    cumulated = 0.0
    for probability in _probabilities(rate, 0):
        cumulated += probability
        if cumulated * _WORDS >= _WORDS - 1:
            break
        thresholds.append(int(cumulated * _WORDS))
    return thresholds


def _alias_slots(rate: float, low: int) -> tuple[list[int], list[int]]:
    """(stay, alias) of an alias table for the counts from `low` on, by Vose's method; slots are a power of two."""
    share = _probabilities(rate, low)
    n_slots = 1 << max(1, (len(share) - 1).bit_length())
    total = 0.0
    for probability in share:
        total += probability  # sum() rounds otherwise in newer versions of Python
    scale = n_slots / total
    share = [probability * scale for probability in share] + [0.0] * (n_slots - len(share))
    stay, alias = [_LAST] * n_slots, list(range(n_slots))
    poor = [i for i, height in enumerate(share) if height < 1.0]
    rich = [i for i, height in enumerate(share) if height >= 1.0]
    while poor and rich:
        i, giver = poor.pop(), rich[-1]
        height = share[i]
        stay[i], alias[i] = min(int(height * _WORDS), _LAST), giver
        left = share[giver] - (1.0 - height)
        share[giver] = left
        if left < 1.0:
            poor.append(rich.pop())
    return stay, alias


def _probabilities(rate: float, low: int) -> list[float]:
    """How likely each count is, from `low` up to where the last bit of a uniform no longer sees it."""
    highest = int(rate + _TAIL_SD * math.sqrt(rate) + 14)
    log_rate, exp, log_factorial = math.log(rate), math.exp, math.lgamma
    return [exp(n * log_rate - rate - log_factorial(n + 1.0)) for n in range(low, highest + 1)]
