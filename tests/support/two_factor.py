"""A small sweep with trained selectors: examples, selectors and budgets in, a run folder out.

For tests and benchmarks of what selectors are worth; keeps every clip in memory.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from earmark.engine.answerers.answer_all import answer_all
from earmark.engine.answerers.answerer import Answerer
from earmark.engine.answerers.request import Answer, Request
from earmark.engine.compressors.chunks.cutting import kept_chunks
from earmark.engine.compressors.chunks.heuristics import Energy, Random, Uniform
from earmark.engine.compressors.chunks.selector import Selector, SelectorInput
from earmark.engine.compressors.compressor import Excerpt
from earmark.engine.corpus.clip import chunk_count
from earmark.engine.corpus.example import Example
from earmark.engine.design.keys import UNCOMPRESSED, CellKey
from earmark.engine.outcomes.store import write_cell

BUDGETS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
SHUFFLED = "permuted-global-0"
HEURISTICS = {"uniform": Uniform(), "random": Random(), "energy": Energy()}

Cells = dict[CellKey, list[Answer]]
Curve = tuple[str, int, str]  # method, seed, stream


def sweep(
    examples: Sequence[Example],
    answerer: Answerer,
    selectors: Mapping[Curve, Selector],
    run: Path,
    budgets: Sequence[float] = BUDGETS,
) -> Cells:
    """Answer every example raw and under each selector and budget, and write the cells.

    A selector in a shuffled stream reads another example's question; the answerer always hears the right one.
    """
    rng = np.random.default_rng(0)
    elsewhere = rng.permutation(len(examples))
    audio = {example.audio: example.audio.waveform() for example in examples}
    requests: list[Request] = []
    cell_of: list[CellKey] = []

    def ask(key: CellKey, example: Example, chunks: np.ndarray) -> None:
        heard = Excerpt.of(example.audio, audio[example.audio], chunks)
        requests.append(Request(str(len(requests)), heard, example.question))
        cell_of.append(key)

    for example in examples:
        everything = np.arange(chunk_count(audio[example.audio]))
        ask(CellKey("tiny", "two-factor", UNCOMPRESSED), example, everything)
    for (method, seed, stream), selector in selectors.items():
        asked = [examples[i] for i in elsewhere] if stream == SHUFFLED else examples
        clips = [
            SelectorInput(example.sample_id, audio[example.audio], other.question.text)
            for example, other in zip(examples, asked, strict=True)
        ]
        for example, scores in zip(examples, selector.scores(clips), strict=True):
            for budget in budgets:
                chunks = selector.keep(scores, kept_chunks(budget, len(scores)))
                ask(CellKey("tiny", "two-factor", method, seed, stream, budget), example, chunks)
    cells: Cells = {key: [] for key in cell_of}
    answers = {int(answer.id): answer for answer in answer_all(answerer, requests)}
    for i, key in enumerate(cell_of):
        cells[key].append(answers[i])
    for key, of_cell in cells.items():
        write_cell(run, key, _rows(examples, of_cell))
    return cells


def accuracy(cells: Cells, method: str, budget: float, where: Callable[[CellKey], bool] = lambda _: True) -> float:
    """The share of right answers of a method at a budget, over its seeds."""
    found = [a for key, of in cells.items() if (key.method, key.budget) == (method, budget) and where(key) for a in of]
    return float(np.mean([answer.predicted_label == answer.correct_label for answer in found]))


def _rows(examples: Sequence[Example], answers: Sequence[Answer]) -> dict[str, list[object]]:
    return {
        "sample_id": [example.sample_id for example in examples],
        "source_id": [example.source_id for example in examples],
        "query_family": [example.labels["family"] for example in examples],
        "loss": [float(answer.predicted_label != answer.correct_label) for answer in answers],
        "nll": [answer.nll for answer in answers],
        "num_audio_tokens": [answer.num_audio_tokens for answer in answers],
        "predicted_label": [answer.predicted_label for answer in answers],
        "correct_label": [answer.correct_label for answer in answers],
        "kept_hash": [answer.kept_hash for answer in answers],
    }
