"""The lean decoder against Hugging Face's, in pieces and in every number format; and attention in blocks."""

import gc
import weakref
from typing import Any

import fakes
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.engine.answerers.guard import computing
from earmark.engine.answerers.qwen import compiled_decoder, ops
from earmark.engine.answerers.qwen.decoder_layers import fused
from earmark.engine.answerers.qwen.kv import Past
from earmark.engine.answerers.qwen.plain_decoder import PlainDecoder
from earmark.engine.answerers.shared.audio_lm import OutOfMemoryError


def plain(answerer: Any, ids: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return answerer.model.lm_head(answerer.model.model.language_model(ids).last_hidden_state)[:, -1].float()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("model", ["qwen2_audio", "omni"])
def test_a_past_in_pieces_and_ragged_rows(model: str, dtype: str) -> None:
    """prefix -> three pasts of unequal length -> five questions on them, against whole sequences."""
    answerer = fakes.qwen2_audio(dtype, tiny_mel=True) if model == "qwen2_audio" else fakes.qwen25_omni(dtype)
    decoder = answerer.decoder
    chance = torch.Generator().manual_seed(0)
    prefix, *texts = (
        torch.randint(5, 200, (n,), generator=chance) for n in (9, 70, 3, 40, *(1, 12, 5, 80, 2))
    )  # fmt: skip
    pasts, questions = texts[:3], texts[3:]
    rows = [2, 0, 0, 1, 2]

    def padded(parts: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        ids = torch.nn.utils.rnn.pad_sequence(parts, batch_first=True)
        return decoder.embed(ids), torch.tensor([len(p) for p in parts])

    first = decoder.prefill(*padded([prefix]), None)
    second = decoder.prefill(*padded(list(pasts)), Past(first))
    x, lengths = padded(list(questions))
    logits, kv = decoder.read(x, lengths, Past(second, torch.tensor(rows)), keep=True)
    whole = [torch.cat([prefix, pasts[row], question]) for row, question in zip(rows, questions, strict=True)]
    tolerance = {"float32": 1e-4, "float16": 0.05, "bfloat16": 0.4}[dtype]
    for got, ids in zip(logits, whole, strict=True):
        assert float((got - plain(answerer, ids[None])[0]).abs().max()) < tolerance
    assert kv is not None
    assert kv.lengths.tolist() == [len(ids) for ids in whole]

    token = torch.tensor([[7]] * 2)  # and one more token after two of those rows
    after, _ = decoder.read(decoder.embed(token), torch.ones(2, dtype=torch.int64), Past(kv.take(torch.tensor([3, 1]))))
    for got, row in zip(after, (3, 1), strict=True):
        ids = torch.cat([whole[row], token[0]])
        assert float((got - plain(answerer, ids[None])[0]).abs().max()) < tolerance


def test_without_a_mask_padding_is_not_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """On CUDA rows without padding in their past have no mask: the last token of a short row must still end there.

    And what is compiled equals what is not.
    """
    answerer = fakes.qwen2_audio(tiny_mel=True)
    decoder = answerer.decoder
    ids = torch.randint(5, 200, (3, 30), generator=torch.Generator().manual_seed(1))
    lengths = torch.tensor([30, 12, 1])

    def read() -> torch.Tensor:
        past = Past(decoder.prefill(decoder.embed(ids[:1, :9]), torch.tensor([9]), None))
        return decoder.read(decoder.embed(ids), lengths, past)[0]

    compiled = read()
    plain = PlainDecoder([fused(layer) for layer in answerer.model.model.language_model.layers], decoder.heads)
    monkeypatch.setattr(decoder, "_layers", plain)
    masked = read()
    monkeypatch.setattr(plain, "_mask", lambda *_: None)
    torch.testing.assert_close(masked, compiled, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(read(), masked, atol=1e-4, rtol=1e-4)


def test_groups_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled layers take some rows at a time: one at a time is the same up to rounding."""
    decoder = fakes.qwen2_audio(tiny_mel=True).decoder
    ids = torch.randint(5, 200, (5, 17), generator=torch.Generator().manual_seed(2))
    lengths = torch.tensor([17, 3, 9, 17, 1])
    together, kv = decoder.read(decoder.embed(ids), lengths, None, keep=True)
    monkeypatch.setattr(compiled_decoder, "TOKENS", 1)
    alone, kv_alone = decoder.read(decoder.embed(ids), lengths, None, keep=True)
    torch.testing.assert_close(alone, together, atol=1e-5, rtol=1e-5)
    for ours, theirs in zip(kv.values, kv_alone.values, strict=True):
        torch.testing.assert_close(
            ours[kv.valid[:, None].expand(-1, 2, -1)], theirs[kv.valid[:, None].expand(-1, 2, -1)]
        )


@settings(max_examples=40)
@given(n=st.integers(1, 100), past=st.integers(0, 60), seed=st.integers(0, 9))
def test_blocks_and_the_unmasked_form_equal_masked_attention(n: int, past: int, seed: int) -> None:
    chance = torch.Generator().manual_seed(seed)
    q, k, v = (torch.randn(2, 3, length, 8, generator=chance) for length in (n, past + n, past + n))
    hidden = torch.ones(n, past + n, dtype=torch.bool).triu(past + 1)
    mask = torch.zeros(1, 1, n, past + n).masked_fill(hidden, -torch.inf)
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    torch.testing.assert_close(ops.attend_causally(q, k, v, mask), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ops.attend_causally(q, k, v, None), expected, atol=1e-5, rtol=1e-5)


def test_the_model_goes_on_working_on_shared_weights() -> None:
    """In bf16 the decoder's fused weights and the model's own are the same memory."""
    answerer = fakes.qwen2_audio("bfloat16", tiny_mel=True)
    layer = answerer.model.model.language_model.layers[0].self_attn
    fused = answerer.decoder._layers._layers[0].qkv
    assert layer.q_proj.weight.data_ptr() == fused.data_ptr()
    assert layer.v_proj.weight.untyped_storage().data_ptr() == fused.untyped_storage().data_ptr()


@pytest.mark.parametrize("model", ["qwen2_audio", "omni"])
def test_what_is_written_is_kept_in_place(model: str) -> None:
    """With room, a step writes keys and values behind those before, and reads the same as from copies."""
    answerer = fakes.qwen2_audio("bfloat16", tiny_mel=True) if model == "qwen2_audio" else fakes.qwen25_omni("bfloat16")
    decoder = answerer.decoder
    ids = torch.randint(5, 200, (3, 20), generator=torch.Generator().manual_seed(3))
    lengths = torch.tensor([20, 7, 1])
    prefix = decoder.prefill(decoder.embed(ids[:1, :9]), torch.tensor([9]), None)
    steps = torch.randint(5, 200, (4, 3, 1), generator=torch.Generator().manual_seed(4))
    ones = torch.ones(3, dtype=torch.int64)

    def written(room: int) -> tuple[list[torch.Tensor], list[int]]:
        logits, kv = decoder.read(decoder.embed(ids), lengths, Past(prefix), keep=True, room=room)
        read, places = [logits], [kv.keys[0].data_ptr()]
        for n, step in enumerate(steps):
            if n == 2:  # fewer rows go on, in another order
                kv = kv.take(torch.tensor([2, 0]))
            x = decoder.embed(step[: len(kv.lengths)])
            logits, kv = decoder.read(x, ones[: len(kv.lengths)], Past(kv), keep=True)
            read.append(logits)
            places.append(kv.keys[0].data_ptr())
        return read, places

    in_place, places = written(4)
    for got, expected in zip(in_place, written(0)[0], strict=True):
        assert torch.equal(got, expected)
    assert places[0] == places[1] == places[2]
    assert places[3] == places[4] != places[2]
    short, moved = written(1)  # where room ends, copies again
    assert torch.equal(short[-1], in_place[-1])
    assert moved[0] == moved[1] != moved[2]


def test_letters_are_read_in_single_precision() -> None:
    answerer = fakes.qwen2_audio("bfloat16", tiny_mel=True)
    decoder = answerer.decoder
    ids = torch.randint(5, 200, (40, 11), generator=torch.Generator().manual_seed(5))
    lengths, letters = torch.full((40,), 11), torch.tensor([10, 11, 12, 13])
    rounded, _ = decoder.read(decoder.embed(ids), lengths, None)
    got, _ = decoder.read(decoder.embed(ids), lengths, None, letters)
    of_letters = got[:, letters]
    assert (of_letters.bfloat16().float() != of_letters).float().mean() > 0.9  # the format has none of them
    torch.testing.assert_close(of_letters.bfloat16(), rounded[:, letters].bfloat16(), atol=0.02, rtol=0.01)
    others = torch.tensor([token for token in range(got.shape[1]) if token not in letters.tolist()])
    assert torch.equal(got[:, others], rounded[:, others])


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_weights_go_with_their_answerer(dtype: str) -> None:
    """Without the collector of cycles: a second large model may not fit beside the first."""
    answerer = fakes.qwen2_audio.__wrapped__(dtype, tiny_mel=True)
    weights = weakref.ref(answerer.model.model.language_model.layers[0].self_attn.o_proj.weight)
    fused = weakref.ref(answerer.decoder._layers)
    gc.collect()
    gc.disable()
    try:
        del answerer
        assert fused() is None
        assert weights() is None
    finally:
        gc.enable()


def test_a_batch_that_did_not_fit_is_free_before_the_cache_is(monkeypatch: pytest.MonkeyPatch) -> None:
    alive: list[bool] = []

    def fails() -> None:
        batch = torch.zeros(3)
        alive_batch.append(weakref.ref(batch))
        raise torch.OutOfMemoryError("no room\nat all")

    alive_batch: list[weakref.ref[torch.Tensor]] = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: alive.append(alive_batch[0]() is not None))
    with pytest.raises(OutOfMemoryError, match=r"^no room$"), computing(repeats=False):
        fails()
    assert alive == [False]
