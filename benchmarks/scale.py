"""Claim: memory and time go by rows: 10,000 families are signed off in 60 s and 2 GB, a million rows in 90 s and 2 GB.

Two runs: 10,000 families of 10 rows, 2 methods at 3 budgets, 2,000 replicates; and 1,000,000 rows in 47 families, 4
methods at 10 budgets. `earmark certify` and then `earmark verify` are typed in processes of their own, on two threads;
wall time, CPU time and peak memory (ru_maxrss) are theirs. The counts and excesses of every family in the certificate
are compared with NumPy's first, and so is a small run, which compiles the kernels before anything is timed.

Wall time counts, on two cores that have nothing else to do; where they have, `cpu_ratio` is the one to read.

The ceiling is reading: what `earmark certify` reads, parsed by pyarrow alone. Peers: there are none; the first version
of Earmark took 90 s and 5.3 GB, and 42 s and 3.7 GB, on runs of these sizes.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import llvmlite.binding
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

MOST_BYTES = 2 << 30
REPORT_BYTES = 5 << 20
THREADS = "2"
FIRST_VERSION = {"families": {"wall_s": 90, "peak_gb": 5.3}, "rows": {"wall_s": 42, "peak_gb": 3.7}}


class Shape(NamedTuple):
    """How large a run is."""

    families: int
    rows: int
    methods: int
    budgets: int
    limit_s: float


SHAPES = {"families": Shape(10_000, 100_000, 2, 3, 60), "rows": Shape(47, 1_000_000, 4, 10, 90)}
SMALL = Shape(60, 6_000, 2, 3, 60)

Losses = dict[tuple[str, float], npt.NDArray[np.float64]]  # by method and budget


class World(NamedTuple):
    """What a run was made from."""

    family: npt.NDArray[np.int64]
    losses: Losses

    @property
    def raw(self) -> npt.NDArray[np.float64]:
        """The losses on raw audio."""
        return self.losses["uncompressed", 1.0]


class Spent(NamedTuple):
    """What a command took in a process of its own."""

    wall_s: float
    cpu_s: float
    peak_bytes: int


def make_world(shape: Shape, rng: np.random.Generator) -> World:
    """A tenth of the rows break below a budget of their own; silence is wrong three times in four."""
    n = shape.rows
    losses: Losses = {
        ("uncompressed", 1.0): (rng.random(n) < 0.2).astype(float),
        ("silence", 1.0): (rng.random(n) < 0.75).astype(float),
    }
    raw = losses["uncompressed", 1.0]
    for m in range(shape.methods):
        breaks, point = rng.random(n) < 0.1, rng.beta(1, 2, n)
        guess = (rng.random(n) < 0.75).astype(float)
        for b in range(shape.budgets):
            budget = round((b + 1) / (shape.budgets + 1), 3)
            losses[f"method{m}", budget] = np.where(breaks & (budget < point), guess, raw)
    return World(np.arange(n) * shape.families // n, losses)


def write_run(run: Path, shape: Shape, world: World, rng: np.random.Generator) -> None:
    """One Parquet file per cell, with everything that a sweep writes of a row but likelihoods."""
    ids = pa.array([f"question-{i:07d}" for i in range(shape.rows)])
    names = pa.array([f"family {f:05d}" for f in range(shape.families)]).take(pa.array(world.family))
    letters, right = np.array(list("ABCD")), rng.integers(0, 4, shape.rows)
    for (method, budget), loss in world.losses.items():
        folder = run / f"cells/answerer=a/corpus=c/method={method}/seed=0/stream=anchor/budget={budget}"
        folder.mkdir(parents=True)
        columns = {
            "sample_id": ids,
            "source_id": ids,
            "query_family": names,
            "loss": loss,
            "n_options": np.full(shape.rows, 4),
            "num_audio_tokens": np.full(shape.rows, max(1, round(250 * budget))),
            "predicted_label": letters[np.where(loss > 0, (right + 1) % 4, right)],
            "correct_label": letters[right],
            "status": pa.array(["ok"] * shape.rows),
        }
        pq.write_table(pa.table(columns), folder / "part-0.parquet")


def check(certificate: dict[str, Any], shape: Shape, world: World) -> None:
    """Compare the counts and excesses of all families at all budgets with NumPy's."""
    assert len(certificate["results"]) == shape.methods
    for result in certificate["results"]:
        for entry in result["budgets"][:-1]:
            difference = world.losses[result["method"], entry["budget"]] - world.raw
            for key, rows in (("plus", difference > 0), ("minus", difference < 0)):
                counts = np.bincount(world.family[rows], minlength=shape.families)
                assert [family[key] for family in entry["families"]] == counts.tolist(), (result["method"], key)
            excess = np.bincount(world.family, weights=difference) / np.bincount(world.family)
            assert np.allclose([family["excess"] for family in entry["families"]], excess, rtol=1e-12, atol=1e-12)
            assert np.isclose(entry["excess_family"]["estimate"], excess.max(), rtol=1e-12)


def typed(*arguments: str | Path, codes: tuple[int, ...]) -> Spent:
    """What `earmark ...` takes, in a process of its own."""
    environment = os.environ | {"NUMBA_NUM_THREADS": THREADS, "OMP_NUM_THREADS": THREADS}
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "earmark.cli.main", *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment,
    )
    assert process.stderr is not None
    words = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - began
    assert process.returncode in codes, (arguments[0], process.returncode, words)
    return Spent(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def reading_s(run: Path) -> float:
    """The ceiling: seconds that pyarrow takes to parse the files of a run, on two threads."""
    began = time.perf_counter()
    for path in sorted(run.rglob("*.parquet")):
        pq.read_table(path)
    return time.perf_counter() - began


def measure(name: str, shape: Shape, folder: Path) -> dict[str, Any]:
    """Certify and verify a run of a shape; its figures."""
    rng = np.random.default_rng(0)
    run, out = folder / name, folder / f"{name}-signed"
    world = make_world(shape, rng)
    write_run(run, shape, world, rng)
    certified = typed("certify", run, "--out", out, "--replicates", "2000", codes=(0, 3))
    check(json.loads((out / "certificate.json").read_bytes()), shape, world)
    verified = typed("verify", out / "certificate.json", codes=(0,))
    report_bytes = (out / "report.html").stat().st_size
    within = all(s.wall_s <= shape.limit_s and s.peak_bytes <= MOST_BYTES for s in (certified, verified))
    figures: dict[str, Any] = {
        "shape": shape._asdict(),
        "certify": _rounded(certified),
        "verify": _rounded(verified),
        "reading_s": round(reading_s(run), 2),
        "report_mb": round(report_bytes / 1e6, 2),
        "holds": within and report_bytes <= REPORT_BYTES,
    }
    print(name, figures, flush=True)
    return figures


def _rounded(spent: Spent) -> dict[str, float]:
    """Seconds, and gigabytes of 2^30 bytes."""
    return {
        "wall_s": round(spent.wall_s, 1),
        "cpu_s": round(spent.cpu_s, 1),
        "peak_gb": round(spent.peak_bytes / 2**30, 2),
    }


def main() -> None:
    """Print both runs and, last, one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=list(SHAPES), help="one of the two runs")
    only = parser.parse_args().only
    pa.set_cpu_count(int(THREADS))
    with tempfile.TemporaryDirectory() as folder:
        measure("small", SMALL, Path(folder))  # compiles or loads the kernels; its output is checked as well
        cases = {name: measure(name, shape, Path(folder)) for name, shape in SHAPES.items() if only in (None, name)}
    ratio = min(SHAPES[name].limit_s / case["certify"]["wall_s"] for name, case in cases.items())
    print(
        json.dumps(
            {
                "claim": "10,000 families are signed off in 60 s and 2 GB, a million rows in 90 s and 2 GB",
                "ratio": round(ratio, 2),
                "cpu_ratio": round(min(SHAPES[n].limit_s / case["certify"]["cpu_s"] for n, case in cases.items()), 2),
                "target": 1.0,
                "holds": all(case["holds"] for case in cases.values()),
                "cpu": os.environ.get("NUMBA_CPU_NAME") or llvmlite.binding.get_host_cpu_name(),
                "threads": int(THREADS),
                "first_version": FIRST_VERSION,
                "cases": cases,
            }
        )
    )


if __name__ == "__main__":
    main()
