"""What a learned selector hears of a chunk: 768 numbers, log-mel averaged over six stretches of a second.

Features `logmel-768/1`. A chunk is 16,000 samples, what is left at the end of a clip padded with silence, and is
mirrored by 200 samples at both ends. Its level is the size of its largest sample, at least 2^-21. 100 frames of 400
samples, 160 apart, times a Hann window -> power of the Fourier transform -> 128 mel bands (Slaney's scale and norm,
0 to 8 kHz) -> at least 1e-10 and at least 1e-6 level^2 -> log10 -> mean over each of six equal stretches of 100 / 6
frames (a frame on an edge belongs to both sides in part) -> feature 6 band + stretch.

The floor below the level keeps rounding errors out, which differ between backends; a chunk below about 1e-6 is
silence, and all silence is equal. Knows no model; the kernel is loaded when features are first computed.
"""

from collections.abc import Callable, Iterator, MutableMapping, Sequence
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from earmark.engine.arrays import FloatArray, Waveform
from earmark.engine.compressors.chunks.selector import SelectorInput, check_finite
from earmark.engine.compressors.compressor import audio_hash
from earmark.engine.corpus.clip import CHUNK_SAMPLES, chunk_count

if TYPE_CHECKING:
    from earmark.kernels.neural.logmel import Tables

FEATURES = "logmel-768/1"
SAMPLE_RATE = 16_000
FRAME, HOP, FRAMES, MIRRORED = 400, 160, 100, 200
BANDS, STRETCHES = 128, 6
WIDTH = BANDS * STRETCHES
SOFTEST = 2.0**-21  # a level below which nothing rises above FLOOR
FLOOR = 1e-10  # of the power of a band
RANGE = 1e-6  # of the same for a chunk whose level is 1
_CHUNKS_AT_ONCE = 256

Float32Array = npt.NDArray[np.float32]


def chunk_features(audio: Waveform) -> Float32Array:
    """The features (T, 768) of a clip."""
    return batch_features([audio])[0]


def features_of(
    clips: Sequence[SelectorInput], threads: int | None = None, cache: MutableMapping[str, Float32Array] | None = None
) -> list[Float32Array]:
    """The features (T, 768) of what a selector sees, those of one waveform once; InputError names a clip without any.

    `cache` keeps them by content (the hash of the samples), for calls to come.
    """
    name: Callable[[Waveform], Any] = audio_hash if cache is not None else id
    names: list[Any] = [name(clip.audio) for clip in clips]
    known: dict[Any, Float32Array] = {} if cache is None else {n: cache[n] for n in names if n in cache}
    new = {n: clip.audio for n, clip in zip(names, clips, strict=True) if n not in known}
    try:
        fresh = dict(zip(new, batch_features(list(new.values()), threads), strict=True))
    except ValueError:  # of the kernel, which knows no names and has looked at every sample
        check_finite(clips)
        raise
    if cache is not None:
        cache.update(fresh)
    return [fresh[n] if n in fresh else known[n] for n in names]


def batch_features(clips: Sequence[Waveform], threads: int | None = None) -> list[Float32Array]:
    """The features (T, 768) of many clips, on so many threads at most; a chunk's do not depend on those beside it."""
    if not clips:
        return []
    features = np.concatenate([_features(chunks, threads) for chunks in _gathered(clips)])
    ends = np.cumsum([chunk_count(audio) for audio in clips])
    return np.split(features, ends[:-1])


def _gathered(clips: Sequence[Waveform]) -> Iterator[Float32Array]:
    """The chunks of all clips, so many at a time, in one buffer that is filled again and again."""
    chunks = sum(chunk_count(audio) for audio in clips)
    buffer = np.empty((min(chunks, _CHUNKS_AT_ONCE), CHUNK_SAMPLES), np.float32)
    filled = 0
    for audio in clips:
        for start in range(0, len(audio), CHUNK_SAMPLES):
            chunk = audio[start : start + CHUNK_SAMPLES]
            buffer[filled, : len(chunk)] = chunk
            buffer[filled, len(chunk) :] = 0.0
            filled += 1
            if filled == len(buffer):
                yield buffer
                filled = 0
    if filled:
        yield buffer[:filled]


def chunks_of(audio: Waveform) -> Float32Array:
    """A clip as chunks (T, 16000), what is left at its end padded with silence."""
    missing = chunk_count(audio) * CHUNK_SAMPLES - len(audio)
    whole = np.pad(audio, (0, missing)) if missing else audio
    return np.ascontiguousarray(whole, np.float32).reshape(-1, CHUNK_SAMPLES)


def _features(chunks: Float32Array, threads: int | None) -> Float32Array:
    from earmark.kernels.neural.logmel import mel_products

    groups = frame_groups()
    products, levels = mel_products(chunks, HOP, groups.of_frame, _tables(), (SOFTEST, RANGE, FLOOR), threads)
    blocks, _, bands, lanes = products.shape
    logs = np.log10(products, out=products).reshape(blocks, len(groups.share[0]), bands * lanes)
    means = np.matmul(groups.share.astype(np.float32), logs).reshape(blocks, STRETCHES, bands, lanes)
    means += 2 * np.log10(levels)[:, None, None, :]
    return np.ascontiguousarray(means.transpose(0, 3, 2, 1)).reshape(blocks * lanes, WIDTH)[: len(chunks)]


# The definition as tables ------------------------------------------------------------------------------------


def hann() -> FloatArray:
    """The periodic Hann window (400,)."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME) / FRAME)


def mel_filters() -> FloatArray:
    """Slaney's triangular filters (128, 201), each of area 1 over frequency."""
    edges = _hertz(np.linspace(0.0, _mels(SAMPLE_RATE / 2), BANDS + 2))
    bins = np.linspace(0.0, SAMPLE_RATE / 2, FRAME // 2 + 1)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    filters: FloatArray = np.maximum(0.0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))[:, None]
    filters[:, -1] = 0.0  # the last filter ends there
    return filters


def _mels(hertz: float) -> float:
    """Linear below 1 kHz, logarithmic above."""
    return 3 * hertz / 200 if hertz < 1000 else 15 + 27 * float(np.log(hertz / 1000) / np.log(6.4))


def _hertz(mels: FloatArray) -> FloatArray:
    hertz: FloatArray = np.where(mels < 15, 200 * mels / 3, 1000 * 6.4 ** ((mels - 15) / 27))
    return hertz


def stretches() -> FloatArray:
    """The share (6, 100) of every frame in the mean of every stretch; each row sums to 1."""
    edges = np.arange(STRETCHES + 1) * FRAMES / STRETCHES
    frames = np.arange(FRAMES)
    inside = np.minimum(edges[1:, None], frames + 1) - np.maximum(edges[:-1, None], frames)
    share: FloatArray = np.maximum(0.0, inside) * STRETCHES / FRAMES
    return share


class Groups(NamedTuple):
    """Up to four neighbouring frames that weigh alike: their powers are multiplied before one logarithm is taken."""

    of_frame: npt.NDArray[np.int64]  # (100,)
    share: FloatArray  # (6, groups): what a group's logarithm weighs in each stretch


@cache
def frame_groups() -> Groups:
    """28 groups of the 100 frames."""
    share = np.round(stretches(), 12)
    of_frame: list[int] = []
    for _, alike in groupby(range(FRAMES), lambda frame: share[:, frame].tobytes()):
        start = of_frame[-1] + 1 if of_frame else 0
        of_frame += [start + i // 4 for i, _ in enumerate(alike)]
    first = [of_frame.index(group) for group in range(of_frame[-1] + 1)]
    return Groups(np.array(of_frame), stretches()[:, first])


@cache
def _tables() -> "Tables":
    from earmark.kernels.neural.logmel import tables

    return tables(hann(), mel_filters())
