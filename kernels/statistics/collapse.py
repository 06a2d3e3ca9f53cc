"""Rows (or whole sources) that no statistic can tell apart become one unit with a multiplicity.

A resample is then a multinomial draw over units, which is the same distribution and far less work: 19,480 real
rows make 500 to 3,000 units. Data that do not collapse make as many units as rows and go the same way.
Knows arrays only.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
WordArray = npt.NDArray[np.uint64]
SumArray = npt.NDArray[np.float64] | npt.NDArray[np.float32] | npt.NDArray[np.int16]

_SEED, _PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
_SHIFT = np.uint64(29)
_HELD = 1 << 13  # rows looked at together: their words stay in the processor's cache


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
        from_next[:-1] = [
            np.count_nonzero(values[:, j]) > np.count_nonzero(values[:, j] != values[:, j + 1])
            for j in range(n_columns - 1)
        ]
    entry_at, target, value = _entries(units.row_at, values, family, from_next)
    return Entries(entry_at, target, value.astype(np.float32) if exact else value, sums, (total, n_columns), from_next)


def sum_type(units: ResamplingUnits, tables: Sequence[FloatArray]) -> np.dtype[Any]:
    """The smallest type that holds every sum of a resample exactly: int16, float32 or float64.

    A resample has as many draws as there are rows or sources; on the way a sum may hold changes, twice as large.
    """
    largest = np.ones(len(units.rows))  # the largest magnitude in each row, at least 1; inf where one is not whole
    for table in tables:
        values = table[units.rows]
        np.maximum(largest, np.abs(values).max(axis=1, initial=1.0), out=largest)
        largest[(values != np.floor(values)).any(axis=1)] = np.inf
    bound = np.add.reduceat(largest, units.row_at[:-1]).max() * units.multiplicity.sum()
    if not 2 * bound < 2**24:
        return np.dtype(np.float64)
    return np.dtype(np.int16 if bound < 2**15 else np.float32)


def _group(patterns: WordArray) -> tuple[IntArray, IntArray]:
    """Number the distinct rows of a matrix of 64-bit words by first occurrence: (group of each row, first rows).

    Rows are put in order by a digest of their words; where two different rows share one, by the words themselves.
    """
    group_of, first = _numbered(_digests(patterns))
    n = len(patterns)
    for begin in range(0, n, _HELD):
        some = slice(begin, min(begin + _HELD, n))
        if not np.array_equal(patterns[some], patterns[first[group_of[some]]]):
            return _numbered(np.unique(patterns, axis=0, return_inverse=True)[1].reshape(-1))
    return group_of, first


def _digests(patterns: WordArray) -> WordArray:
    """A word for each row that looks random and is the same for equal rows."""
    digests = np.full(len(patterns), _SEED)
    for begin in range(0, len(patterns), _HELD):
        digest = digests[begin : begin + _HELD]
        for words in patterns[begin : begin + _HELD].T:
            digest ^= words
            digest *= _PRIME
            digest ^= digest >> _SHIFT
    return digests


def _numbered(keys: WordArray | IntArray) -> tuple[IntArray, IntArray]:
    """Number the distinct keys by first occurrence: (number of each key, where each number stands first)."""
    order = np.argsort(keys)
    ordered = keys[order]
    begins = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    first = np.minimum.reduceat(order, begins)
    by_first = np.argsort(first)
    number = np.empty_like(by_first)
    number[by_first] = np.arange(len(first))
    number_of = np.empty_like(order)
    number_of[order] = np.repeat(number, np.diff(np.append(begins, len(keys))))
    return number_of, first[by_first]


def _entries(
    row_at: IntArray, values: FloatArray, family: IntArray, from_next: npt.NDArray[np.bool_]
) -> tuple[IntArray, npt.NDArray[np.int32], FloatArray]:
    """(entry_at, target, value) of `Entries`: the rows of a unit are added up, and only sums not 0 are kept."""
    n_columns = values.shape[1]
    amounts = np.column_stack([values, np.ones(len(values))])
    held = np.flatnonzero(from_next)
    amounts[:, held] -= values[:, held + 1]
    row, column = np.nonzero(amounts)
    unit_of_row = np.repeat(np.arange(len(row_at) - 1), np.diff(row_at))
    n_partitions = family.shape[1]
    unit = np.repeat(unit_of_row[row], n_partitions)
    target = (family[row] * (n_columns + 1) + column[:, None]).reshape(-1)
    value = np.repeat(amounts[row, column], n_partitions)
    if len(values) > len(row_at) - 1:  # several rows of a unit may add to the same sum
        number_of, first = _numbered(unit * (target.max() + 1) + target)
        value = np.bincount(number_of, weights=value)
        left = value != 0
        unit, target, value = unit[first][left], target[first][left], value[left]
    entry_at = np.concatenate([[0], np.bincount(unit, minlength=len(row_at) - 1).cumsum()])
    return entry_at, target.astype(np.int32), value
