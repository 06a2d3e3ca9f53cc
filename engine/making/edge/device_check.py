"""Does the folder do on this device what the selector did where it was exported, and what does it take here?

Compares every file's hash, the vectors' scores and their chunks; writes device.json for `earmark selector check`.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from earmark.engine.making.edge.chunks import kept_chunks, top_chunks
from earmark.engine.making.edge.edge_error import EdgeError
from earmark.engine.making.edge.edge_folder import (
    GRAPH,
    VECTORS,
    Vectors,
    check_files,
    read_manifest,
    read_vectors,
    write_whole,
)
from earmark.engine.making.edge.machine import described, machine
from earmark.engine.making.edge.measure import Timed, counted, run_apart

DEVICE_SCHEMA, DEVICE = "earmark.device/1", "device.json"
SCORE_TOLERANCE = 1e-4  # in standard deviations of the vectors' scores


class DeviceReport(NamedTuple):
    """What device.json holds: whether this machine does what the selector did, and what it takes here."""

    schema: str
    passes: bool
    failure: str | None  # why it does not pass, in a line
    graph: str  # SHA-256 of waveform.onnx
    vectors: str  # SHA-256 of vectors.json
    machine: dict[str, Any]
    runs: list[Timed]  # by number of threads


def check(folder: Path, threads: Sequence[int], out: Path) -> DeviceReport:
    """Measure the folder with each number of threads, print what came out, write the report.

    EdgeError where a file is not the exported one or nothing can be run: then there is no report, nor an older one.
    """
    try:
        out.unlink(missing_ok=True)
    except OSError as error:
        raise EdgeError(out, f"cannot be replaced ({error.strerror})", "name another place with --out") from None
    manifest = read_manifest(folder)
    check_files(folder, manifest)
    vectors = read_vectors(folder)
    runs = [run_apart(folder, count) for count in threads]
    failure = difference(runs, vectors, manifest.tie)
    files = manifest.files
    report = DeviceReport(DEVICE_SCHEMA, failure is None, failure, files[GRAPH], files[VECTORS], machine(), runs)
    content = report._asdict() | {"runs": [run._asdict() for run in runs]}
    write_whole(out, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())
    print("\n".join(_lines(report, len(files), vectors, manifest.tie)))
    print(out)
    return report


def difference(runs: Sequence[Timed], vectors: Vectors, tie: float) -> str | None:
    """The first scores or chunks that are not the vectors', in a line; None where all are."""
    for run in runs:
        where = f"with {counted(run.threads)}"
        apart = _apart(run, vectors, tie)
        if max(apart) > SCORE_TOLERANCE:
            name = vectors.vectors[int(np.argmax(apart))].name
            largest = f"{max(apart):.2g} of their spread, {SCORE_TOLERANCE:g} is allowed"
            return f"{where}: scores of vector {name} differ by up to {largest}"
        for scores, vector in zip(run.scores, vectors.vectors, strict=True):
            for budget, expected in zip(vectors.budgets, vector.kept, strict=True):
                chunks = top_chunks(np.array(scores), kept_chunks(budget, len(scores)), tie).tolist()
                if expected is not None and chunks != expected:
                    return f"{where}: vector {vector.name} keeps {chunks} at budget {budget:g}, expected {expected}"
    return None


def _apart(run: Timed, vectors: Vectors, tie: float) -> list[float]:
    """How far the scores of each vector are from what they should be, in standard deviations of them all."""
    spread = max(np.concatenate([vector.scores for vector in vectors.vectors]).std(), tie)  # all may score alike
    return [
        float(np.abs(np.array(scores) - np.array(vector.scores)).max() / spread)
        for scores, vector in zip(run.scores, vectors.vectors, strict=True)
    ]


def _lines(report: DeviceReport, files: int, vectors: Vectors, tie: float) -> list[str]:
    """What was measured, for a person."""
    lines = [described(report.machine), f"{files} files as they were exported, {len(vectors.vectors)} vectors"]
    for run in report.runs:
        memory = "unknown" if run.peak_mib is None else f"{run.peak_mib:.0f} MiB"
        lines.append(
            f"{counted(run.threads)}: cold start {run.cold_start_s:.2f} s, memory {memory}, {run.clip_s:g} s of audio "
            f"in {run.p50_ms:.1f} ms (p95 {run.p95_ms:.1f}), scores off by {max(_apart(run, vectors, tie)):.1g} spreads"
        )
    return lines
