"""Stand-ins for answerers: tiny random models of both architectures, and a deterministic one without weights."""

import hashlib
import random
import re
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from zlib import crc32

import numpy as np
from cut import keep, keep_chunks

from earmark.engine.answerers import prompt
from earmark.engine.answerers.request import Request
from earmark.engine.answerers.shared.audio_lm import OutOfMemoryError, Reply
from earmark.engine.answerers.shared.cost import Cost, DecoderShape, EncoderShape, ModelShape
from earmark.engine.compressors.compressor import Excerpt, audio_hash
from earmark.engine.corpus.clip import clip as clip_of
from earmark.engine.corpus.example import AudioError, Question

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>"]


@cache
def tokenizer() -> Any:
    """A byte-level BPE of 400-odd tokens with Qwen's special tokens; every letter is one token."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    text = [prompt.QWEN2_AUDIO.prefix, prompt.question_text("Which sound is heard?", list("abcdefgh"))]
    trainer = trainers.BpeTrainer(
        vocab_size=420, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False, special_tokens=[]
    )
    bpe.train_from_iterator(text * 3, trainer)
    bpe.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in SPECIAL])
    return PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="<|im_end|>", pad_token="<|endoftext|>")


@cache
def qwen2_audio(dtype: str = "float32", tiny_mel: bool = False, seed: int = 0) -> Any:
    """A random Qwen2-Audio: 128 mels and 30 s as the real one, or the embedded one's 64 mels and 10 s."""
    import torch
    from transformers import (
        Qwen2AudioConfig,
        Qwen2AudioEncoderConfig,
        Qwen2AudioForConditionalGeneration,
        Qwen2Config,
        WhisperFeatureExtractor,
    )

    from earmark.engine.answerers.qwen.qwen2_audio import Qwen2Audio

    mels, hop, n_fft, seconds = (64, 400, 800, 10) if tiny_mel else (128, 160, 400, 30)
    words = tokenizer()
    audio = Qwen2AudioEncoderConfig(
        num_mel_bins=mels, encoder_layers=2, encoder_attention_heads=2, encoder_ffn_dim=48, d_model=24,
        max_source_positions=seconds * 16_000 // hop // 2,
    )  # fmt: skip
    text = Qwen2Config(
        vocab_size=len(words), hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=2048, tie_word_embeddings=False,
    )  # fmt: skip
    config = Qwen2AudioConfig(
        audio_config=audio, text_config=text, audio_token_index=words.convert_tokens_to_ids("<|AUDIO|>")
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Qwen2AudioForConditionalGeneration(config)
        enlarge(model)
    extractor = WhisperFeatureExtractor(feature_size=mels, hop_length=hop, n_fft=n_fft, chunk_length=seconds)
    return Qwen2Audio(in_format(model, dtype), words, extractor, "random")


@cache
def qwen25_omni(dtype: str = "float32", seed: int = 0, seconds: int = 30) -> Any:
    """A random Omni thinker, grouped queries and 2-second windows as the real one (which pads to 300 s)."""
    import torch
    from transformers import (
        Qwen2_5OmniThinkerConfig,
        Qwen2_5OmniThinkerForConditionalGeneration,
        WhisperFeatureExtractor,
    )

    from earmark.engine.answerers.qwen.qwen25_omni import Qwen25Omni

    words = tokenizer()
    config = Qwen2_5OmniThinkerConfig(
        audio_config={
            "num_mel_bins": 128, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 48,
            "d_model": 24, "output_dim": 32,
        },
        text_config={
            "vocab_size": len(words), "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3,
            "num_attention_heads": 4, "num_key_value_heads": 2, "tie_word_embeddings": False,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [1, 1, 2]},
        },
        vision_config={"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 32},
        audio_token_id=words.convert_tokens_to_ids("<|AUDIO|>"),
        audio_start_token_id=words.convert_tokens_to_ids("<|audio_bos|>"),
        audio_end_token_id=words.convert_tokens_to_ids("<|audio_eos|>"),
        vision_start_token_id=len(words) + 1,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Qwen2_5OmniThinkerForConditionalGeneration(config)
        enlarge(model)
    model.model.visual = None
    extractor = WhisperFeatureExtractor(feature_size=128, hop_length=160, n_fft=400, chunk_length=seconds)
    return Qwen25Omni(in_format(model, dtype), words, extractor, "random thinker")


def in_format(model: Any, dtype: str) -> Any:
    """The model in a number format, but for its rotary frequencies: as `from_pretrained` has them, in fp32."""
    frequencies = {name: buffer for name, buffer in model.named_buffers() if name.endswith("inv_freq")}
    import torch

    model = model.to(getattr(torch, dtype))
    for name, buffer in frequencies.items():
        model.get_submodule(name.rpartition(".")[0]).inv_freq = buffer.float()
    return model


def enlarge(model: Any) -> None:
    """Weights of the usual .02 would make every answer alike; these differ, and biases and norms are not trivial."""
    import torch

    torch.set_num_threads(1)  # small models lose more than they gain from a second thread
    for name, weight in model.named_parameters():
        if weight.ndim > 1:
            weight.data.mul_(6.0 if "embed_positions" not in name else 1.0)
        elif "norm" in name and name.endswith("weight"):
            weight.data.add_(0.2 * torch.randn_like(weight))
        else:
            weight.data.add_(0.1 * torch.randn_like(weight))


def sound(seed: int, seconds: float) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A few tones and some noise, different in every second."""
    rng = np.random.default_rng(seed)
    n = round(seconds * 16_000)
    t = np.arange(n) / 16_000
    pitch = np.repeat(rng.uniform(100, 4000, n // 16_000 + 1), 16_000)[:n]
    gain = np.repeat(rng.uniform(0.01, 0.5, n // 16_000 + 1), 16_000)[:n]
    return (gain * np.sin(2 * np.pi * pitch * t) + 0.01 * rng.standard_normal(n)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Sound:
    """A recording that is made when it is opened; `broken` ones cannot be."""

    seed: int
    seconds: float
    broken: bool = False

    @property
    def name(self) -> str:
        return f"sound-{self.seed}"

    def waveform(self) -> np.ndarray[Any, np.dtype[np.float32]]:
        if self.broken:
            raise AudioError("not a recording")
        return sound(self.seed, self.seconds)


class Holding:
    """Something an answerer gave out; `alive` of its class is how many are still referred to."""

    def __init__(self, answerer: "FakeAnswerer", value: Any, nbytes: int) -> None:
        self.value = value
        self.nbytes = nbytes
        answerer.alive.add(self)


class FakeAnswerer:
    """Answers by a hash of exactly what is heard and asked, so that any mix-up shows. No weights, no torch.

    With a seed it also fails, stalls, answers NaN and runs out of memory at random; a question with "poison" in it
    always fails. Counts what it was asked to do.
    """

    name = "fake"
    template = prompt.QWEN2_AUDIO
    identity = "fake"

    def __init__(self, seed: int | None = None, most_rows: int | None = None, stall_s: float = 0.0) -> None:
        encoder = EncoderShape(
            layers=1, width=4, ffn=4, mels=4, out=4, hop=400, longest_samples=160_000, window_frames=None
        )
        decoder = DecoderShape(
            layers=2, width=4, ffn=4, heads=1, kv_heads=1, head=4, vocabulary=64, element_bytes=4
        )  # fmt: skip
        self.shape = ModelShape(encoder, decoder, join_tokens=(6,) * 12)
        self.counted = Cost()
        self.alive: weakref.WeakSet[Holding] = weakref.WeakSet()
        self.opened = 0
        self.asked: list[bytes] = []  # every question that got an answer
        self.largest = 0  # rows of a batch
        self._chance = None if seed is None else random.Random(seed)
        self._most_rows = most_rows
        self._stall_s = stall_s

    def tokenize(self, texts: Sequence[str]) -> list[tuple[int, ...]]:
        return [tuple(crc32(word.encode()) for word in re.findall(r"<\|\w+\|>|\w+|\W", t)) for t in texts]  # fmt: skip

    def open(self, waveform: Any) -> Holding:
        self.opened += 1
        return Holding(self, waveform, waveform.nbytes)

    def encode(self, clips: Sequence[Holding], chunks: Sequence[Sequence[int]]) -> Holding:
        self._fate(len(clips))
        heard = [keep_chunks(clip.value, np.array(kept)).hash for clip, kept in zip(clips, chunks, strict=True)]
        return Holding(self, [(h, ()) for h in heard], 0)

    def prefill(self, encoded: Holding, stems: Sequence[tuple[int, ...]]) -> Holding:
        self._fate(len(stems))
        rows = [(heard, stem) for (heard, _), stem in zip(encoded.value, stems, strict=True)]
        return Holding(self, rows, sum(len(stem) + 1 for stem in stems) * self.shape.decoder.kv_bytes)

    def score(
        self, context: Holding, rows: Sequence[int], questions: Sequence[tuple[int, ...]], options: Sequence[int]
    ) -> list[Reply]:
        self._fate(len(rows))
        assert all(questions)
        said = []
        for row, question, n in zip(rows, questions, options, strict=True):
            heard, stem = context.value[row]
            self.asked.append(repr((heard, stem + question)).encode())
            said.append(self._said(heard, stem + question, n))
        if any(crc32(b"poison") in q for q in questions):
            raise RuntimeError("poison")
        if self._chance is not None and self._chance.random() < 0.02:
            said[0].option_nll = np.full(options[0], np.nan)
        return said

    def generate(
        self,
        context: Holding,
        rows: Sequence[int],
        questions: Sequence[tuple[int, ...]],
        options: Sequence[int],
        limit: int,
    ) -> list[Reply]:
        assert limit > 0
        scored = self.score(context, rows, questions, options)
        return [Reply(s.option_nll, "ABCDEFGH?"[int(s.option_nll.sum() * 1e6) % 9]) for s in scored]

    def alone(self, waveform: Any, prefix: str, question: str, options: int, generate: int = 0) -> Reply:
        assert prefix == self.template.prefix
        said = self._said(audio_hash(waveform), self.tokenize([question])[0], options)
        if generate:
            said.text = "ABCDEFGH?"[int(said.option_nll.sum() * 1e6) % 9]
        return said

    def _said(self, heard: str, question: tuple[int, ...], options: int) -> Reply:
        digest = hashlib.blake2b(repr((heard, question)).encode(), digest_size=options).digest()
        return Reply(np.frombuffer(digest, dtype=np.uint8) / 16.0)

    def _fate(self, rows: int) -> None:
        """What happens to a batch."""
        self.largest = max(self.largest, rows)
        if self._most_rows is not None and rows > self._most_rows:
            raise OutOfMemoryError(f"no room for {rows} rows")
        if self._chance is None:
            return
        draw = self._chance.random()
        if draw < 0.02:
            raise OutOfMemoryError("no room")
        if draw < 0.04:
            raise RuntimeError("the device hiccuped")
        if draw < 0.06:
            time.sleep(self._stall_s)


BUDGETS = (0.05, 0.1, 0.2, 0.4, 1.0)
QUESTIONS = ("Which sound is heard?", "Which comes last?", "How many?", "Which way?", "How high?", "Where?")


def paper_shaped(clips: int, questions: int) -> list[Request]:
    """Raw and five methods at five budgets, the last method conditioned on the question."""
    requests = []
    for number in range(clips):
        audio = Sound(number, 10.0)
        whole = clip_of(audio.waveform())
        chance = np.random.default_rng(number)
        for method in range(6):
            shared = chance.random(10)
            for question in range(questions):
                scores = chance.random(10) if method == 5 else shared
                for budget in (1.0,) if method == 0 else BUDGETS:
                    heard = Excerpt.of(audio, whole, keep(whole, scores, budget).chunks)
                    name = f"{number}/{method}/{budget}/{question}"
                    requests.append(Request(name, heard, Question(QUESTIONS[question], ("a", "b", "c", "d"), 0)))
    random.Random(0).shuffle(requests)
    return requests
