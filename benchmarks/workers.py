"""Claim: sixteen workers answer at least .9 x 16 times as much as one, where the answerer takes a GPU's time.

A fake answerer waits as a GPU would compute, without needing a core, so that sixteen fit on two: log-normal times with
a heavy tail, as recordings have lengths (a window takes 2 s at each of three steps, on average). Workers are Ray
actors, as `earmark run --workers` has them, and the same windows are asked with 1, 2, 4, 8 and 16 of them; cells must
be equal bytes first.
Time counts from when all workers are ready to the last row. Efficiency is what all workers waited for together over
workers x time: the ceiling is 1. Static shares, which `--shard` makes, are computed from the same times beside it.

Then 256 workers and 10 million questions are simulated with the overhead of the leading process that was measured for a
window, and with ten times as much.
"""

import argparse
import heapq
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import ray

from earmark.engine.answerers.answerer import unheard
from earmark.engine.answerers.request import Progress, Request, Result
from earmark.engine.design.spec import parse
from earmark.engine.progress import Stop, never
from earmark.engine.sweep.ray_crew import RayCrew, RayWorkers
from earmark.engine.sweep.run import run
from earmark.engine.sweep.station import Charge

TARGET = 0.9
MEAN_S, SIGMA = 2.0, 0.8  # of a window at a step
SPEC = """
[corpus]
path = "synthetic:certification:{recordings}"
[[answerers]]
model = "waits"
[sweep]
budgets = [0.5]
window = 1
[[methods]]
name = "uniform"
[audits]
flip_rate = 0
"""


class Waiting:
    """Waits for each window as long as a hash of what is heard says, writes down how long, and answers A."""

    name = identity = "waits"
    likelihoods = False

    def answer(
        self,
        requests: Iterable[Request],
        _known: Mapping[str, Result],
        _report: Callable[[Progress], None] = unheard,
        _stop: Stop = never,
    ) -> Iterator[tuple[Request, Result]]:
        asked = list(requests)
        seconds = seconds_of(asked[0].excerpt.hash)
        time.sleep(seconds)
        for number, request in enumerate(asked):
            yield (
                request,
                Result(f"{request.excerpt.hash} {request.id}", "A", flops=0 if number else round(1e6 * seconds)),
            )

    def in_other_batches(self) -> "Waiting":
        return self

    def close(self) -> None:
        pass


def seconds_of(name: str) -> float:
    """A log-normal time, the same for the same name."""
    normal = np.random.default_rng(int.from_bytes(name.encode()[:16], "little")).standard_normal()
    return float(MEAN_S * np.exp(SIGMA * normal - SIGMA**2 / 2))


def load(*_: Any) -> Waiting:
    """As a spec's answerer."""
    return Waiting()


class Measured(NamedTuple):
    """What so many workers took."""

    workers: int
    seconds: float
    lead_s: float  # CPU time of the leading process for a window at a step
    waited: npt.NDArray[np.float64]  # seconds of each window at each step
    cells: dict[str, bytes]


def measured(workers: int, n_recordings: int) -> Measured:
    """Ask every window with so many workers, once they are ready."""
    begun: list[float] = []

    def opened(charge: Charge) -> RayCrew:
        crew = RayWorkers(workers, None, lambda _: None).open(charge)
        ray.get([member.actor.introduce.remote("waits") for member in crew._members])  # all have loaded it
        begun.extend([time.perf_counter(), time.process_time()])
        return crew

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        swept = run(parse(SPEC.format(recordings=n_recordings)), out, load=load, open_crew=opened)
        seconds, lead_s = time.perf_counter() - begun[0], time.process_time() - begun[1]
        assert swept.complete, "all of it was asked"
        paths = sorted((out / "cells").rglob("*.parquet"))
        cells = {path.relative_to(out).as_posix(): path.read_bytes() for path in paths}
        flops = np.concatenate([pq.read_table(path)["flops"].to_numpy() for path in paths])
    return Measured(workers, seconds, lead_s / (flops > 0).sum(), flops[flops > 0] / 1e6, cells)


def simulated(times: npt.NDArray[np.float64], workers: int, lead_s: float) -> float:
    """Seconds until the last of these windows is done: each worker takes the next, which the leader hands out."""
    free, lead = [(0.0, worker) for worker in range(workers)], 0.0
    end = 0.0
    for seconds in times.tolist():
        at, worker = heapq.heappop(free)
        lead = max(lead, at) + lead_s
        end = max(end, lead + seconds)
        heapq.heappush(free, (lead + seconds, worker))
    return end


def static(times: npt.NDArray[np.float64], workers: int) -> float:
    """Seconds until the last of as many shares as there are workers is done."""
    return float(max(times[worker::workers].sum() for worker in range(workers)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--quick", action="store_true", help="16 workers alone")
    quick = parser.parse_args().quick
    n_windows, counts = 640, (16,) if quick else (1, 2, 4, 8, 16)
    all_measured = [measured(workers, n_windows) for workers in counts]
    assert all(m.cells == all_measured[0].cells for m in all_measured), "equal cells"
    lead_s = float(np.median([m.lead_s for m in all_measured]))
    print(
        f"{n_windows} windows at 3 steps, {MEAN_S:g} s each on average; the leading process takes {1e3 * lead_s:.1f} ms"
    )
    print(f"{'workers':>8} {'seconds':>8} {'efficiency':>11} {'static shares':>14}")
    rows = []
    for m in all_measured:
        efficiency, of_static = (m.waited.sum() / (m.workers * s) for s in (m.seconds, static(m.waited, m.workers)))
        rows.append({"workers": m.workers, "efficiency": round(efficiency, 3), "static": round(of_static, 3)})
        print(f"{m.workers:>8} {m.seconds:>8.1f} {efficiency:>11.3f} {of_static:>14.3f}")
    rng = np.random.default_rng(1)
    times = 20.0 * np.exp(SIGMA * rng.standard_normal(10_000_000 // 192) - SIGMA**2 / 2)  # windows of 32 recordings
    ends = {f"{1e3 * s:.1f} ms": simulated(times, 256, s) for s in (lead_s, 10 * lead_s)} | {
        "static": static(times, 256)
    }
    large = {name: round(float(times.sum() / (256 * end)), 3) for name, end in ends.items()}
    print(f"256 workers, 10 million questions in windows of 192 that take 20 s: efficiency {large}")
    worst = rows[-1]["efficiency"]
    content = {"claim": "sixteen workers do at least .9 x 16 times the work of one", "target": TARGET, "ratio": worst}
    print(json.dumps({**content, "holds": bool(worst >= TARGET), "workers": rows, "simulated": large, "quick": quick}))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    logging.disable(logging.WARNING)
    sys.exit(main())
