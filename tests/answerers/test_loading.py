"""Folders of both architectures, saved and loaded again; what is refused; and what need not be installed."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import fakes
import numpy as np
import pytest
from answering import answer_all

from earmark.engine.answerers.loading import load_model
from earmark.engine.answerers.request import Request
from earmark.engine.answerers.shared.scheduler import AnswerOptions
from earmark.engine.answerers.tiny import FOLDERS
from earmark.engine.corpus.clip import clip
from earmark.engine.corpus.example import Question
from earmark.engine.errors import InputError


def saved(answerer: Any, folder: Path) -> Path:
    """A model folder as it is downloaded."""
    answerer.model.save_pretrained(folder)
    answerer.tokenizer.save_pretrained(folder)
    answerer.extractor.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("tiny_mel", [False, True])
def test_a_folder_answers_as_the_model_that_was_saved(tmp_path: Path, tiny_mel: bool) -> None:
    """Window, hop and mels come from the folder's own extractor."""
    answerer = fakes.qwen2_audio(tiny_mel=tiny_mel)
    loaded: Any = load_model(str(saved(answerer, tmp_path)))
    assert loaded.shape == answerer.shape
    assert loaded.identity == answerer.identity
    requests = fakes.paper_shaped(1, 2)[:12]
    expected = {a.id: a for a in answer_all(answerer, requests)}
    for got in answer_all(loaded, requests):
        assert got.nll == pytest.approx(expected[got.id].nll, abs=1e-6)


@pytest.mark.skipif(not (FOLDERS["tiny-a"] / "model.safetensors").exists(), reason="the weights are not there")
@pytest.mark.parametrize("generate", [0, 5])
def test_the_embedded_answerer_answers_as_its_twin(generate: int) -> None:
    answerer = load_model("tiny")
    requests = fakes.paper_shaped(1, 2)[:20]
    twin = {a.id: a for a in answer_all(answerer, requests, AnswerOptions(generate, reuse=False))}
    for got in answer_all(answerer, requests, AnswerOptions(generate)):
        assert (got.predicted_label, got.status) == (twin[got.id].predicted_label, "ok")
        assert got.nll == pytest.approx(twin[got.id].nll, abs=1e-4)
        assert got.num_audio_tokens in (10, 20, 40, 100)


def test_other_weights_or_another_format_is_another_identity() -> None:
    identities = {
        fakes.qwen2_audio().identity,
        fakes.qwen2_audio(seed=1).identity,
        fakes.qwen2_audio("bfloat16").identity,
        fakes.qwen25_omni().identity,
    }
    assert len(identities) == 4


def test_what_cannot_be_loaded_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no folder"):
        load_model(str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="number format 'int8' is unknown"):
        load_model("tiny", dtype="int8")
    with pytest.raises(InputError, match="cannot be loaded"):
        load_model(str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "whisper"}))
    with pytest.raises(InputError, match="model type 'whisper' is unknown"):
        load_model(str(tmp_path))
    folder = saved(fakes.qwen2_audio(tiny_mel=True), tmp_path / "pickled")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(InputError, match="cannot be loaded"):
        load_model(str(folder))


def test_flips_are_none_in_fp32_and_counted_in_bf16() -> None:
    from answering import flip_rate

    raw = [r for r in fakes.paper_shaped(2, 4) if "/0/" in r.id]
    assert flip_rate(fakes.qwen2_audio(tiny_mel=True), raw, AnswerOptions(batch_tokens=900)).share == 0
    found = flip_rate(fakes.qwen2_audio("bfloat16", tiny_mel=True), raw, AnswerOptions(batch_tokens=900))
    assert found.compared == len(raw)


def test_audio_tokens_reach_the_model() -> None:
    """A harness that drops the audio answers every clip alike; this one hears the difference."""
    answerer = fakes.qwen2_audio(tiny_mel=True)
    audio = [fakes.Sound(seed, 4.0) for seed in range(3)]
    from earmark.engine.compressors.compressor import Excerpt

    requests = []
    for sound in audio:
        heard = Excerpt.of(sound, clip(sound.waveform()), np.arange(4))
        requests.append(Request(sound.name, heard, Question("Which sound is heard?", ("a", "b", "c"), 0)))
    for options in (AnswerOptions(), AnswerOptions(reuse=False)):
        answers = list(answer_all(answerer, requests, options))
        assert {a.num_audio_tokens for a in answers} == {40}
        assert len({round(a.nll or 0.0, 4) for a in answers}) == 3


def test_neither_pyarrow_nor_soundfile_is_needed() -> None:
    """It runs on a bare GPU machine; and scheduling alone needs no torch."""
    program = """
import sys
for name in ("pyarrow", "soundfile", "soxr", "numba", "scipy", "click", "jinja2"):
    sys.modules[name] = None
import earmark.engine.answerers.shared.shared_answerer
assert "torch" not in sys.modules
import earmark.engine.answerers.model_types
import torch
print(torch.get_num_threads(), torch.initial_seed())
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
