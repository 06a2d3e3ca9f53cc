"""What answering costs, in frames, tokens, bytes and floating-point operations, from a model's dimensions alone.

Pure arithmetic: what is refused is known by it, the answerers count with it what they really ran. A multiplication and
its addition are two operations; element-wise work is left out, and attention counts every key of a pass, hidden or not.
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache

from earmark.engine.corpus.example import SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Cost:
    """Work, done or foreseen."""

    encoder_frames: int = 0  # mel frames that went through the encoder, padding included
    decoder_tokens: int = 0  # positions that went through the decoder, padding included
    flops: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.encoder_frames + other.encoder_frames,
            self.decoder_tokens + other.decoder_tokens,
            self.flops + other.flops,
        )

    def times(self, n: int) -> "Cost":
        """The cost of doing it n times."""
        return Cost(n * self.encoder_frames, n * self.decoder_tokens, n * self.flops)


@dataclass(frozen=True, slots=True)
class EncoderShape:
    """An audio encoder: two convolutions, the second with stride 2, then layers, pooling by 2, a projection."""

    layers: int
    width: int
    ffn: int
    mels: int
    out: int
    hop: int  # samples a frame
    longest_samples: int  # what the extractor hears at once
    window_frames: int | None  # attention restarts every so many frames (Qwen2.5-Omni); None: never

    @property
    def longest_frames(self) -> int:
        return self.longest_samples // self.hop

    def valid_frames(self, samples: int) -> int:
        """L: frames that begin within the audio."""
        return math.ceil(samples / self.hop)

    def audio_tokens(self, samples: int) -> int:
        """Positions the audio takes in the decoder."""
        return max(0, ((self.valid_frames(samples) - 1) // 2 + 1 - 2) // 2 + 1)

    def run_frames(self, valid: int) -> int:
        """Frames to run for `valid` ones: two more reach valid outputs through the convolutions' edges."""
        if self.window_frames is not None:
            return valid
        return min((valid + 3) // 2 * 2, self.longest_frames)

    def flops(self, frames: int) -> int:
        """One audio (or window) of so many frames."""
        if self.window_frames is not None and frames > self.window_frames:
            whole, rest = divmod(frames, self.window_frames)
            return whole * self.flops(self.window_frames) + (self.flops(rest) if rest else 0)
        n, d = (frames + 1) // 2, self.width
        convolutions = 6 * d * (frames * self.mels + n * d)
        layer = 2 * n * d * (4 * d + 2 * self.ffn) + 4 * n * n * d
        return convolutions + self.layers * layer + 2 * (n // 2) * d * self.out


@dataclass(frozen=True, slots=True)
class DecoderShape:
    """A Qwen2 decoder."""

    layers: int
    width: int
    ffn: int
    heads: int
    kv_heads: int
    head: int  # dimensions of a head
    vocabulary: int
    element_bytes: int

    @property
    def kv_bytes(self) -> int:
        """Keys and values of one position."""
        return 2 * self.layers * self.kv_heads * self.head * self.element_bytes

    def flops(self, tokens: int, past: int, last: int, kept: bool = True) -> int:
        """One row of `tokens` new positions after `past`, of which `last` (0 or 1) reach the vocabulary.

        In the last layer only those need more than their keys and values; `kept=False` counts a model that spends
        everything on every position and the vocabulary too (the naive forward).
        """
        d, inner, kv = self.width, self.heads * self.head, self.kv_heads * self.head
        if self.layers == 0:
            return last * 2 * d * self.vocabulary
        every = 2 * tokens * d * 2 * kv
        query = 2 * d * 2 * inner + 2 * 3 * d * self.ffn
        attention = 4 * inner * (past + tokens)
        full = every + tokens * (query + attention)
        if not kept:
            return self.layers * full + tokens * 2 * d * self.vocabulary
        return (self.layers - 1) * full + every + last * (query + attention + 2 * d * self.vocabulary)

    def flops_of(self, layers: int, tokens: int, past: int) -> int:
        """So many layers on all of one row's new positions."""
        return layers * (
            replace(self, layers=2).flops(tokens, past, 0) - replace(self, layers=1).flops(tokens, past, 0)
        )

    def after(self, layer: int) -> "DecoderShape":
        """What is left of it behind so many layers."""
        return replace(self, layers=self.layers - layer)


@dataclass(frozen=True, slots=True)
class ModelShape:
    """One answerer's dimensions."""

    encoder: EncoderShape
    decoder: DecoderShape
    join_tokens: tuple[int, ...]  # text between the pieces of a clip longer than the window

    @lru_cache(4096)  # noqa: B019 (there is a shape an answerer)
    def pieces(self, samples: int) -> tuple[int, ...]:
        """Samples of each audio that a clip is heard as: whole seconds that fit the window."""
        at_once = max(1, self.encoder.longest_samples // SAMPLE_RATE) * SAMPLE_RATE
        return tuple(min(at_once, samples - start) for start in range(0, samples, at_once))

    @lru_cache(4096)  # noqa: B019
    def audio_tokens(self, samples: int) -> int:
        """Audio tokens of all pieces."""
        return sum(self.encoder.audio_tokens(piece) for piece in self.pieces(samples))

    def positions(self, samples: int) -> int:
        """What a clip takes in the decoder: its audio tokens and the text between its pieces."""
        pieces = len(self.pieces(samples))
        return self.audio_tokens(samples) + sum(self.join_tokens[: pieces - 1])

    @lru_cache(4096)  # noqa: B019
    def encoding(self, samples: int) -> Cost:
        """Encoding a clip by itself."""
        frames = [self.encoder.run_frames(self.encoder.valid_frames(piece)) for piece in self.pieces(samples)]
        return Cost(encoder_frames=sum(frames), flops=sum(self.encoder.flops(n) for n in frames))

    def pruned(self, samples: int, text_tokens: int, positions: int, left: int, layer: int) -> int:
        """The same where after so many layers `left` of the audio's positions go on."""
        below = self.decoder.flops_of(layer, text_tokens + positions, 0)
        above = self.decoder.after(layer).flops(text_tokens + left, 0, 1)
        return self.encoding(samples).flops + below + above

    def unshared(self, samples: int, text_tokens: int, positions: int) -> int:
        """Operations of one request by itself, with nothing that its answer does not need; of its audio so many
        positions enter the decoder.
        """
        decoder = self.decoder.flops(text_tokens + positions, 0, 1)
        return self.encoding(samples).flops + decoder

    @lru_cache(4096)  # noqa: B019
    def alone(self, samples: int, text_tokens: int) -> Cost:
        """One request by itself through the plain model: full window, every position to the vocabulary."""
        encoder = self.encoder
        whole = encoder.window_frames is None
        frames = [encoder.longest_frames if whole else encoder.valid_frames(n) for n in self.pieces(samples)]
        tokens = text_tokens + self.positions(samples)
        flops = sum(encoder.flops(n) for n in frames) + self.decoder.flops(tokens, 0, 1, kept=False)
        return Cost(sum(frames), tokens, flops)
