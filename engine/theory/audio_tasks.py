"""A finite audio task: what the audio may be, what each query asks of it, and what a wrong action costs.

`X` audio, `Y` answers, `A` actions, `Z` compressed audio, all finite; laws are arrays that sum to 1. Rates are in bits.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from earmark.engine.arrays import FloatArray


class Query(NamedTuple):
    """One question: the law of its answer given the audio, and the loss of an action for an answer."""

    posterior: FloatArray  # (X, Y)
    loss: FloatArray  # (Y, A)


class AudioTask(NamedTuple):
    """Audio with a law, queries, and how often each is asked."""

    audio: FloatArray  # (X,), all positive
    queries: tuple[Query, ...]
    prior: FloatArray  # (Q,), all positive


def make_task(audio: FloatArray, queries: Sequence[Query], prior: FloatArray | None = None) -> AudioTask:
    """A checked task; raises ValueError. Audio of probability 0 is dropped.

    Without a prior (Q,) every query is asked equally often.
    """
    law = _law("audio", audio)
    if not queries:
        raise ValueError("a task needs a query")
    law_of_queries = _law("prior", np.full(len(queries), 1 / len(queries)) if prior is None else prior)
    if law_of_queries.shape != (len(queries),) or (law_of_queries <= 0).any():
        raise ValueError("every query needs a positive probability")
    occurs = law > 0
    checked = []
    for query in queries:
        posterior, loss = _law("posterior", query.posterior), np.asarray(query.loss, dtype=np.float64)
        if loss.ndim != 2 or posterior.shape != (len(law), len(loss)) or not np.isfinite(loss).all():
            raise ValueError("a query needs a posterior (X, Y) and a finite loss (Y, A)")
        checked.append(Query(posterior[occurs], loss))
    return AudioTask(law[occurs], tuple(checked), law_of_queries)


def _law(name: str, values: npt.ArrayLike) -> FloatArray:
    """Checked probabilities that sum to 1 over the last axis; errors call them `name`."""
    law = np.asarray(values, dtype=np.float64)
    total = law.sum(axis=-1, keepdims=True)
    if not (np.isfinite(law).all() and (law >= 0).all() and (abs(total - 1) <= 1e-9).all()):
        raise ValueError(f"{name} is not a law: {law}")
    return np.asarray(law / total, dtype=np.float64)


def asking_only(task: AudioTask, q: int) -> AudioTask:
    """The task with query q alone."""
    return AudioTask(task.audio, (task.queries[q],), np.ones(1))


def zero_one(n_answers: int) -> FloatArray:
    """The loss of multiple choice, (Y, A): 0 for the right answer and 1 for every other."""
    return 1.0 - np.eye(n_answers)


def reduced_distortion(query: Query) -> FloatArray:
    """d(x, a) = E[l(Y, a) | x] - min_a' E[l(Y, a') | x], (X, A): 0 where the action is Bayes-optimal (E.12)."""
    risk = query.posterior @ query.loss
    distortion = risk - risk.min(axis=1, keepdims=True)
    rounding = 4 * np.finfo(np.float64).eps * (query.posterior @ np.abs(query.loss)).max(axis=1, keepdims=True)
    return np.where(distortion <= rounding, 0.0, distortion)  # actions that tie are equally optimal


def entropy(law: FloatArray) -> float:
    """The Shannon entropy of a law of any shape, in bits."""
    positive = law[law > 0]
    return float(-(positive * np.log2(positive)).sum())


def mutual_information(audio: FloatArray, channel: FloatArray) -> float:
    """I(X; Z) in bits, from p(x) (X,) and p(z | x) (X, Z), summed as divergences so that nothing cancels."""
    output = audio @ channel
    possible = channel > 0
    ratio = np.divide(channel, output[None, :], out=np.ones_like(channel), where=possible)
    return float((audio[:, None] * channel * np.log2(ratio, out=np.zeros_like(ratio), where=possible)).sum())
