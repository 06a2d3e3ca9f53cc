"""What has to be computed for a set of requests, each thing once.

Requests become a forest: the prefix that all share, under it each distinct kept audio, under that the stem that its
questions begin with alike, then each distinct question; a question's options are read from one row. Requests that ask
the same question about equal audio, whatever method, budget, seed, stream or corpus they come from, are one piece of
work whose result fans out. Pure: knows no torch, opens no audio, and says what will be saved before anything runs.
"""

import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from earmark.engine.answerers.prompt import Template
from earmark.engine.answerers.request import Request, Result
from earmark.engine.answerers.shared.cost import Cost, ModelShape
from earmark.engine.compressors.compressor import Excerpt
from earmark.engine.compressors.tokens.reduction import kept_positions
from earmark.engine.corpus.example import SAMPLE_RATE
from earmark.engine.design.keys import OK, TOO_LONG, TOO_SHORT

Tokens = tuple[int, ...]


@dataclass(slots=True)
class Piece:
    """One question about one excerpt; `requests` are the numbers of those that want to know."""

    key: str
    tokens: Tokens
    options: int
    text: str
    requests: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Tree:
    """One distinct excerpt and everything asked about it."""

    excerpt: Excerpt
    audio_tokens: int  # that are left of the audio
    positions: int  # in the decoder, of which a compressor inside it then drops some
    pieces: list[Piece] = field(default_factory=list)
    stem: int = 0  # tokens that all questions begin with; 0 where there is one question

    @property
    def is_shared(self) -> bool:
        """Whether its keys and values serve several questions; otherwise it is read together with its only one."""
        return len(self.pieces) > 1

    @property
    def is_inside(self) -> bool:
        """Whether something is dropped inside the decoder: it is read by itself."""
        return self.excerpt.reduction is not None and self.excerpt.reduction.is_inside


@dataclass(frozen=True, slots=True)
class Forest:
    """The forest, in the order of the requests."""

    requests: Sequence[Request]
    trees: list[Tree]
    refused: list[tuple[Result, list[int]]]  # beyond what the answerer can hear, and whose requests those are
    known: list[tuple[str, int]]  # key and request of what was answered before
    known_alone: int  # operations that those would take one at a time
    prefix_tokens: int
    shape: ModelShape

    def pieces(self) -> Iterator[Piece]:
        """Every piece of work."""
        for tree in self.trees:
            yield from tree.pieces

    def cost_alone(self) -> Cost:
        """What the same requests take one at a time through the plain model."""
        total = Cost()
        for tree in self.trees:
            for piece in tree.pieces:
                total += self.alone(tree, piece).times(len(piece.requests))
        return total

    def result(
        self,
        tree: Tree,
        piece: Piece,
        label: str | None = None,
        option_nll: tuple[float, ...] = (),
        text: str | None = None,
        status: str = OK,
    ) -> Result:
        """What a piece came to, with what it takes by itself."""
        tokens = self.prefix_tokens + len(piece.tokens)
        n_samples, reduction = tree.excerpt.wave.n_samples, tree.excerpt.reduction
        positions = tree.positions + tokens
        if reduction is not None and reduction.stage == "layers":
            layer, layers = reduction.layer, self.shape.decoder.layers
            flops = self.shape.pruned(n_samples, tokens, tree.positions, tree.audio_tokens, layer)
            below, above = layer * tree.positions, (layers - layer) * tree.audio_tokens
            positions = tokens + round((below + above) / layers)  # the mean over layers
        else:
            flops = self.shape.unshared(n_samples, tokens, tree.positions)
        return Result(piece.key, label, option_nll, tree.audio_tokens, text, status, positions, flops)

    def alone(self, tree: Tree, piece: Piece) -> Cost:
        """One request by itself."""
        return self.shape.alone(tree.excerpt.wave.n_samples, self.prefix_tokens + len(piece.tokens))


def make_forest(
    requests: Sequence[Request],
    template: Template,
    shape: ModelShape,
    tokenize: Callable[[Sequence[str]], list[Tokens]],
    known: Collection[str] = (),
    split: bool = False,
) -> Forest:
    """The forest of requests; `known` keys are answered already; a clip beyond the window is refused, or split into
    several audios.
    """
    texts = dict.fromkeys((request.question.text, request.question.choices) for request in requests)
    text_of = {(text, choices): template.prompt(text, choices).question for text, choices in texts}
    distinct = list(dict.fromkeys(text_of.values()))
    tokens = dict(zip(distinct, tokenize(distinct), strict=True))
    prefix = len(tokenize([template.prefix])[0])

    trees: dict[str, Tree] = {}
    pieces: dict[str, Piece] = {}
    refused: dict[str, tuple[Result, list[int]]] = {}
    answered: list[tuple[str, int]] = []
    answered_alone = 0
    for number, request in enumerate(requests):
        excerpt, text = request.excerpt, text_of[request.question.text, request.question.choices]
        key = work_key(excerpt.hash, text)
        if key in known:
            answered.append((key, number))
            answered_alone += shape.alone(excerpt.wave.n_samples, prefix + len(tokens[text])).flops
            continue
        why = refusal(excerpt, shape, split)
        if why:
            refused.setdefault(key, (Result(key, status=why), []))[1].append(number)
            continue
        if key not in pieces:
            tree = trees.get(excerpt.hash)
            if tree is None:
                n_tokens = shape.audio_tokens(excerpt.wave.n_samples)
                positions = shape.positions(excerpt.wave.n_samples)
                if excerpt.reduction is not None:
                    n_tokens = kept_positions(excerpt.reduction.budget, n_tokens)
                    positions = positions if excerpt.reduction.is_inside else n_tokens
                tree = trees[excerpt.hash] = Tree(excerpt, n_tokens, positions)
            pieces[key] = Piece(key, tokens[text], len(request.question.choices), text)
            tree.pieces.append(pieces[key])
        pieces[key].requests.append(number)
    for tree in trees.values():
        tree.stem = common_stem([q.tokens for q in tree.pieces]) if tree.is_shared else 0
    return Forest(requests, list(trees.values()), list(refused.values()), answered, answered_alone, prefix, shape)


def work_key(excerpt_hash: str, question: str) -> str:
    """The name of a piece of work: what is heard and what is asked, options included."""
    return hashlib.blake2b(f"{excerpt_hash}\n{question}".encode(), digest_size=16).hexdigest()


def refusal(excerpt: Excerpt, shape: ModelShape, split: bool) -> str | None:
    """Why this cannot be heard, if so."""
    if shape.audio_tokens(excerpt.wave.n_samples) < 1:
        return f"{TOO_SHORT}not one audio token"
    limit = shape.encoder.longest_samples
    may_split = split and shape.join_tokens and excerpt.reduction is None
    if excerpt.wave.n_samples > limit and not may_split:
        seconds, at_once = excerpt.wave.n_samples / SAMPLE_RATE, limit / SAMPLE_RATE
        return f"{TOO_LONG}{seconds:.1f} s of audio, the answerer hears {at_once:g} s at once"
    return None


def common_stem(texts: Sequence[Tokens]) -> int:
    """How many tokens all texts begin with; at least one is left of each."""
    shortest = min(len(text) for text in texts)
    same = takewhile(lambda at: len(set(at)) == 1, zip(*texts, strict=False))
    return min(sum(1 for _ in same), shortest - 1)
