"""A compressor as a spec describes it, and a selector by its name or place: a heuristic, the folder of a trained one,
or an exported graph.

torch and onnxruntime are imported only where one of theirs is named.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from earmark.engine.compressors.card import CARD, Card, read_card
from earmark.engine.compressors.chunks.chunk_compressor import ChunkCompressor
from earmark.engine.compressors.chunks.heuristics import Energy, Random, Uniform
from earmark.engine.compressors.chunks.selector import Selector
from earmark.engine.compressors.compressor import Compressor
from earmark.engine.compressors.tokens.reducing import ReductionSpec
from earmark.engine.compressors.tokens.token_compressor import TokenCompressor
from earmark.engine.compressors.waves.wave_compressor import WaveCompressor
from earmark.engine.compressors.waves.wave_method import WaveRecipe
from earmark.engine.compressors.waves.wave_pool import WavePool
from earmark.engine.compressors.waves.wave_store import WaveStore
from earmark.engine.design.compressors import BY_CHANCE, CHUNKS, DART, LEARNED_TOKENS, LTBM
from earmark.engine.design.keys import WAVES
from earmark.engine.design.sections import HEURISTICS, MachineSpec, MethodSpec
from earmark.engine.design.spec import first_of
from earmark.engine.errors import InputError, instead
from earmark.engine.extras import needs_extra

if TYPE_CHECKING:
    from earmark.engine.compressors.tokens.token_scorer import TokenScorer

_TINY = Path(__file__).parent / "chunks" / "tiny"  # trained for the embedded answerer
LoadCompressor = Callable[[MethodSpec, int], Compressor]  # of a method, in one of its seeds
EMBEDDED = {"tiny-agnostic": _TINY / "agnostic", "tiny-conditioned": _TINY / "conditioned"}


@contextmanager
def loader(run: Path, machine: MachineSpec) -> Iterator[LoadCompressor]:
    """What loads the compressors of a sweep into a run folder; the processes of those that need some end with it."""
    with WavePool(machine.compressors) as pool:
        store = WaveStore(run / WAVES, machine.wave_mib << 20)

        def load(method: MethodSpec, seed: int) -> Compressor:
            if method.compressor == CHUNKS:
                return load_chunks(method, seed)
            if method.stage != "waves":
                return _tokens(method, seed, load)
            recipe = WaveRecipe(method.compressor, method.command, method.timeout_s, method.counted_on)
            return WaveCompressor(method.name, recipe, pool, store)

        yield load


def _tokens(method: MethodSpec, seed: int, load: LoadCompressor) -> TokenCompressor:
    """A compressor inside an answerer, and the one that comes before it, if any."""
    kind = method.compressor
    spec = ReductionSpec(
        kind,
        1.0,
        method.sized,
        method.window_s if kind == LTBM else 0.0,
        method.pivots if kind == DART else 0,
        seed if kind in BY_CHANCE else 0,
        layer=method.layer if method.stage == "layers" else 0,
    )
    card: Card | None = None
    if kind == LEARNED_TOKENS:
        scorer = _token_scorer(method.place(seed))
        spec, card = spec._replace(scorer=scorer), scorer.card | {"in_domain": method.in_domain}
    if not method.after:
        return TokenCompressor(method.name, spec, card=card)
    name, budget = first_of(method.after)
    is_heuristic = name in HEURISTICS
    first = MethodSpec(name=name, compressor=CHUNKS if is_heuristic else name, selector=name if is_heuristic else "")
    return TokenCompressor(method.name, spec, load(first, seed), budget, card)


@needs_extra("a trained selector", "run")
def _token_scorer(name: str) -> "TokenScorer":
    """The trained scorer of audio tokens in a folder."""
    from earmark.engine.compressors.tokens.token_scorer import TokenScorer

    path = place(name)
    if not path.is_dir():
        raise InputError(f"selector {name}", "there is no such folder", "name one of `earmark selector train --tokens`")
    return TokenScorer.load(path)


def load_chunks(method: MethodSpec, seed: int) -> Compressor:
    """The compressor of a method that keeps chunks, in one of its seeds."""
    selector = load_selector(method.place(seed), seed)
    return ChunkCompressor(method.name, selector, _card_of(method, seed, selector))


def _card_of(method: MethodSpec, seed: int, selector: Selector) -> Card | None:
    """The card of a trained selector, which lies in its folder or beside its graph, with what the spec declares."""
    if selector.weights is None:
        return None
    path = place(method.place(seed))
    path = (path if path.is_dir() else path.parent) / CARD
    if not os.path.lexists(path):
        what = f"there is no card of the selector of {method.name}"
        raise InputError(path, what, "train it again, or keep its card.json beside it")
    card = read_card(path)
    if card.get("weights") != selector.weights:  # the guard would compare the wrong sources
        graph = place(method.place(seed)).name
        raise InputError(path, f"is not the card of {graph}", "copy the card.json that was exported with it")
    return card | {"in_domain": method.in_domain}


@needs_extra("a trained selector", "run")
def load_selector(name: str, seed: int = 0, provider: str = "cpu", threads: int = 1) -> Selector:
    """`uniform`, `random` (with its seed), `energy`, `tiny-agnostic`, `tiny-conditioned`, a folder with a card.json, or
    an .onnx file and how to run it.
    """
    heuristics: dict[str, Selector] = {"uniform": Uniform(), "random": Random(seed), "energy": Energy()}
    if name in heuristics:
        return heuristics[name]
    path = place(name)
    if path.suffix == ".onnx" and path.is_file():
        from earmark.engine.compressors.chunks.graph_selector import OnnxSelector

        return OnnxSelector(path, provider, threads)
    if path.is_dir():
        from earmark.engine.compressors.chunks.learned import LearnedSelector

        return LearnedSelector.load(path)
    known = [*heuristics, *EMBEDDED]
    do = instead(name, known, f"name {', '.join(known)}, a folder or an .onnx file")
    raise InputError(f"selector {name}", "there is no such selector", do)


def place(name: str) -> Path:
    """Where a selector with files is."""
    return EMBEDDED.get(name, Path(name))
