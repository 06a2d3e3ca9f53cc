"""What a model takes on this machine: cold start, time for a clip, memory; in fresh processes, so that nothing is warm.

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

from earmark.engine.compressors.chunks.graph_file import GraphError, GraphFile
from earmark.engine.compressors.chunks.graph_selector import PROVIDERS
from earmark.engine.compressors.chunks.selector import SelectorInput
from earmark.engine.corpus.clip import CHUNK_SAMPLES
from earmark.engine.making.edge.machine import cores, machine
from earmark.engine.making.edge.measure import Timed

_WORKER = "from earmark.engine.making.release.worker import main; main()"
_POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


class DeviceFigures(NamedTuple):
    """What a model takes, and its scores, on this machine or on the one that a report tells of."""

    report: str | None  # the path of device.json; None where it is this machine
    machine: dict[str, Any]  # as `edge.machine` tells it
    clips: list[SelectorInput]
    runs: list[Timed]  # one for each number of threads, with the scores of the clips


def thread_counts(most: int | None = None) -> tuple[int, ...]:
    """One, and `most` or as many as there are cores for this process."""
    return tuple(dict.fromkeys((1, most or cores())))


def measure(
    model: GraphFile, clips: list[SelectorInput], budget: float, provider: str, threads: Sequence[int]
) -> DeviceFigures:
    """This machine's figures, by the number of threads; GraphError where the model does not run by itself."""
    with tempfile.TemporaryDirectory(prefix="earmark-") as folder:
        archive = Path(folder) / "clips.npz"
        np.savez(archive, **{str(i): clip.audio for i, clip in enumerate(clips)})  # type: ignore[arg-type]
        task = {
            "model": str(model.path.absolute()),
            "sha256": model.sha256,
            "clips": str(archive),
            "questions": [clip.question for clip in clips],
            "budget": budget,
            "provider": provider,
        }
        runs = [_timed(Path(folder), task | {"threads": count}, clips, count) for count in threads]
    return DeviceFigures(None, machine() | {"provider": PROVIDERS[provider]}, clips, runs)


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
            result = process.stdout.read()
    if process.returncode:
        last = (errors.read_text(errors="replace").strip().splitlines() or [f"exit code {process.returncode}"])[-1]
        raise GraphError(task["model"], f"does not run in a process of its own ({last})", "run `earmark score` with it")
    worked = json.loads(result)
    return Timed(
        threads,
        len(clips),
        float(np.median([len(clip.audio) for clip in clips])) / CHUNK_SAMPLES,
        cold_start_s,
        float(np.percentile(worked["ms"], 50)),
        float(np.percentile(worked["ms"], 95)),
        worked["peak_mib"],
        worked["scores"],
    )
