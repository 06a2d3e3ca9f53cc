"""Attention between two products, an MLP's gate, GELU and norms, against plain formulas."""

import math
from typing import Any, NamedTuple

import naive_attention
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core import config

from earmark.kernels._jit import jit
from earmark.kernels.neural import attention, exponential, gate
from earmark.kernels.neural.simd import LANES, load, store

INTERPRETED = bool(config.DISABLE_JIT)
MOST = 6 if INTERPRETED else 45


class Case(NamedTuple):
    arguments: tuple[Any, ...]
    expected: tuple[Any, Any, Any]  # outputs, keys and values where a position is valid; NaN elsewhere


def flat(x: Any) -> Any:
    """As kernels take it; what is beyond must not matter."""
    return np.append(np.asarray(x, np.float32).ravel(), np.full(LANES, 7.0, np.float32))


def make(
    seed: int,
    rows: int,
    new: int,
    past: int,
    asking: int,
    groups: int,
    size: int,
    causal: bool,
    turning: bool,
    weighed: bool = False,
) -> Case:
    chance = np.random.default_rng(seed)
    kv_heads = 2
    heads = groups * kv_heads

    def draw(*shape: int) -> Any:
        return chance.normal(size=shape).astype(np.float32)

    shape = attention.AttentionShape(rows, new, asking, heads, kv_heads, size, causal)
    queries, keys, values = (
        draw(rows, new, heads, size),
        draw(rows, new, kv_heads, size),
        draw(rows, new, kv_heads, size),
    )
    lengths = chance.integers(1, new + 1, rows)
    begins = [0 if asking == new else n - asking for n in lengths]
    scale, bias = chance.uniform(0.5, 1.5, (rows, new)).astype(np.float32), draw((heads + 2 * kv_heads) * size)
    old_keys, old_values = draw(2, kv_heads, size, past), draw(2, kv_heads, past, size)
    valid, at = chance.random((2, past)) < 0.8, chance.integers(0, 2, rows)
    frequencies = 10.0 ** -np.arange(size // 2).astype(np.float32) if turning else None

    both = [queries.reshape(rows * new, -1), values.reshape(rows * new, -1)]
    if asking == new:  # one product
        projected_queries = projected_values = flat(np.concatenate([both[0], draw(rows * new, 3), both[1]], axis=1))
    else:
        asked = [q[begin:n] for q, begin, n in zip(queries, begins, lengths, strict=True)]
        projected_queries, projected_values = flat(np.array(asked)), flat(both[1])
    projected = attention.Projected(
        projected_queries, flat(keys.transpose(2, 3, 0, 1)),
        projected_values, flat(scale), flat(bias),
    )  # fmt: skip
    rotation = attention.NO_ROTATION
    places = np.append(chance.uniform(0, 9, rows * new), np.zeros(new + LANES)).astype(np.float32)
    if frequencies is not None:
        rotation = attention.rotation_at(frequencies, places)
    turns = np.arange(rows) * new
    weights = attention.NO_WEIGHTS
    if weighed:
        weights = attention.KeyWeights(draw(2, past).ravel(), draw(rows, new).ravel())
    old = attention.Old(old_keys.ravel(), old_values.ravel(), valid, at)
    out = np.full(rows * asking * heads * size, np.nan, np.float32)
    kept = [np.full(rows * kv_heads * size * (past + new), np.nan, np.float32) for _ in range(2)]

    expected_out = np.full((rows, asking, heads, size), np.nan)
    expected_keys = np.full((rows, kv_heads, size, past + new), np.nan)
    expected_values = np.full((rows, kv_heads, past + new, size), np.nan)
    for b, (n, begin) in enumerate(zip(lengths, begins, strict=True)):
        ok = valid[at[b]]
        past_of_b = old_keys[at[b]][:, :, ok].transpose(0, 2, 1), old_values[at[b]][:, ok]
        got, k, v = naive_attention.attention(
            queries[b, begin:n] if asking else queries[b, :0], keys[b, :n], values[b, :n], bias, scale[b],
            frequencies, past_of_b, begin, causal, places[b * new :],
            np.concatenate([weights.old.reshape(2, past)[at[b]][ok], weights.new[b * new : b * new + n]])
            if weighed else np.zeros(ok.sum() + n),
        )  # fmt: skip
        expected_out[b, : len(got)] = got
        expected_keys[b, :, :, past : past + n] = k.transpose(0, 2, 1)
        expected_values[b, :, past : past + n] = v
    arguments = (projected, rotation, old, lengths, turns, weights, shape, out, *kept)
    return Case(arguments, (expected_out.ravel(), expected_keys.ravel(), expected_values.ravel()))


@settings(max_examples=10 if INTERPRETED else 150)
@given(
    seed=st.integers(0, 999), rows=st.integers(1, 4), new=st.integers(1, MOST), past=st.integers(0, 2 * MOST),
    asking=st.sampled_from(["none", "last", "all"]), groups=st.integers(1, 2), size=st.sampled_from([2, 8, 24, 32, 64]),
    causal=st.booleans(), turning=st.booleans(), weighed=st.booleans(),
)  # fmt: skip
def test_attention_equals_one_query_at_a_time(
    seed: int,
    rows: int,
    new: int,
    past: int,
    asking: str,
    groups: int,
    size: int,
    causal: bool,
    turning: bool,
    weighed: bool,
) -> None:
    asked = {"none": 0, "last": 1, "all": new}[asking]
    case = make(seed, rows, new, past, asked, groups, size, causal, turning, weighed)
    attention.attend(*case.arguments)
    for got, expected in zip(case.arguments[7:], case.expected, strict=True):
        np.testing.assert_allclose(got, expected, atol=2e-5, rtol=2e-5)  # NaN where nothing may be written


def test_rows_do_not_hear_each_other_and_nan_stays() -> None:
    """A key that is not a number poisons the queries that see it, and no other row."""
    projected, rotation, old, lengths, turns, weights, shape, out, *kept = make(
        3, 3, 5, 4, 5, 1, 8, True, True
    ).arguments
    lengths[:] = 5
    projected.keys[: 2 * 8 * 3 * 5].reshape(16, 3, 5)[:, 1, 2] = np.nan
    with np.errstate(invalid="ignore"):
        attention.attend(projected, rotation, old, lengths, turns, weights, shape, out, *kept)
    poisoned = np.isnan(out.reshape(3, 5, -1))
    assert poisoned[1, 2:].all()
    assert not poisoned[1, :2].any()
    assert not poisoned[[0, 2]].any()


def test_large_scores_do_not_overflow() -> None:
    case = make(1, 2, 4, 6, 4, 1, 8, True, False)
    case.arguments[0].bias[:-LANES] *= 300.0
    attention.attend(*case.arguments)
    assert (np.isfinite(case.arguments[7]) == np.isfinite(case.expected[0])).all()


def test_arrays_that_do_not_fit_are_refused() -> None:
    projected, rotation, old, lengths, turns, weights, shape, *rest = make(1, 2, 4, 6, 4, 1, 8, True, True).arguments
    for changed, name in (
        ((projected._replace(keys=projected.keys[:-1]), rotation, old, lengths, turns, weights, shape), "keys"),
        (
            (
                projected._replace(scale=projected.scale.astype(np.float64)),
                rotation,
                old,
                lengths,
                turns,
                weights,
                shape,
            ),
            "dtype",
        ),
        ((projected, rotation._replace(positions=5), old, lengths, turns, weights, shape), "rotation"),
        ((projected, rotation, old._replace(at=old.at + 2), lengths, turns, weights, shape), "at"),
        ((projected, rotation, old, lengths, turns + 99, weights, shape), "rotation"),
        ((projected, rotation, old, lengths, turns[1:], weights, shape), "turns"),
        ((projected, rotation, old, lengths, turns, weights._replace(new=np.ones(1, np.float32)), shape), "weights"),
        ((projected, rotation, old, lengths + 4, turns, weights, shape), "lengths"),
        ((projected, rotation, old, lengths, turns, weights, shape._replace(asking=2)), "shape"),
    ):
        with pytest.raises(ValueError, match=name):
            attention.attend(*changed, *rest)
    with pytest.raises(ValueError, match="both"):
        gate.gated(np.zeros(9, np.float32), np.zeros(1, np.float32), 1, 4, np.zeros(20, np.float32))
    with pytest.raises(ValueError, match="bias"):
        gate.gelu(np.zeros(20, np.float32), np.zeros(4, np.float32), 1, 4)
    with pytest.raises(ValueError, match="scale"):
        gate.inverse_rms(np.zeros((3, 4), np.float32), 1e-6, np.zeros(2, np.float32))


@jit
def every_exponential(x):
    for i in range(0, len(x), LANES):
        store(x, i, exponential.exponential(load(x, i)))


def test_exponentials() -> None:
    x = np.concatenate([np.linspace(-87, 80, 320 if INTERPRETED else 16_000), np.zeros(LANES)]).astype(np.float32)
    got = x.copy()
    every_exponential(got)
    np.testing.assert_allclose(got, np.exp(x.astype(np.float64)), rtol=2.5e-7)
    edges = np.array([-np.inf, -1e30, -88.0, np.nan] * 4, np.float32)
    with np.errstate(invalid="ignore"):
        every_exponential(edges)
    assert np.isnan(edges[3::4]).all()
    assert (np.delete(edges, np.s_[3::4]) < 2e-38).all()


@pytest.mark.parametrize("width", [1, 16, 24, 48, 50])
def test_gates_gelu_and_norms(width: int) -> None:
    chance = np.random.default_rng(width)
    rows = 3
    x, bias = 4 * chance.normal(size=(rows, 2 * width)), chance.normal(size=2 * width)
    scale = chance.uniform(0.5, 2, rows)
    h = np.zeros(rows * width + LANES, np.float32)
    gate.gated(flat(x), scale.astype(np.float32), rows, width, h)
    g, u = (scale[:, None] * x)[:, :width], (scale[:, None] * x)[:, width:]
    np.testing.assert_allclose(h[:-LANES].reshape(rows, -1), g / (1 + np.exp(-g)) * u, atol=1e-5, rtol=1e-5)

    y = flat(x)
    gate.gelu(y, flat(bias), rows, 2 * width)
    expected = [[v / 2 * (1 + math.erf(v / math.sqrt(2))) for v in row] for row in x + bias]
    np.testing.assert_allclose(y[:-LANES].reshape(rows, -1), expected, atol=3e-6)
    assert (y[-LANES:] == 7.0).all()

    norms = np.zeros(rows, np.float32)
    gate.inverse_rms(x.astype(np.float32), 1e-6, norms)
    np.testing.assert_allclose(norms, 1 / np.sqrt((x**2).mean(axis=1) + 1e-6), rtol=1e-6)
    x[1, -1] = np.nan
    gate.inverse_rms(x.astype(np.float32), 1e-6, norms)
    assert np.isnan(norms).tolist() == [False, True, False]


def test_gates_at_the_ends() -> None:
    x = np.array([[-1e4, -100.0, 100.0, np.nan, 1.0, 1.0, 1.0, 1.0]])
    h = np.zeros(4 + LANES, np.float32)
    with np.errstate(invalid="ignore"):
        gate.gated(flat(x), np.ones(1, np.float32), 1, 4, h)
    np.testing.assert_allclose(h[:4], [0, 0, 100, np.nan], atol=1e-30)
