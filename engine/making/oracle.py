"""Leave-one-out relevance: how much worse the right answer becomes when a chunk is removed (docs/selectors.md).

One whole and T shortened hearings of each clip go through the scheduler, which shares what they share; a journal makes
it resumable. Where no chunk is missed, because what one tells another tells too, each is heard alone instead. Writes a
table without answers or labels. Knows no selector.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from earmark.engine.answerers.answerer import Answerer
from earmark.engine.answerers.journal import Journal
from earmark.engine.answerers.request import Answer, Excerpt, Progress, Request
from earmark.engine.answerers.shared.answer_all import answer_all, identity
from earmark.engine.answerers.shared.scheduler import AnswerOptions
from earmark.engine.arrays import FloatArray, IntArray
from earmark.engine.compressors.chunks.cutting import audio_hash, keep_chunks
from earmark.engine.corpus.clip import chunk_count
from earmark.engine.corpus.corpus import Corpus
from earmark.engine.corpus.example import Example
from earmark.engine.corpus.stream import Clip, stream
from earmark.engine.corpus.synthetic.splits import Split
from earmark.engine.design.keys import OK
from earmark.engine.errors import InputError
from earmark.engine.files import write_file

Hearings = Callable[[int], list[IntArray]]  # so many chunks -> the subsets of them that are heard

SCHEMA = "earmark.oracle/1"
_KEY = b"earmark.oracle"
UNMISSED = 0.1  # nats: where no chunk is worth as much, the others told the same
_PLANNED_AT_ONCE = 20_000  # requests: what is hashed before the first answer
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
    """A table of relevance and how it was made."""

    rows: list[Relevance]
    made: dict[str, Any]  # answerer, identity, corpus, path, kind
    hash: str  # of the file


def measure(
    corpus: Corpus,
    answerer: Answerer,
    options: AnswerOptions = AnswerOptions(),  # noqa: B008 (frozen)
    journal: Journal | None = None,
    report: Callable[[Progress], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
    workers: int | None = 0,
) -> list[Relevance] | None:
    """The relevance of every example, in the corpus's order; None where `stop` ended it before that."""

    def heard(examples: Iterable[Example], hearings: Hearings) -> list[_Shortened] | None:
        found: list[_Shortened] = []
        requests = _requests(stream(examples, workers=workers), corpus.name, hearings, found)
        for answer in answer_all(answerer, requests, options, journal, report, stop, _PLANNED_AT_ONCE):
            row, place = (int(part) for part in answer.id.split("/"))
            found[row].note(place, answer)
        whole = next(requests, None) is None and all(one.complete for one in found)
        return found if whole else None

    without = heard(corpus.examples, _without_each)
    if without is None:
        return None
    rows = [one.relevance(one.nll[1:] - one.nll[:1]) for one in without]
    unmissed = [i for i, row in enumerate(rows) if row.relevance and max(row.relevance) < UNMISSED and row.chunks > 1]
    wanted = set(unmissed)
    alone = heard((example for i, example in enumerate(corpus.examples) if i in wanted), _each_alone)
    if alone is None:
        return None
    for i, one in zip(unmissed, alone, strict=True):
        rows[i] = one.relevance(one.nll.mean() - one.nll)
    return rows


def _without_each(chunks: int) -> list[IntArray]:
    everything = np.arange(chunks)
    return [everything, *(np.delete(everything, t) for t in everything)]


def _each_alone(chunks: int) -> list[IntArray]:
    return list(np.arange(chunks)[:, None])


@dataclass(slots=True)
class _Shortened:
    """An example and the right answer's NLL in each of its hearings, as they come."""

    row: Relevance
    nll: FloatArray  # NaN where it is not known yet

    @property
    def complete(self) -> bool:
        return self.row.status != OK or not np.isnan(self.nll).any()

    def note(self, place: int, answer: Answer) -> None:
        if answer.nll is not None:
            self.nll[place] = answer.nll
        elif self.row.status == OK:
            self.row = self.row._replace(status=answer.status)

    def relevance(self, found: FloatArray) -> Relevance:
        return self.row._replace(relevance=found.tolist()) if self.row.status == OK else self.row


def _requests(clips: Iterable[Clip], corpus: str, hearings: Hearings, found: list[_Shortened]) -> Iterator[Request]:
    """The hearings of each example; its place in `found` and the hearing's number are the request's id."""
    for example, audio, status in clips:
        check_may_train(example)
        chunks = 0 if audio is None else chunk_count(audio)
        recording = None if audio is None else audio_hash(audio)
        wanted = hearings(chunks) if chunks else []
        row = Relevance(example.sample_id, example.source_id, corpus, example.question, recording, chunks, None, status)
        found.append(_Shortened(row, np.full(len(wanted), np.nan)))
        if chunks == 1:  # nothing is left without it, and nothing to choose
            found[-1].nll[:] = 0.0
            continue
        at = len(found) - 1
        for place, chosen in enumerate(wanted):
            assert audio is not None
            kept = Excerpt.of(example.audio, keep_chunks(audio, chosen))
            yield Request(f"{at}/{place}", kept, example.question, example.choices, example.answer)


def check_may_train(example: Example) -> None:
    """Refuse what is set apart to certify with."""
    if example.labels.get("split") == Split.CERTIFICATION.title:
        raise InputError(
            f"sample {example.sample_id}",
            "belongs to the certification split, on which nothing is trained",
            "measure relevance on the selector split (synthetic:selector:CLIPS)",
        )


# The table -------------------------------------------------------------------------------------------------


def write(rows: Iterable[Relevance], made: dict[str, Any], path: Path) -> None:
    """Write the table in one step."""
    table = pa.Table.from_pylist([row._asdict() for row in rows], schema=_ROW)
    table = table.replace_schema_metadata({_KEY: json.dumps({"schema": SCHEMA} | made, sort_keys=True)})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    write_file(path, sink.getvalue().to_pybytes())


def read(path: Path) -> Oracle:
    """Read a table; InputError where it is none."""
    try:
        data = path.read_bytes()
        table = pq.read_table(pa.BufferReader(data))
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(path, f"cannot be read ({str(error).splitlines()[0]})", "name what `oracle` wrote") from None
    described = (table.schema.metadata or {}).get(_KEY)
    made = json.loads(described) if described else {}
    if made.get("schema") != SCHEMA or not table.schema.equals(_ROW):
        raise InputError(path, f"is no table of {SCHEMA}", "name what `earmark selector oracle` wrote")
    return Oracle([Relevance(**row) for row in table.to_pylist()], made, hashlib.sha256(data).hexdigest())


def description(corpus: Corpus, path: str, answerer: Answerer, options: AnswerOptions) -> dict[str, Any]:
    """How a table is made, for its metadata."""
    return {
        "answerer": answerer.name,
        "identity": identity(answerer, options),
        "corpus": corpus.name,
        "kind": corpus.kind,
        "path": path,
        "relevance": "nll(right answer | without the chunk) - nll(right answer | whole clip), nats; where none is "
        f"{UNMISSED}: mean over chunks of nll(right answer | one chunk alone) - nll(right answer | the chunk alone)",
    }


def succeeded(row: Relevance) -> bool:
    """Whether a row has its relevance."""
    return row.status == OK
