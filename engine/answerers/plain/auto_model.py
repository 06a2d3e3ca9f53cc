"""An audio model of transformers behind its own processor: prompts by its chat template, letters by one pass.

Knows no architecture. What differs between them is asked of the model itself, once: whether a letter is one token,
how much audio is heard to the end, whether prompts of different lengths can be read together.
"""

import base64
import hashlib
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from string import ascii_uppercase
from textwrap import shorten
from typing import Any

import numpy as np
import torch
import transformers

from earmark.engine.answerers.answerer import LostError
from earmark.engine.answerers.guard import computing
from earmark.engine.answerers.identity import add_weights, add_words
from earmark.engine.answerers.plain.embedded_prompt import EmbeddedPrompt, Embedder
from earmark.engine.answerers.prompt import question_text
from earmark.engine.answerers.shared.audio_lm import OutOfMemoryError, Reply
from earmark.engine.answerers.shared.encodings import RawStates
from earmark.engine.arrays import FloatArray, Waveform
from earmark.engine.compressors.tokens.reduction import Reduction
from earmark.engine.corpus.example import MOST_SECONDS, SAMPLE_RATE

_hf: Any = transformers  # its classes are untyped
_OF_POSITIONS = ("input_ids", "attention_mask", "token_type_ids", "mm_token_type_ids")  # (1, positions)
_MOST_DIFFERENCE = 1e-4  # of any logarithm of a probability, in company
_MEAN_DIFFERENCE = 0.03  # ... of all of them, in formats of 16 bits: rounding makes .005, padding that is heard .08
_NO_LIKELIHOOD = np.zeros(0)
_EXAMPLE = question_text("Which sound is heard?", ("a bell", "rain"))
_LONGER_EXAMPLE = question_text("Which of these sounds is heard at the very end of the recording?", tuple("abcdef"))


@dataclass(frozen=True, slots=True)
class AutoInputs:
    """What the processor made of one excerpt and one question: tensors of one row."""

    tensors: dict[str, torch.Tensor]
    audio_tokens: int

    @property
    def positions(self) -> int:
        return int(self.tensors["input_ids"].shape[1])

    @property
    def shape(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """Of everything but the prompt: what has another one is not padded, but read by itself."""
        return tuple((key, tuple(t.shape)) for key, t in sorted(self.tensors.items()) if key not in _OF_POSITIONS)

    @property
    def nbytes(self) -> int:
        return sum(tensor.nbytes for tensor in self.tensors.values())


PlainPrompt = AutoInputs | EmbeddedPrompt


class AutoModel:
    """A model and its processor.

    ValueError where the processor writes no prompt with one audio in it.
    """

    def __init__(self, model: Any, processor: Any, name: str) -> None:
        self.name = name
        self._model = model.eval()
        self._processor = processor
        self._tokenizer = processor.tokenizer
        self._is_templated = hasattr(self._tokenizer, "backend_tokenizer")  # else mistral-common writes the prompt
        parameter = next(model.parameters())
        self._device, self._dtype = parameter.device, parameter.dtype
        self._repeats = self._device.type == "cpu" and self._dtype == torch.float32
        self._audio_token = _audio_token(processor, model.config)
        self._as_text = self._is_templated and not self._is_typed()
        self._letters = self._letter_tokens()
        self.likelihoods = self._letters is not None
        self.most_positions = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        if self._example().audio_tokens < 1:
            raise ValueError("its processor makes no audio token of a second of audio")

    @cached_property
    def identity(self) -> str:
        """Hash of the class, every weight, the number format, tokenizer, extractor and chat template."""
        digest = hashlib.blake2b(digest_size=16)
        digest.update(f"{type(self._model).__name__} {type(self._processor).__name__}\n".encode())
        add_weights(digest, self._model)
        if self._is_templated:
            add_words(digest, self._tokenizer)
        digest.update(self._extractor.to_json_string().encode())
        ids = self._example().tensors["input_ids"].tolist()  # the processor decides them
        digest.update(repr((ids, self._processor.chat_template)).encode())
        return digest.hexdigest()

    @cached_property
    def longest_s(self) -> float | None:
        """Whole seconds of audio whose end still changes what the model gets; None: any clip's does."""
        if self._hears_end(MOST_SECONDS):
            return None
        heard, unheard = 0, MOST_SECONDS
        while unheard - heard > 1:
            middle = (heard + unheard) // 2
            heard, unheard = (middle, unheard) if self._hears_end(middle) else (heard, middle)
        return float(heard)

    def inputs(self, waveform: Waveform, text: str) -> AutoInputs:
        """An excerpt and a question, as the processor writes them."""
        with computing(self._repeats):
            features = self._of_text(waveform, text) if self._as_text else self._of_parts(waveform, text)
        tensors = {key: torch.as_tensor(value) for key, value in features.items() if value is not None}
        ids = tensors["input_ids"]
        tensors.setdefault("attention_mask", torch.ones_like(ids))
        return AutoInputs(tensors, int((ids == self._audio_token).sum()))

    def replies(self, rows: Sequence[PlainPrompt], options: Sequence[int], limit: int) -> list[Reply]:
        """How likely each letter is to come next after each prompt, and, where `limit` is not 0, so many greedy tokens
        as text.
        """
        if len(rows) > 1 and not self.reads_together:
            return [reply for row, n in zip(rows, options, strict=True) for reply in self._read([row], [n], limit)]
        return self._read(rows, options, limit)

    @cached_property
    def reads_together(self) -> bool:
        """Whether prompts of different lengths, padded to one, are answered as each of them alone."""
        noise = np.random.default_rng(0).normal(0, 0.1, (2, 2 * SAMPLE_RATE)).astype(np.float32)
        rows = [self.inputs(noise[0], _EXAMPLE), self.inputs(noise[1], _LONGER_EXAMPLE)]
        if rows[0].shape != rows[1].shape:
            return False
        try:
            together = self._logits(rows)
        except (OutOfMemoryError, LostError):
            raise
        except Exception:  # a class that takes no padding, or no batch at all
            return False
        return self._are_alike(together, torch.cat([self._logits([row]) for row in rows]))

    # Reduced audio ---------------------------------------------------------------------------------------------

    @property
    def state_bytes(self) -> int:
        """Of an audio token as it enters the decoder."""
        width = int(self._model.get_input_embeddings().weight.shape[1])
        return width * int(self._dtype.itemsize)

    def encoded(self, inputs: AutoInputs) -> RawStates:
        """What is in the places of the audio, to be kept."""
        with computing(self._repeats):
            return self._embedder.audio_states(self._together([inputs]))

    def reduced(
        self, inputs: AutoInputs, encoded: RawStates, reduce: Callable[[FloatArray], Reduction], sized: bool
    ) -> EmbeddedPrompt:
        """The same prompt after what `reduce` makes of its audio."""
        with computing(self._repeats):
            states = self._embedder.states_of(encoded)
            reduction = reduce(states.float().cpu().numpy().astype(np.float64))
            return self._embedder.prompt(inputs.tensors["input_ids"][0], states, reduction, sized)

    @cached_property
    def cannot_reduce(self) -> str:
        """Why audio tokens cannot be merged or dropped before its decoder; empty: they can."""
        return self._refusal(sized=False)

    @cached_property
    def cannot_weigh(self) -> str:
        """Why they cannot stand where their groups are, as heavy as these are large; empty: they can."""
        if self.cannot_reduce:
            return self.cannot_reduce
        kinds = getattr(self._model.config.get_text_config(), "layer_types", None) or ()
        if set(kinds) - {"full_attention"}:
            return f"{type(self._model).__name__} does not look at all that came before in every layer"
        return self._refusal(sized=True)

    def _refusal(self, *, sized: bool) -> str:
        """What a prompt shows whose audio is left whole: it has to be answered as it is by itself."""
        name = type(self._model).__name__
        noise = np.random.default_rng(0).normal(0, 0.1, 2 * SAMPLE_RATE).astype(np.float32)
        inputs = self.inputs(noise, _EXAMPLE)
        try:
            whole = self.reduced(inputs, self.encoded(inputs), _left_whole, sized)
            logits = self._logits([whole])
        except (OutOfMemoryError, LostError):
            raise
        except Exception as error:  # whatever a class says that takes none
            return f"{name} takes no embeddings in the place of audio ({shorten(str(error), 100, placeholder=' ...')})"
        if not self._are_alike(logits, self._logits([inputs])):
            return f"{name} does not answer the embeddings of a prompt as it answers the prompt"
        if sized and any(torch.equal(self._logits([other]), logits) for other in _altered(whole)):
            return f"{name} answers alike wherever audio tokens stand, or however heavy they are"
        return ""

    @cached_property
    def _embedder(self) -> Embedder:
        return Embedder(self._model, self._audio_token, self._together([self._example()]))

    # Inside ----------------------------------------------------------------------------------------------------

    def _of_parts(self, waveform: Waveform, text: str) -> Any:
        """What the processor makes of a turn of an audio and a text."""
        audio = {"audio": waveform} if self._is_templated else {"base64": _wav(waveform)}
        return self._processor.apply_chat_template(
            _typed(text, audio), tokenize=True, add_generation_prompt=True, return_dict=True, return_tensors="pt"
        )

    def _of_text(self, waveform: Waveform, text: str) -> Any:
        """What it makes of a turn of text in which a mark stands for the audio."""
        prompt, start = self._prompt(text), self._tokenizer.bos_token
        has_start = start is not None and prompt.startswith(start)
        return self._processor(
            text=[prompt], audio=[waveform], sampling_rate=SAMPLE_RATE, return_tensors="pt",
            add_special_tokens=not has_start,
        )  # fmt: skip

    def _read(self, rows: Sequence[PlainPrompt], options: Sequence[int], limit: int) -> list[Reply]:
        logits, texts = self._generated(rows, limit)
        if self._letters is None:
            return [Reply(_NO_LIKELIHOOD, text) for text in texts]
        nll = -logits.log_softmax(-1)[:, self._letters].double().cpu().numpy()
        return [Reply(row[:n], text if limit else None) for row, n, text in zip(nll, options, texts, strict=True)]

    def _logits(self, rows: Sequence[PlainPrompt]) -> torch.Tensor:
        return self._generated(rows, 0)[0]

    def _generated(self, rows: Sequence[PlainPrompt], limit: int) -> tuple[torch.Tensor, list[str]]:
        """Logits (rows, vocabulary) of the answer's first position, and what was written."""
        prompts = [row for row in rows if isinstance(row, AutoInputs)]
        embedded = [row for row in rows if isinstance(row, EmbeddedPrompt)]
        assert not (prompts and embedded), "they have other shapes"
        with computing(self._repeats):
            if embedded:
                logits, tokens = self._embedder.written(embedded, max(1, limit), self._ends)
            else:
                inputs = self._together(prompts)
                written = self._model.generate(**inputs, generation_config=self._greedy(max(1, limit)))
                logits, tokens = written.logits[0], written.sequences[:, inputs["input_ids"].shape[1] :].tolist()
            texts = [str(self._tokenizer.decode(row, skip_special_tokens=True)) for row in tokens]
            return logits.float(), texts

    def _are_alike(self, some: torch.Tensor, others: torch.Tensor) -> bool:
        """Whether logits are the same but for rounding."""
        difference = (some.log_softmax(-1) - others.log_softmax(-1)).abs()
        if self._dtype == torch.float32:
            return bool(difference.max() <= _MOST_DIFFERENCE)
        return bool(difference.mean() <= _MEAN_DIFFERENCE)

    def _together(self, rows: Sequence[AutoInputs]) -> dict[str, torch.Tensor]:
        """One batch: prompts padded on the left, everything else one after the other."""
        longest = max(row.positions for row in rows)
        batch = {}
        for key in rows[0].tensors:
            parts = [row.tensors[key] for row in rows]
            if key in _OF_POSITIONS:
                filler = self._padding if key == "input_ids" else 0
                parts = [torch.nn.functional.pad(part, (longest - part.shape[1], 0), value=filler) for part in parts]
            tensor = torch.cat(parts).to(self._device)
            batch[key] = tensor.to(self._dtype) if tensor.is_floating_point() else tensor
        return batch

    def _greedy(self, limit: int) -> Any:
        """Greedy, whatever the model's own settings say: no penalties, no sampling, its own ends."""
        return _hf.GenerationConfig(
            max_new_tokens=limit, do_sample=False, num_beams=1, repetition_penalty=1.0, eos_token_id=self._ends or None,
            pad_token_id=self._padding, use_cache=True, output_logits=True, return_dict_in_generate=True,
        )  # fmt: skip

    @property
    def _ends(self) -> list[int]:
        """The tokens that end an answer."""
        ends = getattr(self._model.generation_config, "eos_token_id", None)
        if ends is None:
            ends = self._tokenizer.eos_token_id
        return [] if ends is None else list(ends) if isinstance(ends, Sequence) else [int(ends)]

    @property
    def _padding(self) -> int:
        padding = self._tokenizer.pad_token_id
        if padding is None or padding == self._audio_token:
            padding = self._tokenizer.eos_token_id
        return int(padding or 0)

    @property
    def _extractor(self) -> Any:
        return getattr(self._processor, "audio_processor", None) or self._processor.feature_extractor

    def _example(self) -> AutoInputs:
        """A question about a second of silence."""
        return self.inputs(np.zeros(SAMPLE_RATE, dtype=np.float32), _EXAMPLE)

    def _is_typed(self) -> bool:
        """Whether the chat template takes parts of a turn (audio, text); ValueError where it takes no text either."""
        for as_text in (False, True):
            self._as_text = as_text
            try:
                prompt = self._prompt(_EXAMPLE)
            except Exception:  # a template that cannot write one form may write the other
                continue
            if prompt.count(self._processor.audio_token) == 1 and _EXAMPLE in prompt:
                return not as_text
        raise ValueError("its chat template writes no prompt with one audio and a question")

    def _prompt(self, text: str) -> str:
        """The prompt with one placeholder for the audio."""
        turns = [{"role": "user", "content": self._processor.audio_token + text}] if self._as_text else _typed(text, {})
        return str(self._processor.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))

    def _letter_tokens(self) -> torch.Tensor | None:
        """The token of each letter after a prompt; None where some letter is not one."""
        before = self._prompt(_EXAMPLE) if self._is_templated else ""
        ids = [
            self._tokenizer(before + letter, add_special_tokens=False)["input_ids"] for letter in ("", *ascii_uppercase)
        ]
        prompt, letters = ids[0], [row[len(ids[0]) :] for row in ids[1:]]
        if any(row[: len(prompt)] != prompt for row in ids) or any(len(letter) != 1 for letter in letters):
            return None
        tokens = [letter[0] for letter in letters]
        return torch.tensor(tokens, device=self._device) if len(set(tokens)) == len(tokens) else None

    def _hears_end(self, seconds: int) -> bool:
        """Whether the last tenth of a second of so much noise is taken, and changes what the model gets."""
        noise = np.random.default_rng(0).normal(0, 0.1, seconds * SAMPLE_RATE).astype(np.float32)
        other = noise.copy()
        other[-SAMPLE_RATE // 10 :] *= -0.5
        try:
            first, second = self.inputs(noise, _EXAMPLE).tensors, self.inputs(other, _EXAMPLE).tensors
        except (LostError, OutOfMemoryError):
            raise
        except Exception:  # a processor refuses what is too long in its own words
            return False
        return any(not torch.equal(first[key], second[key]) for key in first)


def _left_whole(states: FloatArray) -> Reduction:
    """Every audio token by itself."""
    return Reduction(np.arange(len(states)))


def _altered(prompt: EmbeddedPrompt) -> Iterator[EmbeddedPrompt]:
    """The same with half of it heavier, and with half of it further on."""
    assert prompt.weights is not None, "it is sized"
    further = torch.arange(prompt.positions) >= prompt.positions // 2
    yield replace(prompt, weights=prompt.weights + further)
    yield replace(prompt, places=prompt.places + 9 * further)


def _audio_token(processor: Any, config: Any) -> int:
    """The token whose places the audio takes."""
    for place in (processor, config):
        for name in ("audio_token_id", "audio_token_index"):
            token = getattr(place, name, None)
            if isinstance(token, int):
                return token
    return int(processor.tokenizer.convert_tokens_to_ids(processor.audio_token))


def _typed(text: str, audio: dict[str, Any]) -> list[dict[str, Any]]:
    """One turn of an audio and a question, in parts."""
    return [{"role": "user", "content": [{"type": "audio", **audio}, {"type": "text", "text": text}]}]


def _wav(waveform: Waveform) -> str:
    """A WAV file of 32-bit floating-point samples, as base64."""
    data = waveform.astype("<f4").tobytes()
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 3, 1, SAMPLE_RATE, 4 * SAMPLE_RATE, 4, 32)  # 3: floating point
    riff = b"WAVE" + form + struct.pack("<4sI", b"data", len(data)) + data
    return base64.b64encode(struct.pack("<4sI", b"RIFF", len(riff)) + riff).decode()
