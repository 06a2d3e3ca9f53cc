"""The one order in which rows are looked at: by a hash of their recording's name, then of their own.

Bets take recordings one after another, and one row of a recording stands for it: both must be fixed before any outcome
is known, by something that nobody can choose. A constant of the method, neither a seed nor the names' own order, which
begins with data sets and dates. Knows names only.
"""

import hashlib
from collections.abc import Sequence

import numpy as np

from earmark.engine.arrays import IntArray

_PREFIX = "earmark order 1|"  # method 9.1; another number is another method


def places(recordings: Sequence[str], samples: Sequence[str]) -> IntArray:
    """(n,) the place of each row in the order; the rows of a recording follow one another."""
    marks = {name: _mark(name) for name in {*recordings}}
    keys = [(marks[recording], _mark(sample)) for recording, sample in zip(recordings, samples, strict=True)]
    place = np.empty(len(keys), dtype=np.int64)
    place[sorted(range(len(keys)), key=keys.__getitem__)] = np.arange(len(keys))
    return place


def _mark(name: str) -> bytes:
    return hashlib.sha256((_PREFIX + name).encode()).digest()
