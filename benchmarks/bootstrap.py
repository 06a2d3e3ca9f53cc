"""Claim: the paired bootstrap of a sign-off is at least 250 times faster than scipy.stats.bootstrap, end to end.

10,000 replicates of 43 statistics (average and worst-family excess at 10 budgets for 2 methods, both interpolated
frontiers, their difference) over 19,480 rows, with their 95% intervals, on one thread. Everybody computes the same
statistics with the same frontier code; ours includes collapsing the rows and building tables. All competitors are
checked to have the same distribution first. `--quick` measures a tenth of the slow competitors' replicates.

What people use today: scipy.stats.bootstrap, `arch`, a gather in NumPy. A stronger hand-written one: NumPy multinomial
over collapsed cells.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numba
import numpy as np
import numpy.typing as npt
import scipy.stats
import worlds

from earmark.kernels.statistics import frontier, means
from earmark.kernels.statistics.bootstrap import resampled_sums
from earmark.kernels.statistics.collapse import collapse, entries
from earmark.kernels.statistics.order_statistics import percentile_ends

FloatArray = npt.NDArray[np.float64]

REPLICATES = 10_000
TOLERANCE = 0.05
TARGET = 250
METHODS = 2
B = len(worlds.BUDGETS)
CASES = [(4, 0.1), (4, 0.35), (4, 0.7), (47, 0.1), (47, 0.35), (47, 0.7)]  # families, share of changed rows


class Timed(NamedTuple):
    """Seconds for 10,000 replicates, and the replicates (43, R) to compare distributions with."""

    seconds: float
    replicates: FloatArray


def statistics_of(average: FloatArray, worst: FloatArray) -> FloatArray:
    """The 43 statistics (43, R) from excess on average and of the worst family, (20, R) each."""
    frontiers = [frontier.interpolated(worst[m * B : (m + 1) * B], worlds.BUDGETS, TOLERANCE) for m in range(METHODS)]
    return np.vstack([average, worst, *frontiers, frontiers[0] - frontiers[1]])


def ours(table: FloatArray, family: npt.NDArray[np.int64], n_families: int, replicates: int, seed: int) -> FloatArray:
    """Collapse, draw, reduce."""
    codes = family[:, None]
    units = collapse([table], codes)
    sums = resampled_sums(units, entries(units, [table], codes, [n_families]), seed=seed, replicates=replicates)
    begins = np.arange(n_families) * sums.shape[1]
    columns = begins[:, None] + np.arange(sums.shape[1] - 1)
    of = means.Sums(sums.reshape(-1, replicates), columns, begins + sums.shape[1] - 1)
    return statistics_of(means.average(of), means.worst(of))


def from_counts(counts: FloatArray, cells: FloatArray, family: npt.NDArray[np.int64], n_families: int) -> FloatArray:
    """Statistics (43, R) from counts of cells (R, J), cells sorted by family."""
    start = np.searchsorted(family, np.arange(n_families + 1))
    slices = [slice(start[f], start[f + 1]) for f in range(n_families)]
    sums = np.stack([counts[:, s] @ cells[s] for s in slices])
    rows = np.stack([counts[:, s].sum(axis=1) for s in slices])
    of_family = (sums / rows[:, :, None]).transpose(0, 2, 1)
    average = (sums.sum(axis=0) / counts.sum(axis=1, keepdims=True)).T
    return statistics_of(average, np.fmax.reduce(of_family, axis=0))


def numpy_multinomial(
    table: FloatArray, family: npt.NDArray[np.int64], n_families: int, replicates: int, seed: int
) -> FloatArray:
    """Cells by np.unique, one multinomial draw per replicate, one matrix product per family."""
    rows, count = np.unique(np.column_stack([family, table]), axis=0, return_counts=True)
    rng = np.random.default_rng(seed)
    done = [
        from_counts(
            rng.multinomial(len(table), count / len(table), size=size).astype(np.float32),
            rows[:, 1:].astype(np.float32),
            rows[:, 0].astype(np.int64),
            n_families,
        )
        for size in _blocks(replicates, 500)
    ]
    return np.concatenate(done, axis=1)


class Rows(NamedTuple):
    """What a resample of rows is reduced to: one matrix product gives every family's sums."""

    table: FloatArray  # (n, 20)
    member: FloatArray  # (n, F) one column per family

    def sums(self, index: npt.NDArray[np.int64]) -> FloatArray:
        """Sums and row counts (F * 21,) of one resample, gathered row by row."""
        drawn, member = self.table[index], self.member[index]
        return np.column_stack([member.T @ drawn, member.sum(axis=0)]).ravel()

    def statistics(self, sums: FloatArray) -> FloatArray:
        """Statistics (43, R) from the sums (F * 21, R) of all resamples at once."""
        of_family = sums.reshape(self.member.shape[1], self.table.shape[1] + 1, -1)
        average = of_family[:, :-1].sum(axis=0) / len(self.table)
        return statistics_of(average, np.fmax.reduce(of_family[:, :-1] / of_family[:, -1:], axis=0))


def rows_of(table: FloatArray, family: npt.NDArray[np.int64], n_families: int) -> Rows:
    return Rows(table, np.eye(n_families)[family])


def numpy_gather(
    table: FloatArray, family: npt.NDArray[np.int64], n_families: int, replicates: int, seed: int
) -> FloatArray:
    """A loop over replicates that gathers rows."""
    rng, n, rows = np.random.default_rng(seed), len(table), rows_of(table, family, n_families)
    return rows.statistics(np.stack([rows.sums(rng.integers(n, size=n)) for _ in range(replicates)], axis=1))


def scipy_bootstrap(
    table: FloatArray, family: npt.NDArray[np.int64], n_families: int, replicates: int, seed: int
) -> FloatArray:
    """scipy.stats.bootstrap over row numbers, which is how it is paired; percentile method."""
    rows = rows_of(table, family, n_families)
    found = scipy.stats.bootstrap(
        (np.arange(len(table)),),
        rows.sums,
        n_resamples=replicates,
        vectorized=False,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    return rows.statistics(np.asarray(found.bootstrap_distribution))


def arch_bootstrap(
    table: FloatArray, family: npt.NDArray[np.int64], n_families: int, replicates: int, seed: int
) -> FloatArray:
    """arch.bootstrap.IIDBootstrap, which resamples its arrays together."""
    from arch.bootstrap import IIDBootstrap

    rows = rows_of(table, family, n_families)

    def statistic(drawn: FloatArray, member: FloatArray) -> FloatArray:
        return np.column_stack([member.T @ drawn, member.sum(axis=0)]).ravel()

    bootstrap = IIDBootstrap(rows.table, rows.member, seed=np.random.default_rng(seed))
    return rows.statistics(np.asarray(bootstrap.apply(statistic, replicates)).T)


def timed(run: Callable[[], FloatArray], share: float = 1.0, repeats: int = 1) -> Timed:
    """Median seconds, scaled to all replicates, intervals included."""
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        replicates = run()
        percentile_ends(replicates, 0.025)
        seconds.append((time.perf_counter() - began) / share)
    return Timed(statistics.median(seconds), replicates)


def same_distribution(one: FloatArray, other: FloatArray) -> float:
    """Check moments and a two-sample test of every statistic; returns the smallest p-value."""
    for moment in (1, 2):
        a, b = (_deviations(x) ** moment for x in (one, other)) if moment == 2 else (one, other)
        se = np.sqrt(a.var(axis=1) / a.shape[1] + b.var(axis=1) / b.shape[1])
        apart = np.abs(a.mean(axis=1) - b.mean(axis=1))
        assert (apart <= 5 * se + 1e-12).all(), f"moment {moment} differs: {np.max(apart / (se + 1e-12)):.1f} s.e."
    # The same fraction, divided in another order or in single precision, is another value to the test.
    pairs = zip(np.round(one, 8), np.round(other, 8), strict=True)
    p = [scipy.stats.ks_2samp(a, b, method="asymp").pvalue for a, b in pairs if a.std() > 0]
    smallest = float(min(p) * len(p))
    assert smallest > 1e-4, f"two-sample test: p = {smallest:.2g} after Bonferroni"
    return min(1.0, smallest)


def _deviations(replicates: FloatArray) -> FloatArray:
    return replicates - replicates.mean(axis=1, keepdims=True)


def _blocks(total: int, size: int) -> list[int]:
    return [min(size, total - first) for first in range(0, total, size)]


def bound(table: FloatArray, family: npt.NDArray[np.int64], n_families: int) -> dict[str, float]:
    """Where our time goes, in milliseconds."""
    codes = family[:, None]
    marks = [time.perf_counter()]
    units = collapse([table], codes)
    of_units = entries(units, [table], codes, [n_families])
    marks.append(time.perf_counter())
    sums = resampled_sums(units, of_units, seed=1, replicates=REPLICATES)
    marks.append(time.perf_counter())
    average, of_family = sums[:, :-1].sum(axis=0) / len(table), sums[:, :-1] / sums[:, -1:]
    found = statistics_of(average, np.fmax.reduce(of_family, axis=0))
    marks.append(time.perf_counter())
    percentile_ends(found, 0.025)
    marks.append(time.perf_counter())
    parts = np.diff(marks) * 1000
    names = ("collapse_ms", "draw_and_sum_ms", "statistics_ms", "percentiles_ms")
    return dict(zip(names, parts.round(2).tolist(), strict=True))


def main() -> None:
    """Print a table and, last, one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the slow competitors' replicates")
    quick = parser.parse_args().quick
    numba.set_num_threads(1)
    competitors: dict[str, tuple[Callable[..., FloatArray], float]] = {
        "scipy": (scipy_bootstrap, 0.1 if quick else 1.0),
        "numpy gather": (numpy_gather, 0.1),
        "numpy multinomial": (numpy_multinomial, 1.0),
    }
    try:
        import arch  # noqa: F401

        competitors["arch"] = (arch_bootstrap, 0.1)
    except ImportError:
        print("arch is not installed (pip install arch): left out")
    began = time.perf_counter()
    table, family = worlds.differences(1000, 4, METHODS, 0.35, np.random.default_rng(0))
    percentile_ends(ours(table, family, 4, 100, 1), 0.025)
    print(f"compilation or loading of kernels: {time.perf_counter() - began:.1f} s, kept apart")

    print(f"\n{'families':>8} {'changed':>8} {'units':>6} {'ours, s':>8}", *(f"{name:>26}" for name in competitors))
    rows = []
    for n_families, changed in CASES:
        table, family = worlds.differences(worlds.ROWS, n_families, METHODS, changed, np.random.default_rng(7))
        mine = timed(lambda t=table, f=family, k=n_families: ours(t, f, k, REPLICATES, 1), repeats=7)
        row = {
            "families": n_families,
            "changed": changed,
            "units": len(collapse([table], family[:, None]).multiplicity),
            "seconds": mine.seconds,
            "where": bound(table, family, n_families),
        }
        cells = []
        for name, (competitor, share) in competitors.items():
            theirs = timed(
                lambda c=competitor, t=table, f=family, k=n_families, s=share: c(t, f, k, int(REPLICATES * s), 2), share
            )
            p = same_distribution(mine.replicates, theirs.replicates)
            row[name] = {"seconds": theirs.seconds, "ratio": theirs.seconds / mine.seconds, "same_p": p}
            cells.append(f"{theirs.seconds:>9.2f} s {theirs.seconds / mine.seconds:>7.0f} x same")
        rows.append(row)
        print(f"{n_families:>8} {changed:>8} {row['units']:>6} {mine.seconds:>8.4f}", *(f"{c:>26}" for c in cells))
        print(" " * 9, row["where"])

    rng = np.random.default_rng(3)
    flips = rng.choice([0.0, 1.0, -1.0], p=[0.65, 0.2, 0.15], size=(worlds.ROWS, METHODS * B))
    family = rng.integers(0, 4, worlds.ROWS)
    mine = timed(lambda: ours(flips, family, 4, REPLICATES, 1), repeats=3)
    theirs = timed(lambda: scipy_bootstrap(flips, family, 4, REPLICATES // 10, 2), 0.1)
    same_distribution(mine.replicates, theirs.replicates)
    independent = {"seconds": mine.seconds, "ratio": theirs.seconds / mine.seconds}
    print(f"\nindependent flips, nothing collapses: {mine.seconds:.3f} s, {independent['ratio']:.0f} x scipy")

    headline = next(row for row in rows if (row["families"], row["changed"]) == (4, 0.35))
    ratio = headline["scipy"]["ratio"]
    print(
        json.dumps(
            {
                "claim": "the paired bootstrap is at least 250 times faster than scipy.stats.bootstrap, one thread",
                "ratio": round(ratio, 1),
                "target": TARGET,
                "holds": ratio >= TARGET,
                "replicates": REPLICATES,
                "rows": worlds.ROWS,
                "no_collapse": independent,
                "cases": rows,
            }
        )
    )


if __name__ == "__main__":
    main()
