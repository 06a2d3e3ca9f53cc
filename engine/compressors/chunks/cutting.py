"""From scores and a budget to the seconds that are left of a clip, in the order of time.

The one place that knows how many chunks a budget keeps, and which of equal scores wins. Knows NumPy arrays only.
"""

from fractions import Fraction

import numpy as np

from earmark.engine.arrays import IntArray, Scores


def kept_chunks(budget: float, chunks: int) -> int:
    """k = max(1, floor(budget x chunks)), in exact decimals: .29 of 100 chunks is 29."""
    if not 0 < budget <= 1:
        raise ValueError(f"budget {budget} is not in (0, 1]")
    if chunks < 1:
        raise ValueError(f"{chunks} chunks: a clip has at least one")
    return max(1, int(Fraction(repr(float(budget))) * chunks))


def top_chunks(scores: Scores, k: int, tie: float = 0.0) -> IntArray:
    """The k chunks (rising) with the highest scores (T,); among equals the earlier.

    Scores that follow one another in size by no more than `tie` are equal. A grid would not do: it parts two scores
    that differ by a rounding error wherever an edge happens to lie between them.
    """
    if not np.isfinite(scores).all():
        raise ValueError("scores are not finite")
    falling = -np.asarray(scores, dtype=np.float64)
    order = np.argsort(falling, kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.cumsum(np.diff(falling[order], prepend=falling[order[:1]]) > tie)
    return np.sort(np.argsort(rank, kind="stable")[:k]).astype(np.int64)
