"""The answer-preservation frontier of a finite task, exactly: the fewest bits, or the shortest code, that suffice.

Proposition E.10: nothing is lost by sending the tuple a = (a_q) of the actions for every query, so that the frontier
is min I(X; A) over p(a | x) subject to E d_q(X, A_q) <= eps_q for every q. Its dual,

    max  E u(X) - lambda . eps   subject to   E[exp(u(X) - lambda . d(X, a))] <= 1 for every a, lambda >= 0,

has |X| + |Q| variables; its multipliers are the law of A, and any of its points bounds the rate from below.
"""

from itertools import product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import linprog

from earmark.engine.arrays import FloatArray
from earmark.engine.theory.audio_tasks import AudioTask, asking_only, mutual_information, reduced_distortion
from earmark.engine.theory.interior_point import Local, Optimum, closed, minimise

_HANDOVER = 1e-2  # times the least tolerance: the mu at which the barrier hands over to Newton's method
_EXACT = {
    f"{side}_feasibility_tolerance": 1e-10 for side in ("primal", "dual")
}  # HiGHS's least; its default leaves gaps


class ChannelRate(NamedTuple):
    """A frontier in bits, with a channel that reaches it and a point of the dual that no channel can be better than."""

    bits: float  # of the channel
    channel: FloatArray  # (X, A) p(a | x), within every tolerance
    gap: float  # bits above the lower bound that u and price give for every channel within tolerance
    u: FloatArray  # (X,) nats; with price a feasible point of the dual
    price: FloatArray  # (Q,) nats per unit of a tolerance


class CodeLength(NamedTuple):
    """A frontier in expected code length, with a channel that reaches it and the gap to its lower bound."""

    tokens: float
    channel: FloatArray  # (X, A)
    gap: float  # tokens above the lower bound


def rate(task: AudioTask, eps: float | FloatArray) -> ChannelRate:
    """The query-agnostic frontier: one interface must serve every query (3.9, E.57)."""
    distortion = action_tuples(task)
    tolerance = _tolerances(task, eps)
    spends = (tolerance > 0) & (tolerance < distortion.max(axis=(0, 1)))  # the other queries allow all or nothing
    free = distortion[:, :, spends], tolerance[spends]
    allowed = (distortion[:, :, tolerance == 0] == 0).all(axis=2)  # no tolerance: only actions without loss
    unit = free[0].max(axis=(0, 1))
    frontier = _solve(task.audio, free[0] / unit, free[1] / unit, allowed)
    price = np.zeros(len(tolerance))
    price[spends] = frontier.price / unit
    return frontier._replace(price=price)


def conditioned_rate(task: AudioTask, eps: float | FloatArray) -> float:
    """The query-conditioned frontier: the mean over queries of what each needs by itself (3.10, E.15)."""
    tolerance = _tolerances(task, eps)
    bits = [rate(asking_only(task, q), tolerance[q : q + 1]).bits for q in range(len(task.queries))]
    return float(task.prior @ np.array(bits))


def length(task: AudioTask, eps: float | FloatArray, lengths: FloatArray) -> CodeLength:
    """The fewest expected tokens where a tuple of actions costs lengths (A,): a linear program (E.59)."""
    d, tolerance = action_tuples(task), _tolerances(task, eps)
    x, a, _ = d.shape
    if np.shape(lengths) != (a,) or not (np.isfinite(lengths).all() and (lengths >= 0).all()):
        raise ValueError(f"lengths are one per tuple of actions, ({a},), finite and >= 0")
    usable = (d[:, :, tolerance == 0] == 0).all(axis=2)
    spends = (tolerance > 0) & (tolerance < d.max(axis=(0, 1)))
    d, tolerance = d[:, :, spends], tolerance[spends]
    # In joint probabilities over what the audio and the tolerances allow, so that every row is of order 1.
    solution = linprog(
        np.tile(lengths, x),
        A_ub=(d / tolerance).reshape(x * a, -1).T if len(tolerance) else None,
        b_ub=np.ones(len(tolerance)) if len(tolerance) else None,
        A_eq=np.kron(np.diag(1 / task.audio), np.ones(a)),
        b_eq=np.ones(x),
        bounds=[(0.0, None if use else 0.0) for use in usable.ravel()],
        method="highs",
        options=_EXACT,
    )
    if solution.status != 0:
        raise ArithmeticError(f"the linear program was not solved: {solution.message}")
    price = np.maximum(-solution.ineqlin.marginals, 0.0) / tolerance if len(tolerance) else np.zeros(0)
    bound = float(task.audio @ np.where(usable, lengths + d @ price, np.inf).min(axis=1) - price @ tolerance)
    channel = _within(task.audio, np.maximum(solution.x, 0.0).reshape(x, a), d, tolerance, usable)
    tokens = float(task.audio @ channel @ lengths)
    return CodeLength(tokens, channel, closed(tokens, bound))


def conditioned_length(task: AudioTask, eps: float | FloatArray, lengths: FloatArray) -> float:
    """The mean over queries of the fewest tokens that serve each query alone, in the same code (D.14)."""
    tolerance, unbounded = _tolerances(task, eps), float(action_tuples(task).max()) + 1.0
    alone = np.where(np.eye(len(tolerance), dtype=bool), tolerance, unbounded)
    return float(task.prior @ np.array([length(task, tolerances, lengths).tokens for tolerances in alone]))


def action_tuples(task: AudioTask) -> FloatArray:
    """The distortion (X, A, Q) for each query of every tuple of actions, tuples in the order of itertools.product."""
    distortions = [reduced_distortion(query) for query in task.queries]
    tuples = np.array(list(product(*(range(d.shape[1]) for d in distortions))))
    return np.stack([d[:, tuples[:, q]] for q, d in enumerate(distortions)], axis=2)


def _tolerances(task: AudioTask, eps: float | FloatArray) -> FloatArray:
    """Checked tolerances (Q,): one for each query, or the same for all."""
    tolerance = np.broadcast_to(np.asarray(eps, dtype=np.float64), (len(task.queries),)).copy()
    if not (np.isfinite(tolerance).all() and (tolerance >= 0).all()):
        raise ValueError(f"tolerances {eps} are not finite and >= 0")
    return tolerance


def _solve(audio: FloatArray, distortion: FloatArray, eps: FloatArray, allowed: npt.NDArray[np.bool_]) -> ChannelRate:
    """The frontier for distortions (X, A, Q) with tolerances (Q,) > 0; `allowed` (X, A): the pairs that may be used."""
    allowed_tuples = allowed.any(axis=0)
    d, usable = distortion[:, allowed_tuples], allowed[:, allowed_tuples]
    n_x, n_a, n_q = d.shape
    # gradients (X, A, X + Q) of the exponent u(x) - lambda . d(x, a)
    exponent = np.concatenate([np.broadcast_to(np.eye(n_x)[:, None, :], (n_x, n_a, n_x)), -d], axis=2)
    flat = exponent.reshape(n_x * n_a, n_x + n_q)
    base = np.where(usable, np.log(audio)[:, None], -np.inf)

    def log_mass(v: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The logarithm of each constraint (A,), nearly linear where the sum is not, and the shares of x (X, A)."""
        terms = base + exponent @ v
        highest = terms.max(axis=0)
        share = np.exp(terms - highest)
        total = share.sum(axis=0)
        return highest + np.log(total), share / total

    def local(v: FloatArray, mu: float) -> Local:
        """The dual in v = (u, lambda), as a program to minimise, with the constraints in logarithms."""
        slope = np.concatenate([-audio, np.maximum(eps, mu)])  # tolerances narrow as the barrier falls
        log_sum, share = log_mass(v)
        jacobian = np.zeros((n_a + n_q, n_x + n_q))
        jacobian[:n_a] = mean = (share[:, :, None] * exponent).sum(axis=0)
        jacobian[n_a:, n_x:] = -np.eye(n_q)

        def hessian(multipliers: FloatArray) -> FloatArray:
            of_a = multipliers[:n_a]
            spread: FloatArray = flat.T @ ((share * of_a).reshape(-1, 1) * flat) - mean.T @ (of_a[:, None] * mean)
            return spread

        return Local(float(slope @ v), slope, np.concatenate([log_sum, -v[n_x:]]), jacobian, hessian)

    def proof(optimum: Optimum) -> ChannelRate:
        """The channel that is proportional to the multipliers, and a feasible point of the dual beside the optimum."""
        v = np.concatenate([optimum.v[:n_x], np.maximum(optimum.v[n_x:], 0.0)])
        log_sum, share = log_mass(v)
        u, price = v[:n_x] - log_sum.max(), v[n_x:]
        channel = np.zeros(allowed.shape)
        channel[:, allowed_tuples] = _within(audio, share * optimum.multipliers[:n_a], d, eps, usable)
        bits, bound = mutual_information(audio, channel), float(audio @ u - eps @ price) / float(np.log(2))
        return ChannelRate(bits, channel, bits - bound, u, price)

    start = np.concatenate([np.full(n_x, -1.0), np.ones(n_q)])
    last = _HANDOVER * float(np.min(eps, initial=1e-4))
    frontier = proof(minimise(local, start, lambda optimum: proof(optimum).gap, last))
    return frontier._replace(gap=closed(frontier.bits, frontier.bits - frontier.gap))


def _within(
    audio: FloatArray, joint: FloatArray, d: FloatArray, eps: FloatArray, usable: npt.NDArray[np.bool_]
) -> FloatArray:
    """The channel of a joint law, with what rounding left above a tolerance moved from lossy to lossless actions."""
    lossless = np.eye(d.shape[1])[np.argmin(np.where(usable, d.sum(axis=2), np.inf), axis=1)]
    sent = joint.sum(axis=1, keepdims=True)
    channel = np.divide(joint, sent, out=lossless.copy(), where=sent > 0)
    spent = np.einsum("x,xa,xaq->q", audio, channel, d)
    over = float(np.max(1 - eps / np.maximum(spent, eps), initial=0.0))
    moved = over * channel * (d > 0).any(axis=2)
    return np.asarray(channel - moved + moved.sum(axis=1, keepdims=True) * lossless)
