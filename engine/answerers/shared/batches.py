"""A forest, cut into batches: rows of similar length, within a number of tokens and of bytes.

An audio's keys and values live from its prefill to its last question: the order is such that no two batches of audio
need memory at once, so nothing is ever computed twice for lack of it. Pure: knows no torch.

    window of clips -> batches of audio, longest first -> batches of questions on that audio

A batch of audio with one question each is read in one pass, audio and question together, and keeps nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeVar

from earmark.engine.answerers.shared.forest import Forest, Piece, Tree
from earmark.engine.corpus.example import Audio

T = TypeVar("T")

WASTE = 0.15  # share of padding at which a batch that is worth running by itself is closed
WORTH = 0.25  # of the budget


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may be run and held at once."""

    tokens: int  # positions of one batch, padding included; one row is always a batch
    kv_bytes: int  # keys and values: those held for questions, and those of the batch that is running
    window_clips: int  # recordings whose subsets are sorted by length together
    generates: bool = False  # then a batch of questions keeps its keys and values while it writes


@dataclass(frozen=True, slots=True)
class PieceOnRow:
    """A question and the row of the audio batch it is about."""

    row: int
    piece: Piece


@dataclass(frozen=True, slots=True)
class AudioBatch:
    """Kept audios that are encoded together, and the batches of questions that follow."""

    trees: tuple[Tree, ...]
    pieces: tuple[tuple[PieceOnRow, ...], ...]

    @property
    def is_shared(self) -> bool:
        return self.trees[0].is_shared


def make_batches(forest: Forest, limits: Limits) -> Iterator[AudioBatch]:
    """Every tree of the forest in exactly one batch."""
    clips: dict[Audio, int] = {}
    for tree in forest.trees:
        clips.setdefault(tree.excerpt.wave.audio, len(clips))
    outside = [tree for tree in forest.trees if not tree.is_inside]
    in_order = sorted(outside, key=lambda h: clips[h.excerpt.wave.audio])  # stable: a clip's subsets together
    for _, window in groupby(in_order, key=lambda h: clips[h.excerpt.wave.audio] // limits.window_clips):
        trees = list(window)
        shared = sorted((h for h in trees if h.is_shared), key=lambda h: -_base(h))
        for group in grouped(shared, _base, lambda n, longest: _fits(forest, limits, n, longest, held=True)):
            yield AudioBatch(group, tuple(piece_batches(forest, limits, group)))
        single = sorted((h for h in trees if not h.is_shared), key=lambda h: (-h.positions, -len(h.pieces[0].tokens)))
        for group in grouped(single, _whole, lambda n, longest: _fits(forest, limits, n, longest, held=False)):
            yield AudioBatch(group, (tuple(PieceOnRow(row, h.pieces[0]) for row, h in enumerate(group)),))


def inside_batches(forest: Forest, limits: Limits) -> Iterator[tuple[Tree, ...]]:
    """The trees of which something is dropped inside the decoder: all of a few encodings together."""
    by_encoding: dict[str, list[Tree]] = {}
    for tree in forest.trees:
        if tree.is_inside:
            by_encoding.setdefault(tree.excerpt.encoded_as, []).append(tree)
    kv = forest.shape.decoder.kv_bytes

    def fits(n: int, longest: int) -> bool:
        return n * longest <= limits.tokens and 2 * n * longest * kv <= limits.kv_bytes

    for group in grouped(list(by_encoding.values()), lambda trees: trees[0].positions, fits):
        yield tuple(tree for trees in group for tree in trees)


def piece_batches(forest: Forest, limits: Limits, group: Sequence[Tree]) -> Iterator[tuple[PieceOnRow, ...]]:
    """The questions on a batch of audio; what the audio holds is not available to them."""
    longest = forest.prefix_tokens + max(_base(h) for h in group)
    kv = forest.shape.decoder.kv_bytes
    free = limits.kv_bytes - len(group) * longest * kv

    def rest(placed: PieceOnRow) -> int:
        return len(placed.piece.tokens) - group[placed.row].stem

    def fits(n: int, tokens: int) -> bool:
        return n * tokens <= limits.tokens and n * (longest + tokens) * _resident(forest, limits) <= free

    rows = [PieceOnRow(row, piece) for row, tree in enumerate(group) for piece in tree.pieces]
    yield from grouped(sorted(rows, key=lambda a: (-rest(a), a.row)), rest, fits)


def needed_bytes(forest: Forest, limits: Limits, tree: Tree) -> int:
    """Keys and values that one tree by itself takes at its worst."""
    base = forest.prefix_tokens + _base(tree)
    if not tree.is_shared:
        return (base + len(tree.pieces[0].tokens)) * _resident(forest, limits)
    longest = max(len(q.tokens) for q in tree.pieces) - tree.stem
    return base * forest.shape.decoder.kv_bytes + (base + longest) * _resident(forest, limits)


def _base(tree: Tree) -> int:
    return tree.positions + tree.stem


def _whole(tree: Tree) -> int:
    return tree.positions + len(tree.pieces[0].tokens)


def _resident(forest: Forest, limits: Limits) -> int:
    """Bytes of keys and values a position of a running batch takes: all layers where it writes, else one at a time.

    Where heads share keys, the layer that runs has them once more, a copy for each head.
    """
    decoder = forest.shape.decoder
    one_layer = decoder.kv_bytes // decoder.layers
    for_each_head = one_layer * (decoder.heads // decoder.kv_heads) if decoder.heads != decoder.kv_heads else 0
    return (decoder.kv_bytes if limits.generates else one_layer) + for_each_head


def _fits(forest: Forest, limits: Limits, rows: int, longest: int, held: bool) -> bool:
    if rows * longest > limits.tokens:
        return False
    if not held:
        return rows * (forest.prefix_tokens + longest) * _resident(forest, limits) <= limits.kv_bytes
    # half of the room is left to the questions
    return 2 * rows * (forest.prefix_tokens + longest) * forest.shape.decoder.kv_bytes <= limits.kv_bytes


def grouped(rows: Sequence[T], length: Callable[[T], int], fits: Callable[[int, int], bool]) -> Iterator[tuple[T, ...]]:
    """Consecutive rows (sorted by length), as many as fit without wasteful padding; a row always fits by itself."""
    group: list[T] = []
    longest = used = 0
    for row in rows:
        n = length(row)
        after = max(longest, n)
        padded = (len(group) + 1) * after
        wasteful = used + n < (1 - WASTE) * padded and not fits(int(len(group) / WORTH), longest)
        if group and (not fits(len(group) + 1, after) or wasteful):
            yield tuple(group)
            group, longest, used = [], 0, 0
        group.append(row)
        longest, used = max(longest, n), used + n
    if group:
        yield tuple(group)
