"""Which question an example gets in which stream: its own, or under a fixed permutation another example's.

A permutation is one random cycle, so that no question stays where it was (but in a family of one). It depends on the
seed, the regime and its number alone: a permuted and a naive stream of one number exchange the same questions.
"""

import hashlib
from collections.abc import Sequence

import numpy as np

from earmark.engine.arrays import IntArray
from earmark.engine.corpus.example import Question
from earmark.engine.design.keys import ANCHOR, is_naive, stream_of


class Streams:
    """The questions of a corpus, and who gets which."""

    def __init__(self, questions: Sequence[Question], families: Sequence[str], seed: int) -> None:
        self._questions = questions
        self._families = families
        self._seed = seed
        self._giver: dict[str, IntArray] = {}

    def selectors(self, stream: str, number: int, own: Question) -> Question:
        """What the selector is shown for example `number`."""
        return own if stream == ANCHOR else self._questions[self._givers(stream)[number]]

    def answerers(self, stream: str, number: int, own: Question) -> Question:
        """What the answerer is asked."""
        return self.selectors(stream, number, own) if is_naive(stream) else own

    def _givers(self, stream: str) -> IntArray:
        if stream not in self._giver:
            permuted = stream_of(stream)
            assert permuted is not None, "the anchor permutes nothing"
            families = self._families if permuted.regime == "family" else None
            name = f"{self._seed}/{permuted.regime}/{permuted.number}"
            self._giver[stream] = cycle(len(self._questions), families, name)
        return self._giver[stream]


def cycle(n: int, families: Sequence[str] | None, name: str) -> IntArray:
    """For each of n examples the one whose question it gets, within its family where families are given."""
    digest = hashlib.blake2b(name.encode(), digest_size=16).digest()
    rng = np.random.default_rng(int.from_bytes(digest, "little"))
    giver = np.arange(n, dtype=np.int64)
    labels = np.zeros(n, dtype=np.int64) if families is None else np.unique(families, return_inverse=True)[1]
    for family in range(int(labels.max(initial=-1)) + 1):
        order = rng.permutation(np.flatnonzero(labels == family))
        giver[order] = np.roll(order, -1)
    return giver
