"""A selector by its name or place: a heuristic, the folder of a trained one, or an exported graph.

torch and onnxruntime are imported only where one of theirs is named.
"""

from pathlib import Path

from earmark.engine.compressors.chunks.heuristics import Energy, Random, Uniform
from earmark.engine.compressors.chunks.selector import Selector
from earmark.engine.errors import InputError
from earmark.engine.extras import needs_extra

_TINY = Path(__file__).parent / "chunks" / "tiny"  # trained for the embedded answerer
EMBEDDED = {"tiny-agnostic": _TINY / "agnostic", "tiny-conditioned": _TINY / "conditioned"}


@needs_extra("a trained selector", "run")
def load(name: str, seed: int = 0, provider: str = "cpu", threads: int = 1) -> Selector:
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
    known = ", ".join([*heuristics, *EMBEDDED])
    raise InputError(f"selector {name}", "there is no such selector", f"name {known}, a folder or an .onnx file")


def place(name: str) -> Path:
    """Where a selector with files is."""
    return EMBEDDED.get(name, Path(name))
