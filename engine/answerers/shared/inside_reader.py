"""Answers about audio of which something is dropped inside the decoder: after one of its layers, or in its cache.

What comes before the drop is computed once for all budgets and methods: the layers below for each audio and question,
keys and values for each audio. It is kept while a batch is answered, and beside the encodings if these are kept.

    layers: audio and question -> layers below -> who is attended to -> what goes on -> layers above
    cache:  audio and what follows at once -> keys and values -> who is attended to -> what stays -> question

Knows models by their protocol; no torch, no clips.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from earmark.engine.answerers.shared.audio_lm import AudioLM, EncodedPart, EvictedPart, PrunedPart, Reply
from earmark.engine.answerers.shared.batches import Limits, grouped
from earmark.engine.answerers.shared.encodings import Encodings, RawStates
from earmark.engine.answerers.shared.forest import Forest, Piece, Tokens, Tree, work_key
from earmark.engine.arrays import FloatArray
from earmark.engine.compressors.tokens.dropping import CacheShape, after_layer, kept_entries
from earmark.engine.compressors.tokens.reducing import ReductionSpec
from earmark.engine.compressors.tokens.reduction import Reduction
from earmark.engine.design.compressors import BUILT_IN

T = TypeVar("T")
RowsByHash = Mapping[str, tuple[Any, int]]  # by what it is of: an encoding of several, and its row
_MARK = re.compile(r".*<\|\w+\|>", re.DOTALL)


class _Below(NamedTuple):
    """What the layers below make of it."""

    encoded_as: str
    layer: int
    text: Tokens


class _Watched(NamedTuple):
    """What a question attends to in it."""

    encoded_as: str
    text: Tokens


class InsideReader:
    """Reads the pieces of some encodings."""

    def __init__(
        self,
        answerer: AudioLM,
        forest: Forest,
        limits: Limits,
        encoded: RowsByHash,
        encodings: Encodings | None = None,
        generate: int = 0,
    ) -> None:
        self._answerer, self._forest, self._limits, self._encoded = answerer, forest, limits, encoded
        self._encodings, self._generate = encodings, generate
        self._states: dict[str, RawStates] = {}  # what was computed for these encodings, by its key
        before = _MARK.match(answerer.template.before_question)
        assert before is not None, "a question begins with a special token"
        (self._stem,) = answerer.tokenize([before[0]])  # what is cached with the audio, whatever is asked

    def replies(self, rows: Sequence[tuple[Tree, Piece]]) -> list[Reply]:
        """What comes after each piece."""
        replies: dict[int, Reply] = {}
        for stage, read in (("layers", self._pruned), ("cache", self._evicted)):
            these = [at for at, (tree, _) in enumerate(rows) if _spec(tree).stage == stage]
            replies |= dict(zip(these, read([rows[at] for at in these]), strict=True))
        return [replies[at] for at in range(len(rows))]

    # Layers ----------------------------------------------------------------------------------------------------

    def _pruned(self, rows: Sequence[tuple[Tree, Piece]]) -> list[Reply]:
        own = [_Below(tree.excerpt.encoded_as, _spec(tree).layer, piece.tokens) for tree, piece in rows]
        read = [self._read_by(tree, below) for (tree, _), below in zip(rows, own, strict=True)]
        states = self._behind([*own, *read], {tree.excerpt.encoded_as: tree.positions for tree, _ in rows})
        parts: list[PrunedPart] = []
        for (tree, _), below, looking in zip(rows, own, read, strict=True):
            spec, n = _spec(tree), tree.positions
            attended = self._answerer.attended(states[looking])[:, :n]
            reduction = after_layer(spec, n, attended, tree.excerpt.encoded_as)
            parts.append(PrunedPart(states[below], spec.layer, reduction, spec.sized))
        replies: dict[int, Reply] = {}
        for layer in dict.fromkeys(part.layer for part in parts):
            of_layer = [at for at, part in enumerate(parts) if part.layer == layer]
            for portion in self._portions(of_layer, lambda at: rows[at][0].audio_tokens + len(rows[at][1].tokens)):
                options = [rows[at][1].options for at in portion]
                answers = self._answerer.above([parts[at] for at in portion], options)
                replies |= dict(zip(portion, answers, strict=True))
        return [replies[at] for at in range(len(rows))]

    def _read_by(self, tree: Tree, own: _Below) -> _Below:
        """What a compressor looks at: the question that it was given, another one where an audit permutes them, or what
        is asked where it reads none.
        """
        question = self._question(_spec(tree))
        return own if question is None else own._replace(text=question)

    def _question(self, spec: ReductionSpec) -> Tokens | None:
        """The question that a compressor was given, as it is asked; None for one that reads none."""
        if not BUILT_IN[spec.kind].asks:
            return None
        (tokens,) = self._answerer.tokenize([self._answerer.template.prompt(spec.question, spec.choices).question])
        return tokens

    def _behind(self, wanted: Sequence[_Below], positions: Mapping[str, int]) -> dict[_Below, RawStates]:
        """What the layers below make of each."""
        decoder = self._forest.shape.decoder
        width = decoder.width * decoder.element_bytes + 4 * decoder.heads
        names = {below: f"{below.encoded_as} behind {below.layer} {below.text}" for below in dict.fromkeys(wanted)}
        states, missing = self._kept(names, width)
        for layer in dict.fromkeys(below.layer for below in missing):
            these = [below for below in missing if below.layer == layer]
            for portion in self._portions(these, lambda below: positions[below.encoded_as] + len(below.text)):
                parts = [self._part(below.encoded_as) for below in portion]
                computed = self._answerer.below(parts, [below.text for below in portion], layer)
                states |= dict(zip(portion, computed, strict=True))
                self._keep({names[below]: states[below] for below in portion})
        return states

    # The cache -------------------------------------------------------------------------------------------------

    def _evicted(self, rows: Sequence[tuple[Tree, Piece]]) -> list[Reply]:
        entries = self._entries({tree.excerpt.encoded_as: tree.positions for tree, _ in rows})
        trees = list({tree.excerpt.hash: tree for tree, _ in rows}.values())
        watched = self._watched(trees, entries)
        parts: dict[str, EvictedPart] = {}
        for tree in trees:
            spec, name, n = _spec(tree), tree.excerpt.encoded_as, tree.positions
            keys = self._answerer.keys(entries[name], n) if spec.kind == "kv_keydiff" else None
            kept = kept_entries(spec, self._cache(n), keys, watched.get(tree.excerpt.hash), name)
            sizes = Reduction.of_kept(kept[0, 0], n).sizes if spec.sized else None
            parts[tree.excerpt.hash] = EvictedPart(entries[name], n, kept, sizes)
        replies: dict[int, Reply] = {}
        n_stem = len(self._stem)
        held = self._forest.shape.decoder.kv_bytes
        portions = grouped(
            sorted(range(len(rows)), key=lambda at: -len(rows[at][1].tokens)),
            lambda at: rows[at][0].audio_tokens + len(rows[at][1].tokens),
            lambda n, longest: (
                n * longest <= self._limits.tokens
                and 2 * n * (self._forest.prefix_tokens + longest) * held <= self._limits.kv_bytes
            ),
        )
        for portion in portions:
            hashes = list(dict.fromkeys(rows[at][0].excerpt.hash for at in portion))
            context = self._answerer.evicted([parts[name] for name in hashes])
            places = [hashes.index(rows[at][0].excerpt.hash) for at in portion]
            rests = [rows[at][1].tokens[n_stem:] for at in portion]
            options = [rows[at][1].options for at in portion]
            if self._generate:
                answers = self._answerer.generate(context, places, rests, options, self._generate)
            else:
                answers = self._answerer.score(context, places, rests, options)
            replies |= dict(zip(portion, answers, strict=True))
        return [replies[at] for at in range(len(rows))]

    def _watched(self, trees: Sequence[Tree], entries: Mapping[str, RawStates]) -> dict[str, FloatArray]:
        """What the question of each tree that reads one attends to (layers, kv heads, n), by the tree's hash."""
        n_stem, n_of = len(self._stem), {tree.excerpt.encoded_as: tree.positions for tree in trees}
        keys = {tree.excerpt.hash: self._watches(tree) for tree in trees}
        names = {key: f"{key.encoded_as} watched {key.text}" for key in dict.fromkeys(keys.values()) if key is not None}
        layers, heads, _ = self._cache(0)
        attended, missing = self._kept(names, 4 * layers * heads)
        for portion in self._portions(missing, lambda key: n_of[key.encoded_as] + len(key.text)):
            raws, n = [entries[key.encoded_as] for key in portion], [n_of[key.encoded_as] for key in portion]
            maps = self._answerer.watched(raws, n, [key.text[n_stem:] for key in portion])
            attended |= {key: _packed(attention) for key, attention in zip(portion, maps, strict=True)}
            self._keep({names[key]: attended[key] for key in portion})
        return {
            name: attended[key].view(np.float32).T.reshape(layers, heads, -1).astype(np.float64)
            for name, key in keys.items()
            if key is not None
        }

    def _watches(self, tree: Tree) -> "_Watched | None":
        question = self._question(_spec(tree))
        return None if question is None else _Watched(tree.excerpt.encoded_as, question)

    def _cache(self, n: int) -> CacheShape:
        decoder = self._forest.shape.decoder
        return CacheShape(decoder.layers, decoder.kv_heads, n)

    def _entries(self, positions: Mapping[str, int]) -> dict[str, RawStates]:
        """Keys and values of each audio and what follows it at once."""
        names = {name: f"{name} cached" for name in positions}
        entries, missing = self._kept(names, self._forest.shape.decoder.kv_bytes)
        for portion in self._portions(missing, positions.__getitem__):
            computed = self._answerer.cached([self._part(name) for name in portion], self._stem)
            entries |= dict(zip(portion, computed, strict=True))
            self._keep({names[name]: entries[name] for name in portion})
        return entries

    # Both ------------------------------------------------------------------------------------------------------

    def _part(self, encoded_as: str) -> EncodedPart:
        return EncodedPart(*self._encoded[encoded_as], None, False)

    def _portions(self, items: Sequence[T], length: Callable[[T], int]) -> Iterator[tuple[T, ...]]:
        """What is computed at once."""
        in_order = sorted(items, key=lambda item: -length(item))
        return grouped(in_order, length, lambda n, longest: n * longest <= self._limits.tokens)

    def _kept(self, names: Mapping[T, str], width: int) -> tuple[dict[T, RawStates], list[T]]:
        """What is there of these, and what is not."""
        states: dict[T, RawStates] = {}
        for item, name in names.items():
            raw = self._states.get(name)
            if raw is None and self._encodings is not None:
                raw = self._encodings.get(self._key(name), width)
            if raw is not None:
                states[item] = self._states[name] = raw
        return states, [item for item in names if item not in states]

    def _keep(self, states: Mapping[str, RawStates]) -> None:
        self._states |= states
        if self._encodings is not None:
            for name, raw in states.items():
                self._encodings.put(self._key(name), raw)

    def _key(self, name: str) -> str:
        return work_key(self._answerer.identity, name)


def _packed(attended: FloatArray) -> RawStates:
    """(n, bytes of a position) of what was attended to (layers, kv heads, n), as it is to be kept."""
    flat = attended.reshape(-1, attended.shape[-1]).T
    return np.ascontiguousarray(flat, dtype=np.float32).view(np.uint8)


def _spec(tree: Tree) -> ReductionSpec:
    assert tree.excerpt.reduction is not None, "something is dropped"
    return tree.excerpt.reduction
