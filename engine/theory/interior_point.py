"""An interior-point method for small smooth convex programs: min f(v) subject to g_i(v) <= 0.

First the barrier f - mu sum log(-g_i), lowered at every step while mu falls, so that nothing leads astray; then
Newton's method on the optimality conditions alone. It returns the multipliers too, so that the caller can bound its
own duality gap, and keeps the point where the caller's bound is closest: near a degenerate optimum (multipliers that
vanish with their slack, optima along a whole edge) the conditions are met late or in part, though the gap is closed.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from earmark.engine.arrays import FloatArray

LARGEST_GAP = 1e-8  # between an optimum and the bound that proves it
_ENOUGH = 1e-11  # of a gap, not to try again
_FALLS = (0.1, 0.3, 0.6)  # of mu, from one centre to the next: slower where the faster one led nowhere,
_FURTHER = 1e-3  # and each time down to so much smaller a mu
_CENTRED = 1e-3  # half of Newton's decrement, in units of mu
_LAST_FALL = 0.03  # of slack x multiplier, once the barrier has done its part
_STEPS = 100  # at most, around one centre and at the end
_SMALLEST = 1e-14  # of slack x multiplier, of the gap and of the gradient that is left
_BOUNDARY = 0.99  # share of the way to the boundary that a step may take
_APART = 100.0  # how many times a multiplier may differ from what the barrier's slack says
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


class _Step(NamedTuple):
    """What Newton's method adds."""

    v: FloatArray
    slack: FloatArray
    multipliers: FloatArray


Program = Callable[[FloatArray, float], Local]  # v, and the mu of the barrier: a program may be relaxed by it
Gap = Callable[[Optimum], float]  # how far the program's value may be from its optimum, as this point proves it


def minimise(local: Program, start: FloatArray, gap: Gap, last: float = 1e-6) -> Optimum:
    """From a strictly feasible start to the point of least gap, as far as double precision goes.

    The barrier hands over at mu = last, which is to lie below the least that a constraint may spend.
    """
    v = start.astype(np.float64)
    constraints = local(v, 1.0).constraints
    if not (constraints < 0).all():
        raise ValueError("the start is not strictly feasible")
    best = first = Optimum(v, 1.0 / -constraints)
    for fall in _FALLS:
        at, mu = first, 1.0
        while mu > last:
            at = _centre(local, at, mu)
            mu *= fall
        best = min(best, _polish(local, at, gap), key=gap)
        if gap(best) <= _ENOUGH:
            break
        last *= _FURTHER
    return best


def closed(value: float, lower: float) -> float:
    """The duality gap, if it is one that proves the optimum."""
    if not abs(value - lower) <= LARGEST_GAP:
        raise ArithmeticError(f"{value} was found and {lower} is a lower bound: the optimum is in between")
    return value - lower


def _centre(local: Program, start: Optimum, mu: float) -> Optimum:
    """Minimise the barrier by Newton's method, halving steps that do not lower it enough."""
    v, at = start.v, local(start.v, mu)
    multipliers = _near(start.multipliers, at, mu)
    for _ in range(_STEPS):
        slack = -at.constraints
        step = _newton(at, slack, multipliers, mu)
        decrement = -float((at.gradient + at.jacobian.T @ (mu / slack)) @ step.v)
        if decrement < 2 * _CENTRED * mu and (np.abs(slack * multipliers - mu) < 0.5 * mu).all():
            break
        highest, length = _barrier(at, mu), 1.0
        while length > 1e-10:
            with np.errstate(over="ignore", invalid="ignore"):  # a step too far is taken back
                trial = local(v + length * step.v, mu)
            inside = bool((-trial.constraints >= (1 - _BOUNDARY) * slack).all())
            if inside and _barrier(trial, mu) <= highest - 0.1 * length * decrement:
                break
            length *= 0.5
        else:
            break
        v, at = v + length * step.v, trial
        room = min(1.0, _BOUNDARY * _room(multipliers, step.multipliers))
        multipliers = _near(multipliers + room * step.multipliers, at, mu)
    return Optimum(v, multipliers)


def _near(multipliers: FloatArray, at: Local, mu: float) -> FloatArray:
    """Multipliers within reach of mu / slack, which is what they are at the centre."""
    centre = mu / -at.constraints
    return np.clip(multipliers, centre / _APART, centre * _APART)


def _barrier(at: Local, mu: float) -> float:
    return at.value - mu * float(np.log(-at.constraints).sum()) if (at.constraints < 0).all() else np.inf


@np.errstate(over="ignore", divide="ignore", invalid="ignore")  # a step too far is not the best point
def _polish(local: Program, start: Optimum, gap: Gap) -> Optimum:
    """Newton's method on the optimality conditions, the constraints written g + slack = 0; the best point it met."""
    at, slack = start, -local(start.v, 0.0).constraints
    best, error, least, in_vain = start, np.inf, np.inf, 0
    for _ in range(_STEPS):
        here, products = local(at.v, 0.0), slack * at.multipliers
        gradient = here.gradient + here.jacobian.T @ at.multipliers
        amiss = at.multipliers * (here.constraints + slack)
        left = float(np.abs(np.concatenate([gradient, amiss, products])).max())
        remaining = max(left, abs(gap(at)))
        in_vain = 0 if left < least or remaining < error else in_vain + 1
        least = min(least, left)
        if remaining < error:
            best, error = at, remaining
        if remaining < _SMALLEST or in_vain > _IN_VAIN:
            break
        step = _newton(here, slack, at.multipliers, max(_LAST_FALL * float(products.mean()), 0.01 * _SMALLEST))
        room = min(_room(slack, step.slack), _room(at.multipliers, step.multipliers))
        length = min(1.0, _BOUNDARY * room)
        at = Optimum(at.v + length * step.v, at.multipliers + length * step.multipliers)
        slack = slack + length * step.slack
    return best


def _newton(at: Local, slack: FloatArray, multipliers: FloatArray, target: float) -> _Step:
    """Towards no gradient, g + slack = 0 and slack x multiplier = target.

    Steps of v and of the multipliers are solved for together. To eliminate the latter would be cheaper, but puts
    multiplier / slack into the matrix: 1e15 where a constraint binds, so that rounding of a step of v leaves
    multipliers that are wrong in the eighth digit and vanish where they should not.
    """
    n, ratio = len(at.gradient), slack / multipliers
    matrix = np.diag(np.concatenate([np.zeros(n), -ratio]))
    matrix[:n, :n], matrix[:n, n:], matrix[n:, :n] = at.hessian(multipliers), at.jacobian.T, at.jacobian
    right = np.concatenate([-at.gradient - at.jacobian.T @ multipliers, -at.constraints - target / multipliers])
    scale = np.concatenate([np.ones(n), 1 / np.sqrt(np.maximum(ratio, 1.0))])
    solution = scale * _solve(matrix * scale[:, None] * scale[None, :], scale * right)
    of_multipliers = solution[n:]
    return _Step(solution[:n], target / multipliers - slack - ratio * of_multipliers, of_multipliers)


def _solve(matrix: FloatArray, right: FloatArray) -> FloatArray:
    """Solve a symmetric system, and refine; of many solutions (an optimum that is not unique), the shortest."""
    try:
        solution = np.linalg.solve(matrix, right)
        solution += np.linalg.solve(matrix, right - matrix @ solution)
    except np.linalg.LinAlgError:
        solution = np.linalg.lstsq(matrix, right)[0]
    return np.asarray(solution, dtype=np.float64)


def _room(positive: FloatArray, step: FloatArray) -> float:
    """How many steps until some of `positive` is 0."""
    falling = step < 0
    return float(np.min(-positive[falling] / step[falling], initial=np.inf))
