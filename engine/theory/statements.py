"""Every statement of the paper's theory, and the check that says by how much instances deviate from it.

`docs/theory.md` gives each in a sentence.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from earmark.engine.theory.checks import factors, finite, rates, separation, sufficiency
from earmark.engine.theory.instances import Rng

INSTANCES = 100  # random instances of each statement
SEED = 42


class Statement(NamedTuple):
    """One claim of the paper and how it is checked."""

    where: str  # in the paper
    claim: str
    tolerance: float  # of a deviation: what rounding and the solvers leave
    cells: Callable[[], Iterator[float]]  # the deviations, one per instance


class StatementResult(NamedTuple):
    """What the instances of a statement showed."""

    where: str
    claim: str
    cells: int
    worst: float | None  # None: some instance has no number
    tolerance: float
    holds: bool
    reason: str | None  # why it does not hold


def verify(statement: Statement) -> StatementResult:
    """Check the instances of a statement, up to the first that cannot be computed at all."""
    deviations: list[float] = []
    reason = None
    try:
        deviations.extend(statement.cells())
    except (ArithmeticError, ValueError, np.linalg.LinAlgError) as error:
        reason = f"instance {len(deviations)}: {error}"
    failing = [cell for cell, deviation in enumerate(deviations) if not deviation <= statement.tolerance]
    if reason is None and (failing or not deviations):
        reason = f"instance {failing[0]} deviates by {deviations[failing[0]]:.2g}" if failing else "no instance"
    numbers = bool(deviations) and all(np.isfinite(deviations))
    worst = max(deviations) if numbers else None
    where, claim, tolerance, _ = statement
    return StatementResult(where, claim, len(deviations), worst, tolerance, reason is None, reason)


def _random(check: Callable[[Rng], float]) -> Callable[[], Iterator[float]]:
    """The deviations of a check on INSTANCES random instances, each with a seed of its own."""
    return lambda: (check(np.random.default_rng([SEED, instance])) for instance in range(INSTANCES))


_EXACT, _SOLVED = 1e-12, 1e-8  # tolerances: what rounding leaves, and what is allowed to a solver

STATEMENTS = (
    Statement("Theorem 3.2", "deficiency = worst excess Bayes risk", _EXACT, _random(sufficiency.deficiency_is_excess)),
    Statement("Theorem 3.3", "finer families: no smaller excess or budget", _EXACT, _random(sufficiency.refinement)),
    Statement("Theorem E.4", "more queries: no smaller frontier", _SOLVED, _random(sufficiency.more_queries)),
    Statement("Theorem 3.4", "conditioned frontier <= agnostic one", _SOLVED, _random(separation.conditioning_helps)),
    Statement("Theorem 3.4", "log m1 + log m2 against their mean, 66 cells", _EXACT, separation.uniform),
    Statement("Theorem 3.4", "H(U) + H(V) against their mean", 1e-9, _random(separation.any_factors)),
    Statement("Theorem 3.4", "no lossless merging of symbols is cheaper", _EXACT, separation.optimal),
    Statement("Proposition E.5", "max R_q <= R <= side by side <= sum R_q", _SOLVED, _random(rates.sandwich)),
    Statement("Proposition E.7", "deficiency <= excess <= deficiency + gap", _EXACT, _random(rates.model_class_gap)),
    Statement("Proposition E.8", "R / log K <= tokens <= H / log K + 1", _SOLVED, _random(rates.rate_to_tokens)),
    Statement("Proposition E.10", "finite-alphabet solver = closed forms", 1e-9, _random(finite.closed_forms)),
    Statement("Proposition E.10", "duality gap of the rate", _SOLVED, _random(finite.duality_gap)),
    Statement("Proposition E.10", "duality gap of the length", _SOLVED, _random(finite.lengths)),
    Statement("Proposition E.11", "one query: D_j = min(s_j^2, theta / w_j)", _SOLVED, _random(factors.water_level)),
    Statement("Proposition E.11", "duality gap of the allocation", _SOLVED, _random(factors.duality_gap)),
    Statement("Proposition E.11", "mean of single rates <= joint rate", _SOLVED, _random(factors.conditioning)),
    Statement("Corollary E.12", "rates of disjoint blocks add", _SOLVED, _random(factors.blocks_add)),
    Statement("Corollary E.13", "the joint query costs one bit more", _SOLVED, _random(factors.synergy)),
)
