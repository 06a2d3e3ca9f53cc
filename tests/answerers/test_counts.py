"""What the planner foresees, what the answerers count, and what torch says they ran. No clock: these are exact."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import fakes
import paper_shaped
import pytest
import torch
from answering import answer_all
from costs import least, with_padding
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode, mm_flop

from earmark.engine.answerers.loading import load_model
from earmark.engine.answerers.qwen.compiled_encoder import CompiledConvolution
from earmark.engine.answerers.shared import batches
from earmark.engine.answerers.shared.batches import Limits, make_batches
from earmark.engine.answerers.shared.cost import Cost
from earmark.engine.answerers.shared.forest import make_forest
from earmark.engine.answerers.shared.scheduler import AnswerOptions
from earmark.engine.corpus.synthetic.questions import FAMILIES, TWO_FACTOR
from earmark.engine.corpus.synthetic.splits import Split
from earmark.engine.corpus.synthetic.synthetic_corpus import examples
from earmark.kernels.neural import attention


@pytest.mark.parametrize("questions", [2, 6])
def test_what_is_counted_is_what_arithmetic_says(questions: int) -> None:
    """Encoder frames, decoder tokens and FLOPs, padding included, to the last one; and what that saves."""
    answerer = fakes.qwen2_audio(tiny_mel=True)
    requests = fakes.paper_shaped(4, questions)
    options = AnswerOptions(batch_tokens=1024)
    forest = make_forest(requests, answerer.template, answerer.shape, answerer.tokenize)
    batches = list(make_batches(forest, Limits(options.batch_tokens, options.kv_bytes, options.window_clips)))
    answerer._prefix = None  # computed once per process: count it here
    before = answerer.counted
    assert len(list(answer_all(answerer, requests, options))) == len(requests) == 26 * 4 * questions
    counted = difference(answerer.counted, before)
    assert counted == with_padding(forest, batches)

    planned, alone = least(forest), forest.cost_alone()
    distinct = sum(1 for _ in forest.pieces())
    assert 0.5 < distinct / len(requests) < 0.62  # b = 1 is raw; .05 and .1 keep the same chunk
    for name, at_least in (("encoder_frames", {2: 7.5, 6: 15}), ("decoder_tokens", {2: 2.7, 6: 3.7})):
        assert getattr(alone, name) / getattr(counted, name) > at_least[questions]
        assert getattr(counted, name) <= 1.35 * getattr(planned, name)  # padding, on a sweep of two clips
    assert planned.flops <= counted.flops


@contextmanager
def counting() -> Iterator[FlopCounterMode]:
    """Torch's own counter, which knows neither fused attention nor products in place."""
    extra = {torch.ops.aten.addmm_: lambda _, a, b, **_kwargs: mm_flop(a, b)}
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False, custom_mapping=extra) as counter:
        yield counter


def difference(after: Cost, before: Cost) -> Cost:
    return after + before.times(-1)


@pytest.mark.parametrize("model", ["qwen2_audio", "omni"])
def test_counted_flops_are_those_that_torch_counts(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch sees the products; compiled attention, which computes no more than is counted, counts itself here.

    Compiled convolutions compute some states between two rows as well, which torch sees and nobody needs.
    """
    attended, between = [], []

    def convolve(self: CompiledConvolution, x: torch.Tensor) -> torch.Tensor:
        states = convolved(self, x)
        rows, length, out = states.shape
        between.append((states.stride(0) // out * rows - length * rows - (3 - self._stride)) * 6 * x.shape[2] * out)
        return states

    def attend(*arguments: Any) -> None:
        shape, old = arguments[6], arguments[2]
        keys = shape.new + old.valid.shape[1]
        attended.append(4 * shape.rows * shape.asking * keys * shape.heads * shape.size)
        compiled(*arguments)

    answerer = fakes.qwen2_audio(tiny_mel=True) if model == "qwen2_audio" else fakes.qwen25_omni()
    clip = answerer.open(fakes.sound(1, 9.3))
    questions = answerer.tokenize(["one two three four five", "one two three and six or seven"])
    answerer._prefixed()
    compiled = attention.attend
    monkeypatch.setattr(attention, "attend", attend)
    convolved = CompiledConvolution.__call__
    monkeypatch.setattr(CompiledConvolution, "__call__", convolve)
    before = answerer.counted
    with counting() as counter:
        encoded = answerer.encode([clip, clip], [range(10), [2, 5]])
        kv = answerer.prefill(encoded, [questions[0][:3]] * 2)
        answerer.score(kv, [0, 1, 1], [questions[0], questions[1], questions[1]], [3, 3, 3])
        answerer.score(encoded, [1, 0], questions, [2, 2])
    counted = difference(answerer.counted, before).flops
    mel = sum(2 * n * answerer.mel._filters.numel() for n in mel_windows(answerer))
    assert counter.get_total_flops() + sum(attended) - sum(between) - mel == pytest.approx(counted, rel=1e-9)


def mel_windows(answerer: Any) -> list[int]:
    """Frames that the encoding above computes anew: torch counts their mel product, we do not."""
    from earmark.engine.answerers.qwen.mel import _KeptFrames

    frames = answerer.shape.encoder.run_frames(answerer.shape.encoder.valid_frames(148_800)) + 2
    samples = fakes.sound(1, 9.3)
    return [len(_KeptFrames(samples, chunks, answerer.mel).stale(frames)) for chunks in (range(10), [2, 5])]


def test_the_naive_count_is_that_of_the_plain_model() -> None:
    answerer = fakes.qwen2_audio(tiny_mel=True)
    audio = fakes.sound(1, 4.0)
    prompt = answerer.template.prompt("Which?", ["a", "b"])
    with counting() as counter, torch.inference_mode():
        answerer.alone(audio, prompt.prefix, prompt.question, 2)
    text = sum(len(t) for t in answerer.tokenize([prompt.prefix, prompt.question]))
    mel = 401 * 64 * 2 * 400  # the extractor's product over the padded window
    assert counter.get_total_flops() - mel == pytest.approx(answerer.shape.alone(64_000, text).flops, rel=1e-9)


def test_batch_size_changes_padding_only() -> None:
    answerer = fakes.FakeAnswerer()
    requests = fakes.paper_shaped(3, 2)
    forest = make_forest(requests, answerer.template, answerer.shape, answerer.tokenize)
    cheapest = least(forest)
    wide = Limits(4096, 1 << 30, 64)
    for limits in (wide, replace(wide, tokens=1), replace(wide, window_clips=1)):
        cost = with_padding(forest, list(make_batches(forest, limits)))
        assert cost.decoder_tokens >= cheapest.decoder_tokens
        assert cost.encoder_frames >= cheapest.encoder_frames
        if limits.tokens == 1:
            assert cost == cheapest


@pytest.mark.parametrize(
    ("families", "clips", "counted"), [(TWO_FACTOR, 6, (18_294, 13_153)), (FAMILIES, 2, (10_788, 9_411))]
)
def test_the_paper_shaped_sweep_takes_no_more_work_than_it_did(
    families: tuple[str, ...], clips: int, counted: tuple[int, int]
) -> None:
    """Encoder frames and decoder tokens of raw audio and five methods at five budgets, as before the seams."""
    paper_shaped.CLIPS.clear()
    asked = []
    for example in examples(Split.CERTIFICATION, clips, families=families):
        paper_shaped.CLIPS.setdefault(example.source_id, example.audio.waveform())
        asked.append(paper_shaped.Asked(example.source_id, *example.question))
    model = load_model("tiny")
    model.counted = Cost()
    answers = list(answer_all(model, paper_shaped.sweep(asked), AnswerOptions(ahead=0)))
    assert len(answers) == 312
    assert (model.counted.encoder_frames, model.counted.decoder_tokens) == counted


def test_keys_that_heads_share_are_copied_for_each_in_the_layer_that_runs() -> None:
    shape = fakes.qwen2_audio(tiny_mel=True).shape
    forest = SimpleNamespace(shape=shape)
    one_layer = shape.decoder.kv_bytes // shape.decoder.layers
    assert shape.decoder.heads == 2 * shape.decoder.kv_heads
    assert batches._resident(forest, Limits(100, 100, 1)) == 3 * one_layer
    assert batches._resident(forest, Limits(100, 100, 1, generates=True)) == shape.decoder.kv_bytes + 2 * one_layer
    alone = replace(shape, decoder=replace(shape.decoder, kv_heads=shape.decoder.heads))
    assert batches._resident(SimpleNamespace(shape=alone), Limits(100, 100, 1)) == alone.decoder.kv_bytes // 3
