"""The bootstrap's inner loops in NumPy: all replicates at once, unit by unit and sum by sum.

Bit for bit what `compiled/bootstrap.py` computes: the same words, and every sum adds its units in the same order.
Knows arrays only.
"""

import numpy as np
import numpy.typing as npt

from earmark.kernels.statistics.collapse import Entries, IntArray, SumArray, WordArray
from earmark.kernels.statistics.plain.draws import below, mix, stream_keys, words
from earmark.kernels.statistics.poisson import TOP_UP, PoissonTables

CountArray = npt.NDArray[np.float32]  # whole numbers

_HELD = 1 << 13  # words drawn at a time: they stay in the processor's cache, and their memory with the process
_S32, _S64 = np.uint64(32), np.uint64(64)


def resample(
    kind: IntArray,
    tables: PoissonTables,
    unit_of_draw: IntArray,
    entries: Entries,
    seed: int,
    first: int,
    sums: SumArray,
) -> None:
    """Fill sums (targets, replicates) of the replicates first, first + 1, ...; units are of some kinds of `tables`."""
    counts = _draw(kind, tables, unit_of_draw, stream_keys(seed, first + np.arange(sums.shape[1])))
    totals = np.zeros(sums.shape, entries.value.dtype)
    added = np.empty(sums.shape[1], entries.value.dtype)
    unit = np.repeat(np.arange(len(kind)), np.diff(entries.entry_at))
    for u, target, value in zip(unit.tolist(), entries.target.tolist(), entries.value, strict=True):
        np.multiply(counts[u], value, out=added)
        totals[target] += added
    by_family = totals.reshape(entries.shape[0], -1, sums.shape[1])
    for j in np.flatnonzero(entries.from_next)[::-1]:
        by_family[:, j] += by_family[:, j + 1]
    sums[:] = totals


def _draw(kind: IntArray, tables: PoissonTables, unit_of_draw: IntArray, keys: WordArray) -> CountArray:
    """How often each unit is drawn in the replicates with these keys: (units, replicates)."""
    n_draws = len(unit_of_draw)
    counts = _poisson_counts(kind, tables, keys)
    total = counts.sum(axis=0, dtype=np.int64)
    keys = keys.copy()
    again = np.flatnonzero(total > n_draws)
    while len(again):
        keys[again] = mix(keys[again] ^ TOP_UP)
        counts[:, again] = _poisson_counts(kind, tables, keys[again])
        total[again] = counts[:, again].sum(axis=0, dtype=np.int64)
        again = again[total[again] > n_draws]
    missing = n_draws - total
    replicate = np.repeat(np.arange(len(keys)), missing)
    number = np.arange(1, len(replicate) + 1) - np.repeat(missing.cumsum() - missing, missing)
    bits = words(mix(keys + TOP_UP)[replicate], number)
    np.add.at(counts, (unit_of_draw[below(bits, n_draws)], replicate), np.float32(1))
    return counts


def _poisson_counts(kind: IntArray, tables: PoissonTables, keys: WordArray) -> CountArray:
    """A Poisson count of every unit under every key, from one word each."""
    counts = np.empty((len(kind), len(keys)), np.float32)
    n_some = max(1, _HELD // len(keys))
    for k in range(len(tables.bits)):
        units = np.flatnonzero(kind == k)
        for begin in range(0, len(units), n_some):
            some = units[begin : begin + n_some]
            bits = words(keys, (some + 1)[:, None])
            counts[some] = _from_alias(tables, k, bits) if tables.bits[k] else _from_thresholds(tables, k, bits)
    return counts


def _from_thresholds(tables: PoissonTables, k: int, bits: WordArray) -> npt.NDArray[np.uint8]:
    """How many thresholds the upper half of each word reaches."""
    uniform = (bits >> _S32).astype(np.uint32)
    counts = np.zeros(uniform.shape, np.uint8)
    for threshold in tables.thresholds[tables.threshold_at[k] : tables.threshold_at[k + 1]]:
        counts += uniform >= threshold
    return counts


def _from_alias(tables: PoissonTables, k: int, bits: WordArray) -> IntArray:
    """Counts from an alias table: the top bits choose a slot, the next 32 whether to stay in it."""
    wide = np.uint64(tables.bits[k])
    slot = (bits >> (_S64 - wide)).astype(np.int64)
    at = tables.alias_at[k] + slot
    stays = ((bits << wide) >> _S32).astype(np.uint32) < tables.stay[at]
    counts: IntArray = tables.lowest[k] + np.where(stays, slot, tables.alias[at])
    return counts
