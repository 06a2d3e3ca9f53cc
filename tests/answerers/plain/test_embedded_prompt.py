"""Reduced audio before the decoder of any class of transformers: equal to that class on the same embeddings."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import audio_families
import fakes
import numpy as np
import pytest
import torch
from audio_families import Family

from earmark.engine.answerers.answer_all import answer_all
from earmark.engine.answerers.loading import load
from earmark.engine.answerers.model_types import load_plain
from earmark.engine.answerers.plain.auto_model import AutoModel
from earmark.engine.answerers.plain.plain_answerer import PlainAnswerer
from earmark.engine.answerers.prompt import question_text
from earmark.engine.answerers.request import Answer, Request
from earmark.engine.answerers.shared.encodings import Encodings
from earmark.engine.answerers.shared.scheduler import AnswerOptions
from earmark.engine.compressors.compressor import Excerpt
from earmark.engine.compressors.tokens.reducing import ReductionSpec
from earmark.engine.compressors.tokens.runs import pool
from earmark.engine.corpus.clip import clip
from earmark.engine.corpus.example import Question
from earmark.engine.corpus.synthetic.splits import Split
from earmark.engine.corpus.synthetic.synthetic_corpus import examples
from earmark.engine.design.sections import AnswererSpec

ABLE = [
    audio_families.audio_flamingo_3,
    audio_families.music_flamingo,
    audio_families.qwen25_omni,
    audio_families.qwen3_omni,
    audio_families.glm_asr,
]
UNABLE = [audio_families.phi4_multimodal, audio_families.gemma_4]
EVERYTHING = 1.0


def saved(make: Callable[[], Family], folder: Path) -> AutoModel:
    return load_plain(str(make().save(folder)), "cpu", "float32")


@pytest.fixture(scope="module", params=ABLE, ids=lambda make: make.__name__)
def able(request: Any, tmp_path_factory: Any) -> AutoModel:
    return saved(request.param, tmp_path_factory.mktemp(request.param.__name__))


def requests(specs: Sequence[ReductionSpec | None], n_clips: int = 3, n_questions: int = 2) -> list[Request]:
    """Each question about each clip, each clip reduced in each of these ways."""
    asked = []
    for seed in range(n_clips):
        sound = fakes.Sound(seed, 2 + 0.5 * (seed % 2))
        whole = Excerpt.of(sound, clip(sound.waveform()))
        for spec in specs:
            excerpt = whole if spec is None else whole.reduced(spec)
            for number in range(n_questions):
                question = Question(fakes.QUESTIONS[number], tuple("abcd"[: 2 + number]), 0)
                asked.append(Request(f"{seed} {spec} {number}", excerpt, question))
    return asked


def answers(answerer: Any, asked: Sequence[Request]) -> list[Answer]:
    """In the order of the requests."""
    by_name = {answer.id: answer for answer in answer_all(answerer, asked)}
    return [by_name[request.id] for request in asked]


def check_alike(some: Sequence[Answer], others: Sequence[Answer]) -> None:
    """Each pair has the same letter and likelihood."""
    assert {answer.status for answer in (*some, *others)} == {"ok"}
    assert [answer.predicted_label for answer in some] == [answer.predicted_label for answer in others]
    np.testing.assert_allclose([a.nll for a in some], [a.nll for a in others], atol=2e-4)


def test_audio_that_is_left_whole_is_answered_as_if_nobody_had_reached_in(able: AutoModel) -> None:
    answerer = PlainAnswerer(able)
    assert (answerer.cannot_reduce, answerer.cannot_weigh) == ("", "")
    untouched = answers(answerer, requests([None]))
    for sized in (False, True):
        whole = answers(answerer, requests([ReductionSpec("pool", EVERYTHING, sized)]))
        check_alike(whole, untouched)
        assert [answer.num_audio_tokens for answer in whole] == [answer.num_audio_tokens for answer in untouched]
        assert [answer.lm_positions for answer in whole] == [answer.lm_positions for answer in untouched]


def test_reduced_rows_are_read_in_batches_as_alone_and_matter(able: AutoModel) -> None:
    specs = [
        ReductionSpec(kind, budget, sized, 1.0, 4)
        for kind in ("pool", "ltbm", "dart")
        for budget in (0.5, 0.1)
        for sized in (False, True)
    ]
    asked = requests(specs, n_clips=2)
    together = answers(PlainAnswerer(able), asked)
    check_alike(together, answers(PlainAnswerer(able, AnswerOptions(batch_tokens=1)), asked))
    whole = {
        request.excerpt.encoded_as: answer.num_audio_tokens
        for request, answer in zip(requests([None]), answers(PlainAnswerer(able), requests([None])), strict=True)
    }
    for request, answer in zip(asked, together, strict=True):
        assert request.excerpt.reduction is not None
        n = whole[request.excerpt.encoded_as]
        assert n is not None
        assert answer.num_audio_tokens == max(1, int(n * request.excerpt.reduction.budget))
    assert len({round(answer.nll or 0, 5) for answer in together}) > len(asked) / 2


def test_reduced_rows_are_written_after_as_whole_ones_are(able: AutoModel) -> None:
    writing = AnswerOptions(generate=4)
    (raw, *others) = [
        [result.text for _, result in PlainAnswerer(able, options).answer(requests([spec], n_clips=2), {})]
        for spec in (None, ReductionSpec("pool", EVERYTHING, False), ReductionSpec("pool", EVERYTHING, True))
        for options in (writing, AnswerOptions(generate=4, batch_tokens=1))
    ]
    assert all(sorted(texts) == sorted(raw) for texts in others)
    assert any(raw)


@torch.inference_mode()
@pytest.mark.parametrize("sized", [False, True])
@pytest.mark.parametrize("make", [audio_families.audio_flamingo_3, audio_families.glm_asr])
def test_pooled_audio_is_the_class_itself_on_pooled_embeddings(
    make: Callable[[], Family], sized: bool, tmp_path: Path
) -> None:
    """Its own features, averaged by hand, at places and with a mask that are written by hand."""
    model = saved(make, tmp_path)
    (request,) = requests([ReductionSpec("pool", 0.3, sized)], 1, 1)
    sound = fakes.Sound(0, 2.0)
    inputs = model._together([model.inputs(clip(sound.waveform()), question_text(*request.question[:2]))])
    hf: Any = model._model
    features = hf.get_audio_features(inputs["input_features"], inputs["input_features_mask"]).pooler_output
    ids = inputs["input_ids"][0]
    is_audio = ids == model._audio_token
    n, first = int(is_audio.sum()), int(is_audio.nonzero()[0])
    runs = np.split(np.arange(n), np.flatnonzero(np.diff(pool(n, int(0.3 * n)).group)) + 1)
    means = torch.stack([features.reshape(n, -1)[run].mean(0) for run in runs])
    before, after = hf.get_input_embeddings()(ids[:first]), hf.get_input_embeddings()(ids[first + n :])
    embeddings = torch.cat([before, means, after])[None]
    length, k = embeddings.shape[1], len(runs)
    places, added = torch.arange(length).float(), torch.zeros(length)
    if sized:
        places[first : first + k] = torch.tensor([first + run.mean() for run in runs])
        places[first + k :] = torch.arange(first + n, len(ids))
        added[first : first + k] = torch.tensor([float(np.log(len(run))) for run in runs])
    mask = torch.full((length, length), -torch.inf).triu(1) + added
    logits = hf(inputs_embeds=embeddings, attention_mask=mask[None, None], position_ids=places[None]).logits[0, -1]
    assert model._letters is not None
    expected = -logits.log_softmax(-1)[model._letters[:2]]
    ((_, result),) = PlainAnswerer(model).answer([request], {})
    np.testing.assert_allclose(result.option_nll, expected, atol=2e-5)


def test_the_embedded_folder_reduces_as_the_fast_one() -> None:
    specs = [ReductionSpec(kind, 0.3, sized, 1.0, 4) for kind in ("pool", "global_merge") for sized in (False, True)]
    asked = [
        Request(f"{row.sample_id} {spec}", Excerpt.of(row.audio, row.audio.waveform()).reduced(spec), row.question)
        for row in list(examples(Split.CERTIFICATION, 1))[:4]
        for spec in specs
    ]
    check_alike(answers(load(AnswererSpec("plain:tiny")), asked), answers(load(AnswererSpec("tiny")), asked))


def test_a_class_is_tried_in_16_bits_too() -> None:
    model = load_plain("tiny", "cpu", "bfloat16")
    assert (model.cannot_reduce, model.cannot_weigh) == ("", "")


@pytest.mark.parametrize("kept", [True, False])
def test_an_encoder_runs_once_a_clip(kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = saved(audio_families.glm_asr, tmp_path / "model")
    made: list[int] = []
    encoded = AutoModel.encoded

    def counted(self: AutoModel, inputs: Any) -> Any:
        made.append(inputs.audio_tokens)
        return encoded(self, inputs)

    monkeypatch.setattr(AutoModel, "encoded", counted)
    specs = [ReductionSpec(kind, budget, False) for kind in ("pool", "sample") for budget in (0.5, 0.2)]
    encodings = Encodings(0, tmp_path / "kept", 1 << 24) if kept else None
    first = answers(PlainAnswerer(model, encodings=encodings), requests(specs))
    assert len(made) == 3
    again = answers(PlainAnswerer(model, encodings=encodings), requests(specs))
    assert len(made) == (3 if kept else 6)
    assert [answer.nll for answer in again] == [answer.nll for answer in first]


@pytest.mark.parametrize("make", UNABLE, ids=lambda make: make.__name__)
def test_a_class_that_takes_no_embeddings_says_so_by_name(make: Callable[[], Family], tmp_path: Path) -> None:
    model = saved(make, tmp_path)
    name = type(model._model).__name__
    assert model.cannot_reduce.startswith(f"{name} takes no embeddings in the place of audio (")
    assert model.cannot_weigh == model.cannot_reduce


def test_layers_that_look_back_only_so_far_weigh_nothing(tmp_path: Path) -> None:
    model = saved(audio_families.audio_flamingo_3, tmp_path)
    assert model.cannot_reduce == ""
    model._model.config.get_text_config().layer_types = ["full_attention", "sliding_attention"]
    assert model.cannot_weigh == (
        "AudioFlamingo3ForConditionalGeneration does not look at all that came before in every layer"
    )


def test_a_class_that_minds_no_weights_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = saved(audio_families.audio_flamingo_3, tmp_path)
    decoder = model._model.get_decoder()
    forward = decoder.forward

    def careless(attention_mask: torch.Tensor | None, **inputs: Any) -> Any:
        """It looks at what comes before, and no more closely at any of it."""
        weighs = attention_mask is not None and attention_mask.dim() == 4
        return forward(attention_mask=None if weighs else attention_mask, **inputs)

    monkeypatch.setattr(decoder, "forward", careless)
    assert model.cannot_reduce == ""
    assert model.cannot_weigh.endswith("answers alike wherever audio tokens stand, or however heavy they are")
