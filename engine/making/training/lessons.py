"""What selectors learn from: features, questions and relevance of each example, divided by source.

Features are computed once per recording and kept in a file that later runs map into memory. Knows no network.
"""

import hashlib
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from earmark.engine.compressors.card import Card, fingerprints
from earmark.engine.compressors.chunks.features import FEATURES, WIDTH, chunk_features
from earmark.engine.compressors.compressor import audio_hash
from earmark.engine.corpus.corpus import Corpus
from earmark.engine.corpus.stream import stream
from earmark.engine.errors import InputError
from earmark.engine.faults import writing
from earmark.engine.files import flush, make_folder
from earmark.engine.making.oracle import Oracle, Relevance, check_may_train, succeeded
from earmark.engine.progress import Report
from earmark.engine.reading import open_regular

OF_TABLE = "name the corpus that the table was made from"
Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Lessons:
    """Examples to learn from; every field above `hash` has one entry per example."""

    features: Sequence[Float32Array]  # (T, width), shared by the examples about one recording
    questions: Sequence[str]
    relevance: Sequence[Float32Array]  # (T,) nats
    rows: Sequence[Relevance]
    hash: str  # of everything above
    heard: Card = field(default_factory=lambda: {"features": FEATURES})  # what a card says of the features

    @property
    def width(self) -> int:
        """Features of a chunk, or of an audio token."""
        return len(self.features[0][0])

    def __len__(self) -> int:
        return len(self.rows)

    def split(self, share: float) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Examples to train on and to validate on: whole sources, chosen by their names alone."""
        sources = sorted({row.source_id for row in self.rows}, key=_order)
        n_held = max(1, round(share * len(sources)))
        if n_held >= len(sources):
            raise InputError("the oracle's table", f"has {len(sources)} sources", "measure more: one part validates")
        validation_sources = frozenset(sources[:n_held])
        validates = np.array([row.source_id in validation_sources for row in self.rows])
        return np.flatnonzero(~validates), np.flatnonzero(validates)

    def trained_on(self) -> list[Card]:
        """Fingerprints of all that was learnt from or validated on, corpus by corpus."""
        return [
            {
                "corpus": corpus,
                "sources": fingerprints(row.source_id for row in self.rows if row.corpus == corpus),
                "recordings": fingerprints(str(row.recording) for row in self.rows if row.corpus == corpus),
            }
            for corpus in sorted({row.corpus for row in self.rows})
        ]


def make_lessons(oracle: Oracle, corpus: Corpus, folder: Path, report: Report) -> Lessons:
    """Join the oracle's table with the recordings of its corpus; features go to, or come from, a file in `folder`."""
    rows = [row for row in oracle.rows if succeeded(row)]
    if not rows:
        raise InputError("the oracle's table", "has no row with a relevance", "see the statuses of its rows")
    lengths = {str(row.recording): row.chunks for row in rows}
    starts = dict(zip(lengths, np.cumsum([0, *lengths.values()]).tolist(), strict=False))
    name = hashlib.sha256(f"{FEATURES} {' '.join(lengths)}".encode()).hexdigest()[:16]
    path = folder / f"features-{name}.npy"
    if not path.exists():
        make_folder(folder)
        _compute(corpus, lengths, starts, path, report)
    flat = _mapped(path, sum(lengths.values()))
    places = [(starts[str(row.recording)], row.chunks) for row in rows]
    return Lessons(
        features=[flat[start : start + chunks] for start, chunks in places],
        questions=[row.question for row in rows],
        relevance=[np.array(row.relevance, dtype=np.float32) for row in rows],
        rows=rows,
        hash=hashlib.sha256(f"{FEATURES} {oracle.hash}".encode()).hexdigest(),
    )


def _compute(corpus: Corpus, lengths: dict[str, int], starts: dict[str, int], path: Path, report: Report) -> None:
    """Compute the features of every recording into a file that appears when it is whole.

    `lengths` and `starts` give the chunks of each recording, by the hash of its samples, and its first row.
    """
    part = path.with_suffix(".part")
    missing = dict(lengths)
    with writing(path), part.open("wb") as file:  # not mapped: on a full disk that would end the process
        first = file.write(_header(sum(lengths.values())))
        for clip in stream(corpus.examples, workers=0):
            check_may_train(clip.example)
            recording = None if clip.audio is None else audio_hash(clip.audio)
            if clip.audio is None or recording not in missing:
                continue
            features = chunk_features(clip.audio)
            if len(features) != missing.pop(recording):
                what = f"has {len(features)} chunks, the oracle's table has {lengths[recording]}"
                raise InputError(f"sample {clip.example.sample_id}", what, OF_TABLE)
            file.seek(first + starts[recording] * WIDTH * 4)
            file.write(features.astype("<f4").tobytes())
            report("features of recordings", len(lengths) - len(missing), len(lengths))
            if not missing:
                break
        if missing:
            what = f"lacks {len(missing)} of {len(lengths)} recordings of the oracle's table"
            raise InputError(f"corpus {corpus.name}", what, OF_TABLE)
    with writing(path):
        flush(part)
        os.replace(part, path)


def _mapped(path: Path, chunks: int) -> Float32Array:
    """The features (chunks, 768) in a file; InputError where it begins or ends otherwise than what is written here."""
    again = "delete it: the same command makes it again"
    header = _header(chunks)
    size = len(header) + chunks * WIDTH * 4
    with open_regular(path, again, size) as file:
        is_whole = file.read(len(header)) == header and file.seek(0, os.SEEK_END) == size
    if not is_whole:
        raise InputError(path, f"does not hold the features of {chunks:,} chunks", again)
    return np.memmap(path, np.float32, "r", len(header), (chunks, WIDTH))


def _header(chunks: int) -> bytes:
    """What a file of features of so many chunks begins with."""
    header = io.BytesIO()
    about = {"descr": "<f4", "fortran_order": False, "shape": (chunks, WIDTH)}
    np.lib.format.write_array_header_1_0(header, about)
    return header.getvalue()


def _order(source: str) -> bytes:
    """Sort key: an order of sources that depends on nothing but their names."""
    return hashlib.blake2b(source.encode(), digest_size=8).digest()
