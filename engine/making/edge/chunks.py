"""How many one-second chunks a budget keeps, and which: the rules of Earmark, told again for a device without it."""

from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

SAMPLE_RATE = CHUNK_SAMPLES = 16_000  # a chunk is one second
MOST_CHUNKS = 120  # a longer recording is cut

ChunkNumbers = npt.NDArray[np.int64]


def kept_chunks(budget: float, chunks: int) -> int:
    """k = max(1, floor(budget x chunks)), in exact decimals: .29 of 100 chunks is 29."""
    return max(1, int(Fraction(repr(float(budget))) * chunks))


def top_chunks(scores: npt.NDArray[Any], k: int, tie: float) -> ChunkNumbers:
    """The k chunks (rising) with the highest scores (T,); among equals the earlier.

    Scores that follow one another in size by no more than `tie` are equal.
    """
    falling = -scores.astype(np.float64)
    order = np.argsort(falling, kind="stable")
    rank = np.empty(len(order), np.int64)
    rank[order] = np.cumsum(np.diff(falling[order], prepend=falling[order[:1]]) > tie)
    return np.sort(np.argsort(rank, kind="stable")[:k]).astype(np.int64)
