"""Claim: on held-out recordings a trained selector of audio tokens that reads the question keeps more right answers at
30% of the tokens than tokens drawn by chance, plain.

The embedded answerer measures relevance on the selector split, selectors are trained on its encoder's states, and it
answers the certification split with what they keep, beside `random_tokens`, `sample` and `pool`. `shuffled` is the
conditioned one shown another example's question. With `--selectors FOLDER` they are not trained again. Accuracy in %,
its standard error over recordings; of several seeds the mean, a recording's seeds taken together.
"""

import argparse
import json
import os
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import numpy as np
import torch

from earmark.engine.answerers.answer_all import answer_all
from earmark.engine.answerers.loading import load_model
from earmark.engine.answerers.request import Request
from earmark.engine.answerers.shared.encodings import Encodings
from earmark.engine.answerers.shared.shared_answerer import SharedAnswerer
from earmark.engine.compressors.compressor import Excerpt, OpenedClip
from earmark.engine.compressors.tokens.reducing import ReductionSpec
from earmark.engine.compressors.tokens.token_scorer import TOKENS_AGNOSTIC, TOKENS_CONDITIONED, TokenScorer
from earmark.engine.corpus.corpus import open_corpus
from earmark.engine.corpus.example import Example
from earmark.engine.making import oracle
from earmark.engine.making.training.jobs import jobs, query_tokenizer, train_all
from earmark.engine.making.training.token_lessons import make_token_lessons
from earmark.engine.making.training.train import Recipe

BUDGETS = (0.5, 0.3, 0.1)
SHOWN = 0.3
SEEDS = (42, 123)
SHUFFLED = "tokens_conditioned, shuffled"


class Asked(NamedTuple):
    """A question about a recording, whose question a selector is shown in a shuffled stream, and all of the audio."""

    example: Example
    other: Example
    whole: Excerpt


def train(folder: Path, n_clips: int) -> None:
    """Train both methods on so many recordings."""
    place = f"synthetic:selector:{n_clips}"
    corpus, model = open_corpus(Path(place)), load_model("tiny")
    answerer = SharedAnswerer(model)
    rows = oracle.measure(corpus, answerer)
    assert rows is not None
    oracle.write(rows, oracle.description(corpus, place, answerer), folder / "oracle.parquet")
    table = oracle.read(folder / "oracle.parquet")
    lessons = make_token_lessons(table, corpus, model, folder, lambda *_: None)
    wanted = jobs(folder, [TOKENS_AGNOSTIC, TOKENS_CONDITIONED], [0.5], SEEDS)
    train_all(wanted, lessons, Recipe(), table.origin, query_tokenizer("tiny"))


def held_out(n_clips: int) -> list[Asked]:
    """The questions about so many recordings of the certification split."""
    examples = list(open_corpus(Path(f"synthetic:certification:{n_clips}")).examples)
    others = np.random.default_rng(0).permutation(len(examples))
    clips: dict[str, OpenedClip] = {}
    for example in examples:
        name = example.audio.name
        clips[name] = clips.get(name) or OpenedClip(name, example.audio.waveform())
    return [
        Asked(example, examples[other], clips[example.audio.name].whole())
        for example, other in zip(examples, others, strict=True)
    ]


def methods(folder: Path) -> Iterator[tuple[str, list[ReductionSpec]]]:
    """Every method, plain: a specification for each seed."""
    for kind in ("pool", "sample"):
        yield kind, [ReductionSpec(kind, 1.0, False)]
    yield "random_tokens", [ReductionSpec("random_tokens", 1.0, False, seed=seed) for seed in range(len(SEEDS))]
    for method in (TOKENS_AGNOSTIC, TOKENS_CONDITIONED, SHUFFLED):
        scorers = [TokenScorer.load(folder / method.split(",")[0] / f"seed={seed}") for seed in SEEDS]
        yield method, [ReductionSpec("learned_tokens", 1.0, False, scorer=scorer) for scorer in scorers]


def accuracy(
    answerer: SharedAnswerer, asked: Sequence[Asked], specs: Sequence[ReductionSpec], shuffled: bool
) -> dict[str, float]:
    """The share of seeds with which each question is answered right."""
    right: dict[str, float] = defaultdict(float)
    for spec in specs:
        requests = [_request(each, spec, shuffled) for each in asked]
        for answer in answer_all(answerer, requests):
            right[answer.id] += (answer.predicted_label == answer.correct_label) / len(specs)
    return right


def _request(asked: Asked, spec: ReductionSpec, shuffled: bool) -> Request:
    shown = asked.other if shuffled else asked.example
    question = shown.question.text if spec.scorer is not None and spec.scorer.asks else ""
    return Request(
        asked.example.sample_id, asked.whole.reduced(spec._replace(question=question)), asked.example.question
    )


def mean_and_error(
    asked: Sequence[Asked], right: Mapping[str, float], family: str | None = None
) -> tuple[float, float]:
    """The mean in percent, and its standard error over recordings."""
    of_clip: dict[str, list[float]] = defaultdict(list)
    for each in asked:
        if family in (None, each.example.labels["family"]):
            of_clip[each.example.source_id].append(100 * right[each.example.sample_id])
    means = np.array([np.mean(values) for values in of_clip.values()])
    return float(means.mean()), float(means.std(ddof=1) / np.sqrt(len(means)))


def main() -> None:
    """Train unless that was done, answer, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--selectors", type=Path, help="a folder of trained ones")
    parser.add_argument("--clips", type=int, default=240, help="to train on")
    parser.add_argument("--held-out", type=int, default=200, help="recordings that are asked about")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    asked = held_out(arguments.held_out)
    families = sorted({each.example.labels["family"] for each in asked})
    results: dict[tuple[str, bool, float], dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.selectors or Path(scratch)
        if arguments.selectors is None:
            train(folder, arguments.clips)
        answerer = SharedAnswerer(load_model("tiny"), encodings=Encodings(1 << 30))
        for method, specs in methods(folder):
            for sized in (False, True):
                for budget in BUDGETS:
                    now = [spec._replace(sized=sized, budget=budget) for spec in specs]
                    results[method, sized, budget] = accuracy(answerer, asked, now, method == SHUFFLED)
    print(f"{len(asked):,} questions about {arguments.held_out} recordings: % right (standard error over recordings)")
    for (method, sized, budget), right in results.items():
        mean, error = mean_and_error(asked, right)
        by_family = ", ".join(f"{family} {mean_and_error(asked, right, family)[0]:.0f}" for family in families)
        print(f"{method}{', sized' if sized else ''} at {budget:g}: {mean:.1f} ({error:.1f}); {by_family}", flush=True)
    plain = {method: results[method, False, SHOWN] for method in ("random_tokens", TOKENS_CONDITIONED)}
    gained = {
        sample: plain[TOKENS_CONDITIONED][sample] - plain["random_tokens"][sample] for sample in plain["random_tokens"]
    }
    gain, error = mean_and_error(asked, gained)
    claim = "a selector of audio tokens that reads the question beats chance at .3, plain"
    print(
        json.dumps({"claim": claim, "points": round(gain, 1), "error": round(error, 1), "holds": gain > 1.96 * error})
    )


if __name__ == "__main__":
    main()
