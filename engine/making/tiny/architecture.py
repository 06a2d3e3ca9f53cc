"""The shape of the embedded answerer: configuration, tokenizer and processor of a small Qwen2-Audio, and its folder.

Knows transformers; nothing of training.
"""

import json
from itertools import chain
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import (
    Qwen2AudioForConditionalGeneration,
    Qwen2AudioProcessor,
    Qwen2Tokenizer,
)
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

from earmark.engine.answerers.prompt import AUDIO_TOKEN, QWEN2_AUDIO
from earmark.engine.corpus.example import SAMPLE_RATE
from earmark.engine.corpus.synthetic import sounds
from earmark.engine.corpus.synthetic.clips import SLOTS
from earmark.engine.corpus.synthetic.questions import COUNTS, WORDS

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", AUDIO_TOKEN, "<|audio_bos|>", "<|audio_eos|>")
MELS = 64
N_FFT = 800
HOP = 400
FRAMES = SLOTS * SAMPLE_RATE // HOP  # in a whole clip
TOKENS_PER_SLOT = 10
AUDIO_WIDTH = 96
TEXT_WIDTH = 128
POSITION_SCALE = 0.3

_hf: Any = transformers  # its constructors are untyped


def make_tokenizer() -> Qwen2Tokenizer:
    """Byte-level BPE in which every word of the templates is one token; any other text falls into pieces."""
    prompts = [
        QWEN2_AUDIO.prompt(text, choices).text()
        for text in chain.from_iterable(WORDS.values())
        for choices in (tuple(sounds.EVENTS), sounds.TONES, tuple(sounds.SWEEPS), tuple(sounds.BACKGROUNDS), COUNTS)
    ]
    pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), behavior="isolated", invert=False),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    trained = Tokenizer(models.BPE())
    trained.normalizer = normalizers.NFC()
    trained.pre_tokenizer = pre_tokenizer
    trained.decoder = decoders.ByteLevel()
    for token in SPECIAL:
        prompts = [text.replace(token, "\n") for text in prompts]
    trained.train_from_iterator(
        prompts,
        trainers.BpeTrainer(
            vocab_size=2_000, min_frequency=1, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
        ),
    )
    model = json.loads(trained.to_str())["model"]
    tokenizer: Qwen2Tokenizer = _hf.Qwen2Tokenizer(
        vocab=model["vocab"],
        merges=[tuple(pair) for pair in model["merges"]],
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=list(SPECIAL[1:]),
        padding_side="left",  # batched generation goes on where the prompt ends
        model_max_length=1_024,
    )
    return tokenizer


def make_processor() -> Qwen2AudioProcessor:
    """Whisper's extractor at 40 frames a second, and the tokenizer."""
    extractor = _hf.WhisperFeatureExtractor(
        feature_size=MELS, sampling_rate=SAMPLE_RATE, hop_length=HOP, chunk_length=SLOTS, n_fft=N_FFT
    )
    processor: Qwen2AudioProcessor = _hf.Qwen2AudioProcessor(extractor, make_tokenizer())
    return processor


def make_model(tokenizer: Qwen2Tokenizer, seed: int) -> Qwen2AudioForConditionalGeneration:
    """A small Qwen2-Audio with random weights; the encoder's positions are sinusoids (they are never trained)."""
    config = _hf.Qwen2AudioConfig(
        audio_config={
            "model_type": "qwen2_audio_encoder",
            "num_mel_bins": MELS,
            "d_model": AUDIO_WIDTH,
            "encoder_layers": 3,
            "encoder_attention_heads": 4,
            "encoder_ffn_dim": 384,
            "max_source_positions": FRAMES // 2,
            "initializer_range": 0.05,
        },
        text_config={
            "model_type": "qwen2",
            "vocab_size": len(tokenizer),
            "hidden_size": TEXT_WIDTH,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "num_key_value_heads": 4,
            "intermediate_size": 256,
            "max_position_embeddings": 1_024,
            "initializer_range": 0.05,
            "tie_word_embeddings": False,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
            "bos_token_id": None,
        },
        audio_token_index=tokenizer.convert_tokens_to_ids(AUDIO_TOKEN),
        tie_word_embeddings=False,
    )
    config.pad_token_id = tokenizer.pad_token_id
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = _hf.Qwen2AudioForConditionalGeneration(config)
    model.model.audio_tower.embed_positions.weight.data.copy_(POSITION_SCALE * sinusoids(FRAMES // 2, AUDIO_WIDTH))
    model.generation_config = _hf.GenerationConfig(
        do_sample=False, max_new_tokens=5, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    finished: Qwen2AudioForConditionalGeneration = model.float().eval()
    return finished


def save(model: Qwen2AudioForConditionalGeneration, processor: Qwen2AudioProcessor, folder: Path) -> None:
    """Write the folder as Hugging Face lays it out: weights in fp16, computed in fp32."""
    weights = {name: value.to(torch.float16).clone() for name, value in model.state_dict().items()}
    model.save_pretrained(folder, state_dict=weights)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    for part in (config, config["audio_config"], config["text_config"]):
        part["dtype"] = "float32"
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    processor.save_pretrained(folder)
    processor.feature_extractor.save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)


def sinusoids(length: int, channels: int) -> torch.Tensor:
    """Whisper's positions: (length, channels)."""
    rates = torch.exp(-torch.log(torch.tensor(10_000.0)) * torch.arange(channels // 2) / (channels // 2 - 1))
    angles = torch.arange(length)[:, None] * rates[None, :]
    return torch.cat([angles.sin(), angles.cos()], dim=1)
