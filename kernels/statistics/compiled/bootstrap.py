"""The bootstrap's inner loops, compiled: blocks of replicates side by side in wide registers, on several threads.

Bit for bit what `plain/bootstrap.py` computes. Knows numba only.
"""

import numba
import numpy as np

from earmark.kernels._jit import jit, parallel_jit
from earmark.kernels.statistics.collapse import Entries, IntArray, SumArray
from earmark.kernels.statistics.compiled.draws import below, mix, stream_key, word
from earmark.kernels.statistics.poisson import TOP_UP, PoissonTables

LANES = 64  # replicates side by side, so that compilers can use wide registers
_S32, _S64 = np.uint64(32), np.uint64(64)


def resample_in_lanes(
    kind: IntArray,
    tables: PoissonTables,
    unit_of_draw: IntArray,
    entries: Entries,
    seed: int,
    first: int,
    sums: SumArray,
) -> None:
    """Fill sums (targets, replicates) of the replicates first, first + 1, ...; units are of some kinds of `tables`."""
    entry_at, target, value, _, _, from_next = entries
    _resample(kind, tables, unit_of_draw, entry_at, target, value, from_next, seed, first, sums)


@parallel_jit
def _resample(kind, tables, unit_of_draw, entry_at, target, value, from_next, seed, first, sums):
    """Fill sums (targets, replicates) in blocks of LANES replicates: no block depends on another, or on its thread."""
    n_targets, replicates = sums.shape
    for block in numba.prange((replicates + LANES - 1) // LANES):
        begin = block * LANES
        n_lanes = min(LANES, replicates - begin)
        counts = _draw(kind, tables, unit_of_draw, seed, first + begin)
        total = np.zeros((n_targets, LANES), value.dtype)
        for u in range(len(kind)):
            count = counts[u]
            for e in range(entry_at[u], entry_at[u + 1]):
                amount, lane_sums = value[e], total[target[e]]
                for lane in range(LANES):
                    lane_sums[lane] += amount * count[lane]
        _add_next_columns(total, from_next)
        for t in range(n_targets):
            for lane in range(n_lanes):
                sums[t, begin + lane] = total[t, lane]


@jit
def _add_next_columns(total, from_next):
    """Turn columns that are held as their change from the next one into sums, family by family, from the last one down.

    The last column of a family counts rows and stays as it is.
    """
    n_columns = len(from_next)
    for first in range(0, len(total), n_columns + 1):
        for j in range(n_columns - 2, -1, -1):
            if from_next[j]:
                column, next_column = total[first + j], total[first + j + 1]
                for lane in range(LANES):
                    column[lane] += next_column[lane]


@jit
def _draw(kind, tables, unit_of_draw, seed, first):
    """How often each unit is drawn in replicates first, first + 1, ...: (units, LANES)."""
    n_units, n_draws = len(kind), len(unit_of_draw)
    counts = np.empty((n_units, LANES), np.float32)  # whole numbers below 2^24
    drawn = np.zeros(LANES, np.float32)
    uniform = np.empty(LANES, np.uint32)
    keys = np.empty(LANES, np.uint64)
    for lane in range(LANES):
        keys[lane] = stream_key(seed, first + lane)
    for u in range(n_units):
        count, k = counts[u], kind[u]
        if tables.bits[k] == 0:
            for lane in range(LANES):
                uniform[lane] = np.uint32(word(keys[lane], u + 1) >> _S32)
                count[lane] = np.float32(0)
            for t in range(tables.threshold_at[k], tables.threshold_at[k + 1]):
                threshold = tables.thresholds[t]
                for lane in range(LANES):
                    count[lane] += np.float32(1) if uniform[lane] >= threshold else np.float32(0)
        else:
            for lane in range(LANES):
                count[lane] = _from_alias(tables, k, word(keys[lane], u + 1))
        for lane in range(LANES):
            drawn[lane] += count[lane]
    for lane in range(LANES):
        key, total = keys[lane], np.int64(drawn[lane])
        while total > n_draws:  # conditioning on a total that can be topped up keeps the counts exactly multinomial
            key = mix(key ^ TOP_UP)
            total = 0
            for u in range(n_units):
                counts[u, lane] = _poisson(tables, kind[u], word(key, u + 1))
                total += np.int64(counts[u, lane])
        key = mix(key + TOP_UP)
        for i in range(n_draws - total):
            counts[unit_of_draw[below(word(key, i + 1), n_draws)], lane] += np.float32(1)
    return counts


@jit
def _poisson(tables, k, bits):
    """One Poisson count from one random word, as `_draw` computes it in its lanes."""
    if tables.bits[k] > 0:
        return _from_alias(tables, k, bits)
    uniform = np.uint32(bits >> _S32)
    count = np.float32(0)
    for t in range(tables.threshold_at[k], tables.threshold_at[k + 1]):
        count += np.float32(1) if uniform >= tables.thresholds[t] else np.float32(0)
    return count


@jit
def _from_alias(tables, k, bits):
    """One Poisson count from an alias table: the top bits choose a slot, the next 32 whether to stay in it."""
    wide = np.uint64(tables.bits[k])
    slot = np.int64(bits >> (_S64 - wide))
    at = tables.alias_at[k] + slot
    stays = np.uint32((bits << wide) >> _S32) < tables.stay[at]
    return np.float32(tables.lowest[k] + (slot if stays else tables.alias[at]))
