"""One training run: epochs of noisy batches, a noise-free validation after each, the best weights at the end.

A checkpoint after every epoch, and random numbers that depend on seed and epoch alone: a run that was killed and
started again ends with the bits of one that was not. Knows no files of a selector.
"""

import copy
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from earmark.engine.compressors.chunks.learned import ChunkScorer, pad_features, pad_tokens
from earmark.engine.errors import InputError
from earmark.engine.making.training import loss as teaching
from earmark.engine.making.training.checkpoint import Epoch, LearningCurve, restore_checkpoint, save_checkpoint
from earmark.engine.making.training.lessons import Lessons

SHOWN_BUDGETS = (0.2, 0.4)  # validation reports the captured relevance at these

QuestionTokens = list[list[int]]
RowNumbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a selector is trained; all of it goes into the card."""

    alpha: float = 0.5  # share of the distribution in the loss, against membership
    entropy: float = 0.01
    noise: float = 0.3  # scale of the Gumbel noise on training scores
    rate: float = 1e-3
    weight_decay: float = 0.01
    batch: int = 32
    epochs: int = 40
    warmup: float = 0.05  # of all steps
    clip_norm: float = 1.0
    patience: int = 8  # epochs without a better validation
    validation: float = 0.15  # share of the sources

    def __post_init__(self) -> None:
        for name, ok, do in (
            ("alpha", 0 <= self.alpha <= 1, "take a number from 0 to 1"),
            ("epochs", self.epochs >= 1, "train for one at least"),
            ("batch", self.batch >= 1, "learn from one at least"),
            ("rate", self.rate > 0, "take a positive number"),
            ("validation", 0 < self.validation < 1, "take a share between 0 and 1"),
        ):
            if not ok:
                raise InputError(f"recipe {name}", f"is {getattr(self, name)}", do)


class Vocabulary(NamedTuple):
    """The vocabulary in which a conditioned selector reads questions."""

    size: int
    tokenizer: str  # SHA-256 of its file: others of one size give the same token another meaning


@dataclass(slots=True)
class Run:
    """The state of a run, all of which a checkpoint holds."""

    scorer: ChunkScorer
    descent: torch.optim.AdamW
    curves: list[Epoch]
    best: dict[str, Any]  # weights
    best_epoch: int = 0

    @property
    def epoch(self) -> int:
        """How many epochs are done."""
        return len(self.curves)


def train(
    lessons: Lessons,
    recipe: Recipe,
    seed: int,
    tokens: QuestionTokens | None = None,
    vocabulary: Vocabulary | None = None,
    checkpoint: Path | None = None,
    report: Callable[[Epoch], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> Run | None:
    """Train to the end, from `checkpoint` where it exists; None where `stop` ended it before.

    `tokens` are the questions', of `vocabulary`, for a conditioned selector.
    """
    training, validation = lessons.split(recipe.validation)
    run = _begin(lessons, training, recipe, seed, vocabulary)
    reads = vocabulary and vocabulary.tokenizer
    belongs = {"lessons": lessons.hash, "recipe": asdict(recipe), "seed": seed, "vocabulary": reads}
    if checkpoint is not None and os.path.lexists(checkpoint):
        curve = restore_checkpoint(checkpoint, run.scorer, run.descent, run.best, belongs)
        run.best_epoch, run.curves = curve.best_epoch, curve.curves
    while run.epoch < recipe.epochs and run.epoch - run.best_epoch < recipe.patience:
        train_loss = _epoch(run, lessons, training, tokens, recipe, seed, stop)
        if train_loss is None:
            return None
        point = _validate(run.scorer, lessons, validation, tokens, recipe, run.epoch + 1, train_loss)
        if not run.curves or point.loss < run.curves[run.best_epoch - 1].loss:
            run.best, run.best_epoch = copy.deepcopy(run.scorer.state_dict()), point.epoch
        run.curves.append(point)
        if checkpoint is not None:
            curve = LearningCurve(run.best_epoch, run.curves)
            save_checkpoint(checkpoint, run.scorer, run.descent, run.best, curve, belongs)
        report(point)
    run.scorer.load_state_dict(run.best)
    return run


def _begin(lessons: Lessons, training: RowNumbers, recipe: Recipe, seed: int, vocabulary: Vocabulary | None) -> Run:
    """A run with a fresh scorer, which knows only the mean and the deviation of features."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        scorer = ChunkScorer(vocabulary and vocabulary.size, lessons.width)
        if scorer.query is not None:
            for table in (scorer.query.tokens, scorer.query.positions):
                nn.init.normal_(table.weight, std=0.3)
    mean, deviation = _moments(lessons, training)
    scorer.mean.copy_(mean)
    scorer.deviation.copy_(deviation)
    descent = torch.optim.AdamW(scorer.parameters(), lr=recipe.rate, weight_decay=recipe.weight_decay)
    return Run(scorer, descent, [], copy.deepcopy(scorer.state_dict()))


def _moments(lessons: Lessons, training: RowNumbers) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each feature over the training chunks."""
    first, second, chunks = np.zeros(lessons.width), np.zeros(lessons.width), 0
    for row in training:
        features = np.asarray(lessons.features[row], dtype=np.float64)
        first += features.sum(0)
        second += np.square(features).sum(0)
        chunks += len(features)
    mean = first / chunks
    deviation = np.sqrt(np.maximum(second / chunks - mean**2, 0.0))
    return torch.from_numpy(mean).float(), torch.from_numpy(np.maximum(deviation, 1e-3)).float()


def _epoch(
    run: Run,
    lessons: Lessons,
    training: RowNumbers,
    tokens: QuestionTokens | None,
    recipe: Recipe,
    seed: int,
    stop: Callable[[], bool],
) -> float | None:
    """One pass over the training examples in a new order; their mean loss."""
    order = np.random.default_rng((seed, run.epoch)).permutation(training)
    noise = torch.Generator().manual_seed(seed * 100_003 + run.epoch)
    steps = math.ceil(len(order) / recipe.batch)
    total = 0.0
    run.scorer.train()
    for step, rows in enumerate(_batches(order, recipe.batch)):
        if stop():
            return None
        for group in run.descent.param_groups:
            group["lr"] = recipe.rate * _schedule(run.epoch * steps + step, recipe.epochs * steps, recipe.warmup)
        scores, targets = _pass(run.scorer, lessons, rows, tokens)
        scores = scores + recipe.noise * teaching.gumbel(scores.shape, noise)
        loss = teaching.loss(scores, targets, recipe.alpha, recipe.entropy)
        run.descent.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(run.scorer.parameters(), recipe.clip_norm)
        run.descent.step()
        total += float(loss.detach()) * len(rows)
    return total / len(order)


@torch.inference_mode()
def _validate(
    scorer: ChunkScorer,
    lessons: Lessons,
    validation: RowNumbers,
    tokens: QuestionTokens | None,
    recipe: Recipe,
    epoch: int,
    train_loss: float,
) -> Epoch:
    """Without noise: the loss, and the relevance that hard selections capture."""
    scorer.train(False)
    total = 0.0
    shares: dict[str, list[float]] = {str(budget): [] for budget in SHOWN_BUDGETS}
    for rows in _batches(validation, 4 * recipe.batch):
        scores, targets = _pass(scorer, lessons, rows, tokens)
        total += float(teaching.loss(scores, targets, recipe.alpha, recipe.entropy)) * len(rows)
        for row, row_scores in zip(rows, scores.numpy(), strict=True):
            relevance = lessons.relevance[row]
            for budget in SHOWN_BUDGETS:
                share = teaching.captured(row_scores[: len(relevance)], relevance, budget)
                shares[str(budget)] += [] if share is None else [share]
    return Epoch(
        epoch, train_loss, total / len(validation), {b: float(np.mean(v)) if v else 0.0 for b, v in shares.items()}
    )


def _pass(
    scorer: ChunkScorer, lessons: Lessons, rows: RowNumbers, tokens: QuestionTokens | None
) -> tuple[Tensor, teaching.Targets]:
    """The scores of a batch (B, T), and what they should come to."""
    features, lengths = pad_features([lessons.features[row] for row in rows])
    question_tokens = (None, None) if tokens is None else pad_tokens([tokens[row] for row in rows])
    share = torch.zeros(features.shape[:2])
    membership = torch.zeros(features.shape[:2])
    for place, row in enumerate(rows):
        relevance = lessons.relevance[row]
        share[place, : len(relevance)] = torch.from_numpy(teaching.distribution(relevance))
        membership[place, : len(relevance)] = torch.from_numpy(teaching.membership(relevance))
    inside = torch.arange(features.shape[1]) < lengths.unsqueeze(1)
    return scorer(features, lengths, *question_tokens), teaching.Targets(share, membership, inside)


def _batches(rows: RowNumbers, size: int) -> Iterator[RowNumbers]:
    for first in range(0, len(rows), size):
        yield rows[first : first + size]


def _schedule(step: int, steps: int, warmup: float) -> float:
    """The learning rate of a step as a share of the highest: linear warm-up, then a cosine down to 0."""
    warm = max(1, round(warmup * steps))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))
