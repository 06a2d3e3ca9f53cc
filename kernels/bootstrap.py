"""The paired bootstrap: resampled sums per family and column.

Replicate r is a function of (seed, r) and of the number of units alone, so every statistic of a replicate, of any
method, budget or partition, comes from one resample, whatever is computed in one call. Knows arrays only.
"""

import numpy as np

from earmark.kernels.collapse import Cells, FloatArray, IntArray

_BLOCK_BYTES = 1 << 25  # of counts at a time


def resampled_sums(
    cells: Cells, n_families: int, *, seed: int, replicates: int, source: IntArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """Sums (replicates, families, columns) and resampled row counts (replicates, families).

    Rows are drawn with replacement, or whole sources where `source` (n,) gives each row's code from 0.
    The sums are exact whatever the order of additions if the values lie on a grid fine enough for 53 bits.
    """
    n_cells, n_columns = cells.values.shape
    sums = np.empty((replicates, n_families, n_columns))
    rows = np.empty((replicates, n_families))
    start = np.searchsorted(cells.family, np.arange(n_families + 1))
    block = max(1, _BLOCK_BYTES // (8 * n_cells))
    for first in range(0, replicates, block):
        last = min(first + block, replicates)
        counts = np.stack([_draw(cells.of_row, n_cells, seed, r, source) for r in range(first, last)])
        for family in range(n_families):
            of_family = slice(start[family], start[family + 1])
            sums[first:last, family] = counts[:, of_family] @ cells.values[of_family]
            rows[first:last, family] = counts[:, of_family].sum(axis=1)
    return sums, rows


def _draw(of_row: IntArray, n_cells: int, seed: int, replicate: int, source: IntArray | None) -> FloatArray:
    """How often each cell occurs in one resample, as float64 for the matrix product."""
    rng = np.random.Generator(np.random.Philox(key=np.array([seed, replicate], dtype=np.uint64)))
    if source is None:
        n = len(of_row)
        return np.bincount(of_row[rng.integers(n, size=n)], minlength=n_cells).astype(np.float64)
    n_sources = int(source.max()) + 1
    weight = np.bincount(rng.integers(n_sources, size=n_sources), minlength=n_sources).astype(np.float64)
    return np.bincount(of_row, weights=weight[source], minlength=n_cells).astype(np.float64)
