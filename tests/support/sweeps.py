"""Small sweeps without weights: a selector that reads the question, and answerers whose last bits depend on company."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import fakes
import numpy as np

from earmark.engine.answerers.loading import options_of
from earmark.engine.answerers.shared.audio_lm import Reply
from earmark.engine.answerers.shared.shared_answerer import SharedAnswerer
from earmark.engine.compressors.chunks.chunk_compressor import ChunkCompressor
from earmark.engine.compressors.chunks.selector import Selector, SelectorInput
from earmark.engine.compressors.compressor import Compressor
from earmark.engine.compressors.loading import load_chunks
from earmark.engine.design.sections import AnswererSpec, MachineSpec, MethodSpec
from earmark.engine.design.spec import Spec, parse
from earmark.engine.sweep.run import Swept, run
from earmark.engine.sweep.sweep_folder import SweepFolder

SPEC = """\
[corpus]
path = "synthetic:certification:5"
[[answerers]]
model = "one"
[[answerers]]
model = "two"
[sweep]
budgets = [0.3, 0.6]
window = 2
[[methods]]
name = "energy"
[[methods]]
name = "fake_agnostic"
selector = "agnostic {seed}"
seeds = [1, 2, 3]
[[methods]]
name = "fake_conditioned"
selector = "conditioned {seed}"
seeds = [1, 2, 3]
[streams]
permuted_global = 2
permuted_family = 1
naive_global = 1
[partitions]
names = ["native", "need"]
[rule]
replicates = 200
tolerances = [0.3]
[audits]
flip_rate = 6
grid = 3
"""


class ByHash(Selector):
    """Scores by a hash of the clip, and of the question where it is conditioned."""

    def __init__(self, seed: int, asks: bool) -> None:
        self.seed = seed
        self.asks = asks

    def scores(self, clips: Sequence[SelectorInput]) -> list[np.ndarray[Any, Any]]:
        made = []
        for clip in clips:
            assert (clip.question is not None) == self.asks
            name = f"{self.seed}/{clip.question}/{len(clip.audio)}".encode() + clip.audio[:8].tobytes()
            digest = hashlib.blake2b(name, digest_size=8).digest()
            chunks = -(-len(clip.audio) // 16_000)
            made.append(np.random.default_rng(int.from_bytes(digest, "little")).random(chunks))
        return made


class InCompany(fakes.FakeAnswerer):
    """Likelihoods whose last bits depend on the batch, as those of a GPU do."""

    def score(self, context: Any, rows: Any, questions: Any, options: Any) -> list[Reply]:
        said = super().score(context, rows, questions, options)
        for one in said:
            one.option_nll = one.option_nll + 1e-9 * len(rows)
        return said


def answerers(made: list[Any] | None = None) -> Any:
    """A `load` for sweeps."""

    def load(answerer: AnswererSpec, machine: MachineSpec) -> Any:
        model = InCompany()
        model.identity = answerer.name
        if made is not None:
            made.append(model)
        return SharedAnswerer(model, options_of(answerer, machine))

    return load


def compressor(method: MethodSpec, seed: int) -> Compressor:
    """In place of `compressors.loading.load_chunks`: selectors by hash, and the heuristics."""
    kind, _, number = method.place(seed).partition(" ")
    return (
        ChunkCompressor(method.name, ByHash(int(number), kind == "conditioned"))
        if number
        else load_chunks(method, seed)
    )


SMALLER = {
    '[[answerers]]\nmodel = "two"\n': "",
    "seeds = [1, 2, 3]": "seeds = [1]",
    "permuted_global = 2": "permuted_global = 1",
}


def spec(*changes: dict[str, str]) -> Spec:
    """The spec, with some texts replaced."""
    content = SPEC
    for old, new in (item for change in changes for item in change.items()):
        content = content.replace(old, new)
    return parse(content)


ENERGY_ALONE = {  # besides SMALLER: one method, five recordings with six questions each, in windows of two
    '[[methods]]\nname = "fake_agnostic"\nselector = "agnostic {seed}"\nseeds = [1]\n': "",
    '[[methods]]\nname = "fake_conditioned"\nselector = "conditioned {seed}"\nseeds = [1]\n': "",
    "permuted_global = 1": "permuted_global = 0",
    "permuted_family = 1": "permuted_family = 0",
    "naive_global = 1": "naive_global = 0",
    "flip_rate = 6": "flip_rate = 0",
}


def sweep_of_energy(out: Path, made: list[Any] | None = None, **options: Any) -> Swept:
    """Answer that; `made` gets the answerers that were loaded for it."""
    return run(spec(SMALLER, ENERGY_ALONE), out, load=answerers(made), load_compressor=compressor, **options)


def after(batches: int) -> Callable[[], bool]:
    """A `stop` that says so once so many batches are done."""
    left = iter(range(batches))
    return lambda: next(left, None) is None


def contents(run: Path) -> dict[str, bytes]:
    """Every file of a run folder."""
    return {str(path.relative_to(run)): path.read_bytes() for path in sorted(run.rglob("*")) if path.is_file()}


def begun(run: Path) -> bool:
    return SweepFolder(run).plan() is not None
