"""What Qwen2-Audio and Qwen2.5-Omni have in common: prompts around audio tokens, before a Qwen2 decoder.

A subclass knows its audio tower. Knows no plan: it runs the batch it is given, and counts what it ran.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from earmark.engine.answerers import parse, prompt
from earmark.engine.answerers.guard import computing
from earmark.engine.answerers.identity import add_weights, add_words
from earmark.engine.answerers.means import means_of
from earmark.engine.answerers.qwen.decoder import Decoder
from earmark.engine.answerers.qwen.kv import KV, Past, Placed
from earmark.engine.answerers.qwen.mel import ClipFrames, Mel
from earmark.engine.answerers.qwen.open_decoder import OpenDecoder
from earmark.engine.answerers.shared.audio_lm import EncodedPart, EvictedPart, PrunedPart, Reply, Tokens
from earmark.engine.answerers.shared.cost import Cost, DecoderShape, EncoderShape, ModelShape
from earmark.engine.answerers.shared.encodings import RawStates
from earmark.engine.arrays import FloatArray, Waveform
from earmark.engine.corpus.clip import CHUNK_SAMPLES, MOST_CHUNKS
from earmark.engine.corpus.example import SAMPLE_RATE

P = ParamSpec("P")
R = TypeVar("R")


def guarded(run: Callable[Concatenate["Qwen", P], R]) -> Callable[Concatenate["Qwen", P], R]:
    """Runs as everything that a model computes does."""

    @wraps(run)
    def wrapped(self: "Qwen", /, *args: P.args, **kwargs: P.kwargs) -> R:
        with computing(self.repeats):
            return run(self, *args, **kwargs)

    return wrapped


@dataclass(frozen=True, slots=True)
class RowPlaces:
    """Where the audio tokens of a row are, and how many positions each stands for."""

    centres: FloatArray  # (length,)
    sizes: FloatArray  # (length,)
    span: int  # how far on the text is


@dataclass(slots=True)
class Encoded:
    """Embeddings of audio tokens (and of the text between the pieces of a long clip), right-padded."""

    states: torch.Tensor  # (rows, length, width of the decoder)
    lengths: list[int]
    placed: list["RowPlaces"] | None = None  # of each row; None: one after the other, each standing for itself

    @property
    def nbytes(self) -> int:
        return self.states.nbytes


class Qwen:
    """An answerer but for its audio tower."""

    def __init__(self, model: Any, tokenizer: Any, extractor: Any, template: prompt.Template, name: str) -> None:
        self.name = name
        self.template = template
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.extractor = extractor
        self.decoder = Decoder(model.model.language_model, model.lm_head)
        self.device = self.decoder.device
        if self.device.type == "cuda":  # it plans anew for every shape, for up to .4 s, and a sweep has many
            torch.backends.cuda.enable_cudnn_sdp(False)
        self.repeats = self.device.type == "cpu" and self.decoder.dtype == torch.float32  # to the last bit
        self.mel = Mel(extractor, self.device)
        # glibc learns from the largest block that was freed how large a block to keep for the next one; without this
        # every batch's arrays are fresh pages from the kernel, which costs a fifth of the time on a CPU.
        torch.empty(31 << 20, dtype=torch.uint8)
        self._check_words()
        self.shape = self._shape()
        if self.mel.mels != self.shape.encoder.mels or extractor.sampling_rate != SAMPLE_RATE:
            heard = f"{self.shape.encoder.mels} mel bands of {SAMPLE_RATE:,} samples a second"
            raise ValueError(f"its preprocessor_config.json does not make {heard}")
        self.counted = Cost()
        self._prefix: KV | None = None
        self._letters: torch.Tensor | None = None
        self._open: tuple[KV, OpenDecoder] | None = None

    # For subclasses --------------------------------------------------------------------------------------------

    def _encoder_shape(self) -> EncoderShape:
        raise NotImplementedError

    def _encode(self, mel: torch.Tensor, valid: list[int]) -> torch.Tensor:
        """(rows, audio tokens, width) of mel frames (rows, frames, mels), of which `valid` carry audio."""
        raise NotImplementedError

    between: str  # the text between two audios, with the number of the second

    # The protocol ----------------------------------------------------------------------------------------------

    @cached_property
    def identity(self) -> str:
        """Hash of every weight, the number format, the tokenizer, the extractor's and the prompt's constants."""
        digest = hashlib.blake2b(digest_size=16)
        add_weights(digest, self.model)
        add_words(digest, self.tokenizer)
        digest.update(repr((self.mel.hop, self.mel.n_fft, self.mel.window_samples, self.template)).encode())
        return digest.hexdigest()

    def tokenize(self, texts: Sequence[str]) -> list[Tokens]:
        """Tokens of parts of prompts, special tokens included."""
        if not texts:
            return []
        return [tuple(ids) for ids in self.tokenizer(list(texts), add_special_tokens=False)["input_ids"]]

    @guarded
    def open(self, waveform: Waveform) -> ClipFrames:
        """The log-mel frames of a whole clip."""
        return self.mel.clip(waveform)

    @guarded
    def encode(self, clips: Sequence[ClipFrames], chunks: Sequence[Sequence[int]]) -> Encoded:
        """The audio tokens of these chunks of these clips; what lies beyond the window becomes further audios."""
        cut = [self._pieces(kept) for kept in chunks]
        pieces = [(clip, piece) for clip, kept in zip(clips, cut, strict=True) for piece in kept]
        samples = [_samples(clip, piece) for clip, piece in pieces]
        encoder = self.shape.encoder
        valid = [encoder.valid_frames(n) for n in samples]
        frames = max(encoder.run_frames(n) for n in valid)
        mel = self.mel.subsets(pieces, frames + 2)[:, :frames]
        states = self._encode(mel.to(self.decoder.dtype), valid)
        lengths = [encoder.audio_tokens(n) for n in samples]
        if len(pieces) == len(clips):
            return Encoded(states, lengths)
        return self._joined(states, lengths, [len(kept) for kept in cut])

    @guarded
    def gathered(self, parts: Sequence[EncodedPart]) -> Encoded:
        """The means of groups of audio tokens, a row for each part; sized ones each at the centre of its group, and as
        heavy as the group is large. A group of one is as it was.
        """
        rows = [self._means(part) for part in parts]
        placed = None
        if any(part.sized for part in parts):
            placed = [_row_places(part, len(row)) for part, row in zip(parts, rows, strict=True)]
        return Encoded(torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), [len(row) for row in rows], placed)

    def _means(self, part: EncodedPart) -> torch.Tensor:
        """(k, width) what is heard of a row."""
        encoded: Encoded = part.encoded
        states = encoded.states[part.row, : encoded.lengths[part.row]]
        if part.reduction is None:
            return states
        return means_of(states, part.reduction)

    def raw_states(self, encoded: Encoded, row: int) -> RawStates:
        """(n, bytes) the audio tokens of a row as they lie in memory."""
        return encoded.states[row, : encoded.lengths[row]].contiguous().cpu().view(torch.uint8).numpy().copy()

    def encoded_of(self, raw: RawStates) -> Encoded:
        """One row, of what was kept."""
        return Encoded(torch.from_numpy(raw).view(self.decoder.dtype)[None].to(self.device), [len(raw)])

    def states(self, encoded: Encoded, row: int) -> FloatArray:
        """(n, width) the audio tokens of a row, as reductions look at them."""
        return encoded.states[row, : encoded.lengths[row]].float().cpu().numpy().astype(np.float64)

    @guarded
    def prefill(self, encoded: Encoded, stems: Sequence[Tokens]) -> KV:
        """Keys and values after the prefix, each encoded audio and the stem its questions share."""
        x, lengths = self._rows(encoded, range(len(stems)), stems)
        past = Past(self._prefixed())
        self._count(x, past, read=False)
        return self.decoder.prefill(x, lengths, past, _placed(encoded, range(len(stems)), stems, x.shape[1]))

    @guarded
    def score(
        self, context: KV | Encoded, rows: Sequence[int], questions: Sequence[Tokens], options: Sequence[int]
    ) -> list[Reply]:
        """How likely each letter is to come next after context row `rows[i]` and question i."""
        logits, _ = self._read(context, rows, questions, self._letter_tokens(max(options)), keep=False)
        return [Reply(nll) for nll in self._option_nll(logits, options)]

    @guarded
    def generate(
        self,
        context: KV | Encoded,
        rows: Sequence[int],
        questions: Sequence[Tokens],
        options: Sequence[int],
        limit: int,
    ) -> list[Reply]:
        """The same, and at most `limit` greedy tokens as text; a row stops where its letter cannot change."""
        letters = self._letter_tokens(max(options))
        logits, kv = self._read(context, rows, questions, letters, keep=True, room=limit - 1)
        nll = self._option_nll(logits, options)
        written: list[list[int]] = [[] for _ in rows]
        texts = [""] * len(rows)
        going = list(range(len(rows)))
        in_batch = list(range(len(rows)))  # the row of the batch that each row of kv belongs to
        for step in range(limit):
            picked = dict(zip(in_batch, logits.argmax(-1).tolist(), strict=True))
            still = []
            for i in going:
                if picked[i] in self._ends:
                    continue
                written[i].append(picked[i])
                texts[i] = str(self.tokenizer.decode(written[i], skip_special_tokens=True))
                if not parse.settled(texts[i], prompt.letters(options[i])):
                    still.append(i)
            going = still
            if not going or step == limit - 1:
                break
            assert kv is not None
            if 2 * len(going) <= len(in_batch):
                kv = kv.take(torch.tensor([in_batch.index(i) for i in going]))
                in_batch = going
            x = self.decoder.embed(torch.tensor([[picked[i]] for i in in_batch]))
            past = Past(kv)
            self._count(x, past, read=True)
            logits, kv = self.decoder.read(x, torch.ones(len(in_batch), dtype=torch.int64), past, letters, keep=True)
        return [Reply(n, text) for n, text in zip(nll, texts, strict=True)]

    # Inside the decoder, by `OpenDecoder` ------------------------------------------------------------------------

    @guarded
    def below(self, parts: Sequence[EncodedPart], texts: Sequence[Tokens], layer: int) -> list[RawStates]:
        """Each audio and the text behind it after so many layers, and what its last position attended to."""
        behind: list[RawStates] = []
        for these in self._computed_together(len(parts)):
            x, lengths = self._rows(self.gathered(parts[these]), range(len(parts[these])), texts[these])
            self._count_layers(x.shape[0], x.shape[1], layer)
            behind += self._opened().below(x, lengths, layer)
        return behind

    def attended(self, behind: RawStates) -> FloatArray:
        """(heads, positions) how much the last position attended to each."""
        return self._opened().attended(behind)

    @guarded
    def above(self, parts: Sequence[PrunedPart], options: Sequence[int]) -> list[Reply]:
        """How likely each letter is to come next, after the other layers have read what goes on."""
        logits = self._opened().above(parts, self._letter_tokens(max(options)))
        decoder, layer = self.shape.decoder, parts[0].layer
        longest = max(len(part.behind) - len(part.reduction.group) + part.reduction.k for part in parts)
        flops = len(parts) * decoder.after(layer).flops(longest, self._prefixed().values[0].shape[2], 1)
        tokens = len(parts) * longest * (decoder.layers - layer) // decoder.layers
        self.counted += Cost(decoder_tokens=tokens, flops=flops)
        return [Reply(nll) for nll in self._option_nll(logits, options)]

    @guarded
    def cached(self, parts: Sequence[EncodedPart], text: Tokens) -> list[RawStates]:
        """Keys and values of each audio and the text behind it, in all layers."""
        entries: list[RawStates] = []
        for these in self._computed_together(len(parts)):
            entries += self._opened().entries(self.prefill(self.gathered(parts[these]), [text] * len(parts[these])))
        return entries

    def keys(self, entries: RawStates, n: int) -> FloatArray:
        """(layers, kv heads, n, size) of the audio."""
        return self._opened().keys(entries, n)

    @guarded
    def watched(self, entries: Sequence[RawStates], n: Sequence[int], questions: Sequence[Tokens]) -> list[FloatArray]:
        """(layers, kv heads, n) how much all positions of each question attend to each key of its audio."""
        tokens, lengths = _padded(questions)
        x = self.decoder.embed(tokens)
        self._count_layers(x.shape[0], x.shape[1], self.shape.decoder.layers, max(map(len, entries)))
        return self._opened().watched(entries, n, x, lengths)

    @guarded
    def evicted(self, parts: Sequence[EvictedPart]) -> KV:
        """A context of what stays."""
        return self._opened().evicted(parts)

    @guarded
    def alone(self, waveform: Waveform, prefix: str, question: str, options: int, generate: int = 0) -> Reply:
        """The slow twin: one request through the plain model, nothing shared, nothing trimmed."""
        chunks = range(-(-len(waveform) // CHUNK_SAMPLES))
        pieces = [
            waveform[piece[0] * CHUNK_SAMPLES : (piece[-1] + 1) * CHUNK_SAMPLES] for piece in self._pieces(chunks)
        ]
        heard = [prompt.AUDIO_TOKEN * self.shape.encoder.audio_tokens(len(piece)) for piece in pieces]
        joins = [self.between.format(i + 1) for i in range(1, len(pieces))]
        text = prefix + "".join(a + b for a, b in zip(heard, [*joins, ""], strict=True)) + question
        features = self.extractor(
            pieces, sampling_rate=self.extractor.sampling_rate, padding="max_length",
            return_attention_mask=True, return_tensors="pt",
        )  # fmt: skip
        ids = torch.tensor([self.tokenizer(text, add_special_tokens=False)["input_ids"]], device=self.device)
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)} | self._plain_audio(dict(features))
        logits = self.model(**inputs).logits[:, -1].float()
        nll = self._option_nll(logits, [options])[0]
        if not generate:
            return Reply(nll)
        out = self.model.generate(
            **inputs, max_new_tokens=generate, do_sample=False, num_beams=1, repetition_penalty=1.0,
            eos_token_id=sorted(self._ends), pad_token_id=min(self._ends), use_cache=True,
        )  # fmt: skip
        return Reply(nll, str(self.tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True)))

    # Inside ----------------------------------------------------------------------------------------------------

    def _plain_audio(self, features: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """What the plain model's forward takes of the extractor's padded features and their mask."""
        return {
            "input_features": features["input_features"].to(self.device, self.decoder.dtype),
            "feature_attention_mask": features["attention_mask"].to(self.device),
        }

    def _shape(self) -> ModelShape:
        decoder, weight = self.decoder, self.decoder.embedding
        encoder = self._encoder_shape()
        most = MOST_CHUNKS * CHUNK_SAMPLES // encoder.longest_samples
        return ModelShape(
            encoder=encoder,
            decoder=DecoderShape(
                layers=len(self.model.model.language_model.layers),
                width=weight.shape[1],
                ffn=int(self.model.model.language_model.config.intermediate_size),
                heads=decoder.heads.heads,
                kv_heads=decoder.heads.kv_heads,
                head=decoder.heads.size,
                vocabulary=self.model.lm_head.weight.shape[0],
                element_bytes=weight.element_size(),
            ),
            join_tokens=tuple(len(t) for t in self.tokenize([self.between.format(i + 2) for i in range(most)])),
        )

    @cached_property
    def _ends(self) -> frozenset[int]:
        """The tokens that end an answer."""
        config = getattr(self.model, "generation_config", None)
        ends = getattr(config, "eos_token_id", None)
        if ends is None:
            ends = self.tokenizer.eos_token_id
        tokens = {ends} if isinstance(ends, int) else set(ends or ())
        if not all(type(token) is int for token in tokens):
            raise ValueError(f"eos_token_id = {ends} in its generation_config.json is no token")
        return frozenset(tokens | set(self.tokenizer.convert_tokens_to_ids(["<|im_end|>"])))

    def _check_words(self) -> None:
        """ValueError where the tokenizer is another model's: letters and the marks of a prompt are one token each."""
        template = self.template
        marks = re.findall(r"<\|\w+\|>", template.prefix + template.before_question + template.after_question)
        for word in [*marks, *prompt.letters(prompt.MOST_OPTIONS)]:
            tokens = self.tokenize([word])[0]
            if len(tokens) != 1:
                raise ValueError(f"its tokenizer has no token {word}")
        largest, vocabulary = max(self.tokenizer.get_vocab().values()), len(self.decoder.embedding)
        if largest >= vocabulary:
            raise ValueError(f"its tokenizer has a token {largest}, the model knows {vocabulary}")
        if not all(0 <= token < vocabulary for token in self._ends):
            raise ValueError("its answers end with a token that the model does not know")

    def _pieces(self, chunks: Sequence[int]) -> list[Sequence[int]]:
        """Whole seconds that fit the window, one piece after the other."""
        at_once = max(1, self.shape.encoder.longest_samples // CHUNK_SAMPLES)
        return [chunks[i : i + at_once] for i in range(0, len(chunks), at_once)]

    def _joined(self, states: torch.Tensor, lengths: list[int], pieces: list[int]) -> Encoded:
        """The pieces of each clip in one row, with the text between two audios embedded between them."""
        rows = []
        at = 0
        for n in pieces:
            parts = [states[at, : lengths[at]]]
            for i in range(1, n):
                join = torch.tensor(self.tokenize([self.between.format(i + 1)])[0])
                parts += [self.decoder.embed(join), states[at + i, : lengths[at + i]]]
            rows.append(torch.cat(parts))
            at += n
        return Encoded(torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), [len(row) for row in rows])

    def _prefixed(self) -> KV:
        """Keys and values of the prefix: one row that every batch shares."""
        if self._prefix is None:
            tokens = torch.tensor(self.tokenize([self.template.prefix]))
            x = self.decoder.embed(tokens)
            self._count(x, None, read=False)
            self._prefix = self.decoder.prefill(x, torch.tensor([tokens.shape[1]]), None)
        return self._prefix

    def _read(
        self,
        context: KV | Encoded,
        rows: Sequence[int],
        questions: Sequence[Tokens],
        letters: torch.Tensor,
        keep: bool,
        room: int = 0,
    ) -> tuple[torch.Tensor, KV | None]:
        placed = None
        if isinstance(context, Encoded):
            x, lengths = self._rows(context, rows, questions)
            placed = _placed(context, rows, questions, x.shape[1])
            past = Past(self._prefixed())
        else:
            tokens, lengths = _padded(questions)
            x = self.decoder.embed(tokens)
            same = list(rows) == list(range(len(context.lengths)))
            past = Past(context, None if same else torch.tensor(list(rows)))
        self._count(x, past, read=True)
        return self.decoder.read(x, lengths, past, letters, keep=keep, placed=placed, room=room)

    def _rows(
        self, encoded: Encoded, rows: Sequence[int], texts: Sequence[Tokens]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Each row's audio tokens, then its text tokens, right-padded, and how long that is."""
        tokens, text_lengths = _padded(texts)
        states, lengths = encoded.states, encoded.lengths
        if list(rows) != list(range(len(lengths))):
            states, lengths = states[torch.tensor(list(rows), device=self.device)], [lengths[row] for row in rows]
        total = torch.tensor(lengths) + text_lengths
        n = max(lengths)
        embedded = self.decoder.embed(tokens)
        if min(lengths) == n:
            return torch.cat([states[:, :n], embedded], dim=1), total
        length = int(total.max())
        x = states.new_zeros(len(lengths), length, states.shape[2])
        for i, (audio, text) in enumerate(zip(lengths, text_lengths.tolist(), strict=True)):
            x[i, :audio] = states[i, :audio]
            x[i, audio : audio + text] = embedded[i, :text]
        return x, total

    def _option_nll(self, logits: torch.Tensor, options: Sequence[int]) -> list[npt.NDArray[np.float64]]:
        letters = self._letter_tokens(max(options))
        nll = torch.logsumexp(logits, dim=-1, keepdim=True) - logits[:, letters]
        table = nll.double().cpu().numpy()
        return [row[:n] for row, n in zip(table, options, strict=True)]

    def _letter_tokens(self, options: int) -> torch.Tensor:
        if self._letters is None or len(self._letters) < options:
            tokens = self.tokenize(list(prompt.letters(options)))
            self._letters = torch.tensor([tokens[0] for tokens in tokens], device=self.device)
        return self._letters[:options]

    def _computed_together(self, n: int) -> list[slice]:
        """Rows of what is kept: one by one where answers repeat to the last bit, whatever is there already."""
        return [slice(at, at + 1) for at in range(n)] if self.repeats else [slice(0, n)]

    def _opened(self) -> OpenDecoder:
        """The decoder, entered between its layers; made anew with the prefix."""
        prefix = self._prefixed()
        if self._open is None or self._open[0] is not prefix:
            self._open = prefix, OpenDecoder(self.decoder, self.shape.decoder.layers, prefix)
        return self._open[1]

    def _count_layers(self, rows: int, length: int, layers: int, behind: int = 0) -> None:
        """So many layers on all new positions, behind the prefix and so many others."""
        decoder, before = self.shape.decoder, self._prefixed().values[0].shape[2] + behind
        flops = rows * decoder.flops_of(layers, length, before)
        self.counted += Cost(decoder_tokens=rows * length * layers // decoder.layers, flops=flops)

    def _count(self, x: torch.Tensor, past: Past | None, read: bool) -> None:
        rows, length = x.shape[:2]
        before = 0 if past is None else past.length
        flops = rows * self.shape.decoder.flops(length, before, int(read))
        self.counted += Cost(decoder_tokens=rows * length, flops=flops)


def _row_places(part: EncodedPart, n: int) -> RowPlaces:
    """Where the tokens of a row are: of one that is not sized, one after the other."""
    if part.sized and part.reduction is not None:
        return RowPlaces(part.reduction.centres, part.reduction.sizes, len(part.reduction.group))
    return RowPlaces(np.arange(n, dtype=np.float64), np.ones(n), n)


def _placed(encoded: Encoded, rows: Sequence[int], texts: Sequence[Tokens], length: int) -> Placed | None:
    """Where the audio and text of rows are, and what they weigh, padded to `length`; None where nothing is sized."""
    if encoded.placed is None:
        return None
    places, weights = torch.zeros(len(rows), length), torch.zeros(len(rows), length)
    spans = torch.zeros(len(rows), dtype=torch.int64)
    for i, (row, text) in enumerate(zip(rows, texts, strict=True)):
        of_row, k = encoded.placed[row], encoded.lengths[row]
        places[i, :k] = torch.from_numpy(of_row.centres)
        places[i, k : k + len(text)] = of_row.span + torch.arange(len(text))
        weights[i, :k] = torch.from_numpy(np.log(of_row.sizes))
        spans[i] = of_row.span + len(text)
    return Placed(places, weights, spans)


def _padded(texts: Sequence[Tokens]) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids (rows, length), zeros at the end, and lengths (rows,)."""
    longest = max((len(text) for text in texts), default=0)
    ids = np.zeros((len(texts), longest), dtype=np.int64)
    for i, text in enumerate(texts):
        ids[i, : len(text)] = text
    return torch.from_numpy(ids), torch.tensor([len(text) for text in texts])


def _samples(clip: ClipFrames, chunks: Sequence[int]) -> int:
    """How many samples these chunks of a clip have: only the clip's last may be short."""
    return sum(min(CHUNK_SAMPLES, len(clip.samples) - i * CHUNK_SAMPLES) for i in chunks)
