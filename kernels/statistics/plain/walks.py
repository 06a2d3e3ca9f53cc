"""Running products and sums of many lanes side by side, and binomial tails: NumPy alone, the same bits anywhere.

Arrays are (steps, ..., lanes). A lane's bits depend on nothing but itself: not on the lanes beside it, and not on how
many steps of zeros follow its own.
"""

import numpy as np

from earmark.kernels.statistics.collapse import FloatArray

BLOCK = 8  # steps that run as one: a multiple of it is what arrays of steps must have
_TERMS = 8 * BLOCK  # of a tail that are summed at a time
_WIDE = 64  # elements of a step from which on NumPy's `accumulate`, which takes one lane after the other, is slower
_RARE = 0.2  # below this share of the lanes those that have more terms go on alone
_NOTHING = 1e-20  # of a sum: no later term changes its bits


def run(combine: np.ufunc, steps: FloatArray, in_blocks: bool) -> FloatArray:
    """Running products or sums along the first axis, in place; for many lanes within blocks, then over the blocks.

    NumPy's own `accumulate` waits for each result before the next; in blocks all lanes and blocks go side by side.
    """
    if not in_blocks and steps[0].size < _WIDE:
        return np.asarray(combine.accumulate(steps, axis=0, out=steps))
    blocks = steps.reshape(len(steps) // BLOCK, BLOCK, steps[0].size) if in_blocks else steps[None]
    for i in range(1, blocks.shape[1]):
        combine(blocks[:, i], blocks[:, i - 1], out=blocks[:, i])
    for b in range(1, len(blocks)):
        combine(blocks[b], blocks[b - 1, -1], out=blocks[b])
    return steps


def total(steps: FloatArray, in_blocks: bool) -> FloatArray:
    """The sums along the first axis, added in the order of `run`."""
    if not in_blocks and steps[0].size < _WIDE:
        return np.asarray(np.add.accumulate(steps, axis=0)[-1])
    blocks = steps.reshape(len(steps) // BLOCK, BLOCK, *steps.shape[1:]) if in_blocks else steps[None]
    sums = blocks[:, 0].copy()
    for i in range(1, blocks.shape[1]):
        sums += blocks[:, i]
    whole = sums[0]
    for b in range(1, len(sums)):
        whole += sums[b]
    return np.asarray(whole)


def binomials(
    k: FloatArray, n: FloatArray, pi: FloatArray, not_pi: FloatArray, in_blocks: bool
) -> tuple[FloatArray, FloatArray]:
    """P(X <= k) and P(X = k) of X ~ Bin(n, pi), 0 <= k <= n, for counts (C,) and pi of all lanes of each (C * Q,).

    Both tails are summed in units of P(X = k) and divided by their total: no logarithms, no cancellation. Where the
    total overflows, neither is a number.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        odds = np.array([not_pi / pi, pi / not_pi])
        below, above = _tails(np.array([k, n - k]), np.array([n - k, k]), odds, in_blocks)
        below += 1.0
        mass = 1.0 / (below + above)
        return np.where(below < above, below * mass, 1.0 - above * mass), mass


def chance_of_at_least(k: int, n: int, share: float) -> float:
    """P(X >= k) of X ~ Bin(n, share); 0 or 1 so far out that there is nothing left to sum up."""
    if k <= 0 or share >= 1.0:
        return 1.0
    rest, rows, pi = (np.array([float(value)]) for value in (n - k, n, share))
    with np.errstate(over="ignore", invalid="ignore"):
        chance = float(binomials(rest, rows, 1.0 - pi, pi, in_blocks=False)[0][0])
    return chance if chance == chance else float(k <= n * share)


def _tails(left: FloatArray, passed: FloatArray, odds: FloatArray, in_blocks: bool) -> FloatArray:
    """The sums of the products of left / (passed + 1), (left - 1) / (passed + 2), ..., each times the odds."""
    term, tails = np.ones_like(odds), np.zeros_like(odds)
    lanes, lane = odds.shape[-1] // max(1, left.shape[-1]), np.arange(odds.shape[-1])
    step = np.arange(_TERMS, dtype=np.float64)[:, None, None]
    while True:
        terms = np.repeat(np.maximum(left - step, 0.0) / (passed + (1.0 + step)), lanes, axis=-1)
        terms *= odds
        terms[0] *= term
        run(np.multiply, terms, in_blocks)
        tails[:, lane] += total(terms, in_blocks)
        term = terms[-1]
        more = np.flatnonzero((term > _NOTHING * tails[:, lane]).any(axis=0))
        if not len(more):
            return tails
        step += _TERMS
        if len(more) < _RARE * len(lane):
            left, passed = left[:, more // lanes], passed[:, more // lanes]
            term, odds, lane, lanes = term[:, more], odds[:, more], lane[more], 1
