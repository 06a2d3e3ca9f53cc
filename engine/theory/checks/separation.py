"""The separation of the two frontiers (Theorem 3.4): each check returns by how much an instance deviates."""

from collections.abc import Iterator
from itertools import product

import numpy as np

from earmark.engine.theory import finite_alphabet, independent_factors
from earmark.engine.theory.checks.deviation import over
from earmark.engine.theory.instances import Rng, random_task, random_tolerance


def uniform() -> Iterator[float]:
    """The 66 cells: 6 alphabets x 11 priors, by enumeration against log m1 + log m2 and its conditioned mean."""
    for (m1, m2), prior in product(independent_factors.CONFIGURATIONS, independent_factors.PRIORS):
        enumerated = independent_factors.enumerated(
            independent_factors.construction(np.full(m1, 1 / m1), np.full(m2, 1 / m2), prior)
        )
        agnostic = np.log2(m1) + np.log2(m2)
        conditioned = prior * np.log2(m1) + (1 - prior) * np.log2(m2)
        gain = (1 - prior) * np.log2(m1) + prior * np.log2(m2)
        yield max(
            abs(enumerated.agnostic - agnostic),
            abs(enumerated.conditioned - conditioned),
            abs(enumerated.agnostic - enumerated.conditioned - gain),
        )


def any_factors(rng: Rng) -> float:
    """The same with factors that are not uniform, and by the solver as well."""
    first, second = rng.dirichlet(np.ones(rng.integers(2, 4))), rng.dirichlet(np.ones(rng.integers(2, 4)))
    prior = rng.uniform(0.05, 0.95)
    task = independent_factors.construction(first, second, prior, n_side=1)
    expected, enumerated = independent_factors.closed_form(first, second, prior), independent_factors.enumerated(task)
    solved = finite_alphabet.rate(task, 0.0).bits, finite_alphabet.conditioned_rate(task, 0.0)
    return max(
        abs(enumerated.agnostic - expected.agnostic),
        abs(enumerated.conditioned - expected.conditioned),
        abs(solved[0] - expected.agnostic),
        abs(solved[1] - expected.conditioned),
    )


def optimal() -> Iterator[float]:
    """No way to merge the audio symbols without loss costs less: all set partitions of up to 8 symbols."""
    for first, second, side in (
        ([0.5, 0.5], [0.5, 0.5], 2),
        ([0.3, 0.7], [0.2, 0.5, 0.3], 1),
        ([0.1, 0.9], [0.6, 0.4], 2),
    ):
        task = independent_factors.construction(np.array(first), np.array(second), 0.5, side)
        yield abs(independent_factors.cheapest_partition(task) - independent_factors.enumerated(task).agnostic)


def conditioning_helps(rng: Rng) -> float:
    """Conditioned frontiers are at most the agnostic ones, in bits and in tokens (3.11); without tolerance they send
    the shortest action that is right for the query asked."""
    task = random_task(rng)
    eps, distortion = random_tolerance(rng, task), finite_alphabet.action_tuples(task)
    lengths = rng.integers(1, 6, distortion.shape[1]).astype(float)
    shortest = np.where(distortion == 0, lengths[None, :, None], np.inf).min(axis=1)  # (X, Q)
    return max(
        over(finite_alphabet.conditioned_rate(task, eps), finite_alphabet.rate(task, eps).bits),
        over(finite_alphabet.conditioned_length(task, eps, lengths), finite_alphabet.length(task, eps, lengths).tokens),
        abs(finite_alphabet.conditioned_length(task, 0.0, lengths) - float(task.audio @ shortest @ task.prior)),
    )
