"""What is in a corpus: counts, durations, families and what was left out, as one JSON-able mapping.

Knows no terminal, and no test: the caller says how many recordings a family needs.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from earmark.engine.corpus.corpus import Corpus
from earmark.engine.corpus.example import MOST_SECONDS
from earmark.engine.corpus.partition import Partition, recipe_of
from earmark.engine.corpus.stream import durations

EDGES_S = (0, 1, 2, 5, 10, 20, 30, 60, MOST_SECONDS, float("inf"))
_SHOWN = 3  # places that are named per reason

Fewest = Callable[[int, int], int]  # rows and recordings of a family -> recordings it needs to be testable


class RecordingLength(NamedTuple):
    """One recording: its name and how long it is, or why it cannot be heard."""

    name: str
    seconds: float | None
    status: str


def listen(
    corpus: Corpus,
    *,
    decode: bool = False,
    workers: int | None = None,
    report: Callable[[str, int, int], None] = lambda *_: None,
) -> list[RecordingLength]:
    """The length of every recording of a corpus, each once: by its header, or by decoding it."""
    audios = list(dict.fromkeys(example.audio for example in corpus.examples))
    lengths = []
    for audio, (seconds, status) in zip(audios, durations(audios, decode=decode, workers=workers), strict=True):
        lengths.append(RecordingLength(audio.name, seconds, status))
        report("decoding recordings" if decode else "reading headers", len(lengths), len(audios))
    return lengths


def describe(
    corpus: Corpus, partitions: Sequence[Partition], fewest: Fewest, lengths: Sequence[RecordingLength] | None
) -> dict[str, Any]:
    """Everything that `earmark corpus` prints, as JSON.

    Questions about one recording are not independent, so the size of a family is its number of recordings.
    """
    sources = [example.source_id for example in corpus.examples]
    rows_of_source = Counter(sources)
    several = [n_rows for n_rows in rows_of_source.values() if n_rows > 1]
    options = Counter(len(example.question.choices) for example in corpus.examples)
    return {
        "kind": corpus.kind,
        "name": corpus.name,
        "examples": len(sources),
        "recordings": len(rows_of_source),
        "recordings_with_several": len(several),
        "most_per_recording": max(rows_of_source.values(), default=0),
        "columns": dict(corpus.columns),
        "labels": _labels(corpus),
        "options": [{"options": n, "examples": n_rows} for n, n_rows in sorted(options.items())],
        "left_out": {
            "rows": len(corpus.left_out),
            "reasons": _grouped(corpus.left_out),
            "all": [row._asdict() for row in corpus.left_out],
        },
        "audio": None if lengths is None else _audio(lengths),
        "fewest_rows": fewest(1, 1),  # of a family with one question about each recording
        "partitions": [_partition(partition, sources, fewest) for partition in partitions],
        "recipe": recipe_of(partitions, corpus)._asdict() if partitions else None,
    }


def _labels(corpus: Corpus) -> dict[str, int]:
    """How many families each label would make, of those by which there would be some and not one a question."""
    values: dict[str, set[str]] = {}
    for example in corpus.examples:
        for name, text in example.labels.items():
            values.setdefault(name, set()).add(text)
    n_most = max(2, sum(1 for _ in corpus.examples) // 2)
    return {name: len(texts) for name, texts in values.items() if 1 < len(texts) <= n_most}


def _audio(lengths: Sequence[RecordingLength]) -> dict[str, Any]:
    seconds = np.array([length.seconds for length in lengths if length.seconds is not None])
    silent = [(length.name, length.status) for length in lengths if length.seconds is None]
    counts = np.histogram(seconds, bins=EDGES_S)[0].tolist()
    return {
        "clips": len(lengths),
        "total_s": round(float(seconds.sum()), 3),
        "shortest_s": round(float(seconds.min()), 3) if len(seconds) else None,
        "median_s": round(float(np.median(seconds)), 3) if len(seconds) else None,
        "longest_s": round(float(seconds.max()), 3) if len(seconds) else None,
        "cut": int((seconds > MOST_SECONDS).sum()),
        "histogram": [
            {"from_s": low, "to_s": high if np.isfinite(high) else None, "clips": clips}
            for (low, high), clips in zip(pairwise(EDGES_S), counts, strict=True)
        ],
        "not_heard": {
            "clips": len(silent),
            "reasons": _grouped(silent),
            "all": [{"where": where, "reason": reason} for where, reason in silent],
        },
    }


def _partition(partition: Partition, sources: Sequence[str], fewest: Fewest) -> dict[str, Any]:
    recordings = Counter(family for family, _ in set(zip(partition.families, sources, strict=True)))
    families = []
    for family, n in partition.sizes.items():
        needed = fewest(n, recordings[family])
        testable = recordings[family] >= needed
        families.append(
            {"family": family, "n": n, "recordings": recordings[family], "fewest": needed, "testable": testable}
        )
    return {"name": partition.name, "families": families, "recipe": partition.recipe}


def _grouped(reasons: Iterable[tuple[str, str]]) -> list[Mapping[str, Any]]:
    """The (place, reason) pairs by reason, the most frequent first, each with its first places.

    Reasons that differ only in numbers or in what they quote count as one.
    """
    places: dict[str, list[str]] = {}
    for where, reason in reasons:
        places.setdefault(re.sub(r"\d+\.\d+", "…", re.sub(r"'.*'", "'…'", reason)), []).append(where)
    ordered = sorted(places.items(), key=lambda item: (-len(item[1]), item[0]))
    return [{"reason": reason, "rows": len(where), "first": where[:_SHOWN]} for reason, where in ordered]
