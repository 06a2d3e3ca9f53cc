"""Frames of subsets, taken over from their clip, against the extractor on the padded window."""

from typing import Any

import fakes
import numpy as np
import pytest
import torch
from cut import keep_chunks
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import WhisperFeatureExtractor

from earmark.engine.answerers.qwen.mel import Mel
from earmark.engine.corpus.clip import chunk_count, clip

SHAPES = {
    "whisper": {"feature_size": 128, "hop_length": 160, "n_fft": 400, "chunk_length": 30},
    "tiny": {"feature_size": 64, "hop_length": 400, "n_fft": 800, "chunk_length": 10},
    "wide": {"feature_size": 16, "hop_length": 100, "n_fft": 400, "chunk_length": 5},
}
EXTRACTORS: dict[str, Any] = {name: WhisperFeatureExtractor(**shape) for name, shape in SHAPES.items()}


def padded(extractor: Any, audio: Any) -> tuple[Any, int]:
    """The extractor's own frames (frames, mels), and how many carry audio."""
    out = extractor(
        [audio], sampling_rate=16_000, padding="max_length", return_attention_mask=True, return_tensors="np"
    )
    return out["input_features"][0].T, int(out["attention_mask"].sum())


@pytest.mark.parametrize("name", SHAPES)
@settings(max_examples=25)
@given(data=st.data())
def test_subsets_equal_the_padded_extractor(name: str, data: st.DataObject) -> None:
    extractor = EXTRACTORS[name]
    mel = Mel(extractor, torch.device("cpu"))
    heard, twins = [], []
    window_s = SHAPES[name]["chunk_length"]
    for seed in range(data.draw(st.integers(1, 3))):
        samples = data.draw(st.integers(1, window_s * 16_000) | st.sampled_from([window_s * 16_000, 16_000, 40_000]))
        whole = clip(fakes.sound(seed, samples / 16_000))
        chunks = sorted(data.draw(st.sets(st.integers(0, chunk_count(whole) - 1), min_size=1)))
        heard.append((mel.clip(whole), chunks))
        twins.append(padded(extractor, keep_chunks(whole, np.array(chunks)).audio))
    frames = min(max(valid for _, valid in twins) + 5, extractor.nb_max_frames)
    got = mel.subsets(heard, frames).numpy()
    for ours, (twin, valid) in zip(got, twins, strict=True):
        np.testing.assert_allclose(ours[: valid + 2], twin[: min(valid + 2, frames)], atol=2e-5)
        np.testing.assert_allclose(ours, twin[:frames], atol=2e-5)


@pytest.mark.parametrize("name", SHAPES)
def test_silence_and_full_windows(name: str) -> None:
    extractor = EXTRACTORS[name]
    mel = Mel(extractor, torch.device("cpu"))
    window = SHAPES[name]["chunk_length"]
    full = fakes.sound(5, float(window))
    for audio in (np.zeros(32_000, np.float32), full, full[:-7], full[:-200], full[:16_000]):
        whole = clip(audio)
        got = mel.subsets([(mel.clip(whole), range(chunk_count(whole)))], extractor.nb_max_frames)
        np.testing.assert_allclose(got[0], padded(extractor, whole)[0], atol=2e-5)


def test_a_mel_that_does_not_fit_chunks_is_refused() -> None:
    with pytest.raises(ValueError, match="one-second chunks"):
        Mel(WhisperFeatureExtractor(hop_length=300), torch.device("cpu"))
    with pytest.raises(ValueError, match="dither"):
        Mel(WhisperFeatureExtractor(dither=0.1), torch.device("cpu"))
