"""Leave-one-out relevance: how much worse the right answer becomes without a chunk (docs/selectors.md, Relevance).

Each clip is asked about once whole and T times with a chunk left out; the scheduler computes once what these hearings
share, and a journal makes them resumable. Where no chunk is missed, because another one tells the same, each chunk is
heard alone instead. Writes a table without answers or labels. Knows no selector.
"""

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from earmark.engine.answerers.answer_all import answer_all
from earmark.engine.answerers.answerer import Answerer, unheard
from earmark.engine.answerers.journal import Journal
from earmark.engine.answerers.request import Answer, Progress, Request
from earmark.engine.arrays import FloatArray, IntArray
from earmark.engine.compressors.compressor import Excerpt, audio_hash
from earmark.engine.corpus.clip import MOST_CHUNKS, chunk_count
from earmark.engine.corpus.corpus import Corpus
from earmark.engine.corpus.example import Example
from earmark.engine.corpus.stream import Clip, stream
from earmark.engine.corpus.synthetic.splits import Split
from earmark.engine.design.keys import OK
from earmark.engine.errors import InputError
from earmark.engine.files import write_file
from earmark.engine.outcomes.parquet_file import read_parquet, write_parquet
from earmark.engine.progress import Stop, never
from earmark.engine.reading import parse_json, read_bytes

ChunkSubsets = Callable[[int], list[IntArray]]  # number of chunks of a clip -> the subsets of them that are heard

SCHEMA = "earmark.oracle/1"
_KEY = b"earmark.oracle"
_NAME_ONE = "name what `earmark selector oracle` wrote"
_MEASURE_AGAIN = "measure it again with `earmark selector oracle`"
_MOST_BYTES = 1 << 31
UNMISSED = 0.1  # nats: where no chunk is worth that much without it, other chunks tell the same
_ROW = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("source_id", pa.string(), nullable=False),
        pa.field("corpus", pa.string(), nullable=False),
        pa.field("question", pa.string(), nullable=False),
        pa.field("recording", pa.string()),  # hash of the clip's samples
        pa.field("chunks", pa.int64(), nullable=False),
        pa.field("relevance", pa.list_(pa.float32())),  # (chunks,) nats; null where the status is not "ok"
        pa.field("status", pa.string(), nullable=False),
    ]
)


class Relevance(NamedTuple):
    """What each chunk of a clip is worth to one question."""

    sample_id: str
    source_id: str
    corpus: str
    question: str
    recording: str | None
    chunks: int  # 0 where the clip cannot be heard
    relevance: list[float] | None
    status: str


class Oracle(NamedTuple):
    """A table of relevance and where it comes from."""

    rows: list[Relevance]
    origin: dict[str, Any]  # what `description` returns: answerer, identity, corpus, path, kind
    hash: str  # of the file


def measure(
    corpus: Corpus,
    answerer: Answerer,
    journal: Journal | None = None,
    report: Callable[[Progress], None] = unheard,
    stop: Stop = never,
    workers: int | None = 0,
) -> list[Relevance] | None:
    """The relevance of every example, in the corpus's order; None where `stop` ended it before that."""

    def hear(examples: Iterable[Example], subsets: ChunkSubsets) -> list[_Hearings] | None:
        """Every example with all of its hearings answered, or None."""
        measured: list[_Hearings] = []
        requests = _requests(stream(examples, workers=workers), corpus.name, subsets, measured)
        for answer in answer_all(answerer, requests, journal, report, stop):
            row_number, place = (int(part) for part in answer.id.split("/"))
            measured[row_number].note(place, answer)
        complete = next(requests, None) is None and all(hearings.complete for hearings in measured)
        return measured if complete else None

    without_chunk = hear(corpus.examples, _without_each)
    if without_chunk is None:
        return None
    rows = [hearings.relevance(hearings.nll[1:] - hearings.nll[:1]) for hearings in without_chunk]
    unmissed = [i for i, row in enumerate(rows) if row.relevance and max(row.relevance) < UNMISSED and row.chunks > 1]
    unmissed_rows = set(unmissed)
    alone = hear((example for i, example in enumerate(corpus.examples) if i in unmissed_rows), _each_alone)
    if alone is None:
        return None
    for i, hearings in zip(unmissed, alone, strict=True):
        rows[i] = hearings.relevance(hearings.nll.mean() - hearings.nll)
    return rows


def _without_each(n_chunks: int) -> list[IntArray]:
    """All chunks, then all but the first, all but the second, ..."""
    everything = np.arange(n_chunks)
    return [everything, *(np.delete(everything, t) for t in everything)]


def _each_alone(n_chunks: int) -> list[IntArray]:
    """The first chunk alone, the second alone, ..."""
    return list(np.arange(n_chunks)[:, None])


@dataclass(slots=True)
class _Hearings:
    """An example and the right answer's NLL in each of its hearings, as they come."""

    row: Relevance
    nll: FloatArray  # NaN where it is not known yet

    @property
    def complete(self) -> bool:
        """Whether every hearing has an answer, or the example has failed."""
        return self.row.status != OK or not np.isnan(self.nll).any()

    def note(self, place: int, answer: Answer) -> None:
        """Take down the answer to hearing `place`; the first failure becomes the status of the row."""
        if answer.nll is not None:
            self.nll[place] = answer.nll
        elif self.row.status == OK:
            self.row = self.row._replace(status=answer.status)

    def relevance(self, values: FloatArray) -> Relevance:
        """The row with these values (chunks,), or without where it has failed."""
        return self.row._replace(relevance=values.tolist()) if self.row.status == OK else self.row


def _requests(
    clips: Iterable[Clip], corpus: str, subsets_of: ChunkSubsets, measured: list[_Hearings]
) -> Iterator[Request]:
    """The requests for all hearings of the examples, whose `_Hearings` are appended to `measured` on the way.

    The id of a request is the example's place in `measured` and the number of the hearing.
    """
    for example, audio, status in clips:
        check_may_train(example)
        n_chunks = 0 if audio is None else chunk_count(audio)
        recording = None if audio is None else audio_hash(audio)
        subsets = subsets_of(n_chunks) if n_chunks else []
        row = Relevance(
            example.sample_id, example.source_id, corpus, example.question.text, recording, n_chunks, None, status
        )
        measured.append(_Hearings(row, np.full(len(subsets), np.nan)))
        if n_chunks == 1:  # without its only chunk nothing would be left to hear
            measured[-1].nll[:] = 0.0
            continue
        row_number = len(measured) - 1
        for place, chosen in enumerate(subsets):
            assert audio is not None
            excerpt = Excerpt.of(example.audio, audio, chosen)
            yield Request(f"{row_number}/{place}", excerpt, example.question)


def check_may_train(example: Example) -> None:
    """Raise InputError for an example of the certification split: nothing may be trained on it."""
    if example.labels.get("split") == Split.CERTIFICATION.title:
        raise InputError(
            f"sample {example.sample_id}",
            "belongs to the certification split, on which nothing is trained",
            "measure relevance on the selector split (synthetic:selector:CLIPS)",
        )


# The table -------------------------------------------------------------------------------------------------


def write(rows: Iterable[Relevance], origin: dict[str, Any], path: Path) -> None:
    """Write a table with its origin; the file appears whole or not at all."""
    table = pa.Table.from_pylist([row._asdict() for row in rows], schema=_ROW)
    table = table.replace_schema_metadata({_KEY: json.dumps({"schema": SCHEMA} | origin, sort_keys=True)})
    sink = pa.BufferOutputStream()
    write_parquet(table, sink)
    write_file(path, sink.getvalue().to_pybytes())


def read(path: Path) -> Oracle:
    """The table in a file; InputError where it is none, or says what no measurement does."""
    data = read_bytes(path, _NAME_ONE, _MOST_BYTES)
    table = read_parquet(data, path, _NAME_ONE)
    metadata = (table.schema.metadata or {}).get(_KEY)
    origin = parse_json(metadata, path, _NAME_ONE) if metadata else {}
    if not isinstance(origin, dict) or origin.get("schema") != SCHEMA or not table.schema.equals(_ROW):
        raise InputError(path, f"is no table of {SCHEMA}", _NAME_ONE)
    for key in ("answerer", "identity", "corpus", "kind", "path"):
        if not isinstance(origin.get(key), str):
            raise InputError(path, f"does not say its {key}", _MEASURE_AGAIN)
    if any(table[field.name].null_count for field in _ROW if not field.nullable):
        raise InputError(path, "has rows that are not whole", _MEASURE_AGAIN)
    rows = [Relevance(**row) for row in table.to_pylist()]
    for row, problem in zip(rows, map(_problem, rows), strict=True):
        if problem is not None:
            raise InputError(path, f"sample {row.sample_id[:80]} {problem}", _MEASURE_AGAIN)
    _check_recordings(rows, path)
    return Oracle(rows, origin, hashlib.sha256(data).hexdigest())


def _problem(row: Relevance) -> str | None:
    """What is wrong with a row, if anything is."""
    if not 0 <= row.chunks <= MOST_CHUNKS:
        return f"has {row.chunks} chunks, a clip has at most {MOST_CHUNKS}"
    if not succeeded(row):
        return None if row.relevance is None else "has failed, and has a relevance"
    if row.relevance is None or row.recording is None or len(row.relevance) != row.chunks or row.chunks == 0:
        return "has not one relevance for each chunk of a recording"
    if not all(value is not None and math.isfinite(value) for value in row.relevance):
        return "has a relevance that is not finite"
    return None


def _check_recordings(rows: Iterable[Relevance], path: Path) -> None:
    """Refuse a sample that stands twice, and a recording of two lengths."""
    samples: set[str] = set()
    chunks_of: dict[str | None, int] = {}
    for row in rows:
        if row.sample_id in samples:
            raise InputError(path, f"has the sample {row.sample_id[:80]} twice", _MEASURE_AGAIN)
        samples.add(row.sample_id)
        if succeeded(row) and chunks_of.setdefault(row.recording, row.chunks) != row.chunks:
            raise InputError(path, f"has two lengths for the recording of {row.sample_id[:80]}", _MEASURE_AGAIN)


def check_same(path: Path, corpus: Corpus, answerer: Answerer) -> None:
    """InputError where a file is there already that is not the relevance of this corpus for this answerer."""
    if not os.path.lexists(path):
        return
    oracle = read(path)
    begun, now = oracle.origin, description(corpus, "", answerer)
    same_samples = [row.sample_id for row in oracle.rows] == [example.sample_id for example in corpus.examples]
    if same_samples and all(begun.get(key) == now[key] for key in ("corpus", "kind", "identity")):
        return
    holds = f"{len(oracle.rows)} examples of {begun['corpus']} ({begun['path']}) for {begun['answerer']}"
    raise InputError(path, f"holds the relevance of {holds}", "name another file with --out, or remove this one")


def description(corpus: Corpus, path: str, answerer: Answerer) -> dict[str, Any]:
    """Where a table comes from, for its metadata; `path` is how the user named the corpus."""
    return {
        "answerer": answerer.name,
        "identity": answerer.identity,
        "corpus": corpus.name,
        "kind": corpus.kind,
        "path": path,
        "relevance": "nll(right answer | without the chunk) - nll(right answer | whole clip), nats; where none is "
        f"{UNMISSED}: mean over chunks of nll(right answer | one chunk alone) - nll(right answer | the chunk alone)",
    }


def succeeded(row: Relevance) -> bool:
    """Whether a row has a relevance; the others have only the status that says why not."""
    return row.status == OK
