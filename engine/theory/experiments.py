"""Compressed audio as an experiment about the answers: what it costs each query, by the definitions of section 3.

A compressed interface is a channel p(z | x), (X, Z).
"""

from collections.abc import Sequence
from itertools import product

import numpy as np

from earmark.engine.arrays import FloatArray, IntArray
from earmark.engine.theory.audio_tasks import AudioTask, Query


def envelope(query: Query, belief: FloatArray) -> float:
    """Phi(mu) = min_a E_mu[l(Y, a)]: the risk of the best action under a belief (Y,) about the answer (3.1)."""
    return float((belief @ query.loss).min())


def deficiency(task: AudioTask, channel: FloatArray) -> float:
    """The worst query's Jensen gap E[Phi(law of Y given Z)] - E[Phi(law of Y given X)] (3.2)."""
    law = task.audio @ channel
    gaps = []
    for query in task.queries:
        risk_after = 0.0
        for z in np.flatnonzero(law > 0):
            belief = task.audio * channel[:, z] / law[z]
            risk_after += float(law[z]) * envelope(query, belief @ query.posterior)
        risk_before = sum(float(p) * envelope(query, y) for p, y in zip(task.audio, query.posterior, strict=True))
        gaps.append(risk_after - risk_before)
    return max(gaps)


def rules(n_messages: int, n_actions: int) -> IntArray:
    """Every rule for answering: the action for each message, (n_actions ** n_messages, n_messages)."""
    return np.array(list(product(range(n_actions), repeat=n_messages)))


def risk(task: AudioTask, q: int, channel: FloatArray, answerer: IntArray) -> float:
    """The least expected loss on query q over the rules (K, Z) that an answerer can follow (D.15)."""
    query = task.queries[q]
    joint = np.einsum("x,xz,xy->zy", task.audio, channel, query.posterior) @ query.loss  # (Z, A)
    return float(joint[np.arange(joint.shape[0]), answerer].sum(axis=1).min())


def raw(task: AudioTask) -> FloatArray:
    """The channel (X, X) that passes on all of the audio."""
    return np.eye(len(task.audio))


def excess(task: AudioTask, q: int, channel: FloatArray) -> float:
    """Bayes risk from compressed minus from raw audio, each over all rules (2.3)."""
    n_actions = task.queries[q].loss.shape[1]
    raw_risk = risk(task, q, raw(task), rules(len(task.audio), n_actions))
    return risk(task, q, channel, rules(channel.shape[1], n_actions)) - raw_risk


def family_gap(gaps: FloatArray, prior: FloatArray, cells: Sequence[IntArray]) -> float:
    """The largest mean of the gaps (Q,) over a cell of queries, weighted by how often each query is asked (3.4)."""
    return max(float(prior[cell] @ gaps[cell] / prior[cell].sum()) for cell in cells)
