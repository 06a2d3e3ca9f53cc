"""Every selector that was asked for: methods x alphas x seeds, each trained, carded and put into its own folder.

What is finished is not trained again. Knows folders and cards; `train` knows how one is trained.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer

from earmark.engine.answerers.hub_models import downloaded, folder_here
from earmark.engine.compressors.card import CARD, SCHEMA, Card
from earmark.engine.compressors.chunks.learned import (
    AGNOSTIC,
    CONDITIONED,
    ChunkScorer,
    LearnedSelector,
    TrainedScorer,
    question_tokens,
    tokenizer_hash,
)
from earmark.engine.compressors.tokens.token_scorer import TOKENS_AGNOSTIC, TOKENS_CONDITIONED, TokenScorer
from earmark.engine.design.keys import is_conditioned
from earmark.engine.errors import InputError
from earmark.engine.files import make_folder, tidy
from earmark.engine.locks import alone
from earmark.engine.making.training.checkpoint import Epoch
from earmark.engine.making.training.lessons import Lessons
from earmark.engine.making.training.train import SHOWN_BUDGETS, Recipe, Run, Vocabulary, train
from earmark.engine.progress import Stop, never

METHODS = {"agnostic": AGNOSTIC, "conditioned": CONDITIONED}
METHODS_OF_TOKENS = {"agnostic": TOKENS_AGNOSTIC, "conditioned": TOKENS_CONDITIONED}
SEEDS = (42, 123, 456)
_OF_A_TOKENIZER = ("*.json", "*.model", "*.txt")  # files
CHECKPOINT, LOCK = "checkpoint.safetensors", ".train.lock"


class Job(NamedTuple):
    """One selector to train."""

    method: str
    alpha: float
    seed: int
    folder: Path


class Trained(NamedTuple):
    """A finished job and what its card says."""

    job: Job
    card: Card


ReportEpoch = Callable[[Job, Epoch], None]


def jobs(out: Path, methods: Sequence[str], alphas: Sequence[float], seeds: Sequence[int]) -> list[Job]:
    """A job for each alpha, method and seed, in OUT/METHOD/seed=S, or OUT/alpha=A/METHOD/seed=S with several alphas."""
    return [
        Job(method, alpha, seed, (out / f"alpha={alpha:g}" if len(alphas) > 1 else out) / method / f"seed={seed}")
        for alpha in alphas
        for method in methods
        for seed in seeds
    ]


@contextmanager
def alone_in(out: Path) -> Iterator[None]:
    """Make the folder of all jobs, and keep others from training into it meanwhile; InputError while one does."""
    make_folder(out)
    with alone(out / LOCK, out, "wait until it has ended, or name another folder with --out"):
        yield


def train_all(
    all_jobs: Sequence[Job],
    lessons: Lessons,
    recipe: Recipe,
    origin: dict[str, Any],
    tokenizer: Tokenizer | None,
    report: ReportEpoch = lambda _job, _epoch: None,
    stop: Stop = never,
) -> list[Trained] | None:
    """Train each job that is not finished and return all of them; None where `stop` ended it.

    `origin` is that of the oracle's table. InputError where a folder holds a selector of other data or another recipe.
    """
    trained = []
    for job in all_jobs:
        job_recipe = replace(recipe, alpha=job.alpha)
        tidy(job.folder)
        if not (job.folder / CARD).exists() and not _train(job, lessons, job_recipe, origin, tokenizer, report, stop):
            return None
        (job.folder / CHECKPOINT).unlink(missing_ok=True)  # of a run that was killed behind its last file
        card = _kind_of(lessons).load(job.folder).card
        reader = _question_tokenizer(job, tokenizer)
        expected = {
            "recipe": asdict(job_recipe),
            "data": lessons.hash,
            "seed": job.seed,
            "tokenizer": None if reader is None else tokenizer_hash(reader),
        }
        shown = card.get("best", {}).get("captured", {}).keys()
        if {key: card.get(key) for key in expected} != expected or shown != {*map(str, SHOWN_BUDGETS)}:
            raise InputError(
                job.folder,
                "holds a selector of other data, another recipe or tokenizer",
                "remove it, or choose another folder",
            )
        trained.append(Trained(job, card))
    return trained


def _train(
    job: Job,
    lessons: Lessons,
    recipe: Recipe,
    origin: dict[str, Any],
    tokenizer: Tokenizer | None,
    report: ReportEpoch,
    stop: Stop,
) -> bool:
    """Train and save one selector; False where `stop` ended it before."""
    reader = _question_tokenizer(job, tokenizer)
    tokens = None if reader is None else [question_tokens(reader, question) for question in lessons.questions]
    vocabulary = None if reader is None else Vocabulary(reader.get_vocab_size(), tokenizer_hash(reader))
    checkpoint = job.folder / CHECKPOINT
    run = train(lessons, recipe, job.seed, tokens, vocabulary, checkpoint, lambda epoch: report(job, epoch), stop)
    if run is None:
        return False
    _kind_of(lessons)(run.scorer, make_card(job, run, lessons, recipe, origin), reader).save(job.folder)
    return True


def _kind_of(lessons: Lessons) -> type[TrainedScorer]:
    """What is trained on lessons: a selector of seconds, or of audio tokens."""
    return TokenScorer if "encoder" in lessons.heard else LearnedSelector


def _question_tokenizer(job: Job, tokenizer: Tokenizer | None) -> Tokenizer | None:
    """The tokenizer, if the job's selector reads questions."""
    return tokenizer if is_conditioned(job.method) else None


def make_card(job: Job, run: Run, lessons: Lessons, recipe: Recipe, origin: dict[str, Any]) -> Card:
    """The card of a trained selector (docs/selectors.md, The card); `save` adds the hashes of its files."""
    best = run.curves[run.best_epoch - 1]
    return {
        "schema": SCHEMA,
        "method": job.method,
        "conditioned": run.scorer.query is not None,
        "seed": job.seed,
        **lessons.heard,
        "parameters": parameters(run.scorer),
        "recipe": asdict(recipe),
        "relevance": origin,
        "data": lessons.hash,
        "examples": len(lessons),
        "trained_on": lessons.trained_on(),
        "in_domain": False,  # whoever certifies on the same sources has to declare it
        "best": best._asdict(),
        "curves": [epoch._asdict() for epoch in run.curves],
        "made_by": {
            "earmark": version("earmark"),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "numpy": np.__version__,
        },
    }


def parameters(scorer: ChunkScorer) -> int:
    """How many numbers of a scorer are learned."""
    return sum(parameter.numel() for parameter in scorer.parameters())


def query_tokenizer(answerer: str) -> Tokenizer:
    """The tokenizer of an answerer: the vocabulary in which a conditioned selector reads questions."""
    hf: Any = transformers  # its classes are untyped
    place = folder_here(answerer) or downloaded(answerer, _OF_A_TOKENIZER)
    try:
        tokenizer: Tokenizer = hf.AutoTokenizer.from_pretrained(str(place), trust_remote_code=False).backend_tokenizer
    except (OSError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise InputError(
            f"answerer {answerer}", f"its tokenizer cannot be loaded ({reason})", "name it with --answerer"
        ) from error
    return tokenizer
