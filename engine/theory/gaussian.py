"""Gaussian audio factors: how a rate is shared among them when queries weigh their errors (Proposition E.11).

Factor j has variance s_j^2 and is kept with error D_j; query q allows sum_j w_qj D_j <= eps_q. Rates are in bits.
"""

from typing import NamedTuple

import numpy as np

from earmark.engine.arrays import FloatArray
from earmark.engine.theory.interior_point import Local, Optimum, closed, minimise


class Allocation(NamedTuple):
    """The cheapest errors of the factors within every query's tolerance."""

    errors: FloatArray  # (J,) D_j, at most the variance
    bits: float
    gap: float  # bits above the lower bound that the prices give, for every allocation
    price: FloatArray  # (Q,) of the tolerances, in nats


def allocate(variances: FloatArray, weights: FloatArray, eps: float | FloatArray) -> Allocation:
    """The query-agnostic rate: min sum_j 1/2 log(s_j^2 / D_j) for variances (J,) and weights (Q, J) (E.63)."""
    variances, weights, tolerance = _checked(variances, weights, eps)
    binding = weights @ variances > tolerance  # the other tolerances hold without any bit
    weights, tolerance = weights[binding], tolerance[binding]
    price = np.zeros(len(binding))
    if not len(weights):
        return Allocation(variances.copy(), 0.0, 0.0, price)
    n_q, n_j = weights.shape
    log_weights = np.log(weights, out=np.full_like(weights, -np.inf), where=weights > 0)

    def local(v: FloatArray, _mu: float) -> Local:
        """The program in v = log D, with log(sum_j w_qj D_j / eps_q) <= 0 and v <= log s^2."""
        terms = log_weights + v
        highest = terms.max(axis=1, keepdims=True)
        share = np.exp(terms - highest)
        total = share.sum(axis=1, keepdims=True)
        share /= total
        spent = (highest + np.log(total)).ravel()
        constraints = np.concatenate([spent - np.log(tolerance), v - np.log(variances)])

        def hessian(multipliers: FloatArray) -> FloatArray:
            query_multipliers = multipliers[:n_q]
            return np.asarray(
                np.diag(query_multipliers @ share) - share.T @ (query_multipliers[:, None] * share), dtype=np.float64
            )

        slope = np.full(n_j, -0.5)
        return Local(float(slope @ v), slope, constraints, np.vstack([share, np.eye(n_j)]), hessian)

    start = np.log(variances) + np.log(min(1.0, float((tolerance / (weights @ variances)).min()))) - 1.0

    def proof(optimum: Optimum) -> tuple[FloatArray, FloatArray, float, float]:
        """Errors within every tolerance, the prices of the tolerances, the bits of the errors, and a lower bound."""
        errors = np.minimum(np.exp(optimum.v), variances)
        errors *= min(1.0, float((tolerance / (weights @ errors)).min()))  # what rounding left above a tolerance
        bits = float(0.5 * np.log2(variances / errors).sum())
        price_of_tolerance = optimum.multipliers[:n_q] / tolerance
        return errors, price_of_tolerance, bits, _dual(variances, weights, tolerance, price_of_tolerance)

    def gap(optimum: Optimum) -> float:
        *_, bits, bound = proof(optimum)
        return bits - bound

    errors, price[binding], bits, bound = proof(minimise(local, start, gap))
    return Allocation(errors, bits, closed(bits, bound), price)


def reverse_water_filling(variances: FloatArray, weights: FloatArray, eps: float) -> tuple[FloatArray, float]:
    """Errors D_j = min(s_j^2, theta / w_j) for one query (E.65), and the water level theta.

    The level is infinite where nothing need be kept.
    """
    variances, weights, tolerance = _checked(variances, np.asarray(weights)[None, :], eps)
    full = weights[0] * variances  # what factor j may spend at most
    if full.sum() <= tolerance[0]:
        return variances.copy(), float("inf")
    # If i factors spend all they can, the others spend theta each: the right i is the first whose level does not lie
    # above the next factor.
    rising = np.sort(full)
    below = np.concatenate([[0.0], np.cumsum(rising)[:-1]])  # spent by factors under water when level i is reached
    levels = (tolerance[0] - below) / np.arange(len(full), 0, -1)
    fits = levels <= rising
    fits[-1] = True  # rounding may leave the last level just above its factor
    theta = float(levels[np.argmax(fits)])
    caps = np.divide(theta, weights[0], out=np.full(len(full), np.inf), where=weights[0] > 0)
    return np.minimum(variances, caps), theta


def conditioned_rate(variances: FloatArray, weights: FloatArray, eps: float | FloatArray, prior: FloatArray) -> float:
    """The prior-weighted mean of what each query needs by itself (E.64), in bits."""
    tolerance = np.broadcast_to(np.asarray(eps, dtype=np.float64), (len(weights),))
    errors_alone = [reverse_water_filling(variances, w, e)[0] for w, e in zip(weights, tolerance, strict=True)]
    return float(prior @ np.array([0.5 * np.log2(variances / errors).sum() for errors in errors_alone]))


def _dual(variances: FloatArray, weights: FloatArray, eps: FloatArray, price: FloatArray) -> float:
    """A lower bound in bits from prices (Q,) of the tolerances: the best D_j at these prices, factor by factor."""
    price_of_factor = price @ weights
    errors = np.minimum(
        variances, np.divide(0.5, price_of_factor, out=np.full_like(variances, np.inf), where=price_of_factor > 0)
    )
    return float((0.5 * np.log(variances / errors) + price_of_factor * errors).sum() - price @ eps) / float(np.log(2))


def _checked(
    variances: FloatArray, weights: FloatArray, eps: float | FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Variances (J,), weights (Q, J) and tolerances (Q,) as float64; raises ValueError."""
    variances, weights = np.asarray(variances, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    tolerance = np.broadcast_to(np.asarray(eps, dtype=np.float64), (len(weights),))
    if not (np.isfinite(variances).all() and (variances > 0).all()):
        raise ValueError(f"variances {variances} are not positive")
    if weights.shape[1:] != variances.shape or not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise ValueError("weights are (Q, J), finite and >= 0")
    if not (np.isfinite(tolerance).all() and (tolerance > 0).all()):
        raise ValueError(f"tolerances {eps} are not positive: exact recovery of a Gaussian costs infinitely many bits")
    return variances, weights, tolerance
