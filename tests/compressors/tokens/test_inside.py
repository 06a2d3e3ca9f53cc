"""What is dropped inside a decoder, by what was attended to and by keys: equal to slow twins in plain loops."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.engine.arrays import FloatArray
from earmark.engine.compressors.tokens.dropping import CacheShape, after_layer, kept_entries
from earmark.engine.compressors.tokens.reducing import ReductionSpec
from earmark.engine.design.compressors import CACHE_NAMES, LAYER_NAMES

BUDGETS = st.sampled_from([0.05, 0.3, 0.5, 0.9])


@st.composite
def attention(draw: st.DrawFn) -> FloatArray:
    """(heads, n) of whole numbers, so that there are ties, as shares that are not all on the audio."""
    heads, n = draw(st.integers(1, 4)), draw(st.integers(1, 12))
    numbers = draw(st.lists(st.lists(st.integers(0, 4), min_size=n, max_size=n), min_size=heads, max_size=heads))
    return np.array(numbers, dtype=float) / 64


def best(scores: list[float], k: int) -> list[int]:
    """The highest, the earlier among equals: rounded, as sums in another order are."""
    return sorted(sorted(range(len(scores)), key=lambda at: (-round(scores[at], 12), at))[:k])


@given(attention(), BUDGETS)
@settings(max_examples=80, deadline=None)
def test_layers_keep_what_is_attended_to(attended: FloatArray, budget: float) -> None:
    heads, n = attended.shape
    k = max(1, math.floor(budget * n))
    mean = [sum(attended[head][at] for head in range(heads)) / heads for at in range(n)]
    selective = [0.0] * n
    for head in attended.tolist():
        shares = [value / sum(head) if sum(head) else 0.0 for value in head]
        entropy = -sum(share * math.log(share) for share in shares if share)
        for at in range(n):
            selective[at] += (1 - entropy / math.log(n) if n > 1 else 1.0) * head[at]
    fastv = after_layer(ReductionSpec("fastv", budget, False), n, attended, "clip")
    assert np.flatnonzero(fastv.group >= 0).tolist() == best(mean, k)
    weighted = after_layer(ReductionSpec("heads", budget, False), n, attended, "clip")
    kept = np.flatnonzero(weighted.group >= 0).tolist()
    assert len(kept) == k
    least = min(selective[at] for at in kept)  # sums of logarithms round: ties may fall either way
    assert all(selective[at] <= least + 1e-12 for at in set(range(n)) - set(kept))


@given(st.integers(1, 4), st.integers(1, 2), st.integers(1, 20), BUDGETS, st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_the_cache_keeps_what_its_scores_say(layers: int, heads: int, n: int, budget: float, seed: int) -> None:
    chance = np.random.default_rng(seed)
    keys, attended = chance.normal(size=(layers, heads, n, 4)), chance.random((layers, heads, n))
    k = max(1, math.floor(budget * n))
    for kind in ("kv_snap", "kv_keydiff"):
        kept = kept_entries(ReductionSpec(kind, budget, False), CacheShape(layers, heads, n), keys, attended, "clip")
        assert kept.shape == (layers, heads, k)
        for layer in range(layers):
            for head in range(heads):
                if kind == "kv_snap":
                    there = attended[layer, head].tolist()
                    scores = [sum(there[max(0, at - 2) : at + 3]) / 5 for at in range(n)]
                else:
                    unit = [key / math.dist(key, [0] * 4) for key in keys[layer, head]]
                    mean = sum(unit) / n
                    scores = [-float(direction @ mean) for direction in unit]
                assert kept[layer, head].tolist() == best(scores, k)


@pytest.mark.parametrize("name", ["random_layers", "kv_random"])
def test_chance_depends_on_the_recording_and_the_seed(name: str) -> None:
    def drawn(clip: str, seed: int) -> list[int]:
        spec = ReductionSpec(name, 0.5, False, seed=seed)
        if name == "random_layers":
            return np.flatnonzero(after_layer(spec, 40, np.zeros((1, 40)), clip).group >= 0).tolist()
        kept = kept_entries(spec, CacheShape(2, 2, 40), None, None, clip)
        assert len({tuple(of_head) for of_layer in kept.tolist() for of_head in of_layer}) == 4  # each draws its own
        return [int(at) for at in kept.ravel()]

    assert drawn("clip", 1) == drawn("clip", 1)
    assert drawn("clip", 1) != drawn("clip", 2) != drawn("other", 2)


def test_uniform_keys_are_the_same_in_all_heads() -> None:
    kept = kept_entries(ReductionSpec("kv_uniform", 0.25, False), CacheShape(2, 3, 8), None, None, "clip")
    assert kept.tolist() == [[[2, 6]] * 3] * 2


def test_every_name_of_layers_and_the_cache_is_carried_out_and_its_words_are_its_own() -> None:
    for name in LAYER_NAMES:
        assert after_layer(ReductionSpec(name, 0.5, False), 4, np.ones((2, 4)), "clip").k == 2
    for name in CACHE_NAMES:
        keys, attended = np.ones((1, 1, 4, 2)), np.ones((1, 1, 4))
        assert kept_entries(ReductionSpec(name, 0.5, False), CacheShape(1, 1, 4), keys, attended, "c").size == 2
    spec = ReductionSpec("fastv", 0.5, False, question="what?", choices=("a", "b"), layer=1)
    others = [spec._replace(layer=2), spec._replace(choices=("a", "c")), spec._replace(question="who?")]
    assert len({other.words for other in (spec, *others)}) == 4


def test_words_of_tokens_are_those_that_runs_know() -> None:
    """Runs that began before anything could be dropped inside a decoder go on."""
    assert ReductionSpec("pool", 0.5, True).words == (
        '{"kind": "pool", "budget": 0.5, "sized": true, "window_s": 0.0, "n_pivots": 0, "seed": 0, "scorer": null, '
        '"question": ""}'
    )
