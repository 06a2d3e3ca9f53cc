"""Rows (or whole sources) that no statistic can tell apart become one unit with a multiplicity.

A resample is then a multinomial draw over units, which is the same distribution and far less work: 19,480 real
rows make 500 to 3,000 units. Data that do not collapse make as many units as rows and go the same way.
Knows arrays only.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from earmark.kernels._jit import jit

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
SumArray = npt.NDArray[np.float64] | npt.NDArray[np.float32] | npt.NDArray[np.int16]

_SEED, _PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
_SHIFT = np.uint64(29)


class ResamplingUnits(NamedTuple):
    """Distinct resampling units: `multiplicity` (U,) of each, and the rows one draw of it brings."""

    multiplicity: IntArray  # (U,) sums to the number of rows, or of sources
    row_at: IntArray  # (U + 1,) rows[row_at[u] : row_at[u + 1]] are the rows of one exemplar of unit u
    rows: IntArray


class Entries(NamedTuple):
    """What one draw of each unit adds to the sums of F families x (columns and a row count), as a sparse matrix.

    The families of several partitions stand one after the other; a row then adds to one family of each. A column may be
    held as its change from the next one: neighbouring budgets change the same answers, so that this has fewer entries.
    """

    entry_at: IntArray  # (U + 1,)
    target: npt.NDArray[np.int32]  # family * (columns + 1) + column; the last column counts rows
    value: npt.NDArray[np.floating]  # float32 where every resampled sum is exact in it, else float64
    sum_type: np.dtype[Any]  # the smallest that holds every resampled sum
    shape: tuple[int, int]  # families, columns
    from_next: npt.NDArray[np.bool_]  # (columns,) where a column is held as its change from the next one


def collapse(tables: Sequence[FloatArray], codes: IntArray, source: IntArray | None = None) -> ResamplingUnits:
    """Group equal rows of `codes` (n, partitions) and all `tables` (n, columns), or sources with equal sets of rows.

    Units are ordered by their first code, so that neighbours add to the same family, then by first occurrence. One
    table after another parts the groups so far, so that tables need not stand side by side in memory.
    """
    if codes.ndim != 2 or not len(codes):
        raise ValueError(f"codes {codes.shape} are not of rows under partitions")
    unit_of_row, first_row = _group(np.ascontiguousarray(codes, dtype=np.int64).view(np.uint64))
    for table in tables:
        if table.ndim != 2 or len(table) != len(codes):
            raise ValueError(f"values {table.shape} and codes {codes.shape} do not have the same rows")
        if not np.isfinite(table).all():
            raise ValueError("values are not finite")
        pattern = np.empty((len(table), 1 + table.shape[1]))
        pattern[:, 0] = unit_of_row
        np.add(table, 0.0, out=pattern[:, 1:])  # -0.0 is 0.0
        unit_of_row, first_row = _group(pattern.view(np.uint64))
    order = np.argsort(codes[first_row, 0], kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    unit_of_row, first_row = rank[unit_of_row], first_row[order]
    if source is None:
        n_units = len(first_row)
        return ResamplingUnits(np.bincount(unit_of_row, minlength=n_units), np.arange(n_units + 1), first_row)
    return _collapse_sources(unit_of_row, first_row, source)


def _collapse_sources(unit_of_row: IntArray, first_row: IntArray, source: IntArray) -> ResamplingUnits:
    """Units of whole sources: those with the same multiset of row units are one unit."""
    if source.shape != unit_of_row.shape or source.min() < 0:
        raise ValueError(f"source {source.shape} does not code the {len(unit_of_row)} rows")
    order = np.lexsort((unit_of_row, source))
    size = np.bincount(source)
    if (size == 0).any():
        raise ValueError("source codes are not 0, 1, 2, ... without a gap")
    signature = np.full((len(size), int(size.max()) + 1), -1, dtype=np.int64)
    place = np.arange(len(source)) - np.repeat(np.cumsum(size) - size, size)
    signature[source[order], place] = unit_of_row[order]
    unit_of_source, first_source = _group(signature.view(np.uint64))
    of_unit = [signature[s, : size[s]] for s in first_source]
    return ResamplingUnits(
        np.bincount(unit_of_source, minlength=len(first_source)),
        np.concatenate([[0], np.cumsum(size[first_source])]),
        first_row[np.concatenate(of_unit)],
    )


def entries(
    units: ResamplingUnits, tables: Sequence[FloatArray], codes: IntArray, n_families: Sequence[int]
) -> Entries:
    """The sums that a draw of each unit adds to, for the columns of some tables (n, columns) and partitions.

    `codes` are (n, partitions).
    """
    total = sum(n_families)
    shapes = [table.shape for table in tables]
    fits = codes.shape[1] == len(n_families) and {n for n, _ in shapes} == {len(codes)}
    if not fits or (codes.max(axis=0) >= n_families).any() or codes.min() < 0:
        raise ValueError(f"codes {codes.shape} do not name {n_families} families for values {shapes}")
    family = codes[units.rows] + np.concatenate([[0], np.cumsum(n_families)[:-1]])
    values = np.concatenate([table[units.rows] for table in tables], axis=1)
    n_columns = values.shape[1]
    sums = sum_type(units, tables)
    exact = sums != np.float64
    from_next = np.zeros(n_columns, np.bool_)
    if exact:
        _compare_columns(values, from_next)
    entry_at, target, value = _entries(units.row_at, values, family, total, from_next)
    return Entries(entry_at, target, value.astype(np.float32) if exact else value, sums, (total, n_columns), from_next)


def sum_type(units: ResamplingUnits, tables: Sequence[FloatArray]) -> np.dtype[Any]:
    """The smallest type that holds every sum of a resample exactly: int16, float32 or float64.

    A resample has as many draws as there are rows or sources; on the way a sum may hold changes, twice as large.
    """
    largest = np.ones(len(units.rows))
    for table in tables:
        np.maximum(largest, _largest_whole(table, units.rows), out=largest)
    bound = np.add.reduceat(largest, units.row_at[:-1]).max() * units.multiplicity.sum()
    if not 2 * bound < 2**24:
        return np.dtype(np.float64)
    return np.dtype(np.int16 if bound < 2**15 else np.float32)


@jit
def _group(patterns):
    """Number the distinct rows of a matrix of 64-bit words by first occurrence: (group of each row, first rows)."""
    n, width = patterns.shape
    slots = 1
    while slots < 2 * n:
        slots *= 2
    table = np.full(slots, -1, np.int64)  # open addressing: slot -> group
    group_of, first = np.empty(n, np.int64), np.empty(n, np.int64)
    n_groups = 0
    for i in range(n):
        digest = _SEED
        for j in range(width):
            digest = (digest ^ patterns[i, j]) * _PRIME
            digest ^= digest >> _SHIFT
        slot = np.int64(digest & np.uint64(slots - 1))
        while True:
            group = table[slot]
            if group < 0:
                table[slot] = group = n_groups
                first[n_groups] = i
                n_groups += 1
                break
            same = True
            for j in range(width):
                if patterns[i, j] != patterns[first[group], j]:
                    same = False
                    break
            if same:
                break
            slot = (slot + 1) & (slots - 1)
        group_of[i] = group
    return group_of, first[:n_groups].copy()


@jit
def _largest_whole(values, rows):
    """The largest magnitude in each of the rows, at least 1; inf where some value is not a whole number."""
    largest = np.ones(len(rows))
    for i in range(len(rows)):
        for value in values[rows[i]]:
            largest[i] = max(largest[i], abs(value)) if value == np.floor(value) else np.inf
    return largest


@jit
def _compare_columns(values, from_next):
    """Where a column differs from the next one in fewer rows than from 0."""
    fewer = np.zeros(len(from_next), np.int64)
    for i in range(len(values)):
        for j in range(len(from_next) - 1):
            fewer[j] += (values[i, j] != 0) - np.int64(values[i, j] != values[i, j + 1])
    for j in range(len(from_next) - 1):
        from_next[j] = fewer[j] > 0


@jit
def _entries(row_at, values, family, n_families, from_next):
    """(entry_at, target, value) of `Entries`: the rows of a unit are added up first, and only sums not 0 are kept."""
    n_units, n_columns, n_partitions = len(row_at) - 1, values.shape[1], family.shape[1]
    total = np.zeros(n_families * (n_columns + 1))
    touched = np.empty(n_families * (n_columns + 1), np.int64)
    touched_by = np.full(n_families * (n_columns + 1), -1, np.int64)  # a sum may pass through 0: do not list it twice
    entry_at = np.zeros(n_units + 1, np.int64)
    room = 0
    for i in range(len(values)):
        room += n_partitions
        for j in range(n_columns):
            room += n_partitions * (values[i, j] != (values[i, j + 1] if from_next[j] else 0.0))
    target, value = np.empty(room, np.int32), np.empty(room)
    used = 0
    for u in range(n_units):
        n_touched = 0
        for i in range(row_at[u], row_at[u + 1]):
            for j in range(n_columns + 1):
                amount = values[i, j] if j < n_columns else 1.0
                if j < n_columns and from_next[j]:
                    amount -= values[i, j + 1]
                if amount == 0:
                    continue
                for p in range(n_partitions):
                    t = family[i, p] * (n_columns + 1) + j
                    if touched_by[t] != u:
                        touched_by[t] = u
                        touched[n_touched] = t
                        n_touched += 1
                    total[t] += amount
        for k in range(n_touched):
            if total[touched[k]] != 0:
                target[used], value[used] = touched[k], total[touched[k]]
                used += 1
                total[touched[k]] = 0.0
        entry_at[u + 1] = used
    return entry_at, target[:used].copy(), value[:used].copy()
