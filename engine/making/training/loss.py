"""The loss of a scorer: the shape of the relevance, and what each budget would keep (docs/selectors.md, Training).

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

BUDGETS = (0.1, 0.2, 0.3, 0.4, 0.6)  # membership is learned at all of these together
MOST_NATS = 2.0  # relevance is clipped here: a wrong answer that is very sure of itself says no more
FLOOR_NATS = 0.02  # relevance below this is noise; clips without any teach the scorer to be undecided
EULER = 0.5772156649  # the mean of Gumbel noise

Relevant = npt.NDArray[np.float32]


class Targets(NamedTuple):
    """What the scores of a batch should come to, per chunk (B, T), zero beyond a clip's end."""

    share: Tensor  # of the clip's relevance: a distribution over its chunks
    membership: Tensor  # share of the budgets that keep the chunk
    inside: Tensor  # which places are chunks


def distribution(relevance: Relevant) -> Relevant:
    """Relevance (T,) as a distribution over chunks; even where nothing is relevant."""
    worth = np.clip(relevance, 0.0, MOST_NATS) + FLOOR_NATS
    return np.asarray(worth / worth.sum(), dtype=np.float32)


def membership(relevance: Relevant) -> Relevant:
    """For each chunk (T,) the share of BUDGETS whose k most relevant chunks have it; 0 for what is not relevant."""
    n_chunks = len(relevance)
    rank = np.empty(n_chunks, dtype=np.int64)
    rank[np.argsort(-relevance, kind="stable")] = np.arange(n_chunks)
    share = (rank[:, None] < _kept(n_chunks)).mean(axis=1)
    return np.where(relevance > FLOOR_NATS, share, 0.0).astype(np.float32)


@cache
def _kept(chunks: int) -> npt.NDArray[np.int64]:
    """How many chunks of a clip of that many each of BUDGETS keeps."""
    return np.array([kept_chunks(budget, chunks) for budget in BUDGETS])


def loss(scores: Tensor, targets: Targets, alpha: float, entropy: float) -> Tensor:
    """alpha KL(target || softmax) + (1 - alpha) BCE(membership) - entropy x H(softmax), mean over clips."""
    inside = targets.inside
    logs = functional.log_softmax(scores.masked_fill(~inside, float("-inf")), dim=-1).masked_fill(~inside, 0.0)
    divergence = (torch.xlogy(targets.share, targets.share) - targets.share * logs).sum(-1)
    cross_entropy = functional.binary_cross_entropy_with_logits(scores, targets.membership, reduction="none")
    divergence_of_membership = (cross_entropy * inside).sum(-1) / inside.sum(-1)
    spread = -(logs.exp() * logs * inside).sum(-1)
    return (alpha * divergence + (1 - alpha) * divergence_of_membership - entropy * spread).mean()


def gumbel(shape: torch.Size, generator: torch.Generator) -> Tensor:
    """Gumbel noise of mean 0: the best chunks of scores with such noise are a draw in proportion to their softmax."""
    uniform = torch.rand(shape, generator=generator).clamp(1e-9, 1 - 1e-7)
    return -torch.log(-torch.log(uniform)) - EULER


def captured(scores: Relevant, relevance: Relevant, budget: float) -> float | None:
    """The relevance in the k best-scored chunks, as a share of the most that k chunks could have; None without any."""
    worth = np.clip(relevance, 0.0, MOST_NATS)
    k = kept_chunks(budget, len(worth))
    best = np.sort(worth)[::-1][:k].sum()
    if worth.max() <= FLOOR_NATS:
        return None
    return float(worth[np.argsort(-scores, kind="stable")[:k]].sum() / best)
