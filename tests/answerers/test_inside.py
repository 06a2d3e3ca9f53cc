"""What is dropped inside the decoder: Hugging Face's layers say the same under the same masks."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import fakes
import numpy as np
import pytest
import torch

from earmark.engine.answerers.request import Request, Result
from earmark.engine.answerers.shared.audio_lm import OutOfMemoryError
from earmark.engine.answerers.shared.encodings import Encodings
from earmark.engine.answerers.shared.scheduler import AnswerOptions
from earmark.engine.answerers.shared.shared_answerer import SharedAnswerer
from earmark.engine.compressors.compressor import Excerpt, OpenedClip
from earmark.engine.compressors.tokens.reducing import ReductionSpec
from earmark.engine.corpus.example import Question
from earmark.engine.design.keys import OK

TOLERANCE = {"float32": 3e-5, "bfloat16": 0.06}  # of bfloat16 one step of the logits
QUESTIONS = [
    Question("one two three", ("four", "five", "six"), 0),
    Question("two two seven eight", ("nine", "ten"), 1),
    Question("three and four or five", ("one", "two", "three", "four"), 2),
]
CLIPS = [OpenedClip(str(number), fakes.sound(number, seconds)) for number, seconds in enumerate((3.0, 5.0))]
ASKING = ("fastv", "heads", "kv_snap")
LAYERS = ("fastv", "heads", "uniform_layers", "random_layers")
CACHE = ("kv_uniform", "kv_random", "kv_snap", "kv_keydiff")


def model_of(name: str, dtype: str = "float32") -> Any:
    return fakes.qwen2_audio(dtype, tiny_mel=True) if name == "qwen2_audio" else fakes.qwen25_omni(dtype)


def whole(clip: OpenedClip) -> Excerpt:
    return clip.whole()


def spec_of(kind: str, budget: float, question: Question, layer: int = 1, *, sized: bool = False) -> ReductionSpec:
    """What a compressor that is given this question makes of it."""
    if kind not in ASKING:
        question = Question("", (), 0)
    layer = layer if kind in LAYERS else 0
    return ReductionSpec(kind, budget, sized, 0.0, 0, 3, None, question.text, tuple(question.choices), layer)


def asked(spec: ReductionSpec | None, clip: OpenedClip, question: Question) -> Request:
    excerpt = whole(clip) if spec is None else whole(clip).reduced(spec)
    return Request(f"{spec} {clip.name} {question.text}", excerpt, question)


def answered(answerer: SharedAnswerer, requests: Sequence[Request]) -> dict[str, Result]:
    results = {request.id: result for request, result in answerer.answer(requests, {})}
    assert {result.status for result in results.values()} == {OK}
    return {request.id: results[request.id] for request in requests}


class Naive:
    """Hugging Face's layers on one whole sequence, one after the other; what is dropped is hidden by masks."""

    def __init__(self, model: Any, clip: OpenedClip, question: Question) -> None:
        self.model, self.lm = model, model.model.model.language_model
        encoded = model.encode([model.open(clip.audio)], [whole(clip).wave.places])
        audio = encoded.states[0, : encoded.lengths[0]]
        prompt = model.template.prompt(question.text, question.choices)
        prefix, text = (torch.tensor(ids) for ids in model.tokenize([prompt.prefix, prompt.question]))
        self.first, self.n, self.n_all = len(prefix), len(audio), len(prefix) + len(audio) + len(text)
        self.x = torch.cat([self.lm.embed_tokens(prefix), audio, self.lm.embed_tokens(text)])[None]
        ids = torch.arange(self.n_all)[None]
        if model.model.config.model_type != "qwen2_audio":
            ids = ids.expand(3, 1, -1)
        self.rotary = self.lm.rotary_emb(self.x, ids)
        self.causal = torch.full((self.n_all, self.n_all), -torch.inf).triu(1)
        self.text = slice(self.first + self.n, self.n_all)
        self.heads, self.kv_heads = model.decoder.heads.heads, model.decoder.heads.kv_heads

    def layer(self, index: int, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        out = self.lm.layers[index](x, attention_mask=mask.to(x.dtype), position_embeddings=self.rotary)
        return out[0] if isinstance(out, tuple) else out

    def attention(self, index: int, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Weights (heads, all, all) and keys (kv heads, all, size) of a layer that sees everything, by hand."""
        layer = self.lm.layers[index]
        h = layer.input_layernorm(x)[0]

        def turned(states: torch.Tensor) -> torch.Tensor:
            states = states.view(self.n_all, -1, self.model.decoder.heads.size).transpose(0, 1)
            first, second = states.chunk(2, dim=-1)
            cos, sin = (part.reshape(-1, self.n_all, part.shape[-1])[0] for part in self.rotary)
            return states * cos + torch.cat([-second, first], dim=-1) * sin

        q, k = turned(layer.self_attn.q_proj(h)), turned(layer.self_attn.k_proj(h))
        shared = k.repeat_interleave(self.heads // self.kv_heads, dim=0)
        scores = q.float() @ shared.float().transpose(1, 2) / self.model.decoder.heads.size**0.5 + self.causal
        return scores.softmax(-1), k

    def through(self, masks: Sequence[torch.Tensor]) -> torch.Tensor:
        """Minus the log-probabilities of the first letters."""
        x = self.x
        for index, mask in enumerate(masks):
            x = self.layer(index, x, mask.expand(1, self.heads, -1, -1))
        logits = self.model.model.lm_head(self.lm.norm(x))[0, -1].float()
        return -logits.log_softmax(-1)[self.model._letter_tokens(2)]

    def hiding(self, kept: Sequence[int], sizes: Sequence[float] | None = None) -> torch.Tensor:
        """A mask under which nobody sees the audio that was dropped, and the rest weighs what it stands for."""
        added = torch.zeros(self.n_all)
        added[self.first : self.first + self.n] = -torch.inf
        weights = torch.zeros(len(kept)) if sizes is None else torch.tensor(sizes).log()
        added[[self.first + at for at in kept]] = weights.float()
        mask = self.causal + added
        mask.fill_diagonal_(0.0)  # what was dropped sees itself, which nobody reads
        if sizes is not None:
            at = torch.tensor([self.first + position for position in kept])
            mask[at, at] = weights.float()
        return mask

    def best(self, layer: int, k: int, how: str) -> list[int]:
        """What fastv and heads keep, in plain loops."""
        x = self.x
        for index in range(layer - 1):
            x = self.layer(index, x, self.causal.expand(1, self.heads, -1, -1))
        weights, _ = self.attention(layer - 1, x)
        to_audio = weights[:, -1, self.first : self.first + self.n].double().numpy()
        scores = np.zeros(self.n)
        for head in to_audio:
            factor = 1.0
            if how == "heads":
                shares = head / head.sum()
                factor = 1 + sum(share * np.log(share) for share in shares) / np.log(self.n)
            scores += factor * head
        return sorted(sorted(range(self.n), key=lambda at: (-scores[at], at))[:k])


def middles(n: int, k: int) -> list[int]:
    return [(2 * place + 1) * n // (2 * k) for place in range(k)]


def spans(kept: Sequence[int], n: int) -> list[float]:
    borders = [-0.5, *[(a + b) / 2 for a, b in pairwise(kept)], n - 0.5]
    return [after - before for before, after in pairwise(borders)]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("model", ["qwen2_audio", "omni"])
@pytest.mark.parametrize("layer", [1, 2])
@torch.inference_mode()
def test_audio_that_is_dropped_after_a_layer_is_hidden_from_the_others(model: str, dtype: str, layer: int) -> None:
    """In fp32 the twin chooses by itself; in bfloat16 scores tie, so only what has none is compared."""
    lm = model_of(model, dtype)
    answerer = SharedAnswerer(lm)
    requests, expected = [], []
    for clip, question in zip((CLIPS[0], CLIPS[1], CLIPS[0]), QUESTIONS, strict=True):
        naive = Naive(lm, clip, question)
        k = max(1, int(0.3 * naive.n))
        cases: list[tuple[str, bool, list[int]]] = [
            ("uniform_layers", sized, middles(naive.n, k)) for sized in (False, True)
        ]
        if dtype == "float32":
            cases += [(how, False, naive.best(layer, k, how)) for how in ("fastv", "heads")]
        for kind, sized, kept in cases:
            requests.append(asked(spec_of(kind, 0.3, question, layer, sized=sized), clip, question))
            above = naive.hiding(kept, spans(kept, naive.n) if sized else None)
            masks = [naive.causal] * layer + [above] * (answerer.layers - layer)
            expected.append(naive.through(masks).numpy())
    results = answered(answerer, requests)
    for request, nll in zip(requests, expected, strict=True):
        np.testing.assert_allclose(results[request.id].option_nll[:2], nll, atol=TOLERANCE[dtype], err_msg=request.id)


@pytest.mark.parametrize("model", ["qwen2_audio", "omni"])
@torch.inference_mode()
def test_keys_that_are_dropped_from_the_cache_are_hidden_from_the_question(model: str) -> None:
    """In every head its own, and from nobody before it; SnapKV's window is the question."""
    lm = model_of(model)
    answerer = SharedAnswerer(lm)
    for clip, question in zip((CLIPS[0], CLIPS[1], CLIPS[0]), QUESTIONS, strict=True):
        naive = Naive(lm, clip, question)
        k, groups = max(1, int(0.4 * naive.n)), naive.heads // naive.kv_heads
        after = slice(naive.text.start + 1, naive.n_all)  # <|audio_eos|> is cached with the audio
        masks: dict[str, list[torch.Tensor]] = {"kv_snap": [], "kv_keydiff": []}
        x = naive.x
        for index in range(answerer.layers):
            weights, keys = naive.attention(index, x)
            x = naive.layer(index, x, naive.causal.expand(1, naive.heads, -1, -1))
            for kind, of_layers in masks.items():
                mask = naive.causal.repeat(naive.heads, 1, 1)
                for head in range(naive.kv_heads):
                    audio = slice(naive.first, naive.first + naive.n)
                    if kind == "kv_snap":
                        queries = weights[head * groups : (head + 1) * groups, after, audio].double().numpy()
                        sums = [0.0, 0.0, *queries.sum(axis=(0, 1)), 0.0, 0.0]
                        scores = [sum(sums[at : at + 5]) / 5 for at in range(naive.n)]
                    else:
                        unit = torch.nn.functional.normalize(keys[head, audio].double(), dim=-1)
                        mean = torch.nn.functional.normalize(unit.mean(dim=0), dim=-1)
                        scores = [-float(row @ mean) for row in unit]
                    dropped = sorted(range(naive.n), key=lambda at: (-scores[at], at))[k:]
                    for at in dropped:
                        mask[head * groups : (head + 1) * groups, after, naive.first + at] = -torch.inf
                of_layers.append(mask[None])
        requests = {kind: asked(spec_of(kind, 0.4, question), clip, question) for kind in masks}
        results = answered(answerer, list(requests.values()))
        for kind, of_layers in masks.items():
            nll = results[requests[kind].id].option_nll[:2]
            np.testing.assert_allclose(nll, naive.through(of_layers).numpy(), atol=TOLERANCE["float32"], err_msg=kind)


EVERYTHING = 1 - 1e-12  # rounds to all positions, and is no budget of 1


@pytest.mark.parametrize("model", ["qwen2_audio", "omni"])
def test_all_that_is_kept_and_what_nobody_reads_any_more_is_raw(model: str) -> None:
    answerer = SharedAnswerer(model_of(model))
    raw = {clip: answered(answerer, [asked(None, clip, question) for question in QUESTIONS]) for clip in CLIPS}
    for clip, results in raw.items():
        specs = [(kind, EVERYTHING, 1) for kind in (*LAYERS, *CACHE)] + [
            (kind, 0.2, answerer.layers) for kind in LAYERS
        ]
        for kind, budget, layer in specs:
            requests = [asked(spec_of(kind, budget, question, layer), clip, question) for question in QUESTIONS]
            got = [result.option_nll for result in answered(answerer, requests).values()]
            for ours, theirs in zip(got, results.values(), strict=True):
                np.testing.assert_allclose(ours, theirs.option_nll, atol=3e-5, err_msg=f"{kind} {budget}")


@pytest.mark.parametrize("model", ["qwen2_audio", "omni"])
def test_dropping_before_the_first_layer_is_sampling_tokens_with_their_places(model: str) -> None:
    answerer = SharedAnswerer(model_of(model))
    for question in QUESTIONS:
        inside = asked(spec_of("uniform_layers", 0.3, question, 0, sized=True), CLIPS[1], question)
        before = asked(ReductionSpec("sample", 0.3, True), CLIPS[1], question)
        results = answered(answerer, [inside, before])
        np.testing.assert_allclose(results[inside.id].option_nll, results[before.id].option_nll, atol=3e-5)
        assert (results[inside.id].lm_positions, results[inside.id].flops) == (
            results[before.id].lm_positions,
            results[before.id].flops,
        )


def test_the_order_of_kept_keys_matters_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    lm = model_of("qwen2_audio")
    requests = [asked(spec_of("kv_random", 0.5, question), clip, question) for question in QUESTIONS for clip in CLIPS]
    results = answered(SharedAnswerer(lm), requests)
    evicted = lm.evicted
    monkeypatch.setattr(
        lm, "evicted", lambda parts: evicted([part._replace(kept=part.kept[..., ::-1].copy()) for part in parts])
    )
    for name, result in answered(SharedAnswerer(lm), requests).items():
        np.testing.assert_allclose(result.option_nll, results[name].option_nll, atol=2e-6)


def every_request() -> list[Request]:
    return [
        asked(spec_of(kind, budget, question), clip, question)
        for kind in (*LAYERS, *CACHE)
        for budget in (0.6, 0.3)
        for clip in CLIPS
        for question in QUESTIONS
    ]


@pytest.mark.parametrize("model", ["qwen2_audio", "omni"])
def test_batched_is_alone_and_what_was_kept_before(model: str) -> None:
    lm, requests = model_of(model), every_request()
    results = answered(SharedAnswerer(lm), requests)
    encodings = Encodings(1 << 28)
    others = {
        "small batches": SharedAnswerer(lm, AnswerOptions(batch_tokens=120, window_clips=1)),
        "little room": SharedAnswerer(lm, AnswerOptions(kv_bytes=400_000)),
        "one at a time": SharedAnswerer(lm, AnswerOptions(reuse=False)),
        "first of kept ones": SharedAnswerer(lm, encodings=encodings),
        "kept ones": SharedAnswerer(lm, encodings=encodings),
    }
    for name, answerer in others.items():
        for key, result in answered(answerer, requests).items():
            np.testing.assert_allclose(result.option_nll, results[key].option_nll, atol=3e-5, err_msg=f"{name} {key}")
            assert replace(result, option_nll=()) == replace(results[key], option_nll=())


def test_what_comes_before_the_drop_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The encoder and the prefill for each clip, layers below for each question: for all methods, budgets and steps."""
    lm = fakes.qwen2_audio(tiny_mel=True, seed=5)
    rows: Counter[str] = Counter()
    for name in ("encode", "below", "cached", "watched"):
        run = getattr(lm, name)

        def counted(items: Any, *arguments: Any, name: str = name, run: Any = run) -> Any:
            rows[name] += len(items)
            return run(items, *arguments)

        monkeypatch.setattr(lm, name, counted)
    encodings, requests = Encodings(1 << 28), every_request()
    for budget in (0.6, 0.3):  # a step of a sweep each
        of_step = [request for request in requests if request.excerpt.reduction.budget == budget]  # type: ignore[union-attr]
        answered(SharedAnswerer(lm, encodings=encodings), of_step)
    questions = len(CLIPS) * len(QUESTIONS)
    assert rows == {"encode": len(CLIPS), "below": questions, "cached": len(CLIPS), "watched": questions}


@pytest.mark.parametrize("kind", ["fastv", "heads", "kv_snap"])
def test_another_question_chooses_what_it_would_for_itself(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an audit permutes them: what is kept is what the other one keeps, and what is asked is the own one."""
    lm = model_of("qwen2_audio")
    kept: list[Any] = []
    name = "evicted" if kind == "kv_snap" else "above"
    run = getattr(lm, name)

    def seen(parts: Any, *arguments: Any) -> Any:
        kept.extend(part.kept if kind == "kv_snap" else part.reduction.group for part in parts)
        return run(parts, *arguments)

    monkeypatch.setattr(lm, name, seen)
    own, other = QUESTIONS[0], QUESTIONS[2]
    requests = [
        replace(asked(spec_of(kind, 0.2, given, 2), CLIPS[1], question), id=str(at))
        for at, (given, question) in enumerate([(own, own), (other, other), (other, own)])
    ]
    results = [answered(SharedAnswerer(lm), [request])[request.id] for request in requests]
    assert not np.array_equal(kept[0], kept[1])
    np.testing.assert_array_equal(kept[2], kept[1])
    assert len({request.excerpt.hash for request in requests}) == 2
    assert not np.allclose(results[2].option_nll, results[0].option_nll, atol=1e-6)


def test_rows_say_how_many_positions_there_were_on_average_over_layers() -> None:
    answerer = SharedAnswerer(model_of("qwen2_audio"))
    (clip, question), decoder = (CLIPS[1], QUESTIONS[0]), answerer.model.shape.decoder
    raw = answered(answerer, [asked(None, clip, question)]).popitem()[1]
    pruned = answered(answerer, [asked(spec_of("fastv", 0.5, question, 1), clip, question)]).popitem()[1]
    evicted = answered(answerer, [asked(spec_of("kv_snap", 0.5, question), clip, question)]).popitem()[1]
    n, k = raw.audio_tokens, pruned.audio_tokens
    assert (n, k, evicted.audio_tokens) == (50, 25, 25)
    assert raw.lm_positions is not None
    assert pruned.lm_positions == raw.lm_positions - n + round((n + (decoder.layers - 1) * k) / decoder.layers)
    assert evicted.lm_positions == raw.lm_positions
    assert evicted.flops == raw.flops > pruned.flops  # type: ignore[operator]


def test_who_writes_answers_cannot_drop_audio_after_a_layer_but_keys() -> None:
    answerer = SharedAnswerer(model_of("qwen2_audio"), AnswerOptions(generate=2))
    assert answerer.cannot_prune.startswith("it writes its answers")
    requests = [asked(spec_of("kv_snap", EVERYTHING, question), CLIPS[0], question) for question in QUESTIONS]
    raw = answered(answerer, [asked(None, CLIPS[0], question) for question in QUESTIONS])
    for ours, theirs in zip(answered(answerer, requests).values(), raw.values(), strict=True):
        assert ours.text == theirs.text
        np.testing.assert_allclose(ours.option_nll, theirs.option_nll, atol=3e-5)


def test_a_clip_beyond_the_window_is_too_long_even_where_it_would_be_split() -> None:
    answerer = SharedAnswerer(model_of("qwen2_audio"), AnswerOptions(split=True))
    clip = OpenedClip("long", fakes.sound(3, 12.0))
    requests = [asked(spec_of(kind, 0.5, QUESTIONS[0]), clip, QUESTIONS[0]) for kind in ("fastv", "kv_random")]
    statuses = {result.status for _, result in answerer.answer(requests, {})}
    assert statuses == {"too long: 12.0 s of audio, the answerer hears 10 s at once"}


def test_what_fails_by_itself_takes_no_other_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    lm = model_of("qwen2_audio")
    requests = [asked(spec_of(kind, 0.5, question), CLIPS[0], question) for kind in CACHE for question in QUESTIONS]
    whole = answered(SharedAnswerer(lm), requests)
    score = lm.score

    def at_most_one(context: Any, rows: Any, questions: Any, options: Any) -> Any:
        if len(rows) > 1 or options[0] == 2:  # QUESTIONS[1] has two
            raise OutOfMemoryError("no room")
        return score(context, rows, questions, options)

    monkeypatch.setattr(lm, "score", at_most_one)
    for request, result in SharedAnswerer(lm).answer(requests, {}):
        if len(request.question.choices) == 2:
            assert result.status.startswith("out of memory")
        else:
            np.testing.assert_allclose(result.option_nll, whole[request.id].option_nll, atol=3e-5)
