"""Mel power of many one-second chunks, sixteen chunks side by side in the lanes of wide registers.

A frame of 400 real samples is one complex transform of 200 points (8 x 5 x 5), so that no frame's rounding errors
reach another. Every chunk is computed as if alone, whatever is beside it and on any number of threads. Knows arrays
only; what becomes a feature, `earmark.engine.compressors.chunks.features` says.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from earmark.kernels._jit import config, jit, parallel_jit
from earmark.kernels.neural.simd import LANES, fma, larger, load, splat, store, zip_high, zip_low

Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

FRAME = 400  # samples
_HALF = FRAME // 2
_MIRRORED = _HALF  # samples before the chunk
_PLANE = _HALF * LANES  # one of the real or imaginary parts of a transform


class Tables(NamedTuple):
    """What a transform, a filter bank and a grouping of frames need, as flat arrays."""

    window: Float32Array  # (400,)
    twiddle8: Float32Array  # (25, 8, 2)
    twiddle5: Float32Array  # (5, 5, 2)
    untangle: Float32Array  # (101, 2)
    first_bin: IntArray  # (bands,)
    stop_bin: IntArray
    first_weight: IntArray
    weights: Float32Array


def tables(window: npt.NDArray[np.float64], filters: npt.NDArray[np.float64]) -> Tables:
    """From a window (400,) and mel filters (bands, 201), whose bins 0 and 200 must be silent."""
    if window.shape != (FRAME,) or filters.ndim != 2 or filters.shape[1] != _HALF + 1:
        raise ValueError(f"window {window.shape} and filters {filters.shape} do not fit frames of {FRAME} samples")
    if filters[:, [0, -1]].any():
        raise ValueError("the first and the last bin must have no weight")
    used_bins = [np.flatnonzero(row) for row in filters]
    first = np.array([bins[0] if len(bins) else 0 for bins in used_bins])
    stop = np.array([bins[-1] + 1 if len(bins) else 0 for bins in used_bins])
    return Tables(
        (window / 2).astype(np.float32),  # untangling two halves makes everything twice as large
        _roots(np.outer(np.arange(25), np.arange(8)), 200),
        _roots(np.outer(np.arange(5), np.arange(5)), 25),
        _roots(np.arange(_HALF // 2 + 1), FRAME),
        first,
        stop,
        np.cumsum(stop - first) - (stop - first),
        np.concatenate([row[a:b] for row, a, b in zip(filters, first, stop, strict=True)]).astype(np.float32),
    )


def _roots(power: IntArray, order: int) -> Float32Array:
    """exp(-2 pi i power / order) as (..., 2): real and imaginary part."""
    angle = -2 * np.pi * power / order
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1).astype(np.float32)


def mel_products(
    chunks: Float32Array,
    hop: int,
    group: IntArray,
    mel_tables: Tables,
    least: tuple[float, float, float],
    threads: int | None = None,
) -> tuple[Float32Array, Float32Array]:
    """Products of mel power (blocks, groups, bands, LANES) over groups of frames, and levels (blocks, LANES).

    `group` (frames,) numbers a frame's group; frames begin `hop` samples apart, the first half a frame before the
    chunk, which is mirrored at both ends. Chunks (N, samples) are divided by their level, the largest sample's size
    but at least least[0]. A frame's power is at least least[1], and at least least[2] before the division.
    Runs on at most `threads` threads, else on all that numba has.
    """
    if chunks.dtype != np.float32 or chunks.ndim != 2 or not chunks.flags.c_contiguous:
        raise ValueError(f"chunks of shape {chunks.shape}, {chunks.dtype}: must be rows of float32")
    if chunks.shape[1] % LANES:
        raise ValueError(f"{chunks.shape[1]} samples are no multiple of {LANES}")
    if not 0 <= (len(group) - 1) * hop + FRAME - _MIRRORED - chunks.shape[1] <= _MIRRORED:
        raise ValueError(f"{len(group)} frames, {hop} samples apart, do not fit {chunks.shape[1]} samples")
    if not np.isfinite(chunks).all():  # the kernel would take a NaN for silence
        raise ValueError("chunks hold samples that are not finite")
    blocks = -(-len(chunks) // LANES)
    products = np.empty((blocks, int(group.max()) + 1, len(mel_tables.first_bin), LANES), np.float32)
    levels = np.empty((blocks, LANES), np.float32)
    with _at_most(threads):
        _blocks(chunks, hop, group, mel_tables, np.array(least, np.float32), products, levels)
    return products, levels


@contextmanager
def _at_most(threads: int | None) -> Iterator[None]:
    """While this context is open numba uses at most `threads` threads, if given; afterwards as many as before."""
    before = numba.get_num_threads()
    numba.set_num_threads(before if threads is None else min(threads, config.NUMBA_NUM_THREADS))
    try:
        yield
    finally:
        numba.set_num_threads(before)


@parallel_jit
def _blocks(chunks, hop, group, mel_tables, least, products, levels):
    for i in numba.prange(len(products)):
        lanes = np.empty(((len(group) - 1) * hop + FRAME) * LANES, np.float32)
        _side_by_side(_taken(chunks, i * LANES), lanes)
        _block(lanes, hop, group, mel_tables, least, products[i], levels[i])


@jit
def _taken(chunks, first):
    """LANES chunks from `first` on, one after the other, flat; silence where there are no more."""
    present = chunks[first : first + LANES]
    if len(present) == LANES:
        return present.reshape(-1)
    filled = np.zeros((LANES, chunks.shape[1]), np.float32)
    filled[: len(present)] = present
    return filled.reshape(-1)


@jit
def _side_by_side(block, lanes):
    """LANES chunks, one after the other, become samples (n, LANES), mirrored at both ends.

    Squares of LANES x LANES are transposed by interleaving rows i and i + LANES / 2, four times over.
    """
    samples = len(block) // LANES
    square, spare = np.empty(LANES * LANES, np.float32), np.empty(LANES * LANES, np.float32)
    for start in range(0, samples, LANES):
        _zip_rows(block, start, samples, square, 0)
        _zip_rows(square, 0, LANES, spare, 0)
        _zip_rows(spare, 0, LANES, square, 0)
        _zip_rows(square, 0, LANES, lanes, (start + _MIRRORED) * LANES)
    for i in range(1, _MIRRORED + 1):
        store(lanes, (_MIRRORED - i) * LANES, load(lanes, (_MIRRORED + i) * LANES))
    last = _MIRRORED + samples - 1
    for i in range(1, len(lanes) // LANES - last):
        store(lanes, (last + i) * LANES, load(lanes, (last - i) * LANES))


@jit
def _zip_rows(source, start, stride, target, target_start):
    """Interleave rows i and i + LANES / 2 of a square, whose rows begin `stride` apart, into the target."""
    for i in range(LANES // 2):
        a, b = load(source, start + i * stride), load(source, start + (i + LANES // 2) * stride)
        store(target, target_start + 2 * i * LANES, zip_low(a, b))
        store(target, target_start + (2 * i + 1) * LANES, zip_high(a, b))


@jit
def _block(lanes, hop, group, mel_tables, least, products, levels):
    """Fill the products (groups, bands, LANES) and levels (LANES,) of one block."""
    level = splat(least[0])
    zero = splat(np.float32(0.0))
    for i in range(0, len(lanes), LANES):
        sample = load(lanes, i)
        level = larger(larger(sample, zero - sample), level)
    store(levels, 0, level)
    floors = np.empty(LANES, np.float32)
    inverse = np.empty(LANES, np.float32)
    for lane in range(LANES):
        inverse[lane] = np.float32(1.0) / levels[lane]
        floors[lane] = max(least[1], least[2] * inverse[lane] * inverse[lane])
    floor = load(floors, 0)
    scale = load(inverse, 0)
    for i in range(0, len(lanes), LANES):
        store(lanes, i, load(lanes, i) * scale)
    work = np.empty(4 * _PLANE, np.float32)
    power = np.empty((_HALF + 1) * LANES, np.float32)
    for frame in range(len(group)):
        _first_pass(lanes, frame * hop * LANES, mel_tables.window, mel_tables.twiddle8, work)
        _second_pass(work, mel_tables.twiddle5)
        _third_pass(work)
        _untangle(work, mel_tables.untangle, power)
        sums = products[group[frame]].reshape(-1)
        is_first = frame == 0 or group[frame - 1] != group[frame]
        for band in range(len(mel_tables.first_bin)):
            total = zero
            at = mel_tables.first_weight[band] - mel_tables.first_bin[band]
            for bin_ in range(mel_tables.first_bin[band], mel_tables.stop_bin[band]):
                total = fma(splat(mel_tables.weights[at + bin_]), load(power, bin_ * LANES), total)
            total = larger(total, floor)
            if not is_first:
                total = total * load(sums, band * LANES)
            store(sums, band * LANES, total)


# The transform -----------------------------------------------------------------------------------------------
# Stockham's: each pass reads points r apart in one buffer and writes them side by side into the other, so that no
# order is ever reversed. work = [real 0, imaginary 0, real 1, imaginary 1], each (200, LANES).


@jit
def _first_pass(lanes, start, window, twiddle, work):
    """Even samples as real, odd as imaginary parts, windowed; radix 8."""
    half = splat(np.float32(np.sqrt(0.5)))
    for p in range(25):
        a0r, a0i = _windowed(lanes, start, window, p)
        a1r, a1i = _windowed(lanes, start, window, p + 25)
        a2r, a2i = _windowed(lanes, start, window, p + 50)
        a3r, a3i = _windowed(lanes, start, window, p + 75)
        a4r, a4i = _windowed(lanes, start, window, p + 100)
        a5r, a5i = _windowed(lanes, start, window, p + 125)
        a6r, a6i = _windowed(lanes, start, window, p + 150)
        a7r, a7i = _windowed(lanes, start, window, p + 175)
        b0r, b0i, b1r, b1i = a0r + a4r, a0i + a4i, a0r - a4r, a0i - a4i
        b2r, b2i, b3r, b3i = a2r + a6r, a2i + a6i, a2r - a6r, a2i - a6i
        b4r, b4i, b5r, b5i = a1r + a5r, a1i + a5i, a1r - a5r, a1i - a5i
        b6r, b6i, b7r, b7i = a3r + a7r, a3i + a7i, a3r - a7r, a3i - a7i
        c0r, c0i, c1r, c1i = b0r + b2r, b0i + b2i, b0r - b2r, b0i - b2i
        c2r, c2i, c3r, c3i = b4r + b6r, b4i + b6i, b4r - b6r, b4i - b6i
        d1r, d1i, d3r, d3i = b1r + b3i, b1i - b3r, b1r - b3i, b1i + b3r
        er, ei, fr, fi = b5r + b7i, b5i - b7r, b5r - b7i, b5i + b7r
        ur, ui = (er + ei) * half, (ei - er) * half
        vr, vi = (fi - fr) * half, (fr + fi) * half  # minus the imaginary part
        at = 8 * p
        store(work, at * LANES, c0r + c2r)
        store(work, at * LANES + _PLANE, c0i + c2i)
        _turned(work, 0, at + 1, d1r + ur, d1i + ui, twiddle[p, 1])
        _turned(work, 0, at + 2, c1r + c3i, c1i - c3r, twiddle[p, 2])
        _turned(work, 0, at + 3, d3r + vr, d3i - vi, twiddle[p, 3])
        _turned(work, 0, at + 4, c0r - c2r, c0i - c2i, twiddle[p, 4])
        _turned(work, 0, at + 5, d1r - ur, d1i - ui, twiddle[p, 5])
        _turned(work, 0, at + 6, c1r - c3i, c1i + c3r, twiddle[p, 6])
        _turned(work, 0, at + 7, d3r - vr, d3i + vi, twiddle[p, 7])


@jit
def _windowed(lanes, start, window, i):
    """The i-th complex point of a frame."""
    at = start + 2 * i * LANES
    return load(lanes, at) * splat(window[2 * i]), load(lanes, at + LANES) * splat(window[2 * i + 1])


@jit
def _turned(work, base, at, real, imaginary, root):
    """Store a point times a root of unity."""
    c, s = splat(root[0]), splat(root[1])
    store(work, base + at * LANES, fma(real, c, splat(np.float32(0.0)) - imaginary * s))
    store(work, base + at * LANES + _PLANE, fma(real, s, imaginary * c))


@jit
def _second_pass(work, twiddle):
    """Radix 5 from the first buffer into the second."""
    for p in range(5):
        for q in range(8):
            y0, y1, y2, y3, y4 = _fifth(work, 0, (q + 8 * p) * LANES, 40 * LANES)
            at = q + 40 * p
            store(work, 2 * _PLANE + at * LANES, y0[0])
            store(work, 3 * _PLANE + at * LANES, y0[1])
            _turned(work, 2 * _PLANE, at + 8, y1[0], y1[1], twiddle[p, 1])
            _turned(work, 2 * _PLANE, at + 16, y2[0], y2[1], twiddle[p, 2])
            _turned(work, 2 * _PLANE, at + 24, y3[0], y3[1], twiddle[p, 3])
            _turned(work, 2 * _PLANE, at + 32, y4[0], y4[1], twiddle[p, 4])


@jit
def _third_pass(work):
    """Radix 5 from the second buffer into the first: the spectrum of the 200 complex points, in order."""
    for q in range(0, 40 * LANES, LANES):
        y0, y1, y2, y3, y4 = _fifth(work, 2 * _PLANE, q, 40 * LANES)
        store(work, q, y0[0])
        store(work, q + _PLANE, y0[1])
        store(work, q + 40 * LANES, y1[0])
        store(work, q + 40 * LANES + _PLANE, y1[1])
        store(work, q + 80 * LANES, y2[0])
        store(work, q + 80 * LANES + _PLANE, y2[1])
        store(work, q + 120 * LANES, y3[0])
        store(work, q + 120 * LANES + _PLANE, y3[1])
        store(work, q + 160 * LANES, y4[0])
        store(work, q + 160 * LANES + _PLANE, y4[1])


@jit
def _fifth(work, base, at, apart):
    """The transform of the five points `apart` from each other in a buffer, as (real, imaginary) pairs."""
    c1, c2 = splat(np.float32(np.cos(0.4 * np.pi))), splat(np.float32(np.cos(0.8 * np.pi)))
    s1, s2 = splat(np.float32(np.sin(0.4 * np.pi))), splat(np.float32(np.sin(0.8 * np.pi)))
    i = base + at
    a0r, a0i = load(work, i), load(work, i + _PLANE)
    a1r, a1i = load(work, i + apart), load(work, i + apart + _PLANE)
    a2r, a2i = load(work, i + 2 * apart), load(work, i + 2 * apart + _PLANE)
    a3r, a3i = load(work, i + 3 * apart), load(work, i + 3 * apart + _PLANE)
    a4r, a4i = load(work, i + 4 * apart), load(work, i + 4 * apart + _PLANE)
    t1r, t1i, t2r, t2i = a1r + a4r, a1i + a4i, a2r + a3r, a2i + a3i
    t3r, t3i, t4r, t4i = a1r - a4r, a1i - a4i, a2r - a3r, a2i - a3i
    m1r, m1i = fma(c1, t1r, fma(c2, t2r, a0r)), fma(c1, t1i, fma(c2, t2i, a0i))
    m2r, m2i = fma(c2, t1r, fma(c1, t2r, a0r)), fma(c2, t1i, fma(c1, t2i, a0i))
    n1r, n1i = fma(s1, t3r, s2 * t4r), fma(s1, t3i, s2 * t4i)
    n2r, n2i = s2 * t3r - s1 * t4r, s2 * t3i - s1 * t4i
    return (
        (a0r + t1r + t2r, a0i + t1i + t2i),
        (m1r + n1i, m1i - n1r),
        (m2r + n2i, m2i - n2r),
        (m2r - n2i, m2i + n2r),
        (m1r - n1i, m1i + n1r),
    )


@jit
def _untangle(work, roots, power):
    """The power of bins 1 to 199 of the real frame, two bins a step: with Z the spectrum of the 200 points,

    E = Z[k] + conj Z[200 - k], O = -i (Z[k] - conj Z[200 - k]) exp(-2 pi i k / 400): X[k] = E + O, X[200 - k] = E - O.
    """
    for k in range(1, _HALF // 2 + 1):
        zr, zi = load(work, k * LANES), load(work, k * LANES + _PLANE)
        yr, yi = load(work, (_HALF - k) * LANES), load(work, (_HALF - k) * LANES + _PLANE)
        er, ei = zr + yr, zi - yi
        dr, di = zi + yi, yr - zr  # -i (Z - conj Y)
        c, s = splat(roots[k, 0]), splat(roots[k, 1])
        our, oui = dr * c - di * s, fma(dr, s, di * c)
        ur, ui, vr, vi = er + our, ei + oui, er - our, ei - oui
        store(power, k * LANES, fma(ur, ur, ui * ui))
        store(power, (_HALF - k) * LANES, fma(vr, vr, vi * vi))
