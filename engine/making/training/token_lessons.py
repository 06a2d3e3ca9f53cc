"""What selectors of audio tokens learn from: an encoder's states of each recording, and the relevance of their seconds.

States are computed once per recording, into a file that later runs map into memory, and an index beside it, written
last. Knows an answerer by what is shared of it; no network.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from earmark.engine.answerers.shared.audio_lm import AudioLM
from earmark.engine.arrays import Waveform
from earmark.engine.compressors.compressor import audio_hash
from earmark.engine.compressors.tokens.token_scorer import states_features
from earmark.engine.corpus.clip import CHUNK_SAMPLES, chunk_count
from earmark.engine.corpus.corpus import Corpus
from earmark.engine.corpus.example import MOST_SECONDS, SAMPLE_RATE
from earmark.engine.corpus.stream import stream
from earmark.engine.errors import InputError
from earmark.engine.faults import writing
from earmark.engine.files import flush, make_folder, write_file
from earmark.engine.making.oracle import Oracle, check_may_train, succeeded
from earmark.engine.making.training.lessons import OF_TABLE, Float32Array, Lessons
from earmark.engine.progress import Report
from earmark.engine.reading import open_regular, parse_json, read_bytes

_AGAIN = "delete it: the same command makes it again"
_MOST_INDEX_BYTES = 1 << 28
_MOST = MOST_SECONDS * SAMPLE_RATE  # samples of a clip, or positions


class _Extent(NamedTuple):
    """How much there is of a recording."""

    positions: int  # audio tokens
    samples: int


def make_token_lessons(oracle: Oracle, corpus: Corpus, model: AudioLM, folder: Path, report: Report) -> Lessons:
    """Join the oracle's table with what a model's encoder makes of the recordings of its corpus; states go to, or come
    from, files in `folder`.
    """
    rows = [row for row in oracle.rows if succeeded(row)]
    if not rows:
        raise InputError("the oracle's table", "has no row with a relevance", "see the statuses of its rows")
    recordings = list(dict.fromkeys(str(row.recording) for row in rows))
    name = hashlib.sha256(f"{model.identity} {' '.join(recordings)}".encode()).hexdigest()[:16]
    path, index = folder / f"states-{name}.f32", folder / f"states-{name}.json"
    if not index.exists():
        make_folder(folder)
        _compute_states(corpus, model, recordings, path, index, report)
    width = model.shape.decoder.width
    extents = _read_index(index, recordings)
    flat = _mapped_states(path, sum(extent.positions for extent in extents.values()), width)
    starts = np.cumsum([0, *(extent.positions for extent in extents.values())]).tolist()
    states = {recording: flat[a:b] for recording, a, b in zip(extents, starts, starts[1:], strict=False)}
    features = states_features(width)
    return Lessons(
        features=[states[str(row.recording)] for row in rows],
        questions=[row.question for row in rows],
        relevance=[
            position_relevance(np.array(row.relevance, dtype=np.float32), *extents[str(row.recording)]) for row in rows
        ],
        rows=rows,
        hash=hashlib.sha256(f"{features} {model.identity} {oracle.hash}".encode()).hexdigest(),
        heard={"features": features, "encoder": model.identity},
    )


def position_relevance(relevance: Float32Array, positions: int, samples: int) -> Float32Array:
    """For each of so many positions of a clip (n,) the relevance (T,) of the second that its middle is in."""
    middles = (2 * np.arange(positions) + 1) * samples // (2 * positions)
    return relevance[np.minimum(middles // CHUNK_SAMPLES, len(relevance) - 1)]


def hears(model: AudioLM, audio: Waveform) -> bool:
    """Whether a model's encoder hears all of a clip at once, and makes anything of it."""
    return len(audio) <= model.shape.encoder.longest_samples and model.shape.audio_tokens(len(audio)) > 0


def states_of(model: AudioLM, audio: Waveform, name: str) -> Float32Array:
    """(positions, width) what a model's encoder makes of a clip; InputError where it is too long for it."""
    if not hears(model, audio):
        longest_s = model.shape.encoder.longest_samples / SAMPLE_RATE
        what = f"has {len(audio) / SAMPLE_RATE:.1f} s, the encoder hears up to {longest_s:g} s"
        raise InputError(f"sample {name}", what, "leave it out")
    encoded = model.encode([model.open(audio)], [range(chunk_count(audio))])
    return model.states(encoded, 0).astype(np.float32)


def _compute_states(
    corpus: Corpus, model: AudioLM, recordings: Iterable[str], path: Path, index: Path, report: Report
) -> None:
    """Encode every recording, each once, into a file that appears when it is whole, and the index behind it."""
    part = path.with_suffix(".part")
    missing = set(recordings)
    n_recordings = len(missing)
    extents: dict[str, _Extent] = {}
    with writing(path), part.open("wb") as file:
        for clip in stream(corpus.examples, workers=0):
            check_may_train(clip.example)
            recording = None if clip.audio is None else audio_hash(clip.audio)
            if clip.audio is None or recording not in missing:
                continue
            states = states_of(model, clip.audio, clip.example.sample_id)
            file.write(states.astype("<f4").tobytes())
            extents[recording] = _Extent(len(states), len(clip.audio))
            missing.remove(recording)
            report("states of recordings", len(extents), n_recordings)
            if not missing:
                break
        if missing:
            what = f"lacks {len(missing)} of {n_recordings} recordings of the oracle's table"
            raise InputError(f"corpus {corpus.name}", what, OF_TABLE)
    with writing(path):
        flush(part)
        os.replace(part, path)
    write_file(index, json.dumps(extents).encode())


def _read_index(index: Path, recordings: Iterable[str]) -> dict[str, _Extent]:
    """How much of each recording there is, in the order of the file; InputError where it says anything else."""
    content = parse_json(read_bytes(index, _AGAIN, _MOST_INDEX_BYTES), index, _AGAIN)
    is_whole = isinstance(content, dict) and content.keys() == {*recordings}
    if not is_whole or not all(
        isinstance(extent, list) and len(extent) == 2 and all(type(n) is int and 0 < n <= _MOST for n in extent)
        for extent in content.values()
    ):
        raise InputError(index, "is no index of these recordings", _AGAIN)
    return {recording: _Extent(*extent) for recording, extent in content.items()}


def _mapped_states(path: Path, positions: int, width: int) -> Float32Array:
    """The states (positions, width) in a file; InputError where it has another size."""
    size = positions * width * 4
    with open_regular(path, _AGAIN, size) as file:
        is_whole = file.seek(0, os.SEEK_END) == size
    if not is_whole:
        raise InputError(path, f"does not hold {positions:,} states of {width} numbers", _AGAIN)
    return np.memmap(path, np.float32, "r", 0, (positions, width))
