"""Learned selectors (docs/selectors.md): a small scorer of log-mel features, agnostic or conditioned on the question.

The folder of one holds selector.safetensors, card.json and, where it reads questions, tokenizer.json. Knows how to
score; how scores are learnt is `training`'s.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save
from tokenizers import Tokenizer
from torch import Tensor, nn

from earmark.engine.arrays import Scores
from earmark.engine.compressors.card import CARD, Card, read_card
from earmark.engine.compressors.chunks.features import FEATURES, WIDTH, features_of
from earmark.engine.compressors.chunks.selector import LEARNED_TIE, Selector, SelectorInput
from earmark.engine.compressors.chunks.tokenizer_file import open_tokenizer, token_ids
from earmark.engine.errors import InputError
from earmark.engine.files import make_folder, write_file
from earmark.engine.reading import read_bytes
from earmark.engine.threads import one_thread

AGNOSTIC, CONDITIONED = "learned_agnostic", "learned_conditioned"  # what trained methods are called
WEIGHTS, TOKENIZER = "selector.safetensors", "tokenizer.json"
EMBEDDED = 128
MOST_TOKENS = 256  # of a question; what comes after is not read
CLIPS_AT_ONCE = 64
_MOST_BYTES = 1 << 31  # of weights


class QueryEncoder(nn.Module):
    """A question as 128 numbers: the mean of its tokens' and positions' embeddings, through a small MLP."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, EMBEDDED)
        self.positions = nn.Embedding(MOST_TOKENS, EMBEDDED)
        self.mlp = nn.Sequential(nn.Linear(EMBEDDED, EMBEDDED), nn.ReLU(), nn.Linear(EMBEDDED, EMBEDDED))

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Tokens (B, L) and which of them count (B, L) -> (B, 128)."""
        seen = mask.to(torch.float32).unsqueeze(-1)
        places = torch.arange(tokens.shape[1], device=tokens.device)
        embedded = (self.tokens(tokens) + self.positions(places)) * seen
        mean = embedded.sum(1) / seen.sum(1).clamp(min=1.0)
        out: Tensor = self.mlp(mean)
        return out


class ChunkScorer(nn.Module):
    """One score per chunk, or per audio token. `mean` and `deviation` standardise the features; they are measured, not
    learnt.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, vocabulary: int | None = None, width: int = WIDTH) -> None:
        """With the size of a vocabulary it is conditioned on the question, without one agnostic."""
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))
        self.chunk = nn.Sequential(
            nn.Linear(width, 256), nn.LayerNorm(256), nn.ReLU(), nn.Linear(256, EMBEDDED), nn.LayerNorm(128), nn.ReLU()
        )
        self.query = None if vocabulary is None else QueryEncoder(vocabulary)
        inputs = EMBEDDED if vocabulary is None else 2 * EMBEDDED
        self.head = nn.Sequential(nn.Linear(inputs, 256), nn.ReLU(), nn.Linear(256, 1))
        self.pos_scale = nn.Parameter(torch.zeros(()))

    def forward(
        self, features: Tensor, lengths: Tensor, tokens: Tensor | None = None, token_mask: Tensor | None = None
    ) -> Tensor:
        """Features (B, T, width) of clips of `lengths` (B,) chunks -> scores (B, T); beyond a length they mean nothing.

        `tokens` (B, L) and `token_mask` (B, L) are the question's, for a conditioned scorer only.
        """
        embedded = self.chunk((features - self.mean) / self.deviation)
        if self.query is not None:
            question = self.query(tokens, token_mask).unsqueeze(1).expand(-1, embedded.shape[1], -1)
            embedded = torch.cat([embedded, question], dim=-1)
        place = torch.arange(embedded.shape[1], device=features.device) / (lengths.unsqueeze(1) - 1).clamp(min=1)
        scores: Tensor = self.head(embedded).squeeze(-1) + self.pos_scale * place
        return scores


class TrainedScorer:
    """A trained scorer and the card that says where it comes from. A subclass knows the features that it reads."""

    tie = LEARNED_TIE

    def __init__(self, scorer: ChunkScorer, card: Card, tokenizer: Tokenizer | None = None) -> None:
        self.scorer = scorer.eval()
        self.card = card
        self.tokenizer = tokenizer
        self.asks = tokenizer is not None

    @property
    def weights(self) -> str | None:
        """As its card says, which was checked when it was loaded."""
        return self.card.get("weights")

    def save(self, folder: Path) -> None:
        """Write the folder; the card, written last, names the hashes of the other files."""
        make_folder(folder)
        weights = save({name: value.contiguous() for name, value in self.scorer.state_dict().items()})
        write_file(folder / WEIGHTS, weights)
        self.card["weights"] = _sha256(weights)
        if self.tokenizer is not None:
            write_file(folder / TOKENIZER, self.tokenizer.to_str().encode())
            self.card["tokenizer"] = tokenizer_hash(self.tokenizer)
        write_file(folder / CARD, (json.dumps(self.card, indent=1, ensure_ascii=False) + "\n").encode())

    @property
    def identity(self) -> str | None:
        """SHA-256 of its weights, and of its tokenizer where it has one."""
        if self.tokenizer is None or self.weights is None:
            return self.weights
        return _sha256(f"{self.weights} {self.card.get('tokenizer')}".encode())

    @classmethod
    def width_of(cls, card: Card, path: Path) -> int:
        """How many features it reads; InputError where they are not of this kind and version."""
        raise NotImplementedError

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Open a folder; InputError where it is not whole."""
        if not os.path.lexists(folder / CARD):
            raise InputError(folder, f"has no {CARD}", "name the folder of a trained selector")
        card = read_card(folder / CARD)
        width = cls.width_of(card, folder / CARD)
        weights = read_bytes(folder / WEIGHTS, "copy the whole folder", _MOST_BYTES)
        if _sha256(weights) != card["weights"]:
            raise InputError(folder / WEIGHTS, "is not the file that card.json describes", "copy the whole folder")
        tokenizer = open_tokenizer(folder / TOKENIZER, card["tokenizer"]) if card["conditioned"] else None
        return cls(_scorer(weights, tokenizer, width, folder / WEIGHTS), card, tokenizer)


class LearnedSelector(TrainedScorer, Selector):
    """A trained scorer of chunks, by their log-mel features."""

    @classmethod
    def width_of(cls, card: Card, path: Path) -> int:
        """768; InputError where it reads other features."""
        if card["features"] != FEATURES:
            version = card["features"][:40]
            do = "train the selector again" if "encoder" not in card else 'set compressor = "learned_tokens"'
            raise InputError(path, f"wants features {version}, this is {FEATURES}", do)
        return WIDTH

    def scores(self, clips: Sequence[SelectorInput]) -> list[Scores]:
        """Scores (T,) of each clip, whatever clips are beside it."""
        scores: list[Scores] = []
        for first in range(0, len(clips), CLIPS_AT_ONCE):
            batch = clips[first : first + CLIPS_AT_ONCE]
            features = features_of(batch)
            tokens = [self._tokens(clip) for clip in batch] if self.asks else None
            scores += score(self.scorer, features, tokens)
        for clip, of_clip in zip(clips, scores, strict=True):
            if not np.isfinite(of_clip).all():
                raise InputError(
                    f"sample {clip.sample_id}", "has scores that are not finite", "train the selector again"
                )
        return scores

    def _tokens(self, clip: SelectorInput) -> list[int]:
        if clip.question is None:
            raise InputError(
                f"sample {clip.sample_id}", "has no question, and the selector reads one", "ask, or use an agnostic one"
            )
        assert self.tokenizer is not None
        return question_tokens(self.tokenizer, clip.question)


def _scorer(data: bytes, tokenizer: Tokenizer | None, width: int, path: Path) -> ChunkScorer:
    """A scorer with these weights; InputError where they are not those of one that reads with this tokenizer."""
    try:
        tensors = load_tensors(data)
    except Exception as error:  # safetensors raises classes of its own
        raise InputError(path, f"holds no weights that can be read ({_reason(error)})", "train it again") from None
    with torch.device("meta"):  # nothing is allocated before shapes are known to be those of the file
        scorer = ChunkScorer(tokenizer.get_vocab_size() if tokenizer else None, width)
    check_tensors(tensors, scorer.state_dict(), path, "train it again")
    scorer.load_state_dict(tensors, assign=True)
    return scorer


def check_tensors(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path, do: str) -> None:
    """InputError where a file has other tensors than are expected (name, type, shape), or one that is not finite."""
    for name in sorted(tensors.keys() ^ expected.keys()):
        raise InputError(path, f"{'lacks' if name in expected else 'also has'} the tensor {name[:80]}", do)
    for name, tensor in tensors.items():
        if (tensor.dtype, tensor.shape) != (expected[name].dtype, expected[name].shape):
            what = f"has {name} of {_form(tensor)}, expected {_form(expected[name])}"
            raise InputError(path, what, do)
        if not bool(torch.isfinite(tensor).all()):
            raise InputError(path, f"has in {name} numbers that are not finite", do)


def _form(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {'x'.join(map(str, tensor.shape))}"


@torch.inference_mode()
def score(
    scorer: ChunkScorer, features: Sequence[Scores], tokens: Sequence[Sequence[int]] | None = None
) -> list[Scores]:
    """Scores of clips by their features (T, width) each, and their questions' tokens where the scorer reads them.

    One clip after the other, on one thread: a row's last bit depends on the rows beside it in a product, and on how
    threads share it.
    """
    scores: list[Scores] = []
    with one_thread():
        for i, clip in enumerate(features):
            question = (None, None) if tokens is None else pad_tokens(tokens[i : i + 1])
            scores.append(scorer(*pad_features([clip]), *question)[0].numpy())
    return scores


def pad_features(features: Sequence[Scores]) -> tuple[Tensor, Tensor]:
    """Features (B, T, width), zero beyond each clip's end, and lengths (B,)."""
    lengths = torch.tensor([len(clip) for clip in features])
    padded = torch.zeros(len(features), int(lengths.max()), features[0].shape[1])
    for row, clip in zip(padded, features, strict=True):
        row[: len(clip)] = torch.tensor(clip, dtype=torch.float32)  # a copy: the clip may be read-only
    return padded, lengths


def pad_tokens(tokens: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Tokens (B, L) and which of them count (B, L); at least one column."""
    longest = max(1, *(len(row) for row in tokens)) if tokens else 1
    padded = torch.zeros(len(tokens), longest, dtype=torch.int64)
    mask = torch.zeros(len(tokens), longest, dtype=torch.bool)
    for i, row in enumerate(tokens):
        padded[i, : len(row)] = torch.tensor(row, dtype=torch.int64)
        mask[i, : len(row)] = True
    return padded, mask


def question_tokens(tokenizer: Tokenizer, question: str) -> list[int]:
    """The first MOST_TOKENS tokens of a question; never a special one of a chat."""
    return token_ids(tokenizer, question)[:MOST_TOKENS]


def tokenizer_hash(tokenizer: Tokenizer) -> str:
    """SHA-256 of the file that a selector's folder holds of its tokenizer."""
    return _sha256(tokenizer.to_str().encode())


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
