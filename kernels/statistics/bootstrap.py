"""The paired bootstrap (method 5): resampled sums per family and column, exactly multinomial, many replicates at once.

A replicate draws every unit's count as Poisson(multiplicity * (1 - 3 / sqrt(N))) and tops the total up to N by single
draws. Given their total, independent Poissons are multinomial, so the result is exactly N draws with replacement.
A total above N is drawn again. Replicate r is a function of (seed, r) and the units alone: every statistic of a
replicate comes from one resample, on any number of threads, in any blocks. Small tables are resampled in NumPy, large
ones by a compiled kernel, with the same bits. Knows arrays only.
"""

import math

import numpy as np

from earmark.kernels.statistics.collapse import Entries, ResamplingUnits, SumArray
from earmark.kernels.statistics.poisson import poisson_tables

_COMPARED = 16  # rates up to here are drawn by comparing with thresholds
_SHRINK_SD = 3.0  # by as many standard deviations of the total are rates lowered, so that it rarely exceeds N
# Replicates x (rows + entries) up to which NumPy resamples: in .3 s at most, which is what importing numba and loading
# the kernel take; compiling it takes many times as long. The sizes decide alone, whatever is compiled already.
_SMALL = 1 << 26


def resampled_sums(
    units: ResamplingUnits,
    entries: Entries,
    *,
    seed: int,
    replicates: int,
    first: int = 0,
    into: SumArray | None = None,
) -> SumArray:
    """Sums (families, columns + 1, replicates) of replicates first, first + 1, ...; the last column counts rows.

    They are written into the first rows of the table `into` (rows, replicates) where it has their type and enough room:
    memory that the process has touched before costs less than fresh memory.
    """
    if replicates < 1 or first < 0 or seed < 0:
        raise ValueError(f"replicates {replicates}, first {first}, seed {seed}: not a range of replicates")
    n_draws = int(units.multiplicity.sum())
    rates, kind = np.unique(units.multiplicity, return_inverse=True)
    shrunk = rates.astype(np.float64) * max(1 - _SHRINK_SD / math.sqrt(n_draws), 0.01)
    tables = poisson_tables(shrunk, rates <= _COMPARED)
    unit_of_draw = np.repeat(np.arange(len(units.multiplicity), dtype=np.int64), units.multiplicity)
    n_families, n_columns = entries.shape
    n_targets = n_families * (n_columns + 1)
    if into is None or into.dtype != entries.sum_type or len(into) < n_targets or into.shape[1] != replicates:
        into = np.empty((n_targets, replicates), entries.sum_type)
    sums = into[:n_targets]
    arguments = (kind, tables, unit_of_draw, entries, seed, first, sums)
    if replicates * (n_draws + len(entries.target)) <= _SMALL:
        from earmark.kernels.statistics.plain.bootstrap import resample

        resample(*arguments)
    else:
        from earmark.kernels.statistics.compiled.bootstrap import resample_in_lanes

        resample_in_lanes(*arguments)
    return sums.reshape(n_families, n_columns + 1, replicates)
