"""device.json, as `keep.py --check` wrote it on a device, for whoever judges the graph here.

Refuses a report that is not whole, or that speaks of another graph or other vectors; what its figures are worth,
`check` decides.
"""

import hashlib
from pathlib import Path
from typing import NamedTuple

from earmark.engine.compressors.chunks.selector import SelectorInput
from earmark.engine.corpus import decode
from earmark.engine.corpus.clip import chunk_count, clip
from earmark.engine.corpus.example import AudioError
from earmark.engine.errors import InputError
from earmark.engine.making.edge.device_check import DEVICE_SCHEMA, DeviceReport
from earmark.engine.making.edge.edge_error import EdgeError
from earmark.engine.making.edge.edge_folder import VECTORS, Vector, read_vectors
from earmark.engine.making.edge.measure import Timed
from earmark.engine.making.release.device import DeviceFigures
from earmark.engine.reading import read_json

_MEASURE = "run `python keep.py --check` on the device again, in the folder of this model"


def read_report(path: Path) -> DeviceReport:
    """The report in a file; InputError where it is none."""
    content = read_json(path, _MEASURE)
    if not isinstance(content, dict) or content.get("schema") != DEVICE_SCHEMA:
        raise InputError(path, f"is no {DEVICE_SCHEMA}", _MEASURE)
    try:
        report = DeviceReport(**content | {"runs": [Timed(**run) for run in content["runs"]]})
        whole = _is_whole(report)
    except (LookupError, TypeError):
        whole = False
    if not whole:
        raise InputError(path, "is not whole", _MEASURE)
    return report


class Reported(NamedTuple):
    """What a device told."""

    failure: str | None  # why its own check did not pass
    figures: DeviceFigures  # with the clips of the vectors beside the model


def reported(path: Path, model: Path, sha256: str) -> Reported:
    """What the report in a file says of the model with this hash; InputError where it speaks of something else."""
    report = read_report(path)
    if report.graph != sha256:
        other = f"is about graph {report.graph[:12]}, not about {model} ({sha256[:12]})"
        raise InputError(path, other, _MEASURE)
    try:
        data = (model.parent / VECTORS).read_bytes()
        vectors = read_vectors(model.parent).vectors
        if hashlib.sha256(data).hexdigest() != report.vectors:
            raise InputError(path, f"is about other vectors than {model.parent / VECTORS}", _MEASURE)
        clips = [_clip(model.parent, vector) for vector in vectors]
    except (OSError, AudioError, EdgeError) as error:
        raise InputError(model.parent, f"has no vectors to compare a device by ({error})", "export it again") from None
    lengths = [len(vector.scores) for vector in vectors]
    if lengths != [chunk_count(vector_clip.audio) for vector_clip in clips]:
        raise InputError(
            model.parent / VECTORS, "has not one score for each chunk of its recordings", "export it again"
        )
    if any([len(scores) for scores in run.scores] != lengths for run in report.runs):
        raise InputError(path, "has not one score for each chunk of the vectors", _MEASURE)
    return Reported(report.failure, DeviceFigures(str(path), report.machine, clips, report.runs))


def _clip(folder: Path, vector: Vector) -> SelectorInput:
    return SelectorInput(vector.name, clip(decode.waveform(str(folder / vector.wav))), vector.question)


def _is_whole(report: DeviceReport) -> bool:
    """Whether every figure is a number that can be measured, and what is named is text."""
    named = [report.graph, report.vectors, *([] if report.failure is None else [report.failure])]
    return (
        bool(report.runs)
        and isinstance(report.machine, dict)
        and all(isinstance(value, str | int | float) for value in report.machine.values())
        and all(isinstance(name, str) for name in named)
        and all(map(_is_measured, report.runs))
        and report.passes is (report.failure is None)
    )


def _is_measured(run: Timed) -> bool:
    figures = [run.threads, run.clips, run.clip_s, run.cold_start_s, run.p50_ms, run.p95_ms]
    figures += [] if run.peak_mib is None else [run.peak_mib]
    scores = [score for of_clip in run.scores for score in of_clip]
    return (
        all(_is_figure(figure) and figure >= 0 for figure in figures)
        and isinstance(run.threads, int)
        and 1 <= run.threads < 1 << 20
        and isinstance(run.clips, int)
        and all(map(_is_figure, scores))
    )


def _is_figure(value: float) -> bool:
    return type(value) in (int, float) and abs(value) < 1e30
