"""Outcomes of realistic shape for the benchmarks: rows that break below a budget of their own, and a little noise."""

import numpy as np
import numpy.typing as npt

ROWS = 19_480
BUDGETS = np.array([0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])


def differences(
    n: int, n_families: int, n_methods: int, changed: float, rng: np.random.Generator
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Paired differences (n, methods * budgets) and families (n,).

    A share `changed` of the rows answers differently once the budget falls below a point of its own, which differs a
    little between methods; nine in ten of them for the worse. One row in a hundred flips once, anywhere.
    """
    family = rng.integers(0, n_families, n)
    breaks = rng.random(n) < changed
    sign = np.where(rng.random(n) < 0.9, 1.0, -1.0)
    point = rng.integers(0, len(BUDGETS) + 1, n)
    columns = []
    for _ in range(n_methods):
        own_point = np.clip(point + rng.integers(-1, 2, n), 0, len(BUDGETS))
        broken = breaks[:, None] & (np.arange(len(BUDGETS)) < own_point[:, None])
        columns.append(np.where(broken, sign[:, None], 0.0))
    table = np.concatenate(columns, axis=1)
    flips = np.flatnonzero(rng.random(n) < 0.01)
    table[flips, rng.integers(0, table.shape[1], len(flips))] = 1.0
    return table, family
