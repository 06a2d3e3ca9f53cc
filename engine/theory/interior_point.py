"""An interior-point method for small smooth convex programs: min f(v) subject to g_i(v) <= 0.

First the barrier f - mu sum log(-g_i), followed inside the constraints as mu falls, which nothing leads astray; then
Newton's method on the optimality conditions, which ends at the precision of the machine. It returns the multipliers
too, so that the caller can bound its own duality gap.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

LARGEST_GAP = 1e-8  # between an optimum and the bound that proves it
_FALL = 0.03  # of mu, from one centre to the next
_CENTRED = 1e-3  # half of Newton's decrement, in units of mu
_STEPS = 100  # at most, around one centre and at the end
_SMALLEST = 1e-15  # of slack x multiplier, and of the residuals
_BOUNDARY = 0.99  # share of the way to the boundary that a step may take
_IN_VAIN = 10  # steps that bring nothing, before it stops: rounding is all that is left


class Local(NamedTuple):
    """A program around a point v (N,)."""

    value: float  # f
    gradient: FloatArray  # (N,) of f
    constraints: FloatArray  # (M,) g
    jacobian: FloatArray  # (M, N) of g
    hessian: Callable[[FloatArray], FloatArray]  # (N, N) of f + multipliers . g


class Optimum(NamedTuple):
    """Where the method stopped."""

    v: FloatArray
    multipliers: FloatArray


Program = Callable[[FloatArray, float], Local]  # v, and the mu of the barrier: a program may be relaxed by it


def minimise(local: Program, start: FloatArray, last: float = 1e-6) -> Optimum:
    """From a strictly feasible start to the optimum, as far as double precision goes; the caller measures how far.

    The barrier hands over at mu = last, which is to lie below the least that a constraint may spend.
    """
    v, mu = start.astype(np.float64), 1.0
    if not (local(v, mu).constraints < 0).all():
        raise ValueError("the start is not strictly feasible")
    while mu > last:
        v = _centre(local, v, mu)
        mu *= _FALL
    slack = -local(v, 0.0).constraints
    return _polish(local, v, slack, mu / _FALL / slack)


def closed(value: float, lower: float) -> float:
    """The duality gap, if it is one that proves the optimum."""
    if not abs(value - lower) <= LARGEST_GAP:
        raise ArithmeticError(f"{value} was found and {lower} is a lower bound: the optimum is in between")
    return value - lower


def _centre(local: Program, v: FloatArray, mu: float) -> FloatArray:
    """Minimise the barrier from v by Newton's method, halving steps that do not lower it enough."""
    at = local(v, mu)
    for _ in range(_STEPS):
        pull = mu / -at.constraints  # what the multipliers are at the centre
        gradient = at.gradient + at.jacobian.T @ pull
        step = _solve(at.hessian(pull) + at.jacobian.T @ ((pull**2 / mu)[:, None] * at.jacobian), -gradient)
        decrement = -float(gradient @ step)
        if decrement < 2 * _CENTRED * mu:
            break
        highest, length = _barrier(at, mu), 1.0
        while length > 1e-10:
            with np.errstate(over="ignore", invalid="ignore"):  # a step too far is taken back
                trial = local(v + length * step, mu)
            if _barrier(trial, mu) <= highest - 0.1 * length * decrement:
                break
            length *= 0.5
        else:
            break
        v, at = v + length * step, trial
    return v


def _barrier(at: Local, mu: float) -> float:
    return at.value - mu * float(np.log(-at.constraints).sum()) if (at.constraints < 0).all() else np.inf


def _polish(local: Program, v: FloatArray, slack: FloatArray, multipliers: FloatArray) -> Optimum:
    """Newton's method on the optimality conditions, the constraints written g + slack = 0; the best point it met."""
    best, error, in_vain = Optimum(v, multipliers), np.inf, 0
    for _ in range(_STEPS):
        at = local(v, 0.0)
        dual, primal = at.gradient + at.jacobian.T @ multipliers, at.constraints + slack
        products = slack * multipliers
        remaining = max(float(np.abs(dual).max()), float(np.abs(primal).max()), float(products.max()))
        in_vain = 0 if remaining < error else in_vain + 1
        if remaining < error:
            best, error = Optimum(v, multipliers), remaining
        if remaining < _SMALLEST or in_vain > _IN_VAIN:
            break
        target = max(_FALL * float(products.mean()), 0.1 * _SMALLEST)
        weight = multipliers / slack
        matrix = at.hessian(multipliers) + at.jacobian.T @ (weight[:, None] * at.jacobian)
        step = _solve(matrix, -(dual + at.jacobian.T @ (target / slack - multipliers + weight * primal)))
        moved = at.jacobian @ step
        slack_step = -primal - moved
        multiplier_step = target / slack - multipliers + weight * (primal + moved)
        length = min(1.0, _BOUNDARY * _room(slack, slack_step), _BOUNDARY * _room(multipliers, multiplier_step))
        v, slack, multipliers = v + length * step, slack + length * slack_step, multipliers + length * multiplier_step
    return best


def _room(positive: FloatArray, step: FloatArray) -> float:
    """How many steps until some of `positive` is 0."""
    falling = step < 0
    return float(np.min(-positive[falling] / step[falling], initial=np.inf))


def _solve(matrix: FloatArray, right: FloatArray) -> FloatArray:
    """Solve a positive semidefinite system whose diagonal spans many orders of magnitude."""
    scale = 1.0 / np.sqrt(np.maximum(np.diag(matrix), 1e-300))
    scaled = matrix * scale[:, None] * scale[None, :] + 1e-15 * np.eye(len(right))
    solution = np.linalg.solve(scaled, scale * right)
    solution += np.linalg.solve(scaled, scale * right - scaled @ solution)
    return np.asarray(scale * solution, dtype=np.float64)
