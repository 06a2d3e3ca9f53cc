"""The finite-alphabet frontier (Proposition E.10): each check returns by how much an instance deviates."""

import numpy as np

from earmark.engine.arrays import FloatArray
from earmark.engine.theory import finite_alphabet, independent_factors
from earmark.engine.theory.audio_tasks import AudioTask, Query, entropy, make_task, zero_one
from earmark.engine.theory.instances import Rng, random_task, random_tolerance


def closed_forms(rng: Rng) -> float:
    """Multiple choice with m equal answers, a binary answer, and two independent factors with their own tolerances."""
    m, eps = int(rng.integers(2, 6)), float(rng.uniform(0, 1))
    chance = float(rng.uniform(0.05, 0.5))
    uniform, binary = _multiple_choice(np.full(m, 1 / m)), _multiple_choice(np.array([chance, 1 - chance]))
    two_factors = independent_factors.construction(np.full(2, 0.5), np.array([chance, 1 - chance]), 0.5, n_side=1)
    tolerances = rng.uniform(0, 0.5, 2)
    return max(
        abs(finite_alphabet.rate(uniform, eps).bits - _uniform_rate(m, eps)),
        abs(finite_alphabet.rate(binary, eps).bits - _binary_rate(chance, eps)),
        abs(
            finite_alphabet.rate(two_factors, tolerances).bits
            - _binary_rate(0.5, tolerances[0])
            - _binary_rate(chance, tolerances[1])
        ),
    )


def duality_gap(rng: Rng) -> float:
    """A channel within tolerance, and a dual point, feasible for every tuple of actions, that proves its rate."""
    task = random_task(rng)
    eps = random_tolerance(rng, task)
    frontier = finite_alphabet.rate(task, eps)
    distortion = finite_alphabet.action_tuples(task)
    excluded = (distortion > 0) & (eps == 0)
    infeasible = 0.0
    for a in range(distortion.shape[1]):
        mass = sum(
            float(p * np.exp(u - frontier.price @ distortion[x, a]))
            for x, (p, u) in enumerate(zip(task.audio, frontier.u, strict=True))
            if not excluded[x, a].any()
        )
        infeasible = max(infeasible, mass - 1)
    lower = float(task.audio @ frontier.u - eps * frontier.price.sum()) / float(np.log(2))
    return max(
        abs(frontier.bits - lower), infeasible, -float(frontier.price.min()), _overspent(task, frontier.channel, eps)
    )


def lengths(rng: Rng) -> float:
    """The linear program meets its dual; without tolerance it sends the shortest lossless tuple of every symbol."""
    task = random_task(rng)
    eps = random_tolerance(rng, task)
    distortion = finite_alphabet.action_tuples(task)
    tokens = rng.integers(1, 6, distortion.shape[1]).astype(float)
    frontier = finite_alphabet.length(task, eps, tokens)
    lossless = np.where((distortion == 0).all(axis=2), tokens, np.inf).min(axis=1)
    exact = finite_alphabet.length(task, 0.0, tokens).tokens
    return max(abs(frontier.gap), _overspent(task, frontier.channel, eps), abs(exact - float(task.audio @ lossless)))


def _multiple_choice(law: FloatArray) -> AudioTask:
    return make_task(law, [Query(np.eye(len(law)), zero_one(len(law)))])


def _binary_rate(chance: float, eps: float) -> float:
    chance, eps = min(chance, 1 - chance), min(eps, 0.5)
    return (
        max(0.0, entropy(np.array([chance, 1 - chance])) - entropy(np.array([eps, 1 - eps]))) if eps < chance else 0.0
    )


def _uniform_rate(m: int, eps: float) -> float:
    if eps >= 1 - 1 / m:
        return 0.0
    return float(np.log2(m)) - entropy(np.array([eps, 1 - eps])) - eps * float(np.log2(m - 1))


def _overspent(task: AudioTask, channel: FloatArray, eps: float) -> float:
    """By how much the channel exceeds the tolerance of some query."""
    spent = np.einsum("x,xa,xaq->q", task.audio, channel, finite_alphabet.action_tuples(task))
    return max(0.0, float((spent - eps).max()))
