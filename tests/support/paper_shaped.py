"""The sweep that the scheduler's benchmarks answer: raw audio and five methods at the paper's five budgets, one of the
methods conditioned on the question.

Chunk scores are random per method and clip (per question where conditioned), so subsets are nested as real ones are;
budgets .05 and .1 keep the same one chunk of ten. Needs NumPy only: it also runs on a bare machine.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from cut import Kept, keep, keep_chunks

from earmark.engine.answerers.request import Request
from earmark.engine.arrays import Waveform
from earmark.engine.compressors.compressor import Excerpt
from earmark.engine.corpus.clip import chunk_count
from earmark.engine.corpus.example import Question

BUDGETS = (0.05, 0.1, 0.2, 0.4, 1.0)
AGNOSTIC = ("uniform", "random", "energy", "learned_agnostic")
CONDITIONED = "learned_conditioned"


class InMemory(NamedTuple):
    """A clip that is there already: decoding is not what these benchmarks measure."""

    name: str

    def waveform(self) -> Waveform:
        return CLIPS[self.name]


CLIPS: dict[str, Waveform] = {}


class Asked(NamedTuple):
    """A question about a clip."""

    clip: str
    question: str
    choices: tuple[str, ...]
    answer: int


def sweep(asked: Sequence[Asked], seed: int = 0) -> list[Request]:
    """26 requests for each question, in the order of cells."""
    rng = np.random.default_rng(seed)
    scores = {(clip, method): _scores(rng, clip) for clip in CLIPS for method in AGNOSTIC}
    conditioned = [_scores(rng, a.clip) for a in asked]
    kept: dict[tuple[str, bytes], Kept] = {}
    requests = []
    cells = [("uncompressed", 1.0)] + [(m, b) for m in (*AGNOSTIC, CONDITIONED) for b in BUDGETS]
    for method, budget in cells:
        for i, a in enumerate(asked):
            clip = CLIPS[a.clip]
            if method == "uncompressed":
                chosen = keep_chunks(clip, np.arange(chunk_count(clip)))
            else:
                chosen = keep(clip, conditioned[i] if method == CONDITIONED else scores[a.clip, method], budget)
            chosen = kept.setdefault((a.clip, chosen.chunks.tobytes()), chosen)
            heard = Excerpt.of(InMemory(a.clip), clip, chosen.chunks)
            requests.append(Request(f"{method}/{budget:g}/{i}", heard, Question(a.question, a.choices, a.answer)))
    return requests


def _scores(rng: np.random.Generator, clip: str) -> npt.NDArray[np.float64]:
    return rng.random(chunk_count(CLIPS[clip]))
