"""The trimmed encoder against Hugging Face's padded one, at all lengths."""

from typing import Any

import fakes
import numpy as np
import pytest
import torch

from earmark.engine.answerers.shared.cost import EncoderShape

LENGTHS_S = [i / 10 for i in range(1, 301)]


def hugging_face(answerer: Any, audio: list[Any]) -> tuple[Any, list[int]]:
    """Audio embeddings (rows, tokens, width) of the padded window as the model's own forward makes them."""
    features = answerer.extractor(
        audio, sampling_rate=16_000, padding="max_length", return_attention_mask=True, return_tensors="pt"
    )
    model = answerer.model.model
    valid, out = model.audio_tower._get_feat_extract_output_lengths(features["attention_mask"].sum(-1))
    length = features["input_features"].shape[-1] // 2
    seen = torch.arange(length)[None] < valid[:, None]
    bias = torch.zeros(len(audio), 1, 1, length).masked_fill(~seen[:, None, None], torch.finfo(torch.float32).min)
    with torch.inference_mode():
        states = model.audio_tower(features["input_features"], attention_mask=bias).last_hidden_state
        return model.multi_modal_projector(states), out.tolist()


@pytest.mark.parametrize(
    ("rows", "lengths"),
    [
        (1, LENGTHS_S[::7]),
        (4, np.random.default_rng(0).permutation(LENGTHS_S[9::7]).tolist()),
        pytest.param(1, LENGTHS_S, marks=pytest.mark.validity),
    ],
    ids=["one at a time", "in batches", "every length"],
)
def test_the_trimmed_encoder_equals_the_padded_one(rows: int, lengths: list[float]) -> None:
    """.1 to 30 s in steps of .7, one at a time and in batches of unequal lengths; in steps of .1 (make validity)."""
    answerer = fakes.qwen2_audio()
    sound = fakes.sound(7, 30.0)
    worst = 0.0
    checked = 0
    for start in range(0, len(lengths), 4):
        audio = [sound[: round(s * 16_000)] for s in lengths[start : start + 4]]
        expected, tokens = hugging_face(answerer, audio)
        chunks = [range(-(-len(a) // 16_000)) for a in audio]
        clips = [answerer.open(a) for a in audio]
        batches = [[i] for i in range(len(audio))] if rows == 1 else [list(range(len(audio)))]
        for batch in batches:
            got = answerer.encode([clips[i] for i in batch], [chunks[i] for i in batch])
            for row, i in enumerate(batch):
                assert got.lengths[row] == tokens[i]
                difference = got.states[row, : tokens[i]] - expected[i, : tokens[i]]
                worst = max(worst, float(difference.abs().max()))
                checked += 1
    assert checked == len(lengths)
    assert worst <= 1e-5


@pytest.mark.parametrize("valid", [197, 198, 199, 200])
def test_two_frames_fewer_would_not_do(valid: int) -> None:
    """The claim behind `run_frames`: what follows the audio reaches its last token."""
    answerer = fakes.qwen2_audio()
    audio = fakes.sound(7, 2.0)[: valid * 160]
    expected, (tokens,) = hugging_face(answerer, [audio])
    mel = answerer.mel.subsets([(answerer.open(audio), [0, 1])], 210)
    enough = answerer.shape.encoder.run_frames(valid)
    for frames in (enough, enough - 2):
        with torch.inference_mode():
            got = answerer._encode(mel[:, :frames], [min(valid, frames)])[0]
        together = min(tokens, len(got))
        difference = float((got[:together] - expected[0, :together]).abs().max())
        assert (difference <= 1e-5 and len(got) >= tokens) == (frames == enough)


def test_frames_and_tokens_by_hand() -> None:
    shape = EncoderShape(
        layers=1, width=8, ffn=8, mels=128, out=8, hop=160, longest_samples=480_000, window_frames=None
    )
    assert shape.valid_frames(16_000) == 100
    assert shape.audio_tokens(16_000) == 25
    assert shape.audio_tokens(480_000) == 750
    assert [shape.run_frames(n) for n in (100, 99, 2999, 3000)] == [102, 102, 3000, 3000]


def test_equal_windows_are_encoded_once() -> None:
    """Two subsets of a clip that hear the same two seconds share that window."""
    answerer = fakes.qwen25_omni()
    loud = np.tile(fakes.sound(3, 2.0), 4)
    clip = answerer.open(loud)
    before = answerer.counted
    answerer.encode([clip], [range(8)])
    frames = answerer.counted.encoder_frames - before.encoder_frames
    assert frames < 4 * 200  # the inner windows are equal; the first and last hear the edges
