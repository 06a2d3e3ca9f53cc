"""The test vectors of an export: a few made-up recordings, and what the selector that was trained does with them.

Scores come from torch, so that a device is compared with no runtime of its own kind. Knows no file names but those of
the vectors.
"""

import json
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from earmark.engine.arrays import FloatArray, Scores
from earmark.engine.compressors.chunks.cutting import kept_chunks, top_chunks
from earmark.engine.compressors.chunks.learned import LearnedSelector, question_tokens
from earmark.engine.compressors.chunks.selector import SelectorInput
from earmark.engine.corpus.clip import CHUNK_SAMPLES, clip
from earmark.engine.making.edge.edge_folder import VECTORS, VECTORS_SCHEMA, Vector, Vectors
from earmark.engine.making.edge.wav import WavRecording, wav_bytes

BUDGETS = (0.1, 0.2, 0.4, 0.6)
QUESTIONS = (
    "Which sound is heard first?",
    "How many times does the bell ring, 2 or 3?",
    "Who's speaking when the DOOR closes?",
    "Qu’est-ce qu’on entend à la fin ?",
    "最初に話すのは誰ですか。",
    "  is it\tloud?\n\n🔔🔔 or not…",
    "",
)
_NEAR = 0.25  # of a tie: a gap that is so much wider or narrower than one may go either way


class _Sound(NamedTuple):
    name: str
    seconds: float
    width: int  # bytes a sample
    same: bool = False  # the first second again and again: chunks that tie


_SOUNDS = (
    _Sound("ten-seconds", 10, 2),  # the first is the one that is timed
    _Sound("part-of-a-second", 0.4, 2),
    _Sound("fraction", 3.3, 2),
    _Sound("many-chunks", 20.7, 2),
    _Sound("alike", 5, 2, same=True),
    _Sound("24-bit", 6, 3),
    _Sound("8-bit", 4.5, 1),
)


def vector_files(selector: LearnedSelector) -> dict[str, bytes]:
    """The recordings and vectors.json of a selector, by their paths in the exported folder."""
    rng = np.random.default_rng(0)
    recordings = [_recording(sound, rng) for sound in _SOUNDS]
    vectors = [
        _vector(selector, sound.name, recording, question if selector.asks else None)
        for sound, recording, question in zip(_SOUNDS, recordings, QUESTIONS, strict=True)
    ]
    content = Vectors(VECTORS_SCHEMA, list(BUDGETS), vectors)._asdict()
    content["vectors"] = [vector._asdict() for vector in vectors]
    files = {vector.wav: wav_bytes(recording) for vector, recording in zip(vectors, recordings, strict=True)}
    return files | {VECTORS: (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()}


def _vector(selector: LearnedSelector, name: str, recording: WavRecording, question: str | None) -> Vector:
    """A test vector: the scores and kept chunks that the selector gives a recording, where it was trained."""
    (scores,) = selector.scores([SelectorInput(name, clip(recording.waveform), question)])
    tokens = None
    if question is not None:
        assert selector.tokenizer is not None
        tokens = question_tokens(selector.tokenizer, question)
    kept = [_decided(scores, budget, selector.tie) for budget in BUDGETS]
    return Vector(name, f"vectors/{name}.wav", question, tokens, scores.tolist(), kept)


def _decided(scores: Scores, budget: float, tie: float) -> list[int] | None:
    """The kept chunks; None where a tie a little wider or narrower would keep others."""
    k = kept_chunks(budget, len(scores))
    narrow, chunks, wide = (top_chunks(scores, k, tie * factor).tolist() for factor in (1 - _NEAR, 1, 1 + _NEAR))
    return chunks if narrow == chunks == wide else None


# Sounds ------------------------------------------------------------------------------------------------------


def _recording(sound: _Sound, rng: np.random.Generator) -> WavRecording:
    """A recording in which each second is another sound at another level, or the same where `sound` says so."""
    samples = int(sound.seconds * CHUNK_SAMPLES)
    seconds = [_second(rng) for _ in range(-(-samples // CHUNK_SAMPLES))]
    audio = np.concatenate(seconds[:1] * len(seconds) if sound.same else seconds)[:samples]
    top = 2 ** (8 * sound.width - 1) - 1
    levels = np.round(audio * top).astype("<i4")
    if sound.width == 1:
        return WavRecording((levels + 128).astype(np.uint8).tobytes(), 1)
    return WavRecording(levels.view(np.uint8).reshape(-1, 4)[:, : sound.width].tobytes(), sound.width)


def _second(rng: np.random.Generator) -> FloatArray:
    times = np.arange(CHUNK_SAMPLES) / CHUNK_SAMPLES
    kinds: tuple[Callable[..., FloatArray], ...] = (_noise, _tone, _two_tones, _sweep, _clicks)
    level = 10 ** rng.uniform(-2, -0.1)
    return level * np.clip(kinds[rng.integers(len(kinds))](times, rng), -1, 1)


def _noise(times: FloatArray, rng: np.random.Generator) -> FloatArray:
    return rng.uniform(-1, 1, len(times))


def _tone(times: FloatArray, rng: np.random.Generator) -> FloatArray:
    return np.sin(2 * np.pi * rng.uniform(80, 4_000) * times) + 0.02 * rng.uniform(-1, 1, len(times))


def _two_tones(times: FloatArray, rng: np.random.Generator) -> FloatArray:
    return 0.5 * (_tone(times, rng) + _tone(times, rng)) * (times < rng.uniform(0.2, 1))


def _sweep(times: FloatArray, rng: np.random.Generator) -> FloatArray:
    return np.sin(2 * np.pi * (rng.uniform(100, 500) + rng.uniform(500, 3_000) * times) * times)


def _clicks(times: FloatArray, rng: np.random.Generator) -> FloatArray:
    return rng.uniform(-1, 1, len(times)) * (times * rng.integers(3, 20) % 1 < 0.1)
