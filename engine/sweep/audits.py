"""What a sweep measures beside its cells: how often raw answers flip, and how selectors' scores vary.

    audits/flips/answerer=A.json                   raw questions answered twice, in other company
    audits/grid/method=M/seed=S.parquet            scores of m recordings under each of m questions

Counts and scores only; shares and verdicts are the sign-off's.
"""

import json
from itertools import islice
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pyarrow as pa

from earmark.engine import files
from earmark.engine.answerers.answer_all import flip_rate
from earmark.engine.answerers.answerer import Answerer
from earmark.engine.answerers.request import Request
from earmark.engine.arrays import Waveform
from earmark.engine.compressors.compressor import ClipAndQuestion, Excerpt, OpenedClip
from earmark.engine.corpus.example import Audio, Example
from earmark.engine.corpus.stream import hear
from earmark.engine.outcomes.parquet_file import write_parquet
from earmark.engine.progress import Stop
from earmark.engine.sweep.blocks import in_order
from earmark.engine.sweep.prepare import Prepared
from earmark.engine.sweep.sweep_folder import FLIPS

GRID = "audits/grid"
GRID_ROW = pa.schema(
    [("audio", pa.string()), ("question", pa.string()), ("scores", pa.list_(pa.float64()))]  # ids of samples
)
_SEED = 42


def flips_missing(run: Path, prepared: Prepared, name: str) -> bool:
    """Whether raw questions are still to be answered twice."""
    return prepared.spec.audits.flip_rate > 0 and not _flips(run, name).exists()


def _flips(run: Path, name: str) -> Path:
    return run / FLIPS / f"answerer={quote(name, safe='')}.json"


def flips(run: Path, prepared: Prepared, name: str, answerer: Answerer, stop: Stop) -> None:
    """Answer raw questions, spread over the corpus, twice; StoppedError where `stop` says so."""
    wanted, n = prepared.spec.audits.flip_rate, prepared.survey.examples
    requests: list[Request] = []
    for example in islice(in_order(prepared.corpus), 0, None, max(1, n // wanted)):
        audio, _ = hear(example.audio)
        if audio is not None and len(requests) < wanted:
            requests.append(Request(example.sample_id, Excerpt.of(example.audio, audio), example.question))
    rate = flip_rate(answerer, requests, stop)
    content = {"asked": len(requests), "compared": rate.compared, "changed": rate.changed}
    path = _flips(run, name).relative_to(run)
    files.write_files(run, {str(path): (json.dumps(content) + "\n").encode()})


def grids(run: Path, prepared: Prepared) -> None:
    """Score a few recordings under each of as many questions, with every selector that reads them, but for those of
    audio tokens, which score inside an answerer.
    """
    asking = {
        key: compressor
        for key, compressor in prepared.compressors.items()
        if compressor.reads_question and compressor.axis not in ("positions", "layers", "cache")
    }
    path_of = {
        (method, seed): run / GRID / f"method={quote(method, safe='')}" / f"seed={seed}.parquet"
        for method, seed in asking
    }
    missing = [key for key, path in path_of.items() if not path.exists()]
    if not missing:
        return
    heard, others = _sample(prepared)
    for key in missing:
        rows = []
        for example, audio in heard:
            clip = OpenedClip(example.audio.name, audio)
            asked_of = [ClipAndQuestion(example.sample_id, clip, other.question.text) for other in others]
            for other, scores in zip(others, asking[key].rank(asked_of), strict=True):
                rows.append({"audio": example.sample_id, "question": other.sample_id, "scores": scores})
        sink = pa.BufferOutputStream()
        write_parquet(pa.Table.from_pylist(rows, schema=GRID_ROW), sink)
        files.write_files(run, {str(path_of[key].relative_to(run)): sink.getvalue().to_pybytes()})


def _sample(prepared: Prepared) -> tuple[list[tuple[Example, Waveform]], list[Example]]:
    """Recordings that can be heard, each once, and questions with different texts, drawn by a fixed seed."""
    order = np.random.default_rng(_SEED).permutation(prepared.survey.examples)
    place = {int(at): number for number, at in enumerate(order[: 20 * prepared.spec.audits.grid])}
    drawn: list[Example | None] = [None] * len(place)
    for number, candidate in enumerate(in_order(prepared.corpus)):
        if number in place:
            drawn[place[number]] = candidate
    m = prepared.spec.audits.grid
    by_question: dict[str, Example] = {}
    by_audio: dict[Audio, Example] = {}
    for example in drawn:
        if example is not None:
            by_question.setdefault(example.question.text, example)
            by_audio.setdefault(example.audio, example)
    opened = ((example, hear(example.audio)[0]) for example in by_audio.values())
    heard = ((example, audio) for example, audio in opened if audio is not None)
    return list(islice(heard, m)), list(by_question.values())[:m]
