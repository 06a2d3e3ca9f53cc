"""What a model takes on this device: cold start, time for a clip, memory; in fresh processes, so that nothing is warm.

Knows clips and the worker that times itself; which figures are good enough, `check` decides.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from earmark.engine.compressors.chunks.graph_selector import GraphError
from earmark.engine.compressors.chunks.selector import SelectorInput
from earmark.engine.corpus.clip import CHUNK_SAMPLES

_WORKER = "from earmark.engine.making.release.worker import main; main()"
_POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


class Timed(NamedTuple):
    """One run of a model by itself."""

    threads: int
    clips: int
    clip_s: float  # how long the median clip lasts
    cold_start_s: float  # from the start of the process to the first clip's chunks
    p50_ms: float  # from a clip in memory to its kept chunks, one clip at a time
    p95_ms: float
    peak_mib: float
    scores: list[list[float]]  # of the clips


def thread_counts(most: int | None = None) -> tuple[int, ...]:
    """One, and `most` or as many as there are cores for this process."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return tuple(dict.fromkeys((1, most or cores)))


def measure(
    model: Path, clips: Sequence[SelectorInput], budget: float, provider: str, threads: Sequence[int]
) -> list[Timed]:
    """Once for each number of threads; GraphError where the model does not run by itself."""
    with tempfile.TemporaryDirectory(prefix="earmark-") as folder:
        held = Path(folder) / "clips.npz"
        np.savez(held, **{str(i): clip.audio for i, clip in enumerate(clips)})  # type: ignore[arg-type]
        task = {
            "model": str(model.absolute()),
            "clips": str(held),
            "questions": [clip.question for clip in clips],
            "budget": budget,
            "provider": provider,
        }
        return [_timed(Path(folder), task | {"threads": count}, clips, count) for count in threads]


def _timed(folder: Path, task: dict[str, Any], clips: Sequence[SelectorInput], threads: int) -> Timed:
    description, errors = folder / "task.json", folder / "stderr"
    description.write_text(json.dumps(task))
    # -P: a package of the working directory must not be imported instead of an installed one
    command = [sys.executable, "-P", "-c", _WORKER, str(description)]
    environment = os.environ | dict.fromkeys(_POOLS, str(threads))
    with errors.open("wb") as stderr:
        began = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, env=environment, text=True) as process:
            assert process.stdout is not None
            process.stdout.readline()
            cold_start_s = time.perf_counter() - began
            said = process.stdout.read()
    if process.returncode:
        last = (errors.read_text(errors="replace").strip().splitlines() or [f"exit code {process.returncode}"])[-1]
        raise GraphError(task["model"], f"does not run in a process of its own ({last})", "run `earmark score` with it")
    found = json.loads(said)
    return Timed(
        threads,
        len(clips),
        float(np.median([len(clip.audio) for clip in clips])) / CHUNK_SAMPLES,
        cold_start_s,
        float(np.percentile(found["ms"], 50)),
        float(np.percentile(found["ms"], 95)),
        found["peak_mib"],
        found["scores"],
    )
