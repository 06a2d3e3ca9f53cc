"""What a scorer is taught: the shape of the relevance, and which chunks each budget would keep.

Tensors of clips padded to one length; knows no data and no network.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from earmark.engine.compressors.chunks.cutting import kept_chunks

BUDGETS = (0.1, 0.2, 0.3, 0.4, 0.6)  # membership is taught at these, together
MOST_NATS = 2.0  # a wrong answer may be sure of itself: beyond this, relevance says no more
FLOOR_NATS = 0.02  # below this it is noise: clips without any relevance teach nothing but to be undecided
EULER = 0.5772156649  # the mean of Gumbel noise

Relevant = npt.NDArray[np.float32]


class Taught(NamedTuple):
    """Per chunk (B, T), zero beyond a clip's end: the target distribution, the share of budgets that keep it."""

    share: Tensor
    membership: Tensor
    inside: Tensor  # which places are chunks


def distribution(relevance: Relevant) -> Relevant:
    """Relevance (T,) as a distribution over chunks; even where nothing is relevant."""
    worth = np.clip(relevance, 0.0, MOST_NATS) + FLOOR_NATS
    return np.asarray(worth / worth.sum(), dtype=np.float32)


def membership(relevance: Relevant) -> Relevant:
    """For each chunk (T,) the share of BUDGETS whose k most relevant chunks have it; 0 for what is not relevant."""
    chunks = len(relevance)
    rank = np.empty(chunks, dtype=np.int64)
    rank[np.argsort(-relevance, kind="stable")] = np.arange(chunks)
    kept = (rank[:, None] < _kept(chunks)).mean(axis=1)
    return np.where(relevance > FLOOR_NATS, kept, 0.0).astype(np.float32)


@cache
def _kept(chunks: int) -> npt.NDArray[np.int64]:
    """How many of so many chunks each of BUDGETS keeps."""
    return np.array([kept_chunks(budget, chunks) for budget in BUDGETS])


def loss(scores: Tensor, taught: Taught, alpha: float, entropy: float) -> Tensor:
    """alpha KL(target || softmax) + (1 - alpha) BCE(membership) - entropy x H(softmax), mean over clips."""
    inside = taught.inside
    logs = functional.log_softmax(scores.masked_fill(~inside, float("-inf")), dim=-1).masked_fill(~inside, 0.0)
    divergence = (torch.xlogy(taught.share, taught.share) - taught.share * logs).sum(-1)
    each = functional.binary_cross_entropy_with_logits(scores, taught.membership, reduction="none")
    member = (each * inside).sum(-1) / inside.sum(-1)
    spread = -(logs.exp() * logs * inside).sum(-1)
    return (alpha * divergence + (1 - alpha) * member - entropy * spread).mean()


def gumbel(shape: torch.Size, generator: torch.Generator) -> Tensor:
    """Centred Gumbel noise: added to scores, it makes softmax a relaxed draw."""
    uniform = torch.rand(shape, generator=generator).clamp(1e-9, 1 - 1e-7)
    return -torch.log(-torch.log(uniform)) - EULER


def captured(scores: Relevant, relevance: Relevant, budget: float) -> float | None:
    """The share of the relevance that the budget's top k could hold which they do hold; None without relevance."""
    worth = np.clip(relevance, 0.0, MOST_NATS)
    k = kept_chunks(budget, len(worth))
    best = np.sort(worth)[::-1][:k].sum()
    if worth.max() <= FLOOR_NATS:
        return None
    return float(worth[np.argsort(-scores, kind="stable")[:k]].sum() / best)
