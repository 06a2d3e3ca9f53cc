"""Random small tasks, interfaces and partitions, for statements that hold for all of them."""

import numpy as np
import numpy.typing as npt

from earmark.engine.arrays import FloatArray
from earmark.engine.theory.audio_tasks import AudioTask, Query, make_task, reduced_distortion

Rng = np.random.Generator

_MESSAGES = 3  # of a random channel


def random_task(rng: Rng, n_queries: int | None = None, most_symbols: int = 4) -> AudioTask:
    """A task with 2 to `most_symbols` symbols of audio and, unless n_queries is given, two or three queries.

    Answers are from certain to noisy, losses those of multiple choice or any.
    """
    n_x = int(rng.integers(2, most_symbols + 1))
    queries = []
    for _ in range(int(rng.integers(2, 4)) if n_queries is None else n_queries):
        n_answers, n_actions = rng.integers(2, 4, 2)
        if rng.random() < 0.5:
            posterior = np.eye(n_answers)[rng.integers(0, n_answers, n_x)]
        else:
            posterior = rng.dirichlet(np.full(n_answers, rng.choice([0.2, 1.0, 5.0])), n_x)
        loss = 1 - np.eye(n_answers) if rng.random() < 0.5 else rng.random((n_answers, n_actions))
        queries.append(Query(posterior, loss))
    return make_task(
        rng.dirichlet(np.full(n_x, rng.choice([0.5, 2.0]))), queries, rng.dirichlet(np.full(len(queries), 2.0))
    )


def random_channel(rng: Rng, task: AudioTask) -> FloatArray:
    """A channel p(z | x) (X, 3), from nearly deterministic to noisy; sometimes some message z is never sent."""
    channel = rng.dirichlet(np.full(_MESSAGES, rng.choice([0.1, 1.0])), len(task.audio))
    if rng.random() < 0.2:
        channel = np.eye(_MESSAGES)[rng.integers(0, _MESSAGES, len(task.audio))]
    return np.asarray(channel, dtype=np.float64)


def random_tolerance(rng: Rng, task: AudioTask) -> float:
    """0, or a share of the excess risk that the worst-hit query would have without any audio."""
    unheard = [float((task.audio @ reduced_distortion(query)).min()) for query in task.queries]
    return max(unheard) * float(rng.choice([0.0, 1e-3, 0.03, 0.2, 0.6, 0.9]))


def random_partition(rng: Rng, n_queries: int) -> tuple[list[npt.NDArray[np.int64]], list[npt.NDArray[np.int64]]]:
    """A partition of queries into families and a refinement of it, each as the query numbers of every family."""
    coarse = rng.integers(0, 3, n_queries)
    fine = 2 * coarse + rng.integers(0, 2, n_queries)
    return tuple([np.flatnonzero(families == cell) for cell in np.unique(families)] for families in (coarse, fine))  # type: ignore[return-value]
