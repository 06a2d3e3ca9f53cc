"""Claim: ten times the rows cost the bootstrap less than ten times the time, because rows collapse.

Times the parts of a sign-off on one thread for ten times the rows and ten times the families: collapse, draws and
sums, statistics, percentiles (10,000 replicates, 10 budgets x 2 methods), and the exact p and bound of one family.
"""

import json
import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numba
import numpy as np
import worlds
from bootstrap import METHODS, bound

from earmark.kernels.statistics import bounds, exact
from earmark.kernels.statistics.collapse import collapse

SIZES = (worlds.ROWS, 10 * worlds.ROWS)
FAMILIES = (4, 40)
CHANGED = 0.35
REPEATS = 5


def median_ms(run: object, repeats: int = REPEATS) -> float:
    """Median milliseconds of a call."""
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        run()  # type: ignore[operator]
        seconds.append(time.perf_counter() - began)
    return float(np.median(seconds)) * 1000


def main() -> None:
    """Print two tables and, last, one JSON line."""
    numba.set_num_threads(1)
    rng = np.random.default_rng(7)
    warm, family = worlds.differences(1000, 4, METHODS, CHANGED, rng)
    bound(warm, family, 4)
    cases = []
    print(f"{'rows':>8} {'families':>8} {'units':>7} {'total, ms':>10}  parts")
    for n in SIZES:
        for n_families in FAMILIES:
            table, family = worlds.differences(n, n_families, METHODS, CHANGED, np.random.default_rng(7))
            parts = [bound(table, family, n_families) for _ in range(REPEATS)]
            median = {name: float(np.median([part[name] for part in parts])) for name in parts[0]}
            units = len(collapse([table], family[:, None]).multiplicity)
            case = {"rows": n, "families": n_families, "units": units, "ms": sum(median.values()), **median}
            cases.append(case)
            print(f"{n:>8} {n_families:>8} {units:>7} {case['ms']:>10.1f}  {median}")
    print(f"\n{'rows of a family':>16} {'p, ms':>8} {'bound, ms':>10}")
    exact_cases = []
    for n in (100, 1_000, 10_000, 100_000):
        plus, minus = round(0.03 * n), round(0.02 * n)
        p = median_ms(lambda n=n, a=plus, c=minus: exact.p_values(n, a, c, 0.05, 0.0005), 20)
        upper = median_ms(lambda n=n, a=plus, c=minus: bounds.upper_bounds(n, a, c, 0.025, 0.0005), 20)
        exact_cases.append({"rows": n, "p_ms": p, "bound_ms": upper})
        print(f"{n:>16} {p:>8.3f} {upper:>10.3f}")
    ratio = cases[2]["ms"] / cases[0]["ms"]
    print(
        json.dumps(
            {
                "claim": "ten times the rows cost the bootstrap less than ten times the time",
                "ratio": round(ratio, 2),
                "target": 10,
                "holds": ratio < 10,
                "bootstrap": cases,
                "exact": exact_cases,
            }
        )
    )


if __name__ == "__main__":
    main()
