"""Compressed audio as an experiment about the answers: what it costs each query, by the definitions of section 3.

A compressed interface is a channel p(z | x), (X, Z).
"""

from collections.abc import Sequence
from itertools import product

import numpy as np

from earmark.engine.arrays import FloatArray, IntArray
from earmark.engine.theory.tasks import Query, Task


def envelope(query: Query, belief: FloatArray) -> float:
    """Phi(mu) = min_a E_mu[l(Y, a)]: the risk of the best action under a belief (Y,) about the answer (3.1)."""
    return float((belief @ query.loss).min())


def deficiency(of: Task, channel: FloatArray) -> float:
    """The worst query's Jensen gap E[Phi(law of Y given Z)] - E[Phi(law of Y given X)] (3.2)."""
    reached = of.audio @ channel
    gaps = []
    for query in of.queries:
        after = 0.0
        for z in np.flatnonzero(reached > 0):
            heard = of.audio * channel[:, z] / reached[z]
            after += float(reached[z]) * envelope(query, heard @ query.posterior)
        before = sum(float(p) * envelope(query, y) for p, y in zip(of.audio, query.posterior, strict=True))
        gaps.append(after - before)
    return max(gaps)


def rules(interface: int, actions: int) -> IntArray:
    """Every way to answer from an interface: (actions ** interface, interface) actions."""
    return np.array(list(product(range(actions), repeat=interface)))


def risk(of: Task, q: int, channel: FloatArray, answerer: IntArray) -> float:
    """The least expected loss on query q over the rules (K, Z) that an answerer can follow (D.15)."""
    query = of.queries[q]
    joint = np.einsum("x,xz,xy->zy", of.audio, channel, query.posterior) @ query.loss  # (Z, A)
    return float(joint[np.arange(joint.shape[0]), answerer].sum(axis=1).min())


def raw(of: Task) -> FloatArray:
    """The channel that hears everything."""
    return np.eye(len(of.audio))


def excess(of: Task, q: int, channel: FloatArray) -> float:
    """Bayes risk from compressed minus from raw audio, each over all rules (2.3)."""
    actions = of.queries[q].loss.shape[1]
    heard = risk(of, q, raw(of), rules(len(of.audio), actions))
    return risk(of, q, channel, rules(channel.shape[1], actions)) - heard


def family_gap(gaps: FloatArray, prior: FloatArray, cells: Sequence[IntArray]) -> float:
    """The worst cell's mean excess, each cell weighted as it is asked (3.4)."""
    return max(float(prior[cell] @ gaps[cell] / prior[cell].sum()) for cell in cells)
