"""Folders of both architectures, saved and loaded again; what is refused; and what need not be installed."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fakes
import numpy as np
import pytest
import torch
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
    with pytest.raises(InputError, match=r"config\.json: there is no such file"):
        load_model(str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "whisper"}))
    with pytest.raises(InputError, match="model type 'whisper' is unknown"):
        load_model(str(tmp_path))
    folder = saved(fakes.qwen2_audio(tiny_mel=True), tmp_path / "pickled")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(InputError, match="weights in pickles are not read"):
        load_model(str(folder))


def kept(folder: Path, keep: Callable[[str], bool], **more: Any) -> None:
    """Leave those weights in a folder whose names say so, and add more."""
    from safetensors.torch import load_file, save_file

    weights = {name: weight for name, weight in load_file(folder / "model.safetensors").items() if keep(name)}
    save_file(weights | more, folder / "model.safetensors", {"format": "pt"})


@pytest.mark.parametrize("answerer", [fakes.qwen2_audio, fakes.qwen25_omni])
def test_a_weight_that_is_missing_or_too_many_is_refused_by_name(tmp_path: Path, answerer: Any) -> None:
    folder = saved(answerer(), tmp_path)
    whole = (folder / "model.safetensors").read_bytes()
    for part in ("layers.1.mlp.up_proj.weight", "audio_tower.conv1.bias", "lm_head.weight", "embed_tokens.weight"):
        kept(folder, lambda name, part=part: not name.endswith(part))
        with pytest.raises(InputError, match=f"lacks weights: .*{part}"):
            load_model(str(folder))
        (folder / "model.safetensors").write_bytes(whole)
    kept(folder, lambda _: True, **{"model.language_model.layers.7.mlp.up_proj.weight": torch.zeros(2, 2)})
    with pytest.raises(InputError, match=r"leaves no place for: .*layers\.7"):
        load_model(str(folder))


def test_of_omni_the_voice_and_the_eyes_are_not_loaded(tmp_path: Path) -> None:
    """What a thinker does not have may lie in its files, and what is not used of it may be absent."""
    folder = saved(fakes.qwen25_omni(), tmp_path)
    kept(folder, lambda name: "visual" not in name, **{"talker.model.norm.weight": torch.zeros(2)})
    assert load_model(str(folder)).identity == fakes.qwen25_omni().identity


def test_what_the_config_ties_may_be_absent(tmp_path: Path) -> None:
    folder = saved(fakes.qwen25_omni(), tmp_path)
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["tie_word_embeddings"] = config["tie_word_embeddings"] = True
    (folder / "config.json").write_text(json.dumps(config))
    kept(folder, lambda name: not name.endswith("lm_head.weight"))
    loaded: Any = load_model(str(folder))
    assert torch.equal(loaded.model.lm_head.weight, loaded.decoder.embedding)


def changed(folder: Path, name: str, *keys: str, value: Any) -> None:
    content = json.loads((folder / name).read_text())
    inner = content
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    (folder / name).write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("name", "keys", "value"),
    [
        ("config.json", ("text_config", "num_hidden_layers"), 1 << 30),
        ("config.json", ("text_config", "num_attention_heads"), 0),
        ("config.json", ("text_config", "vocab_size"), 1 << 40),
        ("config.json", ("text_config",), 3),
        ("config.json", ("audio_config", "encoder_layers"), 1),
        ("config.json", ("audio_config", "max_source_positions"), 1 << 40),
        ("config.json", ("dtype",), "float1024"),
        ("preprocessor_config.json", ("n_fft",), 1 << 40),
        ("preprocessor_config.json", ("hop_length",), 0),
        ("preprocessor_config.json", ("feature_size",), 80),
        ("preprocessor_config.json", ("sampling_rate",), 8000),
        ("generation_config.json", ("eos_token_id",), [[1]]),
        ("generation_config.json", ("eos_token_id",), 1 << 40),
        ("tokenizer.json", ("model",), None),
        ("tokenizer.json", ("model",), {"type": "BPE", "vocab": {}, "merges": []}),
        ("tokenizer.json", ("pre_tokenizer",), {"type": "Nope"}),
        ("tokenizer_config.json", ("eos_token",), 5),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(
    tmp_path: Path, name: str, keys: tuple[str, ...], value: Any
) -> None:
    folder = saved(fakes.qwen2_audio(tiny_mel=True), tmp_path)
    changed(folder, name, *keys, value=value)
    with pytest.raises(InputError):
        load_model(str(folder))


@pytest.mark.parametrize(
    "name", ["config.json", "tokenizer.json", "preprocessor_config.json", "generation_config.json"]
)
@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"a": 1, "a": 2}', b"[" * 100_000, b"\xff"])
def test_a_file_that_is_no_object_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    folder = saved(fakes.qwen2_audio(tiny_mel=True), tmp_path)
    (folder / name).write_bytes(content)
    with pytest.raises(InputError, match=name):
        load_model(str(folder))


def test_weights_that_are_no_safetensors_are_refused(tmp_path: Path) -> None:
    folder = saved(fakes.qwen2_audio(tiny_mel=True), tmp_path)
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    for content in (whole[:1000], whole[: len(whole) // 2], (1 << 62).to_bytes(8, "little") + b"{}", b""):
        weights.write_bytes(content)
        with pytest.raises(InputError):
            load_model(str(folder))
    weights.unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../b.safetensors"}}))
    with pytest.raises(InputError, match="weight_map"):
        load_model(str(folder))
    os.mkfifo(weights)
    with pytest.raises(InputError, match="is not a regular file"):
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
