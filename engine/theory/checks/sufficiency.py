"""Sufficiency and monotonicity (Theorems 3.2, 3.3, E.4): each check returns by how much an instance deviates."""

import numpy as np

from earmark.engine.arrays import FloatArray
from earmark.engine.theory import experiments, finite_alphabet
from earmark.engine.theory.checks.deviation import over
from earmark.engine.theory.instances import Random, random_channel, random_partition, random_task, random_tolerance
from earmark.engine.theory.tasks import Task


def deficiency_is_excess(rng: Random) -> float:
    """The worst Jensen gap is the worst excess risk over all answering rules; it is never negative (3.3)."""
    of = random_task(rng)
    channel = random_channel(rng, of)
    lacking = experiments.deficiency(of, channel)
    damage = max(experiments.excess(of, q, channel) for q in range(len(of.queries)))
    return max(abs(lacking - damage), -lacking, abs(experiments.deficiency(of, experiments.raw(of))))


def refinement(rng: Random) -> float:
    """Average <= coarse families <= fine families <= worst query, for excess and smallest passing budget (3.6, 3.8)."""
    of = random_task(rng, queries=5)
    coarse, fine = random_partition(rng, 5)
    average, single = [np.arange(5)], [np.array([q]) for q in range(5)]
    gaps = [_gaps(of, channel) for channel in _budgets(rng, of)]
    levels = [
        [experiments.family_gap(of_channel, of.prior, cells) for cells in (average, coarse, fine, single)]
        for of_channel in gaps
    ]
    ends = [(float(of.prior @ of_channel), float(of_channel.max())) for of_channel in gaps]
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


def more_queries(rng: Random) -> float:
    """With a query more, the deficiency and both frontiers do not fall (E.9 to E.11)."""
    of = random_task(rng, queries=3)
    eps = random_tolerance(rng, of)
    fewer = Task(of.audio, of.queries[:2], of.prior[:2] / of.prior[:2].sum())
    channel = random_channel(rng, of)
    lengths = rng.integers(1, 6, finite_alphabet.action_tuples(of).shape[1]).astype(float)
    free = finite_alphabet.action_tuples(of).max() + 1.0  # no bound on the third query, with the same code
    return max(
        over(experiments.deficiency(fewer, channel), experiments.deficiency(of, channel)),
        over(finite_alphabet.rate(fewer, eps).bits, finite_alphabet.rate(of, eps).bits),
        over(
            finite_alphabet.length(of, np.array([eps, eps, free]), lengths).tokens,
            finite_alphabet.length(of, eps, lengths).tokens,
        ),
    )


def _gaps(of: Task, channel: FloatArray) -> FloatArray:
    return np.array([experiments.excess(of, q, channel) for q in range(len(of.queries))])


def _budgets(rng: Random, of: Task) -> list[FloatArray]:
    """Interfaces that tell more and more: a share of each symbol is passed on, the rest drowned in noise."""
    noise = np.full((len(of.audio), len(of.audio)), 1 / len(of.audio))
    return [share * experiments.raw(of) + (1 - share) * noise for share in sorted(rng.random(4))]
