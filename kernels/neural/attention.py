"""Attention between a product of projections and the next: bias, norm's scale, rotary embedding, keys and values of a
past that rows share, scores, softmax and the sum of values, row by row and head by head in scratch that stays in cache.

Knows positions and heads; no model. Nothing that is hidden or padding is computed. NaN stays NaN.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from earmark.kernels._jit import jit
from earmark.kernels.neural.exponential import exponential, first, highest, total
from earmark.kernels.neural.simd import LANES, fma, larger, load, splat, store

# Queries at a time, keys or values two registers wide: sixteen sums stay in registers. Four queries would keep a core
# as busy where keys lie in its first-level cache; from the second-level one they would wait for them.
QUERIES = 8
WIDE = 2 * LANES

Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


class Projected(NamedTuple):
    """Products of new positions with the projections; each array is flat, with LANES to spare at its end.

    Queries are the first columns of their array and values the last of theirs: it may be one and the same.
    """

    queries: Float32Array  # (rows * asking, at least heads * size)
    keys: Float32Array  # (kv heads * size, rows * new): transposed
    values: Float32Array  # (rows * new, at least kv heads * size)
    scale: Float32Array  # (rows * new) what each position's products are to be multiplied by
    bias: Float32Array  # (heads + 2 kv heads) * size, added after that


class Rotation(NamedTuple):
    """Rotary embedding: dimensions i and i + size / 2 of a head turn together."""

    cos: Float32Array  # (positions, size / 2), flat, LANES to spare; empty: nothing turns
    sin: Float32Array
    cos_t: Float32Array  # (size / 2, positions)
    sin_t: Float32Array
    positions: int


class KeyWeights(NamedTuple):
    """What is added to the scores of keys, for all queries alike; both empty where nothing is."""

    old: Float32Array  # (any, past), flat
    new: Float32Array  # (rows, new), flat


class Old(NamedTuple):
    """Keys and values of earlier positions, which rows may share: row b continues `at[b]` of these, where valid."""

    keys: Float32Array  # (any, kv heads, size, past), flat
    values: Float32Array  # (any, kv heads, past, size), flat
    valid: npt.NDArray[np.bool_]  # (any, past)
    at: IntArray  # (rows,)


class AttentionShape(NamedTuple):
    """The sizes of one attention."""

    rows: int
    new: int
    asking: int  # queries a row: all new positions, only the last valid one, or none
    heads: int
    kv_heads: int
    size: int  # dimensions of a head
    causal: bool


_NOTHING = np.zeros(0, np.float32)
NO_ROTATION = Rotation(_NOTHING, _NOTHING, _NOTHING, _NOTHING, 0)
NO_WEIGHTS = KeyWeights(_NOTHING, _NOTHING)


def rotation(frequencies: Float32Array, positions: int) -> Rotation:
    """The tables that turn positions 0, 1, ... by the angular frequencies (size / 2,) of a head."""
    return rotation_at(frequencies, np.arange(positions, dtype=np.float32))


def rotation_at(frequencies: Float32Array, places: Float32Array) -> Rotation:
    """The tables that turn by these places, whole or not, one after the other."""
    angles = places[:, None] * frequencies
    cos, sin = np.cos(angles), np.sin(angles)
    return Rotation(_roomy(cos), _roomy(sin), _roomy(cos.T), _roomy(sin.T), len(places))


def _roomy(x: Float32Array) -> Float32Array:
    """A flat copy with LANES to spare at its end."""
    return np.append(x.ravel(), np.zeros(LANES, np.float32))


def attend(
    projected: Projected,
    rotation: Rotation,
    old: Old,
    lengths: IntArray,
    turns: IntArray,
    weights: KeyWeights,
    shape: AttentionShape,
    out: Float32Array,
    keys: Float32Array,
    values: Float32Array,
) -> None:
    """Attention of the first lengths[b] new positions of each row into out (rows * asking, heads * size), flat.

    `turns` (rows,) say where in the tables of the rotation each row's new positions begin.

    Their keys and values go to the last `new` positions of keys (rows, kv heads, size, past + new) and values (rows, kv
    heads, past + new, size), flat; to nowhere where those are empty.
    """
    n, past = shape.rows * shape.new, old.valid.shape[1]
    width, kv_width = shape.heads * shape.size, shape.kv_heads * shape.size
    n_stored = shape.rows * kv_width * (past + shape.new)
    checks = {
        "shape": shape.asking in (0, 1, shape.new) and shape.size % 2 == 0 and shape.heads % shape.kv_heads == 0,
        "queries": _divides(shape.rows * shape.asking, width, projected.queries),
        "keys": len(projected.keys) >= n * kv_width + LANES,
        "values": _divides(n, kv_width, projected.values),
        "scale": len(projected.scale) >= n + LANES,
        "bias": len(projected.bias) >= width + 2 * kv_width + LANES,
        "rotation": not rotation.positions or _within(turns, 0, rotation.positions - shape.new - LANES),
        "turns": len(turns) == shape.rows,
        "weights": (len(weights.old), len(weights.new)) in ((0, 0), (old.valid.size, shape.rows * shape.new)),
        "old": len(old.keys) == len(old.values) == len(old.valid) * past * kv_width,
        "at": len(old.at) == shape.rows and _within(old.at, 0, len(old.valid) - 1),
        "lengths": len(lengths) == shape.rows and _within(lengths, 1, shape.new),
        "out": len(out) >= shape.rows * shape.asking * width,
        "kept": len(keys) == len(values) and len(keys) in (0, n_stored),
        "dtype": all(x.dtype == np.float32 for x in (*projected, *rotation[:4], *weights, *old[:2], out, keys, values)),
    }
    if not all(checks.values()):
        raise ValueError(f"{', '.join(name for name, fit in checks.items() if not fit)}: not of {shape}, past {past}")
    _attend(projected, rotation, old, lengths, turns, weights, shape, out, keys, values)


def _divides(rows: int, least: int, array: Float32Array) -> bool:
    """Whether a flat array with LANES to spare has `rows` rows of at least so many columns."""
    return not rows or ((len(array) - LANES) % rows == 0 and len(array) - LANES >= rows * least)


@jit
def _within(x, low, high):
    outside = 0
    for value in x:
        outside += value < low or value > high
    return outside == 0


@jit
def _aligned(count):
    """Zeros that begin where a cache line does: lanes across two lines are read at half the speed."""
    room = np.zeros(count + LANES, np.float32)
    skip = -(room.ctypes.data // 4) % LANES
    return room[skip : skip + count]


@jit
def _attend(projected, rotation, old, lengths, turns, weights, shape, out, keys, values):
    rows, new, asking, heads, kv_heads, size, causal = shape
    past, half, group = old.valid.shape[1], size // 2, heads // kv_heads
    half_pad = (half + LANES - 1) // LANES * LANES
    wide = (size + WIDE - 1) // WIDE * WIDE
    cap = (past + new + WIDE - 1) // WIDE * WIDE + LANES
    k = _aligned(size * cap + LANES)
    v = _aligned(cap * wide + LANES)
    q = _aligned((asking + QUERIES) * 2 * half_pad)
    p = _aligned(QUERIES * cap)
    w = _aligned(cap if weights.new.size else 0)
    o = _aligned(QUERIES * wide + QUERIES)
    for kv_head in range(kv_heads):
        held_row, m = -1, 0
        for b in range(rows):
            if old.at[b] != held_row:
                held_row = old.at[b]
                m = _take_old(old, weights.old, held_row, kv_head, shape, k, v, w, cap, wide)
            n = lengths[b]
            _new_keys(projected, rotation, b, kv_head, m, n, turns[b], shape, k, cap)
            if weights.new.size:
                w[m : m + n] = weights.new[b * new : b * new + n]
            _new_values(projected, b, kv_head, m, n, shape, v, wide)
            if keys.size:
                _keep(k, v, keys, values, b, kv_head, shape, past, m, n, cap, wide)
            begin = 0 if asking == new else n - asking
            for head in range(kv_head * group, (kv_head + 1) * group if asking else 0):
                _queries(projected, rotation, b, begin, n, turns[b], head, shape, q, half_pad)
                for start in range(begin, n, QUERIES):
                    n_queries = min(QUERIES, n - start)
                    n_seen = m + start + n_queries if causal else m + n
                    _scores(q, (start - begin) * 2 * half_pad, half, half_pad, k, cap, n_seen, p)
                    if weights.new.size:
                        _add_to_each(w, p, cap, n_seen)
                    _softmax(p, cap, m + start + 1 if causal else n_seen, 1 if causal else 0, n_seen, o, wide)
                    _weighted(p, cap, v, wide, n_seen, o)
                    out_start = (b * asking + start - begin) * heads * size + head * size
                    _write(o, wide, n_queries, out, out_start, heads * size, size)


@jit
def _copy(source, source_start, source_step, target, target_start, target_step, rows, count):
    """Copy `rows` stretches of `count` values; in either array one begins that array's step after the one before."""
    whole = count - count % LANES
    for i in range(rows):
        a, b = source_start + i * source_step, target_start + i * target_step
        for j in range(0, whole, LANES):
            store(target, b + j, load(source, a + j))
        for j in range(whole, count):
            target[b + j] = source[a + j]


@jit
def _take_old(old, weights, row, head, shape, k, v, w, cap, wide):
    """Copy the valid positions of a past into k and v, and their weights into w; returns how many there are."""
    keys, values, valid, size = old.keys, old.values, old.valid, shape.size
    past = valid.shape[1]
    base = (row * shape.kv_heads + head) * past * size
    m, p = 0, 0
    while p < past:
        end = p
        while end < past and valid[row, end]:
            end += 1
        if end > p:
            _copy(keys, base + p, past, k, m, cap, size, end - p)
            _copy(values, base + p * size, size, v, m * wide, wide, end - p, size)
            if weights.size:
                w[m : m + end - p] = weights[row * past + p : row * past + end]
            m += end - p
        p = end + 1
    return m


@jit
def _keep(k, v, keys, values, b, head, shape, past, m, n, cap, wide):
    """Copy the n new keys and values of a row from scratch to the places that the caller keeps."""
    size, length = shape.size, past + shape.new
    base = (b * shape.kv_heads + head) * length * size
    _copy(k, m, cap, keys, base + past, length, size, n)
    _copy(v, m * wide, wide, values, base + past * size, size, n, size)


@jit
def _new_keys(projected, rotation, b, head, m, n, begin, shape, k, cap):
    """The n new keys of a row behind the m old ones in k (size, cap); what lies behind them is garbage."""
    size, half, total = shape.size, shape.size // 2, shape.rows * shape.new
    base = (shape.heads + head) * size
    for i in range(half):
        low, high = (head * size + i) * total + b * shape.new, (head * size + half + i) * total + b * shape.new
        bias_low, bias_high = splat(projected.bias[base + i]), splat(projected.bias[base + half + i])
        turn = i * rotation.positions + begin
        for j in range(0, n, LANES):
            scale = load(projected.scale, b * shape.new + j)
            x = fma(load(projected.keys, low + j), scale, bias_low)
            y = fma(load(projected.keys, high + j), scale, bias_high)
            if rotation.positions:
                cos, sin = load(rotation.cos_t, turn + j), load(rotation.sin_t, turn + j)
                x, y = x * cos - y * sin, fma(y, cos, x * sin)
            store(k, i * cap + m + j, x)
            store(k, (half + i) * cap + m + j, y)


@jit
def _new_values(projected, b, head, m, n, shape, v, wide):
    """The n new values of a row behind the m old ones in v (cap, wide)."""
    size = shape.size
    columns = (len(projected.values) - LANES) // (shape.rows * shape.new)
    start = columns - (shape.kv_heads - head) * size
    bias = (shape.heads + shape.kv_heads + head) * size
    for j in range(n):
        row = (b * shape.new + j) * columns + start
        scale = splat(projected.scale[b * shape.new + j])
        for c in range(0, size, LANES):
            x = fma(load(projected.values, row + c), scale, load(projected.bias, bias + c))
            store(v, (m + j) * wide + c, x)


@jit
def _queries(projected, rotation, b, begin, n, turns, head, shape, q, half_pad):
    """Queries [begin, n) of a row in q: two halves, each padded to LANES; divided by sqrt(size)."""
    size, half, asking = shape.size, shape.size // 2, shape.asking
    columns = (len(projected.queries) - LANES) // (shape.rows * asking)
    bias = head * size
    inverse_root = splat(np.float32(1.0 / np.sqrt(size)))
    for position in range(begin, n):
        low = (b * asking + position - begin) * columns + head * size
        scale = splat(projected.scale[b * shape.new + position])
        turn, target = (turns + position) * half, (position - begin) * 2 * half_pad
        for i in range(0, half, LANES):
            x = fma(load(projected.queries, low + i), scale, load(projected.bias, bias + i))
            y = fma(load(projected.queries, low + half + i), scale, load(projected.bias, bias + half + i))
            if rotation.positions:
                cos, sin = load(rotation.cos, turn + i), load(rotation.sin, turn + i)
                x, y = x * cos - y * sin, fma(y, cos, x * sin)
            store(q, target + i, x * inverse_root)
            store(q, target + half_pad + i, y * inverse_root)


@jit
def _scores(q, start, half, half_pad, k, cap, n_seen, p):
    """Products of QUERIES queries with the first n_seen keys, in p (QUERIES, cap)."""
    zero = splat(np.float32(0.0))
    step = 2 * half_pad
    for j in range(0, n_seen, WIDE):
        a0 = a1 = a2 = a3 = a4 = a5 = a6 = a7 = b0 = b1 = b2 = b3 = b4 = b5 = b6 = b7 = zero
        for i in range(2 * half):
            c = start + (i if i < half else i - half + half_pad)
            x, y = load(k, i * cap + j), load(k, i * cap + j + LANES)
            w = splat(q[c])
            a0, b0 = fma(w, x, a0), fma(w, y, b0)
            w = splat(q[c + step])
            a1, b1 = fma(w, x, a1), fma(w, y, b1)
            w = splat(q[c + 2 * step])
            a2, b2 = fma(w, x, a2), fma(w, y, b2)
            w = splat(q[c + 3 * step])
            a3, b3 = fma(w, x, a3), fma(w, y, b3)
            w = splat(q[c + 4 * step])
            a4, b4 = fma(w, x, a4), fma(w, y, b4)
            w = splat(q[c + 5 * step])
            a5, b5 = fma(w, x, a5), fma(w, y, b5)
            w = splat(q[c + 6 * step])
            a6, b6 = fma(w, x, a6), fma(w, y, b6)
            w = splat(q[c + 7 * step])
            a7, b7 = fma(w, x, a7), fma(w, y, b7)
        store(p, j, a0)
        store(p, j + LANES, b0)
        store(p, cap + j, a1)
        store(p, cap + j + LANES, b1)
        store(p, 2 * cap + j, a2)
        store(p, 2 * cap + j + LANES, b2)
        store(p, 3 * cap + j, a3)
        store(p, 3 * cap + j + LANES, b3)
        store(p, 4 * cap + j, a4)
        store(p, 4 * cap + j + LANES, b4)
        store(p, 5 * cap + j, a5)
        store(p, 5 * cap + j + LANES, b5)
        store(p, 6 * cap + j, a6)
        store(p, 6 * cap + j + LANES, b6)
        store(p, 7 * cap + j, a7)
        store(p, 7 * cap + j + LANES, b7)


@jit
def _add_to_each(w, p, cap, n_seen):
    """Add the weights of the keys to the scores of every query."""
    for i in range(QUERIES):
        for j in range(0, n_seen, LANES):
            store(p, i * cap + j, load(p, i * cap + j) + load(w, j))


@jit
def _softmax(p, cap, own, more, n_seen, o, wide):
    """Query i's scores become e^(score - highest) for the own + i * more keys that it sees, 0 for the others.

    The sum of each query goes behind the values in o.
    """
    none, zero = splat(np.float32(-np.inf)), splat(np.float32(0.0))
    for i in range(QUERIES):
        at = i * cap
        n_mine = min(own + i * more, n_seen)
        top = none
        for j in range(0, n_mine, LANES):
            top = larger(first(n_mine - j, load(p, at + j), none), top)
        down = splat(highest(top))
        sums = zero
        for j in range(0, n_mine, LANES):
            x = first(n_mine - j, exponential(load(p, at + j) - down), zero)
            sums = sums + x
            store(p, at + j, x)
        for j in range((n_mine + LANES - 1) // LANES * LANES, n_seen):
            p[at + j] = 0.0
        o[QUERIES * wide + i] = total(sums)


@jit
def _weighted(p, cap, v, wide, n_seen, o):
    """Sums of the first n_seen values with weights p, in o (QUERIES, wide)."""
    zero = splat(np.float32(0.0))
    for c in range(0, wide, WIDE):
        a0 = a1 = a2 = a3 = a4 = a5 = a6 = a7 = b0 = b1 = b2 = b3 = b4 = b5 = b6 = b7 = zero
        for j in range(n_seen):
            x, y = load(v, j * wide + c), load(v, j * wide + c + LANES)
            w = splat(p[j])
            a0, b0 = fma(w, x, a0), fma(w, y, b0)
            w = splat(p[cap + j])
            a1, b1 = fma(w, x, a1), fma(w, y, b1)
            w = splat(p[2 * cap + j])
            a2, b2 = fma(w, x, a2), fma(w, y, b2)
            w = splat(p[3 * cap + j])
            a3, b3 = fma(w, x, a3), fma(w, y, b3)
            w = splat(p[4 * cap + j])
            a4, b4 = fma(w, x, a4), fma(w, y, b4)
            w = splat(p[5 * cap + j])
            a5, b5 = fma(w, x, a5), fma(w, y, b5)
            w = splat(p[6 * cap + j])
            a6, b6 = fma(w, x, a6), fma(w, y, b6)
            w = splat(p[7 * cap + j])
            a7, b7 = fma(w, x, a7), fma(w, y, b7)
        store(o, c, a0)
        store(o, c + LANES, b0)
        store(o, wide + c, a1)
        store(o, wide + c + LANES, b1)
        store(o, 2 * wide + c, a2)
        store(o, 2 * wide + c + LANES, b2)
        store(o, 3 * wide + c, a3)
        store(o, 3 * wide + c + LANES, b3)
        store(o, 4 * wide + c, a4)
        store(o, 4 * wide + c + LANES, b4)
        store(o, 5 * wide + c, a5)
        store(o, 5 * wide + c + LANES, b5)
        store(o, 6 * wide + c, a6)
        store(o, 6 * wide + c + LANES, b6)
        store(o, 7 * wide + c, a7)
        store(o, 7 * wide + c + LANES, b7)


@jit
def _write(o, wide, count, out, out_start, stride, size):
    """The first `count` sums divided by their weights' sums, into out."""
    for i in range(count):
        inverse = splat(np.float32(1.0) / o[QUERIES * wide + i])
        for c in range(0, size, LANES):
            store(o, i * wide + c, load(o, i * wide + c) * inverse)
    _copy(o, 0, wide, out, out_start, stride, count, size)
