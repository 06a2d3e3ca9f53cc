"""Both selectors hear a corpus: the scores of either, and the chunks that each keeps at every budget.

Holds scores and chunks, and a few clips for whoever times the model; asks no answerer and judges nothing.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

import numpy as np

from earmark.engine.arrays import IntArray, Scores
from earmark.engine.compressors.chunks.cutting import kept_chunks
from earmark.engine.compressors.chunks.graph_file import GraphError
from earmark.engine.compressors.chunks.graph_selector import OnnxSelector
from earmark.engine.compressors.chunks.selector import Selector, SelectorInput
from earmark.engine.compressors.compressor import Excerpt
from earmark.engine.corpus import stream
from earmark.engine.corpus.corpus import Corpus
from earmark.engine.corpus.example import Example
from earmark.engine.errors import InputError
from earmark.engine.progress import Report, Stop, StoppedError, never, silent

CLIPS_AT_ONCE = 64


class BothKept(NamedTuple):
    """What the original and the model do with one clip at one budget."""

    original: IntArray  # chunks, rising
    model: IntArray
    tied: tuple[bool, bool]  # whether the place in time had to decide which chunk is the last kept one

    @property
    def same(self) -> bool:
        return np.array_equal(self.original, self.model)


@dataclass(frozen=True, slots=True)
class ScoredPair:
    """One question, as both selectors scored it."""

    example: Example
    family: str
    original: Scores  # scores (T,)
    model: Scores
    kept: tuple[BothKept, ...]  # by budget
    excerpts: Mapping[int, tuple[Excerpt, Excerpt]]  # by place of the budget, where they keep different chunks


@dataclass(slots=True)
class Comparison:
    """A corpus as both selectors heard it."""

    budgets: tuple[float, ...]  # rising
    pairs: list[ScoredPair] = field(default_factory=list)
    unheard: int = 0  # questions whose recording cannot be read
    timed: list[SelectorInput] = field(default_factory=list)  # a draw that depends on nothing but its size


def hear(
    corpus: Corpus,
    families: Sequence[str],
    original: Selector,
    model: OnnxSelector,
    budgets: Sequence[float],
    timed: int,
    workers: int | None = 0,
    report: Report = silent,
    stop: Stop = never,
) -> Comparison:
    """Score every question of the corpus (of `families`, in its order) with both.

    Raises GraphError where the model cannot score, InputError where the original cannot or nothing can be heard, and
    StoppedError.
    """
    comparison = Comparison(tuple(sorted(budgets)))
    draw = random.Random(0)
    for batch in _batches(zip(stream.stream(corpus.examples, workers=workers), families, strict=True)):
        heard = [(example, audio, family) for (example, audio, _), family in batch if audio is not None]
        comparison.unheard += len(batch) - len(heard)
        clips = [SelectorInput(example.sample_id, audio, example.question.text) for example, audio, _ in heard]
        ours, theirs = _reference(original, clips), model.scores(clips)
        for (example, _, family), clip, scores, other in zip(heard, clips, ours, theirs, strict=True):
            _check_finite(scores, clip)
            kept = tuple(_both(original, model, scores, other, budget) for budget in comparison.budgets)
            differing = {
                b: (
                    Excerpt.of(example.audio, clip.audio, both.original),
                    Excerpt.of(example.audio, clip.audio, both.model),
                )
                for b, both in enumerate(kept)
                if not both.same
            }
            comparison.pairs.append(ScoredPair(example, family, scores, other, kept, differing))
            _maybe_time(comparison.timed, clip, len(comparison.pairs), timed, draw)
        report("questions scored", len(comparison.pairs) + comparison.unheard, len(families))
        if stop():
            raise StoppedError
    if not comparison.pairs:
        raise InputError(corpus.name, "has no recording that can be heard", "see `earmark corpus`")
    return comparison


def _batches(rows: Iterator[tuple[stream.Clip, str]]) -> Iterator[list[tuple[stream.Clip, str]]]:
    while batch := list(islice(rows, CLIPS_AT_ONCE)):
        yield batch


def _reference(original: Selector, clips: Sequence[SelectorInput]) -> list[Scores]:
    try:
        return original.scores(clips)
    except GraphError as error:  # of an original that is a graph: no finding about the model
        raise InputError("the original", f"cannot score ({error})", "check against a sound selector") from None


def _check_finite(original: Scores, clip: SelectorInput) -> None:
    if not np.isfinite(original).all():
        what = "has scores of the original that are not finite"
        raise InputError(f"sample {clip.sample_id}", what, "check against a sound selector")


def _both(original: Selector, model: Selector, scores: Scores, other: Scores, budget: float) -> BothKept:
    k = kept_chunks(budget, len(scores))
    tied = is_tied(scores, k, original.tie), is_tied(other, k, model.tie)
    return BothKept(original.keep(scores, k), model.keep(other, k), tied)


def is_tied(scores: Scores, k: int, tie: float) -> bool:
    """Whether the k-th best score and the next are of one rank."""
    falling = -np.sort(-np.asarray(scores, dtype=np.float64))
    return k < len(falling) and bool(falling[k - 1] - falling[k] <= tie)


def _maybe_time(timed: list[SelectorInput], clip: SelectorInput, seen: int, most: int, draw: random.Random) -> None:
    """Every clip seen so far is equally likely to be among those timed."""
    if len(timed) < most:
        timed.append(clip)
    elif (place := draw.randrange(seen)) < most:
        timed[place] = clip
