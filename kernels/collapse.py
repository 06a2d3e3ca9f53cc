"""Rows that no statistic can tell apart become one cell, and cells are ordered by family.

Knows arrays only. The bootstrap draws over rows and sums over cells; on real outcomes cells are far fewer.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class Cells(NamedTuple):
    """`J` distinct (family, values) patterns, ascending by family."""

    of_row: IntArray  # (n,) the cell of each row
    family: IntArray  # (J,)
    values: FloatArray  # (J, columns)


def collapse(values: FloatArray, family: IntArray) -> Cells:
    """Group rows by equal (family, values); `values` is (n, columns), `family` (n,) of codes from 0."""
    if values.ndim != 2 or family.shape != values.shape[:1]:
        raise ValueError(f"values {values.shape} and family {family.shape} do not have the same rows")
    if not np.isfinite(values).all():
        raise ValueError("values are not finite")
    # Bytes compare faster than rows of floats; + 0.0 makes -0.0 and 0.0 the same bytes.
    rows = np.ascontiguousarray(np.column_stack([family.astype(np.float64), values + 0.0]))
    patterns = rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).ravel()
    _, first, of_row = np.unique(patterns, return_index=True, return_inverse=True)
    order = np.argsort(family[first], kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return Cells(rank[of_row], family[first][order], np.ascontiguousarray(values[first][order]))
