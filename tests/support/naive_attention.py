"""The slow twin of `kernels.neural.attention`: one query at a time, in float64, from arrays in their plain shapes."""

from typing import Any

import numpy as np


def turned(x: Any, position: float, frequencies: Any) -> Any:
    """Rotary embedding of one head's vector; without frequencies nothing turns."""
    if frequencies is None:
        return x
    half = len(x) // 2
    cos, sin = np.cos(position * frequencies), np.sin(position * frequencies)
    low, high = x[:half], x[half:]
    return np.concatenate([low * cos - high * sin, high * cos + low * sin])


def attention(
    queries: Any,
    keys: Any,
    values: Any,
    bias: Any,
    scale: Any,
    frequencies: Any,
    past: Any,
    begin: int,
    causal: bool,
    places: Any,
    added: Any,
) -> tuple[Any, Any, Any]:
    """One row: queries (asking, heads, size), keys and values (new, kv heads, size), the past's valid keys and values
    (kv heads, past, size); the first query is new position `begin`. `places` (new,) turn by, `added` (past + new,) goes
    to the scores of the keys. Outputs, and the new keys and values."""
    heads, size = queries.shape[1:]
    kv_heads = keys.shape[1]
    b = bias.reshape(heads + 2 * kv_heads, size)
    before = past[0].shape[1]
    new_keys = [
        [turned(scale[j] * k[h] + b[heads + h], places[j], frequencies) for j, k in enumerate(keys)]
        for h in range(kv_heads)
    ]
    new_values = [[scale[j] * v[h] + b[heads + kv_heads + h] for j, v in enumerate(values)] for h in range(kv_heads)]
    out = np.zeros((len(queries), heads, size))
    for i in range(len(queries)):
        for head in range(heads):
            h = head // (heads // kv_heads)
            seen = before + (begin + i + 1 if causal else len(keys))
            query = turned(scale[begin + i] * queries[i, head] + b[head], places[begin + i], frequencies)
            every = [*past[0][h], *new_keys[h]]
            scores = [query @ k / np.sqrt(size) + more for k, more in zip(every, added, strict=True)][:seen]
            weights = np.exp(np.array(scores) - max(scores))
            out[i, head] = weights / weights.sum() @ np.array([*past[1][h], *new_values[h]][:seen])
    return out, np.array(new_keys), np.array(new_values)
