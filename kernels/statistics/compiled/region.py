"""Tango's score of an excess, and the outcomes that are no less extreme than the observed one (method 9.2).

n rows are +1, -1 or 0; a (or x) of them are +1 and c (or y) are -1; there are M = x + y flips. Knows counts only.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from earmark.kernels._jit import jit
from earmark.kernels.statistics.collapse import FloatArray, IntArray
from earmark.kernels.statistics.exact_case import PIECES, TIE

BoolArray = npt.NDArray[np.bool_]


class Region(NamedTuple):
    """Outcomes that are no less extreme than the observed one, for M = first, first + 1, ... flips."""

    n: int
    first: int
    k: IntArray  # the most +1 among M flips; -1 if none
    rises: BoolArray  # k(M) > k(M - 1)
    flips_ratio: FloatArray  # (n - M + 1) / M: Bin(M; n, q) / Bin(M - 1; n, q) over the odds of q
    most_ratio: FloatArray  # f(k(M); M) / f(k(M - 1); M - 1) over pi or 1 - pi, as k rises or not


@jit
def score(n: int, a: int, c: int, eps: float) -> float:
    """z(a, c) of method 9.2, step 1; 0 where it is 0/0 (no flip, eps = 0). Negative eps swaps the signs of the rows."""
    sign = 1.0
    if eps < 0.0:
        a, c, eps, sign = c, a, -eps, -1.0
    b = (2 * n - a + c) * eps - (a + c)
    minus_c = c * eps * (1.0 - eps)
    root = math.sqrt(b * b + 8.0 * n * minus_c)
    q = (root - b) / (4.0 * n) if b < 0.0 else 0.0  # the restricted estimate of P(-1); both forms are the
    if b >= 0.0 and minus_c > 0.0:  # same root, each without cancellation
        q = 2.0 * minus_c / (root + b)
    variance = n * (2.0 * q + eps * (1.0 - eps))
    return sign * (a - c - n * eps) / math.sqrt(variance) if variance > 0.0 else 0.0


# The score never rises with e where it is negative. With the restricted estimate p of the three probabilities, and the
# multiplier t of "the mean of d is e", n_i / n = p_i (1 + t (d_i - e)) for d_i = 1, 0, -1; hence a - c - n e = n t V
# with V = sum p_i (d_i - e)^2, and z^2 = (n t V)^2 / (n V) = -t (n e - a + c). The second factor rises with e. So does
# -t: it is, over n, minus the slope of the profile likelihood in e, which is concave, because the constraint is linear
# in (p, e).
#
# So if (x, y) is rejected at some e in [s, t], then z(x, y; t) <= z(x, y; e) <= z(a, c; e) + TIE <= z(a, c; s) + TIE.
# That is what is asked of every piece [s, t] of a stretch: no e between is forgotten, however the scores move.


@jit
def region_of(n: int, a: int, c: int, eps: float, until: float, first: int, last: int) -> Region:
    """The outcomes (x, y) with z(x, y) <= z(a, c) + TIE (step 3), with first..last flips; z(a, c) < 0.

    For until > eps: all outcomes for which that holds at any e in [eps, until], and a few for which it nearly does.
    """
    nodes = _nodes(n, a, c, eps, until, PIECES if until > eps else 1)
    k = np.empty(last - first + 1, np.int64)
    low, high, piece = -1, first, 0
    while low < high:
        middle = (low + high + 1) // 2
        if _joining(middle, first - middle, float(n), nodes, 0) >= 0:
            low = middle
        else:
            high = middle - 1
    k[0] = low
    for i in range(1, len(k)):  # the score rises with +1 and falls with -1, so that k(M + 1) - k(M) is 0 or 1
        next_piece = _joining(low + 1, first + i - low - 1, float(n), nodes, piece)
        if next_piece >= 0:
            low, piece = low + 1, next_piece
        k[i] = low
    rises = np.zeros(len(k), np.bool_)
    flips_ratio, most_ratio = np.zeros(len(k)), np.zeros(len(k))
    for i in range(1, len(k)):
        flips = first + i
        rises[i] = k[i] > k[i - 1]
        flips_ratio[i] = (n - flips + 1) / flips
        among = k[i] if rises[i] else flips - k[i]
        most_ratio[i] = flips / among if among > 0 else 0.0  # 0: k rises to 0, and P(X = -1) was 0
    return Region(n, first, k, rises, flips_ratio, most_ratio)


@jit
def _nodes(n: int, a: int, c: int, eps: float, until: float, pieces: int) -> FloatArray:
    """The ends of pieces of [eps, until] (3, pieces + 1): e, e (1 - e) of its magnitude, 1 / (n (z(a, c) + TIE)^2)."""
    nodes = np.empty((3, pieces + 1))
    for j in range(pieces + 1):
        e = eps + (until - eps) * j / pieces if j < pieces else until
        limit = score(n, a, c, e) + TIE
        nodes[0, j], nodes[1, j], nodes[2, j] = e, abs(e) * (1.0 - abs(e)), 1.0 / (limit * limit * n)
    return nodes


@jit
def _joining(x: int, y: int, n: float, nodes: FloatArray, likely: int) -> int:
    """The number of a piece [s, t] with z(x, y; t) <= z(a, c; s) + TIE, or -1; the likely one is tried first.

    Where that does not hold of several neighbouring pieces taken as one, it holds of none of them, so that most pieces
    are never looked at by themselves.
    """
    if _within(x, y, n, nodes, likely, likely + 1):
        return likely
    at, pieces, step = 0, nodes.shape[1] - 1, nodes.shape[1] - 1
    while at < pieces:
        step = min(step, pieces - at)
        if not _within(x, y, n, nodes, at, at + step):
            at += step
            step *= 2
        elif step == 1:
            return at
        else:
            step //= 2
    return -1


@jit
def _within(x: int, y: int, n: float, nodes: FloatArray, s: int, t: int) -> bool:
    """Whether z(x, y; t) <= z(a, c; s) + TIE < 0, without square roots.

    It holds where the restricted estimate of step 1 is at most r. The estimate is the only positive root of
    2 n r^2 + b r - c, which is negative before it and positive after it, so that the sign at r tells.
    """
    eps, spread = float(nodes[0, t]), float(nodes[1, t])
    above = x - y - n * eps
    r = 0.5 * (above * above * float(nodes[2, s]) - spread)
    changed, rarer = (x - y, y) if eps >= 0.0 else (y - x, x)
    b = (2.0 * n - changed) * abs(eps) - (x + y)
    return above < 0.0 and r >= 0.0 and (2.0 * n * r + b) * r >= rarer * spread and (r > 0.0 or b >= 0.0)
