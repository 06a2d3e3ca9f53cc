"""A corpus cut into blocks: so many recordings in a row, whole sources of them, with everything asked about them.

A block is what is answered in one go, what a kill costs at most, and what shards share out. Opens no recording.
"""

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice
from typing import NamedTuple

from earmark.engine.corpus.corpus import Corpus
from earmark.engine.corpus.example import Audio, Example


class Block(NamedTuple):
    """Examples about the recordings of a few sources, in the order of the corpus."""

    number: int
    first: int  # place of its first example in the corpus
    examples: tuple[Example, ...]


class Survey(NamedTuple):
    """What is learnt of a corpus by one look at its tables."""

    examples: int
    recordings: int
    sizes: tuple[int, ...]  # examples of each block
    sha256: str  # of every id, question, option and right answer

    @property
    def blocks(self) -> int:
        return len(self.sizes)


@dataclass(frozen=True, slots=True, order=True)
class Shard:
    """Which blocks are ours."""

    index: int  # from 0
    count: int

    def has(self, block: int) -> bool:
        return block % self.count == self.index

    def __str__(self) -> str:
        return f"{self.index + 1}/{self.count}"

    def meets(self, other: "Shard") -> bool:
        """Whether there may be a block that both have."""
        return (self.index - other.index) % math.gcd(self.count, other.count) == 0


WHOLE = Shard(0, 1)


def in_order(corpus: Corpus) -> Iterator[Example]:
    """One source's recordings together, and one recording's questions, wherever the table has them.

    A corpus without an end that can be held is read as it comes.
    """
    examples = corpus.examples
    if not isinstance(examples, Sequence):
        yield from examples
        return
    of_source: dict[str, int] = {}
    of_audio: dict[Audio, int] = {}
    for example in examples:
        of_source.setdefault(example.source_id, len(of_source))
        of_audio.setdefault(example.audio, len(of_audio))
    yield from sorted(examples, key=lambda example: (of_source[example.source_id], of_audio[example.audio]))


def blocks(corpus: Corpus, size: int) -> Iterator[Block]:
    """The corpus, at most `size` recordings at a time, unless one source has more."""
    held: list[Example] = []
    number = first = recordings = 0
    for _, group in groupby(in_order(corpus), key=lambda example: example.source_id):
        source = list(group)
        more = _recordings(source)
        if held and recordings + more > size:
            yield Block(number, first, tuple(held))
            number, first, recordings = number + 1, first + len(held), 0
            held = []
        held += source
        recordings += more
    if held:
        yield Block(number, first, tuple(held))


class BlocksInTurn:
    """The blocks of a corpus by their numbers, for who asks for one after the other, leaving some out."""

    def __init__(self, corpus: Corpus, size: int) -> None:
        self._corpus, self._size = corpus, size
        self._blocks: Iterator[Block] = iter(())
        self._next = -1  # the number that comes next; -1: nobody has asked yet

    def block(self, number: int) -> Block:
        """The block with this number; the corpus is read anew where that came before."""
        if not 0 <= self._next <= number:
            self._blocks, self._next = blocks(self._corpus, self._size), 0
        block = next(islice(self._blocks, number - self._next, None))
        self._next = number + 1
        return block


def first_recordings(corpus: Corpus, n_recordings: int) -> Corpus:
    """The corpus of the first so many recordings; its blocks are the corpus's, but for the last one."""
    return replace(corpus, examples=_FirstExamples(corpus, n_recordings))


@dataclass(frozen=True, slots=True)
class _FirstExamples:
    """Examples in the order of blocks, read anew each time, until there are recordings enough."""

    corpus: Corpus
    n_recordings: int

    def __iter__(self) -> Iterator[Example]:
        by_audio = groupby(in_order(self.corpus), key=lambda example: example.audio)
        for _, about_one in islice(by_audio, self.n_recordings):
            yield from about_one


def _recordings(examples: Sequence[Example]) -> int:
    return sum(1 for _ in groupby(examples, key=lambda example: example.audio))


def survey(corpus: Corpus, size: int) -> Survey:
    """Count a corpus and take its fingerprint."""
    digest = hashlib.sha256()
    recordings = 0
    sizes = []
    for block in blocks(corpus, size):
        sizes.append(len(block.examples))
        recordings += _recordings(block.examples)
        for example in block.examples:
            content = [example.sample_id, example.source_id, *example.question]
            digest.update(json.dumps(content, ensure_ascii=False).encode())
    return Survey(sum(sizes), recordings, tuple(sizes), digest.hexdigest())
