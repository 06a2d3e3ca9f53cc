"""What a selector does with the question, before any answer: audits of the selector itself (method 10).

Two of them: how much of the kept set stays when the selector is shown another question (with the random floor for the
same clip lengths and budgets), and how much of the variance of its scores is a matter of question and chunk together.
Knows kept chunks and a table of scores; no answers.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from math import comb
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from earmark.engine.arrays import FloatArray, IntArray
from earmark.engine.design.keys import ANCHOR, stream_of
from earmark.engine.signoff.audit_entry import FamilyKept, KeptChunks
from earmark.engine.signoff.families import Families
from earmark.engine.signoff.pair import Curve

_MOST_CHUNKS = 1 << 16


# Kept chunks under another question ----------------------------------------------------------------------------


def overlaps(curves: Sequence[Curve], families_of: Mapping[str, Families]) -> list[KeptChunks]:
    """Mean Jaccard index of what is kept under the true and under a permuted question, family by family.

    One entry per answerer, corpus, method, seed, regime (global or family), partition and budget below 1; pooled over
    the permutations of a regime. Nothing where the kept chunks were not written down.
    """
    anchors = {curve.key: curve for curve in curves if curve.key.stream == ANCHOR}
    pooled: dict[tuple[Any, ...], list[FloatArray]] = defaultdict(list)
    floors: dict[tuple[Any, ...], FloatArray] = {}
    for curve in curves:
        stream = stream_of(curve.key.stream)
        anchor = anchors.get(curve.key._replace(stream=ANCHOR))
        if stream is None or stream.is_naive or anchor is None:
            continue
        budgets = anchor.budgets.tolist()
        for b, budget in enumerate(curve.budgets.tolist()):
            if budget == 1.0 or budget not in budgets:
                continue
            ours, theirs = curve.kept_chunks[b], anchor.kept_chunks[budgets.index(budget)]
            if ours is None or theirs is None:
                continue
            pool = (curve.key._replace(stream=stream.regime), budget)
            pooled[pool].append(jaccard(ours, theirs))
            if pool not in floors and anchor.chunks is not None:
                floors[pool] = _floors(anchor.chunks, _lengths(theirs))
    members_of = {partition: families.members for partition, families in families_of.items()}
    return [
        KeptChunks(
            answerer=key.answerer,
            corpus=key.corpus,
            method=key.method,
            seed=key.seed,
            regime=key.stream,
            partition=partition,
            budget=budget,
            permutations=len(per_row),
            jaccard=_mean(np.concatenate(per_row)),
            random=_mean(floors.get((key, budget))),
            families=tuple(
                FamilyKept(
                    name,
                    int(families.size[f]),
                    _mean(np.concatenate([rows[members_of[partition][f]] for rows in per_row])),
                    _mean(floors.get((key, budget)), members_of[partition][f]),
                )
                for f, name in enumerate(families.names)
            ),
        )
        for (key, budget), per_row in pooled.items()
        for partition, families in families_of.items()
    ]


def jaccard(ours: pa.Array, theirs: pa.Array) -> FloatArray:
    """(n,) intersection over union of two lists of chunks per row; NaN where either is empty or unknown."""
    a, b = _members(ours), _members(theirs)
    both = np.bincount(np.intersect1d(a, b, assume_unique=True) // _MOST_CHUNKS, minlength=len(ours))
    union = _lengths(ours) + _lengths(theirs) - both
    known = (_lengths(ours) > 0) & (_lengths(theirs) > 0)
    return np.where(known, both / np.maximum(union, 1), np.nan)


@cache
def random_jaccard(chunks: int, kept: int) -> float:
    """Mean Jaccard index of two independent random sets of `kept` of `chunks` chunks (exact, not simulated)."""
    ways = comb(chunks, kept)
    return sum(
        comb(kept, both) * comb(chunks - kept, kept - both) / ways * both / (2 * kept - both)
        for both in range(max(1, 2 * kept - chunks), kept + 1)
    )


def _members(lists: pa.Array) -> IntArray:
    """One number for each kept chunk of each row, unique over rows, so that sets of rows intersect at once."""
    rows = np.repeat(np.arange(len(lists), dtype=np.int64), _lengths(lists))
    members: IntArray = rows * _MOST_CHUNKS + lists.flatten().to_numpy().astype(np.int64)
    return members


def _lengths(lists: pa.Array) -> IntArray:
    return np.asarray(lists.value_lengths().fill_null(0).to_numpy(zero_copy_only=False), dtype=np.int64)


def _floors(chunks: IntArray, kept: IntArray) -> FloatArray:
    """(n,) the random Jaccard index of each row, by its numbers of chunks; NaN where one is unknown."""
    sizes = zip(chunks.tolist(), kept.tolist(), strict=True)
    return np.array([random_jaccard(t, k) if 0 < k <= t else np.nan for t, k in sizes])


def _mean(values: FloatArray | None, rows: IntArray | None = None) -> float:
    """Mean of the values that are not NaN, in `rows` only; NaN where there are none."""
    if values is None:
        return float("nan")
    chosen = values if rows is None else values[rows]
    known = chosen[~np.isnan(chosen)]
    return float(known.mean()) if len(known) else float("nan")


# Scores of every recording under every question ----------------------------------------------------------------


class ScoreShares(NamedTuple):
    """Shares of the sum of squares of the scores within recordings; they add up to 1, all NaN if nothing varies."""

    chunk: float  # some chunks are better under every question
    question: float  # some questions raise all chunks alike, which changes no ranking
    interaction: float  # the question changes which chunks are better


def shares(scores: Iterable[FloatArray]) -> ScoreShares:
    """Two-way analysis of variance of scores (questions, chunks), one table per recording, summed over recordings."""
    sums = np.zeros(3)
    for table in scores:
        questions, chunks = table.shape
        centred = table - table.mean()
        by_chunk, by_question = centred.mean(axis=0), centred.mean(axis=1)
        rest = centred - by_chunk[None, :] - by_question[:, None]
        sums += [questions * (by_chunk**2).sum(), chunks * (by_question**2).sum(), (rest**2).sum()]
    total = sums.sum()
    return ScoreShares(*(sums / total).tolist()) if total > 0 else ScoreShares(*[float("nan")] * 3)
