"""The one order in which rows are looked at: by a hash of their recording's name, then of their own.

Bets take recordings one after another, and one row of a recording stands for it: both must be fixed before any outcome
is known, by something that nobody can choose. A constant of the method, neither a seed nor the names' own order, which
begins with data sets and dates. Knows names only.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from earmark.engine.arrays import IntArray

_PREFIX = "earmark order 1|"  # method 9.1; another number is another method


def places(recordings: Sequence[str], samples: Sequence[str]) -> IntArray:
    """(n,) the place of each row in the order; the rows of a recording follow one another."""
    place = np.empty(len(samples), dtype=np.int64)
    words = np.concatenate([_marks(recordings), _marks(samples)], axis=1)
    place[np.lexsort(words.T[::-1])] = np.arange(len(samples))  # lexsort takes the word that decides first as the last
    return place


def _marks(names: Sequence[str]) -> npt.NDArray[np.uint64]:
    """(n, 4) the hash of each name as four words, which are ordered as its bytes are."""
    digests = bytearray()
    for name in names:
        digests += hashlib.sha256((_PREFIX + name).encode()).digest()
    return np.frombuffer(digests, dtype=">u8").reshape(-1, 4).astype(np.uint64)
