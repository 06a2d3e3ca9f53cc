"""Scores of many recordings, by several processes, as rows of one Parquet file that is whole or not there.

    audio, status, chunks, scores, kept, kept_hash        a recording that cannot be heard has a status and no scores

The rows are those of one process, in the order of the recordings: each process scores as many at once as one would.
Knows no corpus, and of questions one.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from earmark.engine.compressors.scoring import AT_ONCE, LoadedScoring, Scoring
from earmark.engine.corpus.example import AudioError
from earmark.engine.design.keys import OK
from earmark.engine.files import staged

_ROW = pa.schema(
    [
        pa.field("audio", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),  # "ok", or why it cannot be heard
        pa.field("chunks", pa.int64()),
        pa.field("scores", pa.list_(pa.float64())),
        pa.field("kept", pa.list_(pa.int64())),  # with a budget
        pa.field("kept_hash", pa.string()),
    ]
)
_AHEAD = 2  # portions that are given to each process at once

ScoreRows = list[dict[str, Any]]


def write_scores(
    paths: Sequence[Path], scoring: Scoring, out: Path, workers: int, report: Callable[[int, int], None]
) -> int:
    """Write the scores of all recordings; how many cannot be heard.

    InputError where the selector cannot be loaded or reads a question that is not given; then nothing is written.
    """
    LoadedScoring(scoring)  # refused here, once, not in every process
    n_unheard = n_done = 0
    with staged(out.parent, out) as staging:
        with pq.ParquetWriter(staging / out.name, _ROW, compression="zstd", write_page_checksum=True) as writer:
            for rows in _portions(paths, scoring, workers):
                writer.write_table(pa.Table.from_pylist(rows, schema=_ROW))
                n_unheard += sum(row["status"] != OK for row in rows)
                n_done += len(rows)
                report(n_done, len(paths))
        (staging / out.name).replace(out)
    return n_unheard


def _portions(paths: Sequence[Path], scoring: Scoring, workers: int) -> Iterator[ScoreRows]:
    """The rows of one portion after the other, in order, whoever scored them."""
    portions = (paths[first : first + AT_ONCE] for first in range(0, len(paths), AT_ONCE))
    if workers == 1:
        yield from (_rows(scoring, portion) for portion in portions)
        return
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        waiting: deque[Future[ScoreRows]] = deque()
        try:
            for portion in portions:
                waiting.append(pool.submit(_rows, scoring, portion))
                if len(waiting) == _AHEAD * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _rows(scoring: Scoring, paths: Sequence[Path]) -> ScoreRows:
    """The rows of a portion."""
    loaded = _loaded(scoring)
    rows: dict[Path, dict[str, Any]] = {}
    heard = []
    for path in paths:
        try:
            heard.append((path, loaded.heard(path)))
        except AudioError as error:
            rows[path] = {"audio": str(path), "status": f"audio: {' '.join(str(error).split())}"}
    for recording in loaded.score(heard):
        rows[recording.path] = {"status": OK, **recording.content()}
    return [rows[path] for path in paths]


@lru_cache(maxsize=1)
def _loaded(scoring: Scoring) -> LoadedScoring:
    """A process loads a selector once."""
    return LoadedScoring(scoring)
