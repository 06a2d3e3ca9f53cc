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
_ENOUGH = 1e-11  # a gap this small is not worth another, slower try
_FALLS = (0.1, 0.3, 0.6)  # what mu is multiplied by from one centre to the next: a try for each, from fast to slow,
_FURTHER = 1e-3  # and every try goes down to a mu this many times that of the try before
_CENTRED = 1e-3  # a point is central where half of Newton's decrement is below this, in units of mu
_LAST_FALL = 0.03  # what slack x multiplier is multiplied by in every step, once the barrier has done its part
_STEPS = 100  # at most, around one centre and at the end
_SMALLEST = 1e-14  # of slack x multiplier, the gap and the gradient: below it the search ends
_BOUNDARY = 0.99  # share of the way to the boundary that a step may take
_APART = 100.0  # how many times a multiplier may differ from what the barrier's slack says
_IN_VAIN = 10  # steps without any gain before the search ends: only rounding is left


class Local(NamedTuple):
    """Value and derivatives of a program with M constraints at a point v (N,)."""

    value: float  # f
    gradient: FloatArray  # (N,) of f
    constraints: FloatArray  # (M,) g
    jacobian: FloatArray  # (M, N) of g
    hessian: Callable[[FloatArray], FloatArray]  # (N, N) of f + multipliers . g


class Optimum(NamedTuple):
    """The point where the method stopped."""

    v: FloatArray  # (N,)
    multipliers: FloatArray  # (M,) of the constraints


class _NewtonStep(NamedTuple):
    """What a step of Newton's method adds to each."""

    v: FloatArray
    slack: FloatArray
    multipliers: FloatArray


Program = Callable[[FloatArray, float], Local]  # v, and the mu of the barrier: a program may be relaxed by it
Gap = Callable[[Optimum], float]  # how far the program's value may be from its optimum, as this point proves it


def minimise(local: Program, start: FloatArray, gap: Gap, last: float = 1e-6) -> Optimum:
    """The point of least gap, as far as double precision goes, from a strictly feasible start.

    The barrier hands over to Newton's method at mu = last, which should lie below the slack that any constraint has at
    the optimum. Raises ValueError where the start is not strictly feasible.
    """
    v = start.astype(np.float64)
    constraints = local(v, 1.0).constraints
    if not (constraints < 0).all():
        raise ValueError("the start is not strictly feasible")
    best = first = Optimum(v, 1.0 / -constraints)
    for fall in _FALLS:
        point, mu = first, 1.0
        while mu > last:
            point = _centre(local, point, mu)
            mu *= fall
        best = min(best, _polish(local, point, gap), key=gap)
        if gap(best) <= _ENOUGH:
            break
        last *= _FURTHER
    return best


def closed(value: float, lower: float) -> float:
    """The duality gap value - lower; raises ArithmeticError where it is too large to prove the optimum."""
    if not abs(value - lower) <= LARGEST_GAP:
        raise ArithmeticError(f"{value} was found and {lower} is a lower bound: the optimum is in between")
    return value - lower


def _centre(local: Program, start: Optimum, mu: float) -> Optimum:
    """Minimise the barrier by Newton's method, halving steps that do not lower it enough."""
    v, model = start.v, local(start.v, mu)
    multipliers = _near(start.multipliers, model, mu)
    for _ in range(_STEPS):
        slack = -model.constraints
        step = _newton(model, slack, multipliers, mu)
        decrement = -float((model.gradient + model.jacobian.T @ (mu / slack)) @ step.v)
        if decrement < 2 * _CENTRED * mu and (np.abs(slack * multipliers - mu) < 0.5 * mu).all():
            break
        highest, length = _barrier(model, mu), 1.0
        while length > 1e-10:
            with np.errstate(over="ignore", invalid="ignore"):  # a step too far is taken back
                trial = local(v + length * step.v, mu)
            inside = bool((-trial.constraints >= (1 - _BOUNDARY) * slack).all())
            if inside and _barrier(trial, mu) <= highest - 0.1 * length * decrement:
                break
            length *= 0.5
        else:
            break
        v, model = v + length * step.v, trial
        room = min(1.0, _BOUNDARY * _room(multipliers, step.multipliers))
        multipliers = _near(multipliers + room * step.multipliers, model, mu)
    return Optimum(v, multipliers)


def _near(multipliers: FloatArray, model: Local, mu: float) -> FloatArray:
    """Multipliers within reach of mu / slack, which is what they are at the centre."""
    centre = mu / -model.constraints
    return np.clip(multipliers, centre / _APART, centre * _APART)


def _barrier(model: Local, mu: float) -> float:
    """f - mu sum log(-g), infinite outside the feasible set."""
    return model.value - mu * float(np.log(-model.constraints).sum()) if (model.constraints < 0).all() else np.inf


@np.errstate(over="ignore", divide="ignore", invalid="ignore")  # a step too far is not the best point
def _polish(local: Program, start: Optimum, gap: Gap) -> Optimum:
    """The best point that Newton's method meets on the optimality conditions, the constraints as g + slack = 0."""
    point, slack = start, -local(start.v, 0.0).constraints
    best, error, least, n_in_vain = start, np.inf, np.inf, 0
    for _ in range(_STEPS):
        model, products = local(point.v, 0.0), slack * point.multipliers
        gradient = model.gradient + model.jacobian.T @ point.multipliers
        mismatch = point.multipliers * (model.constraints + slack)
        residual = float(np.abs(np.concatenate([gradient, mismatch, products])).max())
        remaining = max(residual, abs(gap(point)))
        n_in_vain = 0 if residual < least or remaining < error else n_in_vain + 1
        least = min(least, residual)
        if remaining < error:
            best, error = point, remaining
        if remaining < _SMALLEST or n_in_vain > _IN_VAIN:
            break
        step = _newton(model, slack, point.multipliers, max(_LAST_FALL * float(products.mean()), 0.01 * _SMALLEST))
        room = min(_room(slack, step.slack), _room(point.multipliers, step.multipliers))
        length = min(1.0, _BOUNDARY * room)
        point = Optimum(point.v + length * step.v, point.multipliers + length * step.multipliers)
        slack = slack + length * step.slack
    return best


def _newton(model: Local, slack: FloatArray, multipliers: FloatArray, target: float) -> _NewtonStep:
    """The step towards a gradient of 0, g + slack = 0 and slack x multiplier = target.

    Steps of v and of the multipliers are solved for together. Eliminating the latter would be cheaper, but puts
    multiplier / slack into the matrix: 1e15 where a constraint binds, so that rounding of a step of v leaves
    multipliers that are wrong in the eighth digit and vanish where they should not.
    """
    n, ratio = len(model.gradient), slack / multipliers
    matrix = np.diag(np.concatenate([np.zeros(n), -ratio]))
    matrix[:n, :n], matrix[:n, n:], matrix[n:, :n] = model.hessian(multipliers), model.jacobian.T, model.jacobian
    right = np.concatenate(
        [-model.gradient - model.jacobian.T @ multipliers, -model.constraints - target / multipliers]
    )
    scale = np.concatenate([np.ones(n), 1 / np.sqrt(np.maximum(ratio, 1.0))])
    solution = scale * _solve(matrix * scale[:, None] * scale[None, :], scale * right)
    of_multipliers = solution[n:]
    return _NewtonStep(solution[:n], target / multipliers - slack - ratio * of_multipliers, of_multipliers)


def _solve(matrix: FloatArray, right: FloatArray) -> FloatArray:
    """The refined solution of a symmetric system; the shortest one where there are many (the optimum is not unique)."""
    try:
        solution = np.linalg.solve(matrix, right)
        solution += np.linalg.solve(matrix, right - matrix @ solution)
    except np.linalg.LinAlgError:
        solution = np.linalg.lstsq(matrix, right)[0]
    return np.asarray(solution, dtype=np.float64)


def _room(positive: FloatArray, step: FloatArray) -> float:
    """How many times the step may be taken until some element of `positive` is 0."""
    falling = step < 0
    return float(np.min(-positive[falling] / step[falling], initial=np.inf))
