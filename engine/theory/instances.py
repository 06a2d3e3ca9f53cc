"""Random small tasks, interfaces and partitions, for statements that hold for all of them."""

import numpy as np
import numpy.typing as npt

from earmark.engine.arrays import FloatArray
from earmark.engine.theory.tasks import Query, Task, reduced_distortion, task

Random = np.random.Generator


def random_task(rng: Random, queries: int | None = None, audio: int = 4) -> Task:
    """Up to `audio` symbols and three queries; answers from certain to noisy, losses of multiple choice or any."""
    n_x = int(rng.integers(2, audio + 1))
    asked = []
    for _ in range(int(rng.integers(2, 4)) if queries is None else queries):
        answers, actions = rng.integers(2, 4, 2)
        if rng.random() < 0.5:
            posterior = np.eye(answers)[rng.integers(0, answers, n_x)]
        else:
            posterior = rng.dirichlet(np.full(answers, rng.choice([0.2, 1.0, 5.0])), n_x)
        loss = 1 - np.eye(answers) if rng.random() < 0.5 else rng.random((answers, actions))
        asked.append(Query(posterior, loss))
    return task(rng.dirichlet(np.full(n_x, rng.choice([0.5, 2.0]))), asked, rng.dirichlet(np.full(len(asked), 2.0)))


def random_channel(rng: Random, of: Task, interface: int = 3) -> FloatArray:
    """(X, Z), from nearly deterministic to noisy; sometimes some z is never sent."""
    channel = rng.dirichlet(np.full(interface, rng.choice([0.1, 1.0])), len(of.audio))
    if rng.random() < 0.2:
        channel = np.eye(interface)[rng.integers(0, interface, len(of.audio))]
    return np.asarray(channel, dtype=np.float64)


def random_tolerance(rng: Random, of: Task) -> float:
    """None, or a share of what the query that suffers most would suffer without any audio."""
    silent = [float((of.audio @ reduced_distortion(query)).min()) for query in of.queries]
    return max(silent) * float(rng.choice([0.0, 1e-3, 0.03, 0.2, 0.6, 0.9]))


def random_partition(rng: Random, queries: int) -> tuple[list[npt.NDArray[np.int64]], list[npt.NDArray[np.int64]]]:
    """A partition of queries into families, and a refinement of it."""
    coarse = rng.integers(0, 3, queries)
    fine = 2 * coarse + rng.integers(0, 2, queries)
    return tuple([np.flatnonzero(of == cell) for cell in np.unique(of)] for of in (coarse, fine))  # type: ignore[return-value]
