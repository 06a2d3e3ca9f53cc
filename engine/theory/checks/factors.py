"""Gaussian factors (Proposition E.11, its corollaries): each check returns by how much an instance deviates."""

import numpy as np

from earmark.engine.theory import gaussian
from earmark.engine.theory.checks.deviation import over
from earmark.engine.theory.instances import Random
from earmark.engine.theory.tasks import FloatArray


def duality_gap(rng: Random) -> float:
    """The general program's errors are within every tolerance, and their rate within its own lower bound."""
    variances, weights, eps = _factors(rng, queries=3)
    found = gaussian.allocate(variances, weights, eps)
    return max(abs(found.gap), float((weights @ found.errors - eps).max()))


def water_level(rng: Random) -> float:
    """For one query the program finds the reverse water-filling: min(s_j^2, theta / w_j), the tolerance spent."""
    variances, weights, eps = _factors(rng, queries=1)
    filled, level = gaussian.reverse_water_filling(variances, weights[0], eps)
    caps = np.divide(level, weights[0], out=np.full_like(variances, np.inf), where=weights[0] > 0)
    spent = float(weights[0] @ filled)
    return max(
        float(np.abs(gaussian.allocate(variances, weights, eps).errors - filled).max()),
        float(np.abs(np.minimum(variances, caps) - filled).max()),
        abs(spent - min(eps, float(weights[0] @ variances))),
    )


def blocks_add(rng: Random) -> float:
    """Queries on disjoint blocks of factors: the joint rate is the sum of the blocks' rates (E.72)."""
    (s1, w1, eps), (s2, w2, _) = _factors(rng, queries=2), _factors(rng, queries=2)
    weights = np.block([[w1, np.zeros((2, len(s2)))], [np.zeros((2, len(s1))), w2]])
    joint = gaussian.allocate(np.concatenate([s1, s2]), weights, eps).bits
    return abs(joint - gaussian.allocate(s1, w1, eps).bits - gaussian.allocate(s2, w2, eps).bits)


def synergy(rng: Random) -> float:
    """Two unit factors: asking for both at once costs one bit more than asking for either (E.76), for eps <= 1."""
    eps = float(rng.uniform(1e-3, 1.0))
    single = gaussian.allocate(np.ones(2), np.eye(2), eps).bits
    joint = gaussian.allocate(np.ones(2), np.vstack([np.eye(2), np.ones(2)]), eps).bits
    return max(abs(joint - single - 1.0), abs(single - float(np.log2(1 / eps))))


def conditioning(rng: Random) -> float:
    """The mean of the single-query rates is at most the rate that serves all queries (E.64)."""
    variances, weights, eps = _factors(rng, queries=3)
    prior = rng.dirichlet(np.ones(3))
    return over(
        gaussian.conditioned_rate(variances, weights, eps, prior), gaussian.allocate(variances, weights, eps).bits
    )


def _factors(rng: Random, queries: int) -> tuple[FloatArray, FloatArray, float]:
    factors = int(rng.integers(1, 6))
    weights = rng.gamma(0.5, 1.0, (queries, factors)) * (rng.random((queries, factors)) < 0.8)
    return rng.gamma(1.0, 2.0, factors) + 0.01, weights, float(rng.uniform(1e-3, 2.0))
