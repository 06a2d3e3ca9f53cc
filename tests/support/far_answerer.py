"""Random answerers of both families on the device of `devices`, and every stage of answering, one after the other."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

import fakes
import numpy as np
import torch
from devices import FAR, Far

from earmark.engine.answerers.qwen import ops
from earmark.engine.answerers.shared.audio_lm import EncodedPart, EvictedPart, PrunedPart, Reply
from earmark.engine.compressors.tokens.runs import pool, sample

Replies = dict[str, Sequence[Reply]]

BUILDS: dict[str, Callable[[str], Any]] = {
    "qwen2_audio": lambda dtype: fakes.qwen2_audio(dtype, tiny_mel=True),
    "omni": lambda dtype: fakes.qwen25_omni(dtype),
}


@contextmanager
def far_away() -> Iterator[Far]:
    """While this is open there is the device; a mask stands in for the bias that only CUDA's own kernels understand."""
    with mock.patch.object(ops, "causal_lower_right", _seen_by_all), Far() as seen:
        yield seen


def far_answerer(model: str, dtype: str) -> Any:
    """A copy of the answerer with its weights on the device."""
    near = BUILDS[model](dtype)
    build = {"qwen2_audio": fakes.qwen2_audio, "omni": fakes.qwen25_omni}[model].__wrapped__
    fresh = build(dtype, tiny_mel=True) if model == "qwen2_audio" else build(dtype)
    with far_away():
        weights = fresh.model.to(FAR)
        return type(near)(weights, fresh.tokenizer, fresh.extractor, "far", fresh.template)


def _seen_by_all(n: int, keys: int) -> torch.Tensor:
    """(n, keys) True where a query may see a key, the last query all of them."""
    return torch.ones(n, keys, dtype=torch.bool, device=FAR).tril(keys - n)


def replies_of(answerer: Any) -> Replies:
    """Every stage and the slow twin, with rows of unequal length, shared ones, and audio beyond the window."""
    waves = [fakes.sound(1, 3.0), fakes.sound(2, 4.5)]
    clips = [answerer.open(wave) for wave in waves]
    encoded = answerer.encode(clips, [range(3), [0, 2, 4]])
    questions, rows, options = [(7, 8, 9), (5,), (6, 7, 8, 9), (11,)], [1, 0, 1, 1], [4, 2, 3, 4]
    context = answerer.prefill(encoded, [(7, 8), (9,)])
    lengths = encoded.lengths
    reduced = {
        sized: answerer.gathered(
            [
                EncodedPart(encoded, 0, pool(len(answerer.states(encoded, 0)), 5), sized),
                EncodedPart(encoded, 1, sample(lengths[1], 4), sized),
            ]
        )
        for sized in (False, True)
    }
    replies: Replies = {
        "score after a context": answerer.score(context, rows, questions, options),
        "score at once": answerer.score(encoded, rows, questions, options),
        "generate after a context": answerer.generate(context, rows, questions, options, 4),
        "generate at once": answerer.generate(encoded, rows, questions, options, 4),
        "reduced": answerer.score(answerer.prefill(reduced[False], [(7,), (8, 9)]), rows, questions, options),
        "sized": answerer.score(answerer.prefill(reduced[True], [(7,), (8, 9)]), rows, questions, options),
        "sized at once": answerer.generate(reduced[True], rows, questions, options, 3),
    }
    some = context.take(torch.tensor([1, 0, 1]))
    replies["some rows of a context"] = answerer.score(some, [2, 1, 0, 0], questions, options)
    kept = answerer.encoded_of(answerer.raw_states(encoded, 1))
    replies["kept"] = answerer.score(kept, [0, 0], questions[:2], options[:2])
    seconds = 2 * answerer.shape.encoder.longest_samples // 16_000 - 5
    long = answerer.encode([answerer.open(fakes.sound(3, float(seconds)))], [range(seconds)])
    replies["beyond the window"] = answerer.score(long, [0, 0], questions[:2], options[:2])
    replies |= _inside(answerer, encoded)
    replies["alone"] = [answerer.alone(waves[0], answerer.template.prefix, "Which?", 4)]
    return replies


def _inside(answerer: Any, encoded: Any) -> Replies:
    """What is dropped after a layer and from the cache; how much was attended to chooses nothing here."""
    whole = [EncodedPart(encoded, row, None, False) for row in range(2)]
    texts, lengths = [(7, 8, 9), (5,)], encoded.lengths
    behind = answerer.below(whole, texts, 1)
    assert all(np.isfinite(answerer.attended(raw)).all() for raw in behind)
    layers = answerer.shape.decoder.layers
    last = [
        PrunedPart(raw, layers, sample(n, 4), False)
        for raw, n in zip(answerer.below(whole, texts, layers), lengths, strict=True)
    ]
    pruned = [PrunedPart(raw, 1, sample(n, 4), True) for raw, n in zip(behind, lengths, strict=True)]
    entries = answerer.cached(whole, (7,))
    watched = answerer.watched(entries, lengths, texts)
    parts = []
    for raw, n, attended, sizes in zip(entries, lengths, watched, (sample(lengths[0], 3).sizes, None), strict=True):
        assert attended.shape == answerer.keys(raw, n).shape[:-1]
        kept = np.broadcast_to(np.flatnonzero(sample(n, 3).group >= 0), (*attended.shape[:2], 3)).copy()
        parts.append(EvictedPart(raw, n, kept, sizes))
    evicted = answerer.evicted(parts)
    return {
        "dropped after a layer": answerer.above(pruned, [4, 3]),
        "dropped after the last layer": answerer.above(last, [4, 3]),
        "dropped from the cache": answerer.score(evicted, [1, 0, 0], [(5,), (6, 7), (8,)], [4, 2, 3]),
        "written from what stayed": answerer.generate(evicted, [1, 0], [(5,), (6, 7)], [4, 2], 3),
    }
