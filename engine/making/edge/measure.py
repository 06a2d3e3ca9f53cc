"""A fresh process scores the test vectors and times itself, so that nothing is warm and the memory is its own.

It says a line when the first clip has its chunks, by which its parent takes the cold start, and one of JSON at the end.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from earmark.engine.making.edge.chunks import SAMPLE_RATE
from earmark.engine.making.edge.edge_error import EdgeError
from earmark.engine.making.edge.edge_folder import Vector, read_vectors
from earmark.engine.making.edge.edge_selector import EdgeSelector
from earmark.engine.making.edge.machine import peak_mib
from earmark.engine.making.edge.question_reader import TOKENIZER
from earmark.engine.making.edge.wav import Samples, read_wav

_WARM_UP, _ROUNDS = 2, 50  # how often the first vector is scored before the clock runs, and while it does
_POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


class Timed(NamedTuple):
    """One run of a selector in a process of its own."""

    threads: int
    clips: int
    clip_s: float  # how long the median clip lasts
    cold_start_s: float  # from the start of the process to the first clip's chunks
    p50_ms: float  # from a clip in memory to its kept chunks, one clip at a time
    p95_ms: float
    peak_mib: float | None  # None where the system does not tell
    scores: list[list[float]]  # of each test vector, or of each clip


def run_apart(folder: Path, threads: int) -> Timed:
    """The vectors of a folder, in a process of so many threads; EdgeError where it does not come to the end."""
    command = [sys.executable, str(folder / "keep.py"), "--worker", "--threads", str(threads)]
    environment = os.environ | dict.fromkeys(_POOLS, str(threads))
    with tempfile.TemporaryFile("w+", errors="replace") as complaints:
        began = time.perf_counter()
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=complaints, env=environment, text=True
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            cold_start_s = time.perf_counter() - began
            result = process.stdout.read()
        complaints.seek(0)
        complaint = (complaints.read().strip().splitlines() or [f"exit code {process.returncode}"])[-1]
    if process.returncode:
        raise EdgeError(f"with {counted(threads)}", complaint.removeprefix("keep.py: "))
    worked = json.loads(result)
    return Timed(
        threads,
        len(worked["ms"]),
        worked["clip_s"],
        cold_start_s,
        float(np.percentile(worked["ms"], 50)),
        float(np.percentile(worked["ms"], 95)),
        worked["peak_mib"],
        worked["scores"],
    )


def work(folder: Path, threads: int) -> None:
    """Time the first vector of a folder and score all of them: what runs in the process of `run_apart`, and prints."""
    vectors = read_vectors(folder)
    first = vectors.vectors[0]
    waveform = read_wav(folder / first.wav).waveform
    selector = EdgeSelector(folder, threads)
    budget = vectors.budgets[-1]
    _scores(selector, first, waveform, budget)
    print("first", flush=True)
    milliseconds = []
    for _ in range(_WARM_UP + _ROUNDS):
        began = time.perf_counter()
        _scores(selector, first, waveform, budget)
        milliseconds.append(1e3 * (time.perf_counter() - began))
    scores = [
        _scores(selector, vector, read_wav(folder / vector.wav).waveform, budget).tolist() for vector in vectors.vectors
    ]
    result = {
        "ms": milliseconds[_WARM_UP:],
        "clip_s": len(waveform) / SAMPLE_RATE,
        "peak_mib": peak_mib(),
        "scores": scores,
    }
    print(json.dumps(result))


def counted(threads: int) -> str:
    """`1 thread`, `4 threads`."""
    return f"{threads} thread{'s' * (threads > 1)}"


def _scores(selector: EdgeSelector, vector: Vector, waveform: Samples, budget: float) -> Samples:
    """From samples to kept chunks; EdgeError where the question has other tokens than where it was exported."""
    tokens = vector.tokens
    if selector.manifest.reads_text and vector.question is not None:
        tokens = selector.tokens(vector.question)
        if tokens != vector.tokens:
            raise EdgeError(TOKENIZER, f"gives the question of vector {vector.name} other tokens here", "use --tokens")
    scores = selector.scores(waveform, tokens)
    selector.keep(scores, budget)
    return scores
