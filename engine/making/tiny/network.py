"""The model's own modules, called in batches without masks or caches, and the auxiliary heads that only training has.

`encode` and `decode` compute what Hugging Face's forward computes (a test holds them to it), for clips of equal length
and several questions behind one audio.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import gelu
from transformers import Qwen2AudioForConditionalGeneration

from earmark.engine.corpus.synthetic import sounds
from earmark.engine.corpus.synthetic.clips import MOST_TONES, SLOTS
from earmark.engine.making.tiny.architecture import AUDIO_WIDTH, FRAMES, TEXT_WIDTH, TOKENS_PER_SLOT
from earmark.engine.making.tiny.packed import Asker, Packed
from earmark.engine.making.tiny.training_batches import CLASSES, EMPTY, UNCLEAR, TokenTargets

COUNT_LAYER = 2  # the decoder layers after which the heads read the states
POSITION_LAYER = 2
OPTION_LAYER = 3


class Heads(nn.Module):
    """Auxiliary heads: linear readings of encoder and decoder states, which only the losses of training use."""

    def __init__(self) -> None:
        super().__init__()
        self.classes = nn.Linear(AUDIO_WIDTH, CLASSES)
        self.onsets = nn.Linear(AUDIO_WIDTH, 2)
        self.backgrounds = nn.Linear(AUDIO_WIDTH, len(sounds.BACKGROUNDS))
        self.tones_so_far = nn.Linear(TEXT_WIDTH, MOST_TONES + 1)
        self.option_slot = nn.Linear(TEXT_WIDTH, SLOTS + 1)
        self.option = nn.Linear(TEXT_WIDTH, 1)


class Symbols(nn.Module):
    """Embeddings in the place of audio, for a decoder whose encoder is not trained yet.

    An audio token is the sum of an embedding for each thing that is known about it, and of its time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.classes = nn.Embedding(CLASSES, TEXT_WIDTH)
        self.onsets = nn.Embedding(2, TEXT_WIDTH)
        self.backgrounds = nn.Embedding(len(sounds.BACKGROUNDS), TEXT_WIDTH)
        self.time = nn.Linear(8, TEXT_WIDTH)
        for module in (self.classes, self.onsets, self.backgrounds, self.time):
            nn.init.normal_(module.weight, std=0.05)

    def forward(self, classes: torch.Tensor, onsets: torch.Tensor, backgrounds: torch.Tensor) -> torch.Tensor:
        """Embeddings (B, T, width) of classes, onsets and backgrounds (B, T); an unclear token counts as empty."""
        time = torch.arange(classes.shape[1]) / (SLOTS * TOKENS_PER_SLOT)
        angles = time[:, None] * torch.pi * torch.tensor([0.5, 1.0, 2.0, 4.0])
        clock = self.time(torch.cat([angles.sin(), angles.cos()], dim=1))
        embedded: torch.Tensor = (
            self.classes(classes.clamp(min=EMPTY))
            + self.onsets(onsets)
            + self.backgrounds(backgrounds.clamp(min=0))
            + clock
        )
        return embedded


@dataclass(frozen=True, slots=True)
class DecoderStates:
    """States of the decoder for a packed batch, where the heads and the output layer read them."""

    audio: torch.Tensor  # (B, T, width) states of the audio tokens after COUNT_LAYER
    positions: torch.Tensor  # (B, Q, S, width) states of the questions after POSITION_LAYER
    options: torch.Tensor  # (B, Q, S, width) and after OPTION_LAYER
    final: torch.Tensor  # (B, Q, S, width) normalised


def encode(model: Qwen2AudioForConditionalGeneration, frames: torch.Tensor) -> torch.Tensor:
    """Encoder states (B, tokens, AUDIO_WIDTH) of log-mel frames."""
    tower = model.model.audio_tower
    hidden = gelu(tower.conv2(gelu(tower.conv1(frames)))).transpose(1, 2)
    if frames.shape[2] < FRAMES:
        hidden = hidden[:, :-1]  # the frames of silence
    hidden = hidden + tower.embed_positions.weight[: hidden.shape[1]]
    for layer in tower.layers:
        hidden = layer(hidden, None)
    pooled: torch.Tensor = tower.layer_norm(tower.avg_pooler(hidden.transpose(1, 2)).transpose(1, 2))
    return pooled


def decode(
    model: Qwen2AudioForConditionalGeneration, asker: Asker, audio: torch.Tensor, packed: Packed
) -> DecoderStates:
    """States of the decoder for audio embeddings (B, T, TEXT_WIDTH) and the packed questions behind them."""
    decoder = model.model.language_model
    clips, pieces, length = packed.ids.shape
    table = decoder.embed_tokens
    before = table(torch.tensor(asker.before)).expand(clips, -1, -1)
    shared = table(torch.tensor(asker.shared)).expand(clips, -1, -1)
    hidden = torch.cat([before, audio, shared, table(packed.ids.flatten(1))], dim=1)
    base = hidden.shape[1] - pieces * length
    mask, positions = layout(base, pieces, length)
    turns = decoder.rotary_emb(hidden, positions)
    after = {}
    for number, layer in enumerate(decoder.layers, start=1):
        hidden = layer(hidden, attention_mask=mask, position_embeddings=turns)
        after[number] = hidden
    start = len(asker.before)

    def question_states(states: torch.Tensor) -> torch.Tensor:
        return states[:, base:].reshape(clips, pieces, length, -1)

    return DecoderStates(
        after[COUNT_LAYER][:, start : start + audio.shape[1]],
        question_states(after[POSITION_LAYER]),
        question_states(after[OPTION_LAYER]),
        decoder.norm(question_states(hidden)),
    )


def layout(base: int, pieces: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Additive mask (1, 1, N, N) and positions (1, N): every piece follows the shared base and sees only itself."""
    piece = torch.cat([torch.zeros(base), torch.arange(1, pieces + 1).repeat_interleave(length)])
    index = torch.arange(len(piece))
    sees = (index[:, None] >= index[None, :]) & ((piece[None, :] == 0) | (piece[:, None] == piece[None, :]))
    mask = torch.zeros(sees.shape).masked_fill(~sees, torch.finfo(torch.float32).min)
    positions = torch.cat([torch.arange(base), base + torch.arange(length).repeat(pieces)])
    return mask[None, None], positions[None]


def gather(states: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """States (B, Q, S, W) at tokens (B, Q) or (B, Q, K)."""
    places = index if index.dim() == 3 else index[..., None]
    gathered = states.gather(2, places[..., None].expand(-1, -1, -1, states.shape[-1]))
    return gathered if index.dim() == 3 else gathered[:, :, 0]


def token_tensors(tokens: TokenTargets) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Classes, onsets and backgrounds as tensors."""
    return torch.from_numpy(tokens.classes), torch.from_numpy(tokens.onsets), torch.from_numpy(tokens.backgrounds)


def token_loss(heads: Heads, states: torch.Tensor, tokens: TokenTargets) -> torch.Tensor:
    """Cross-entropy of what sounds in each audio token, .3 of its background, .3 of its onset."""
    classes, onsets, backgrounds = token_tensors(tokens)
    ce = nn.functional.cross_entropy
    return (
        ce(heads.classes(states).flatten(0, 1), classes.flatten(), ignore_index=UNCLEAR)
        + 0.3 * ce(heads.backgrounds(states).flatten(0, 1), backgrounds.flatten(), ignore_index=UNCLEAR)
        + 0.3 * ce(heads.onsets(states).flatten(0, 1), onsets.flatten())
    )
