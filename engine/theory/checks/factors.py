"""Gaussian factors (Proposition E.11, its corollaries): each check returns by how much an instance deviates."""

import numpy as np

from earmark.engine.arrays import FloatArray
from earmark.engine.theory import gaussian
from earmark.engine.theory.checks.deviation import over
from earmark.engine.theory.instances import Rng


def duality_gap(rng: Rng) -> float:
    """Errors keep every tolerance, and their rate meets the lower bound that the prices give, factor by factor."""
    variances, weights, eps = _factors(rng, n_queries=3)
    allocation = gaussian.allocate(variances, weights, eps)
    lower = -float(allocation.price.sum()) * eps
    for variance, price in zip(variances, allocation.price @ weights, strict=True):
        error = min(variance, 0.5 / price) if price > 0 else variance
        lower += 0.5 * float(np.log(variance / error)) + float(price) * error
    return max(abs(allocation.bits - lower / float(np.log(2))), float((weights @ allocation.errors - eps).max()))


def water_level(rng: Rng) -> float:
    """For one query the program finds the reverse water-filling min(s_j^2, theta / w_j), which spends the tolerance."""
    variances, weights, eps = _factors(rng, n_queries=1)
    filled, level = gaussian.reverse_water_filling(variances, weights[0], eps)
    caps = np.divide(level, weights[0], out=np.full_like(variances, np.inf), where=weights[0] > 0)
    spent = float(weights[0] @ filled)
    return max(
        float(np.abs(gaussian.allocate(variances, weights, eps).errors - filled).max()),
        float(np.abs(np.minimum(variances, caps) - filled).max()),
        abs(spent - min(eps, float(weights[0] @ variances))),
    )


def blocks_add(rng: Rng) -> float:
    """Queries on disjoint blocks of factors: the joint rate is the sum of the blocks' rates (E.72)."""
    (s1, w1, eps), (s2, w2, _) = _factors(rng, n_queries=2), _factors(rng, n_queries=2)
    weights = np.block([[w1, np.zeros((2, len(s2)))], [np.zeros((2, len(s1))), w2]])
    joint = gaussian.allocate(np.concatenate([s1, s2]), weights, eps).bits
    return abs(joint - gaussian.allocate(s1, w1, eps).bits - gaussian.allocate(s2, w2, eps).bits)


def synergy(rng: Rng) -> float:
    """Two unit factors: asking for both at once costs one bit more than asking for either (E.76), for eps <= 1."""
    eps = float(rng.uniform(1e-3, 1.0))
    single = gaussian.allocate(np.ones(2), np.eye(2), eps).bits
    joint = gaussian.allocate(np.ones(2), np.vstack([np.eye(2), np.ones(2)]), eps).bits
    return max(abs(joint - single - 1.0), abs(single - float(np.log2(1 / eps))))


def conditioning(rng: Rng) -> float:
    """The mean of the single-query rates under the prior (E.64) is at most the rate that serves all queries."""
    variances, weights, eps = _factors(rng, n_queries=3)
    prior = rng.dirichlet(np.ones(3))
    conditioned = gaussian.conditioned_rate(variances, weights, eps, prior)
    alone = [gaussian.allocate(variances, weights[q : q + 1], eps).bits for q in range(3)]
    joint = gaussian.allocate(variances, weights, eps).bits
    return max(abs(conditioned - float(prior @ np.array(alone))), over(conditioned, joint))


def _factors(rng: Rng, n_queries: int) -> tuple[FloatArray, FloatArray, float]:
    """Random variances (J,), weights (Q, J) and a tolerance that some query cannot keep without any bit."""
    n_factors = int(rng.integers(1, 6))
    variances = rng.gamma(1.0, 2.0, n_factors) + 0.01
    weights = rng.gamma(0.5, 1.0, (n_queries, n_factors)) * (rng.random((n_queries, n_factors)) < 0.8) + 1e-6
    return variances, weights, float((weights @ variances).max() * rng.choice([1e-3, 0.1, 0.5, 0.9]))
