"""Reduced encodings through the decoder: equal to Hugging Face's on the same embeddings, places and added scores."""

from dataclasses import replace
from typing import Any

import fakes
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.engine.answerers.qwen.decoder_layers import fused
from earmark.engine.answerers.qwen.plain_decoder import PlainDecoder
from earmark.engine.answerers.qwen.qwen_family import Encoded
from earmark.engine.answerers.shared.audio_lm import EncodedPart
from earmark.engine.compressors.tokens.reduction import Reduction
from earmark.engine.compressors.tokens.runs import pool, sample

TOLERANCE = {"float32": 2e-5, "bfloat16": 0.04}  # of bfloat16 one step of the logits


def model_of(name: str, dtype: str) -> Any:
    return fakes.qwen2_audio(dtype, tiny_mel=True) if name == "qwen2_audio" else fakes.qwen25_omni(dtype)


def naive(answerer: Any, states: torch.Tensor, reduction: Reduction, text: Any, sized: bool) -> torch.Tensor:
    """Logits of Hugging Face's own decoder on prefix, reduced audio and text."""
    group = torch.from_numpy(reduction.group)
    means = torch.stack([states[group == g].float().mean(dim=0) for g in range(reduction.k)]).to(states.dtype)
    prefix = answerer.tokenize([answerer.template.prefix])[0]
    embed = answerer.model.model.language_model.embed_tokens
    x = torch.cat([embed(torch.tensor(prefix)), means, embed(torch.tensor(text))])[None]
    n, k = x.shape[1], reduction.k
    positions = torch.arange(n).float()
    added = torch.zeros(n)
    if sized:
        positions[len(prefix) : len(prefix) + k] = len(prefix) + torch.from_numpy(reduction.centres).float()
        positions[len(prefix) + k :] = len(prefix) + len(reduction.group) + torch.arange(len(text))
        added[len(prefix) : len(prefix) + k] = torch.from_numpy(np.log(reduction.sizes)).float()
    mask = torch.full((n, n), -torch.inf).triu(1) + added
    language_model = answerer.model.model.language_model
    ids = positions[None] if answerer.model.config.model_type == "qwen2_audio" else positions.expand(3, 1, -1)
    rotary = language_model.rotary_emb(x, ids)
    hidden = x
    for layer in language_model.layers:
        out = layer(hidden, attention_mask=mask[None, None].to(x.dtype), position_embeddings=rotary)
        hidden = out[0] if isinstance(out, tuple) else out
    return answerer.model.lm_head(language_model.norm(hidden))[0, -1].float()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("model", ["qwen2_audio", "omni"])
@pytest.mark.parametrize("sized", [False, True])
@torch.inference_mode()
def test_the_engine_on_a_reduced_encoding_is_hugging_faces_on_its_embeddings(
    model: str, dtype: str, sized: bool
) -> None:
    answerer = model_of(model, dtype)
    lengths = [12, 7, 9]
    states = torch.randn(3, 12, answerer.decoder.embedding.shape[1], generator=torch.Generator().manual_seed(1))
    encoded = Encoded(states.to(answerer.decoder.dtype), lengths)
    reductions = [pool(12, 4), sample(7, 3), Reduction.of_labels(np.array([0, 1, 0, 2, 2, 1, 3, 0, 3]))]
    texts = [(7, 8, 9, 10), (7, 8, 30), (7, 8, 5, 6, 4)]
    reduced = answerer.gathered([EncodedPart(encoded, row, reductions[row], sized) for row in range(3)])
    context = answerer.prefill(reduced, [text[:2] for text in texts])
    rows = [2, 0, 1, 2]
    replies = answerer.score(context, rows, [texts[row][2:] for row in rows], [4] * 4)
    together = answerer.score(reduced, rows, [texts[row] for row in rows], [4] * 4)
    letters = answerer._letter_tokens(4)
    for row, reply, at_once in zip(rows, replies, together, strict=True):
        logits = naive(answerer, encoded.states[row, : lengths[row]], reductions[row], texts[row], sized)
        expected = -logits.log_softmax(-1)[letters].numpy()
        np.testing.assert_allclose(reply.option_nll, expected, atol=TOLERANCE[dtype])
        np.testing.assert_allclose(at_once.option_nll, expected, atol=TOLERANCE[dtype])


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.integers(0, 999))
@settings(max_examples=25, deadline=None)
@torch.inference_mode()
def test_a_heavy_key_is_its_group_of_equal_keys(sizes: list[int], seed: int) -> None:
    """What a question reads: every merged key once with the logarithm of its size, or as often as it is large."""
    states = torch.randn(
        1, sum(sizes), ANSWERER.decoder.embedding.shape[1], generator=torch.Generator().manual_seed(seed)
    )
    reduction = Reduction.of_labels(np.repeat(np.arange(len(sizes)), sizes))
    reduced = ANSWERER.gathered([EncodedPart(Encoded(states, [sum(sizes)]), 0, reduction, True)])
    kv = ANSWERER.prefill(reduced, [()])
    n_prefix = kv.keys[0].shape[-1] - len(sizes)
    times = torch.tensor([1] * n_prefix + sizes)
    repeated = replace(
        kv,
        keys=[torch.repeat_interleave(keys, times, dim=3) for keys in kv.keys],  # transposed, where compiled
        values=[torch.repeat_interleave(values, times, dim=2) for values in kv.values],
        lengths=times.sum()[None],
        weights=None,
    )
    once, often = (ANSWERER.score(what, [0], [(7, 8, 9)], [4])[0].option_nll for what in (kv, repeated))
    np.testing.assert_allclose(once, often, atol=2e-6)


ANSWERER = fakes.qwen2_audio(tiny_mel=True)


@torch.inference_mode()
def test_everything_kept_is_raw_to_the_last_bit_and_the_compiled_path_is_the_plain_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answerer = fakes.qwen2_audio(tiny_mel=True)
    states = torch.randn(2, 10, answerer.decoder.embedding.shape[1], generator=torch.Generator().manual_seed(2))
    encoded, texts = Encoded(states, [10, 6]), [(7, 8, 9), (7, 30)]
    whole = [Reduction(np.arange(n)) for n in encoded.lengths]

    def read(what: Encoded) -> Any:
        return [reply.option_nll for reply in answerer.score(what, [0, 1], texts, [4, 4])]

    def reduced(reductions: list[Reduction], sized: bool) -> Encoded:
        return answerer.gathered([EncodedPart(encoded, row, r, sized) for row, r in enumerate(reductions)])

    np.testing.assert_array_equal(read(reduced(whole, sized=False)), read(encoded))
    np.testing.assert_allclose(read(reduced(whole, sized=True)), read(encoded), atol=1e-6)
    merged = reduced([pool(10, 3), pool(6, 2)], sized=True)
    compiled = read(merged)
    layers = [fused(layer) for layer in answerer.model.model.language_model.layers]
    monkeypatch.setattr(answerer.decoder, "_layers", PlainDecoder(layers, answerer.decoder.heads))
    monkeypatch.setattr(answerer, "_prefix", None)  # and back: others share it
    np.testing.assert_allclose(read(merged), compiled, atol=2e-5)
