"""Learned selectors with random weights of the real shape: what tests export, run and compare."""

from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers

from earmark.engine.compressors.card import SCHEMA
from earmark.engine.compressors.chunks.features import FEATURES, WIDTH, chunk_features
from earmark.engine.compressors.chunks.learned import ChunkScorer, LearnedSelector

WORDS = ["[UNK]", "who", "what", "where", "speaks", "rings", "first", "last", "how", "many", "bells", "dogs", "?"]


def made(conditioned: bool = False, pos_scale: float = 0.0, seed: int = 0) -> LearnedSelector:
    """A selector of noise at all levels: features standardised, scores spread over about 1."""
    torch.manual_seed(seed)
    tokenizer = None
    if conditioned:
        tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    scorer = ChunkScorer(len(WORDS) if conditioned else None)
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 1, (40, 16_000)) * 10.0 ** rng.uniform(-5, 0, (40, 1))
    features = torch.from_numpy(chunk_features(noise.astype(np.float32).reshape(-1)))
    assert features.shape[1] == WIDTH
    scorer.mean.copy_(features.mean(0))
    scorer.deviation.copy_(features.std(0))
    with torch.no_grad():
        scorer.pos_scale.fill_(pos_scale)
        scorer.head[-1].weight.mul_(5)
    card = {"schema": SCHEMA, "features": FEATURES, "conditioned": conditioned}
    return LearnedSelector(scorer, card, tokenizer)


def saved(folder: Path, conditioned: bool = False, pos_scale: float = 0.0) -> Path:
    """Its folder."""
    made(conditioned, pos_scale).save(folder)
    return folder
