"""Runs a forest batch by batch: opens clips ahead, encodes, prefills, asks, and lets go of what no question needs.

Every piece of work ends in one result: an answer, or a status that says why there is none. A batch that fails is
halved until the one request that cannot be answered is alone. Knows answerers by their protocol; no torch, no files.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

from earmark.engine.answerers.answerer import LostError
from earmark.engine.answerers.request import Result
from earmark.engine.answerers.shared.attempts import Attempts, one_line
from earmark.engine.answerers.shared.audio_lm import AudioLM, EncodedPart, Held, Reply
from earmark.engine.answerers.shared.batches import (
    AudioBatch,
    Limits,
    PieceOnRow,
    grouped,
    inside_batches,
    make_batches,
    needed_bytes,
    piece_batches,
)
from earmark.engine.answerers.shared.encodings import Encodings
from earmark.engine.answerers.shared.forest import Forest, Piece, Tree, work_key
from earmark.engine.answerers.shared.inside_reader import InsideReader
from earmark.engine.answerers.shared.memory import Store
from earmark.engine.answerers.shared.spoken import spoken_letter
from earmark.engine.arrays import Waveform
from earmark.engine.compressors.compressor import samples_at
from earmark.engine.compressors.tokens.reducing import reduction_of
from earmark.engine.corpus.clip import clip
from earmark.engine.corpus.example import SAMPLE_RATE, Audio, AudioError

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class AnswerOptions:
    """How to answer. The defaults suit the embedded answerer on a CPU."""

    generate: int = 0  # greedy tokens to write; 0: the best letter of the logits
    split: bool = False  # a clip beyond the window is heard as several audios; otherwise it is refused
    batch_tokens: int = 8192
    kv_bytes: int = 512 * MIB
    clip_bytes: int = 512 * MIB  # opened clips
    window_clips: int = 64
    ahead: int = 8  # clips decoded before their turn
    planned_at_once: int = 20_000  # requests: what is planned before the first answer; work is merged across plans too
    reuse: bool = True  # False: the slow twin, one request at a time through the plain model


class Scheduler:
    """One forest, being answered."""

    def __init__(
        self, answerer: AudioLM, forest: Forest, options: AnswerOptions, encodings: Encodings | None = None
    ) -> None:
        self.forest = forest
        self.options = options
        self.limits = Limits(options.batch_tokens, options.kv_bytes, options.window_clips, options.generate > 0)
        self.clips: Store[Any] = Store(options.clip_bytes)
        self.kv_bytes = 0  # keys and values held for questions to come
        self._answerer = answerer
        self._encodings = encodings  # None: an encoding serves its batch alone
        self._attempts = Attempts()

    def steps(self) -> Iterator[list[Result]]:
        """The results of one batch after the other, each result once."""
        if self.forest.refused:
            yield [result for result, _ in self.forest.refused]
        batches = list(make_batches(self.forest, self.limits))
        batches += [AudioBatch(trees, ()) for trees in inside_batches(self.forest, self.limits)]
        uses: dict[Audio, list[int]] = {}
        for index, batch in enumerate(batches):
            for tree in batch.trees:
                uses.setdefault(tree.excerpt.wave.audio, []).append(index)
        with _Loader(list(uses), self.options.ahead) as loader:
            for index, batch in enumerate(batches):
                yield from self._batch(index, batch, uses, loader)
                self.kv_bytes = 0

    def _batch(
        self, index: int, batch: AudioBatch, uses: dict[Audio, list[int]], loader: "_Loader"
    ) -> Iterator[list[Result]]:
        kept = self._kept([tree.excerpt.encoded_as for tree in batch.trees])
        opened: dict[Audio, Held | str] = {}
        for tree in batch.trees:
            audio = tree.excerpt.wave.audio
            if audio not in opened and tree.excerpt.encoded_as not in kept:
                later = [use for use in uses[audio] if use > index]
                uses[audio] = later
                opened[audio] = self._open(audio, later[0] if later else None, loader)
        able: list[tuple[Tree, Any]] = []
        failed: list[Result] = []
        for tree in batch.trees:
            held = kept.get(tree.excerpt.encoded_as) or opened[tree.excerpt.wave.audio]
            why = held if isinstance(held, str) else self._over_budget(tree)
            if why is None:
                able.append((tree, held))
            else:
                failed += [self.forest.result(tree, piece, status=why) for piece in tree.pieces]
        if failed:
            yield failed
        del opened, kept
        if able and able[0][0].is_inside:
            yield from self._hear_inside(able)
        elif able:
            yield from self._hear(able, batch.pieces if len(able) == len(batch.trees) else None)

    def _open(self, audio: Audio, next_use: int | None, loader: "_Loader") -> Held | str:
        """An opened clip, or why it cannot be heard."""
        held = self.clips.take(audio, next_use)
        if held is None:
            try:
                held = self._answerer.open(clip(loader.waveform(audio)))
            except AudioError as error:
                return f"audio: {one_line(error)}"
            except LostError:
                raise
            except Exception as error:  # a reader's or an extractor's bug is that recording's, not the run's
                return f"audio: {type(error).__name__}: {one_line(error)}"
            self.clips.keep(audio, held, next_use)
        return held

    def _over_budget(self, tree: Tree) -> str | None:
        needed = needed_bytes(self.forest, self.limits, tree)
        if needed > self.limits.kv_bytes:
            return f"out of memory: needs {needed} bytes of keys and values, the budget is {self.limits.kv_bytes}"
        return None

    # One batch of audio ----------------------------------------------------------------------------------------

    def _hear(
        self, opened: Sequence[tuple[Tree, Any]], pieces: Sequence[Sequence[PieceOnRow]] | None
    ) -> Iterator[list[Result]]:
        """Encode and prefill, then ask; halve on failure."""
        trees = [tree for tree, _ in opened]
        shared = trees[0].is_shared
        context = self._attempts.tried(lambda: self._context(opened), alone=len(opened) == 1)
        if isinstance(context, str):
            if len(opened) > 1:
                half = len(opened) // 2
                yield from self._hear(opened[:half], None)
                yield from self._hear(opened[half:], None)
            else:
                yield [self.forest.result(trees[0], piece, status=context) for piece in trees[0].pieces]
            return
        if shared:
            self.kv_bytes = context.nbytes
        if pieces is None:
            pieces = (
                tuple(piece_batches(self.forest, self.limits, trees))
                if shared
                else [[PieceOnRow(row, h.pieces[0]) for row, h in enumerate(trees)]]
            )
        for rows in pieces:
            yield from self._ask(context, trees, rows)
        self.kv_bytes = 0

    def _hear_inside(self, opened: Sequence[tuple[Tree, Any]]) -> Iterator[list[Result]]:
        """Encode, then ask what drops something inside the decoder; halve on failure."""
        trees = [tree for tree, _ in opened]
        whole = self._attempts.tried(lambda: self._whole(opened), alone=len(opened) == 1)
        if not isinstance(whole, str):
            reader = InsideReader(
                self._answerer, self.forest, self.limits, whole, self._encodings, self.options.generate
            )
            yield from self._ask_inside(reader, [(tree, piece) for tree in trees for piece in tree.pieces])
        elif len(opened) > 1:
            half = len(opened) // 2
            yield from self._hear_inside(opened[:half])
            yield from self._hear_inside(opened[half:])
        else:
            yield [self.forest.result(trees[0], piece, status=whole) for piece in trees[0].pieces]

    def _ask_inside(self, reader: InsideReader, rows: Sequence[tuple[Tree, Piece]]) -> Iterator[list[Result]]:
        """Pieces of which something is dropped inside; halve on failure."""
        replies = self._attempts.tried(lambda: reader.replies(rows), alone=len(rows) == 1)
        if not isinstance(replies, str):
            yield [result_of(self.forest, *row, reply) for row, reply in zip(rows, replies, strict=True)]
        elif len(rows) > 1:
            half = len(rows) // 2
            yield from self._ask_inside(reader, rows[:half])
            yield from self._ask_inside(reader, rows[half:])
        else:
            yield [self.forest.result(*rows[0], status=replies)]

    def _context(self, opened: Sequence[tuple[Tree, Any]]) -> Any:
        encoded = self._encoded(opened)
        if not opened[0][0].is_shared:
            return encoded
        return self._answerer.prefill(encoded, [h.pieces[0].tokens[: h.stem] for h, _ in opened])

    def _encoded(self, opened: Sequence[tuple[Tree, Any]]) -> Any:
        """What is heard of these, a row each."""
        if self._encodings is None and all(tree.excerpt.reduction is None for tree, _ in opened):
            return self._answerer.encode([held for _, held in opened], [tree.excerpt.wave.places for tree, _ in opened])
        whole = self._whole(opened)
        return self._answerer.gathered(
            [part_of(self._answerer, tree, *whole[tree.excerpt.encoded_as]) for tree, _ in opened]
        )

    def _whole(self, opened: Sequence[tuple[Tree, Any]]) -> dict[str, tuple[Any, int]]:
        """All that the encoder makes of these, and in which row: what was kept is not made again."""
        rows: dict[str, tuple[Any, int]] = {}
        missing: dict[str, tuple[Tree, Any]] = {}
        for tree, held in opened:
            if isinstance(held, _EncodedBefore):
                rows[tree.excerpt.encoded_as] = held.encoded, 0
            else:
                missing[tree.excerpt.encoded_as] = tree, held
        for names in self._portions(missing):
            these = [missing[name] for name in names]
            encoded = self._answerer.encode(
                [held for _, held in these], [tree.excerpt.wave.places for tree, _ in these]
            )
            rows |= {name: (encoded, row) for row, name in enumerate(names)}
            if self._encodings is not None:
                for row, name in enumerate(names):
                    self._encodings.put(self._key(name), self._answerer.raw_states(encoded, row))
        return rows

    def _kept(self, names: Sequence[str]) -> dict[str, "_EncodedBefore"]:
        """Encodings that were made before, by what they are of: their clips need not be opened."""
        if self._encodings is None:
            return {}
        decoder = self.forest.shape.decoder
        kept: dict[str, _EncodedBefore] = {}
        for name in dict.fromkeys(names):
            raw = self._encodings.get(self._key(name), decoder.width * decoder.element_bytes)
            if raw is not None:
                kept[name] = _EncodedBefore(self._answerer.encoded_of(raw))
        return kept

    def _portions(self, missing: Mapping[str, tuple[Tree, Any]]) -> Iterator[tuple[str, ...]]:
        """What is encoded at once: whole encodings are larger than what is heard of them."""
        sizes = {name: self.forest.shape.positions(tree.excerpt.wave.n_samples) for name, (tree, _) in missing.items()}
        in_order = sorted(missing, key=lambda name: -sizes[name])
        yield from grouped(in_order, sizes.__getitem__, lambda n, longest: n * longest <= self.limits.tokens)

    def _key(self, name: str) -> str:
        return work_key(self._answerer.identity, name)

    def _ask(self, context: Any, trees: Sequence[Tree], rows: Sequence[PieceOnRow]) -> Iterator[list[Result]]:
        """Questions on a context; halve on failure."""
        replies = self._attempts.tried(lambda: self._replies(context, trees, rows), alone=len(rows) == 1)
        if not isinstance(replies, str):
            yield [
                result_of(self.forest, trees[row.row], row.piece, reply)
                for row, reply in zip(rows, replies, strict=True)
            ]
        elif len(rows) > 1:
            half = len(rows) // 2
            yield from self._ask(context, trees, rows[:half])
            yield from self._ask(context, trees, rows[half:])
        else:
            yield [self.forest.result(trees[rows[0].row], rows[0].piece, status=replies)]

    def _replies(self, context: Any, trees: Sequence[Tree], rows: Sequence[PieceOnRow]) -> list[Reply]:
        places = [row.row for row in rows]
        rests = [row.piece.tokens[trees[row.row].stem :] for row in rows]
        options = [row.piece.options for row in rows]
        if self.options.generate:
            return self._answerer.generate(context, places, rests, options, self.options.generate)
        return self._answerer.score(context, places, rests, options)


class _EncodedBefore(NamedTuple):
    """An encoding that was made before, in the place of a clip that would be opened to make it."""

    encoded: Any


def part_of(answerer: AudioLM, tree: Tree, encoded: Any, row: int) -> EncodedPart:
    """What is heard of a row of an encoding."""
    spec, wave = tree.excerpt.reduction, tree.excerpt.wave
    if spec is None:
        return EncodedPart(encoded, row, None, False)
    seconds = wave.n_samples / SAMPLE_RATE
    reduction = reduction_of(spec, answerer.states(encoded, row), seconds, tree.excerpt.encoded_as)
    return EncodedPart(encoded, row, reduction, spec.sized)


def result_of(forest: Forest, tree: Tree, piece: Piece, reply: Reply) -> Result:
    """What a reply says, as a result of a piece."""
    spoken = spoken_letter(reply, forest.requests[piece.requests[0]].question.choices)
    return forest.result(tree, piece, spoken.label, spoken.option_nll, reply.text, spoken.status)


def answer_alone(answerer: AudioLM, forest: Forest, options: AnswerOptions) -> Iterator[list[Result]]:
    """The slow twin of a scheduler: every piece of work by itself through the plain model."""
    if forest.refused:
        yield [result for result, _ in forest.refused]
    for tree in forest.trees:
        whole = clip(tree.excerpt.wave.audio.waveform())
        kept = samples_at(whole, tree.excerpt.wave.places)
        for piece in tree.pieces:
            if tree.excerpt.reduction is None:
                reply = answerer.alone(kept, answerer.template.prefix, piece.text, piece.options, options.generate)
            else:
                reply = _reduced_alone(answerer, forest, tree, piece, whole, options)
            yield [result_of(forest, tree, piece, reply)]


def _reduced_alone(
    answerer: AudioLM, forest: Forest, tree: Tree, piece: Piece, whole: Waveform, options: AnswerOptions
) -> Reply:
    """One request by itself: the plain model reads no reduced encoding, so nothing but the sharing is left out."""
    encoded = answerer.encode([answerer.open(whole)], [tree.excerpt.wave.places])
    if tree.is_inside:
        limits = Limits(options.batch_tokens, options.kv_bytes, options.window_clips, options.generate > 0)
        reader = InsideReader(answerer, forest, limits, {tree.excerpt.encoded_as: (encoded, 0)}, None, options.generate)
        return reader.replies([(tree, piece)])[0]
    context = answerer.gathered([part_of(answerer, tree, encoded, 0)])
    if options.generate:
        return answerer.generate(context, [0], [piece.tokens], [piece.options], options.generate)[0]
    return answerer.score(context, [0], [piece.tokens], [piece.options])[0]


class _Loader:
    """Decodes recordings ahead of their turn, a few at a time, in one thread."""

    def __init__(self, order: Sequence[Audio], ahead: int) -> None:
        self._order = iter(order)
        self._ahead = ahead
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="decode") if ahead else None
        self._pending: dict[Audio, Future[Waveform]] = {}

    def __enter__(self) -> "_Loader":
        self._fill()
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def waveform(self, audio: Audio) -> Waveform:
        """Raises what opening it raised."""
        future = self._pending.pop(audio, None)
        self._fill()
        return audio.waveform() if future is None else future.result()

    def _fill(self) -> None:
        while self._pool is not None and len(self._pending) < self._ahead:
            audio = next(self._order, None)
            if audio is None:
                return
            self._pending[audio] = self._pool.submit(audio.waveform)
