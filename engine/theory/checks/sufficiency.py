"""Sufficiency and monotonicity (Theorems 3.2, 3.3, E.4): each check returns by how much an instance deviates."""

import numpy as np

from earmark.engine.arrays import FloatArray
from earmark.engine.theory import experiments, finite_alphabet
from earmark.engine.theory.audio_tasks import AudioTask
from earmark.engine.theory.checks.deviation import over
from earmark.engine.theory.instances import Rng, random_channel, random_partition, random_task, random_tolerance


def deficiency_is_excess(rng: Rng) -> float:
    """The worst Jensen gap is the worst excess risk over all answering rules; it is never negative (3.3)."""
    task = random_task(rng)
    channel = random_channel(rng, task)
    deficiency = experiments.deficiency(task, channel)
    excess = max(experiments.excess(task, q, channel) for q in range(len(task.queries)))
    return max(abs(deficiency - excess), -deficiency, abs(experiments.deficiency(task, experiments.raw(task))))


def refinement(rng: Rng) -> float:
    """Average <= coarse families <= fine families <= worst query, for excess and smallest passing budget (3.6, 3.8)."""
    task = random_task(rng, n_queries=5)
    coarse, fine = random_partition(rng, 5)
    average, single = [np.arange(5)], [np.array([q]) for q in range(5)]
    gaps = [_gaps(task, channel) for channel in _budgets(rng, task)]
    levels = [
        [experiments.family_gap(query_gaps, task.prior, cells) for cells in (average, coarse, fine, single)]
        for query_gaps in gaps
    ]
    ends = [(float(task.prior @ query_gaps), float(query_gaps.max())) for query_gaps in gaps]
    eps = float(rng.uniform(0, 0.2))
    frontiers = [
        next((b for b, gap in enumerate(level) if gap <= eps), len(levels)) for level in zip(*levels, strict=True)
    ]
    return max(
        max(over(*level) for level in levels),
        *(abs(level[0] - mean) for level, (mean, _) in zip(levels, ends, strict=True)),
        *(abs(level[-1] - worst) for level, (_, worst) in zip(levels, ends, strict=True)),
        over(*frontiers),
    )


def more_queries(rng: Rng) -> float:
    """With one more query neither the deficiency nor one of the frontiers falls (E.9 to E.11)."""
    task = random_task(rng, n_queries=3)
    eps = random_tolerance(rng, task)
    fewer = AudioTask(task.audio, task.queries[:2], task.prior[:2] / task.prior[:2].sum())
    channel = random_channel(rng, task)
    lengths = rng.integers(1, 6, finite_alphabet.action_tuples(task).shape[1]).astype(float)
    unbounded = finite_alphabet.action_tuples(task).max() + 1.0  # no bound on the third query, with the same code
    return max(
        over(experiments.deficiency(fewer, channel), experiments.deficiency(task, channel)),
        over(finite_alphabet.rate(fewer, eps).bits, finite_alphabet.rate(task, eps).bits),
        over(
            finite_alphabet.length(task, np.array([eps, eps, unbounded]), lengths).tokens,
            finite_alphabet.length(task, eps, lengths).tokens,
        ),
    )


def _gaps(task: AudioTask, channel: FloatArray) -> FloatArray:
    """The excess risk of every query (Q,)."""
    return np.array([experiments.excess(task, q, channel) for q in range(len(task.queries))])


def _budgets(rng: Rng, task: AudioTask) -> list[FloatArray]:
    """Channels that tell more and more: a growing share of each symbol is passed on, the rest replaced by noise."""
    noise = np.full((len(task.audio), len(task.audio)), 1 / len(task.audio))
    return [share * experiments.raw(task) + (1 - share) * noise for share in sorted(rng.random(4))]
