"""Tiny random audio models of transformers' other families, saved as they are downloaded: nothing is fetched.

Each has its own class, configuration, extractor and processor; the tokenizer is a small one with the family's marks.
"""

import json
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import fakes

from earmark.engine.answerers import prompt

ENDS = ["<|im_start|>", "<|im_end|>", "<|endoftext|>"]
TURN = "<|im_start|>{{ message['role'] }}\n"
TEMPLATE = """\
{%- for message in messages -%}
<|im_start|>{{ message['role'] }}
{% for part in message['content'] -%}
{%- if part['type'] == 'audio' -%}AUDIO{%- else -%}{{ part['text'] }}{%- endif -%}
{%- endfor -%}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}<|im_start|>assistant
{% endif -%}"""
AS_TEXT = """\
{%- for message in messages -%}
<|im_start|>{{ message['role'] }}
{{ message['content'] + '<|im_end|>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}<|im_start|>assistant
{% endif -%}"""


def words(**marks: str) -> Any:
    """A byte-level BPE of some 400 tokens in which every mark and every letter is one token."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=380, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False, special_tokens=[]
    )
    bpe.train_from_iterator([prompt.question_text("Which sound is heard?", list("abcdefgh"))] * 3, trainer)
    special = dict.fromkeys([*ENDS, *marks.values()])
    bpe.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in special])
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe, eos_token="<|im_end|>", pad_token="<|endoftext|>", extra_special_tokens=marks
    )


class Family(NamedTuple):
    """What a folder is made of."""

    model: Any
    tokenizer: Any
    extractor: Any
    audio: str  # the template's words for an audio
    processor: dict[str, Any]  # processor_config.json
    template: str = TEMPLATE

    def save(self, folder: Path) -> Path:
        """The folder, as it is downloaded."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        self.extractor.save_pretrained(folder)
        if self.audio:
            (folder / "chat_template.jinja").write_text(self.template.replace("AUDIO", self.audio))
        (folder / "processor_config.json").write_text(json.dumps(self.processor))
        return folder


def _qwen2(vocabulary: int) -> dict[str, Any]:
    return {
        "model_type": "qwen2", "vocab_size": vocabulary, "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 4096,
        "tie_word_embeddings": False,
    }  # fmt: skip


def _whisper(seconds: int = 30) -> Any:
    from transformers import WhisperFeatureExtractor

    return WhisperFeatureExtractor(feature_size=128, hop_length=160, n_fft=400, chunk_length=seconds)


_ENCODER = {
    "num_mel_bins": 128, "encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 32, "d_model": 16,
}  # fmt: skip


def _random(kind: str, config: Any) -> Any:
    import torch
    import transformers

    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = getattr(transformers, kind)(config)
        fakes.enlarge(model)
    return model


def audio_flamingo_3() -> Family:
    from transformers import AudioFlamingo3Config

    tokenizer = words(audio_token="<sound>")
    encoder = {"model_type": "audioflamingo3_encoder", **_ENCODER}
    config = AudioFlamingo3Config(
        audio_config=encoder, text_config=_qwen2(len(tokenizer)),
        audio_token_id=tokenizer.convert_tokens_to_ids("<sound>"),
    )  # fmt: skip
    model = _random("AudioFlamingo3ForConditionalGeneration", config)
    return Family(model, tokenizer, _whisper(), "<sound>", {"processor_class": "AudioFlamingo3Processor"})


def music_flamingo() -> Family:
    from transformers import MusicFlamingoConfig

    tokenizer = words(audio_token="<sound>", audio_bos_token="<|sound_bos|>", audio_eos_token="<|sound_eos|>")
    encoder = {"model_type": "audioflamingo3_encoder", **_ENCODER}
    ids = tokenizer.convert_tokens_to_ids(["<sound>", "<|sound_bos|>", "<|sound_eos|>"])
    config = MusicFlamingoConfig(
        audio_config=encoder, text_config=_qwen2(len(tokenizer)), audio_token_id=ids[0], audio_bos_token_id=ids[1],
        audio_eos_token_id=ids[2],
    )  # fmt: skip
    model = _random("MusicFlamingoForConditionalGeneration", config)
    return Family(model, tokenizer, _whisper(), "<sound>", {"processor_class": "MusicFlamingoProcessor"})


_OMNI = {
    "image_token": "<|IMAGE|>", "audio_token": "<|AUDIO|>", "video_token": "<|VIDEO|>",
    "vision_bos_token": "<|vision_bos|>", "vision_eos_token": "<|vision_eos|>", "audio_bos_token": "<|audio_bos|>",
    "audio_eos_token": "<|audio_eos|>",
}  # fmt: skip
_ROPE = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [1, 1, 2]}


def qwen25_omni() -> Family:
    """The whole model's shape is the thinker's: nothing else is loaded."""
    from transformers import Qwen2_5OmniThinkerConfig

    tokenizer = words(**_OMNI)
    ids = {name: tokenizer.convert_tokens_to_ids(token) for name, token in _OMNI.items()}
    config = Qwen2_5OmniThinkerConfig(
        audio_config={**_ENCODER, "output_dim": 32},
        text_config={**_qwen2(len(tokenizer)), "model_type": "qwen2_5_omni_text", "rope_parameters": _ROPE},
        vision_config={"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 32},
        audio_token_id=ids["audio_token"], image_token_id=ids["image_token"], video_token_id=ids["video_token"],
        audio_start_token_id=ids["audio_bos_token"], audio_end_token_id=ids["audio_eos_token"],
        vision_start_token_id=ids["vision_bos_token"], vision_end_token_id=ids["vision_eos_token"],
    )  # fmt: skip
    model = _random("Qwen2_5OmniThinkerForConditionalGeneration", config)
    audio = "<|audio_bos|><|AUDIO|><|audio_eos|>"
    return Family(model, tokenizer, _whisper(), audio, {"processor_class": "Qwen2_5OmniProcessor"})


def qwen3_omni() -> Family:
    from transformers import Qwen3OmniMoeThinkerConfig

    tokenizer = words(**_OMNI)
    ids = {name: tokenizer.convert_tokens_to_ids(token) for name, token in _OMNI.items()}
    config = Qwen3OmniMoeThinkerConfig(
        audio_config={**_ENCODER, "output_dim": 32, "downsample_hidden_size": 8},
        text_config={
            **_qwen2(len(tokenizer)), "model_type": "qwen3_omni_moe_text", "num_experts": 4, "num_experts_per_tok": 2,
            "moe_intermediate_size": 16, "rope_parameters": {**_ROPE, "mrope_interleaved": True}, "head_dim": 8,
        },
        vision_config={
            "depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 32,
            "num_position_embeddings": 16, "deepstack_visual_indexes": [0],
        },
        audio_token_id=ids["audio_token"], image_token_id=ids["image_token"], video_token_id=ids["video_token"],
        audio_start_token_id=ids["audio_bos_token"], audio_end_token_id=ids["audio_eos_token"],
        vision_start_token_id=ids["vision_bos_token"], vision_end_token_id=ids["vision_eos_token"],
    )  # fmt: skip
    model = _random("Qwen3OmniMoeThinkerForConditionalGeneration", config)
    audio = "<|audio_bos|><|AUDIO|><|audio_eos|>"
    return Family(model, tokenizer, _whisper(), audio, {"processor_class": "Qwen3OmniMoeProcessor"})


def phi4_multimodal() -> Family:
    """Its template takes text alone, as that of the weights that Microsoft gives out."""
    from transformers import Phi4MultimodalConfig, Phi4MultimodalFeatureExtractor

    tokenizer = words(image_token="<|image|>", audio_token="<|audio|>")
    image, audio = tokenizer.convert_tokens_to_ids(["<|image|>", "<|audio|>"])
    config = Phi4MultimodalConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=4096, bos_token_id=None, pad_token_id=0,
        eos_token_id=tokenizer.eos_token_id,
        audio_config={
            "hidden_size": 16, "intermediate_size": 16, "num_blocks": 1, "num_attention_heads": 2,
            "ext_pw_out_channel": 16, "depthwise_separable_out_channel": 16, "nemo_conv_channels": 16,
            "audio_token_id": audio,
        },
        vision_config={
            "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
            "image_size": 28, "crop_size": 28, "image_token_id": image,
        },
    )  # fmt: skip
    model = _random("Phi4MultimodalForCausalLM", config)
    extractor = Phi4MultimodalFeatureExtractor()
    return Family(model, tokenizer, extractor, "<|audio|>", {"processor_class": "Phi4MultimodalProcessor"}, AS_TEXT)


def gemma_4() -> Family:
    from transformers import Gemma4AudioFeatureExtractor, Gemma4Config

    marks = {
        "image_token": "<|image|>", "boi_token": "<|image>", "eoi_token": "<image|>", "audio_token": "<|audio|>",
        "boa_token": "<|audio>", "eoa_token": "<audio|>",
    }  # fmt: skip
    tokenizer = words(**marks, video_token="<|video|>")
    ids = {name: tokenizer.convert_tokens_to_ids(token) for name, token in marks.items()}
    config = Gemma4Config(
        text_config={
            "vocab_size": len(tokenizer), "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "global_head_dim": 8,
            "vocab_size_per_layer_input": len(tokenizer), "hidden_size_per_layer_input": 8, "sliding_window": 64,
            "eos_token_id": tokenizer.eos_token_id, "bos_token_id": None, "max_position_embeddings": 4096,
            "layer_types": ["sliding_attention", "full_attention"],
        },
        audio_config={
            "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "output_proj_dims": 16,
            "subsampling_conv_channels": [128, 4],
        },
        vision_config=None,
        audio_token_id=ids["audio_token"], image_token_id=ids["image_token"], boi_token_id=ids["boi_token"],
        eoi_token_id=ids["eoi_token"], boa_token_id=ids["boa_token"], eoa_token_index=ids["eoa_token"],
        video_token_id=tokenizer.convert_tokens_to_ids("<|video|>"),
    )  # fmt: skip
    model = _random("Gemma4ForConditionalGeneration", config)
    extractor = Gemma4AudioFeatureExtractor()
    return Family(model, tokenizer, extractor, "<|audio|>", {"processor_class": "Gemma4Processor"})


def glm_asr() -> Family:
    from transformers import GlmAsrConfig

    tokenizer = words(audio_token="<|pad|>")
    config = GlmAsrConfig(
        audio_config={
            "model_type": "glmasr_encoder", "hidden_size": 16, "intermediate_size": 64, "num_hidden_layers": 1,
            "num_attention_heads": 2,
        },
        text_config={
            **_qwen2(len(tokenizer)), "model_type": "llama", "eos_token_id": tokenizer.eos_token_id,
            "bos_token_id": None,
        },
        audio_token_id=tokenizer.convert_tokens_to_ids("<|pad|>"), tie_word_embeddings=False,
    )  # fmt: skip
    model = _random("GlmAsrForConditionalGeneration", config)
    return Family(model, tokenizer, _whisper(), "<|pad|>", {"processor_class": "GlmAsrProcessor"})


_MARKS_OF_TEKKEN = (
    "<unk> <s> </s> [INST] [/INST] [AVAILABLE_TOOLS] [/AVAILABLE_TOOLS] [TOOL_RESULTS] [/TOOL_RESULTS] [TOOL_CALLS] "
    "[IMG] <pad> [IMG_BREAK] [IMG_END] [PREFIX] [MIDDLE] [SUFFIX] [SYSTEM_PROMPT] [/SYSTEM_PROMPT] [TOOL_CONTENT] "
    "m20 m21 m22 m23 [AUDIO] [BEGIN_AUDIO] m26 m27 m28 m29 m30 [TRANSCRIBE]"
)
_TEKKEN_MARKS = _MARKS_OF_TEKKEN.split()


class Tekken:
    """A tokenizer of mistral-common: every byte is a token, after the marks, of which 24 is the audio's."""

    N_TOKENS = len(_TEKKEN_MARKS) + 256

    def save_pretrained(self, folder: Path) -> None:
        content = {
            "config": {
                "pattern": r"[^\s]+|\s", "num_vocab_tokens": 256, "default_vocab_size": self.N_TOKENS,
                "default_num_special_tokens": len(_TEKKEN_MARKS), "version": "v7",
            },
            "vocab": [
                {"rank": byte, "token_bytes": b64encode(bytes([byte])).decode(), "token_str": None}
                for byte in range(256)
            ],
            "special_tokens": [
                {"rank": rank, "token_str": mark, "is_control": True} for rank, mark in enumerate(_TEKKEN_MARKS)
            ],
            "audio": {
                "sampling_rate": 16_000, "frame_rate": 12.5, "chunk_length_s": 30.0,
                "audio_encoding_config": {"num_mel_bins": 128, "hop_length": 160, "window_size": 400},
            },
        }  # fmt: skip
        (folder / "tekken.json").write_text(json.dumps(content))


def voxtral() -> Family:
    """It needs mistral-common, which writes its prompts."""
    from transformers import VoxtralConfig

    config = VoxtralConfig(
        audio_config={"model_type": "voxtral_encoder", **_ENCODER, "encoder_ffn_dim": 64},
        text_config={
            **_qwen2(Tekken.N_TOKENS), "model_type": "llama", "eos_token_id": 2, "bos_token_id": 1, "head_dim": 8,
        },
        audio_token_id=24,
    )  # fmt: skip
    model = _random("VoxtralForConditionalGeneration", config)
    return Family(model, Tekken(), _whisper(), "", {"processor_class": "VoxtralProcessor"})


def granite_speech() -> Family:
    """It needs torchaudio; an adapter, which the real ones hear through, is merged here."""
    from transformers import GraniteSpeechConfig, GraniteSpeechFeatureExtractor

    tokenizer = words(audio_token="<|audio|>")
    config = GraniteSpeechConfig(
        text_config={**_qwen2(len(tokenizer)), "model_type": "granite", "eos_token_id": tokenizer.eos_token_id,
                     "bos_token_id": None, "pad_token_id": tokenizer.pad_token_id},
        encoder_config={"num_layers": 1, "hidden_dim": 16, "num_heads": 2, "max_pos_emb": 64, "context_size": 50},
        projector_config={
            "model_type": "blip_2_qformer", "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
            "intermediate_size": 16, "encoder_hidden_size": 16,
        },
        audio_token_index=tokenizer.convert_tokens_to_ids("<|audio|>"), has_lora_adapter=False,
        tie_word_embeddings=False,
    )  # fmt: skip
    model = _random("GraniteSpeechForConditionalGeneration", config)
    extractor = GraniteSpeechFeatureExtractor()
    processor = {"processor_class": "GraniteSpeechProcessor"}
    return Family(model, tokenizer, extractor, "<|audio|>", processor, AS_TEXT)


FAMILIES: list[Callable[[], Family]] = [
    audio_flamingo_3, music_flamingo, qwen25_omni, qwen3_omni, phi4_multimodal, gemma_4, glm_asr, voxtral,
    granite_speech,
]  # fmt: skip
