"""The finite-alphabet frontier (Proposition E.10): each check returns by how much an instance deviates."""

import numpy as np

from earmark.engine.arrays import FloatArray
from earmark.engine.theory import finite_alphabet, independent_factors
from earmark.engine.theory.instances import Random, random_task, random_tolerance
from earmark.engine.theory.tasks import Query, Task, entropy, task, zero_one


def closed_forms(rng: Random) -> float:
    """Multiple choice with m equal answers, a binary answer, and two independent factors with their own tolerances."""
    m, eps = int(rng.integers(2, 6)), float(rng.uniform(0, 1))
    chance = float(rng.uniform(0.05, 0.5))
    uniform, binary = _multiple_choice(np.full(m, 1 / m)), _multiple_choice(np.array([chance, 1 - chance]))
    both = independent_factors.construction(np.full(2, 0.5), np.array([chance, 1 - chance]), 0.5, side=1)
    own = rng.uniform(0, 0.5, 2)
    return max(
        abs(finite_alphabet.rate(uniform, eps).bits - _uniform_rate(m, eps)),
        abs(finite_alphabet.rate(binary, eps).bits - _binary_rate(chance, eps)),
        abs(finite_alphabet.rate(both, own).bits - _binary_rate(0.5, own[0]) - _binary_rate(chance, own[1])),
    )


def duality_gap(rng: Random) -> float:
    """A channel within tolerance, and a dual point, feasible for every tuple of actions, that proves its rate."""
    of = random_task(rng)
    eps = random_tolerance(rng, of)
    found = finite_alphabet.rate(of, eps)
    distortion = finite_alphabet.action_tuples(of)
    excluded = (distortion > 0) & (eps == 0)
    infeasible = 0.0
    for a in range(distortion.shape[1]):
        mass = sum(
            float(p * np.exp(u - found.price @ distortion[x, a]))
            for x, (p, u) in enumerate(zip(of.audio, found.u, strict=True))
            if not excluded[x, a].any()
        )
        infeasible = max(infeasible, mass - 1)
    lower = float(of.audio @ found.u - eps * found.price.sum()) / float(np.log(2))
    return max(abs(found.bits - lower), infeasible, -float(found.price.min()), _overspent(of, found.channel, eps))


def lengths(rng: Random) -> float:
    """The linear program meets its dual; without tolerance it sends the shortest lossless tuple of every symbol."""
    of = random_task(rng)
    eps = random_tolerance(rng, of)
    distortion = finite_alphabet.action_tuples(of)
    tokens = rng.integers(1, 6, distortion.shape[1]).astype(float)
    found = finite_alphabet.length(of, eps, tokens)
    lossless = np.where((distortion == 0).all(axis=2), tokens, np.inf).min(axis=1)
    exact = finite_alphabet.length(of, 0.0, tokens).tokens
    return max(abs(found.gap), _overspent(of, found.channel, eps), abs(exact - float(of.audio @ lossless)))


def _multiple_choice(law: FloatArray) -> Task:
    return task(law, [Query(np.eye(len(law)), zero_one(len(law)))])


def _binary_rate(chance: float, eps: float) -> float:
    chance, eps = min(chance, 1 - chance), min(eps, 0.5)
    return (
        max(0.0, entropy(np.array([chance, 1 - chance])) - entropy(np.array([eps, 1 - eps]))) if eps < chance else 0.0
    )


def _uniform_rate(m: int, eps: float) -> float:
    if eps >= 1 - 1 / m:
        return 0.0
    return float(np.log2(m)) - entropy(np.array([eps, 1 - eps])) - eps * float(np.log2(m - 1))


def _overspent(of: Task, channel: FloatArray, eps: float) -> float:
    spent = np.einsum("x,xa,xaq->q", of.audio, channel, finite_alphabet.action_tuples(of))
    return max(0.0, float((spent - eps).max()))
