"""Tango's score, and the outcomes that are no less extreme than the observed ones, of many tests at once (method 9.2).

n rows are +1, -1 or 0; x of them are +1 and y are -1; there are M = x + y flips. What compiled/region.py does for one
test after the other; why a stretch of e needs pieces is said there. Knows counts only.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from earmark.kernels.statistics.collapse import FloatArray, IntArray
from earmark.kernels.statistics.exact_case import PIECES, TIE, Cases, nuisances, reaches_of
from earmark.kernels.statistics.plain.walks import BLOCK

BoolArray = npt.NDArray[np.bool_]

_ANCHORS = 2 * BLOCK  # every so many flips the most +1 is searched for from scratch, the last of all included
_LOOKS = 7  # places that a round of the search looks at
_PARTS = 1, 4, 4  # into so many a stretch is cut, and each part again: PIECES in the end


class Regions(NamedTuple):
    """What walks over M need that does not depend on q: from the centre of each test upwards [0] and downwards [1].

    A step up goes from M to M + 1, a step down from M to M - 1; beyond the last M that matters all is 0.
    """

    centre: FloatArray  # (C,) M where both walks begin
    k: FloatArray  # (C,) the most +1 among so many flips, at least 0
    steps: FloatArray  # (QUANTITIES, H, 2, C) by step, in the order of the numbers below

    def at(self, places: IntArray | slice) -> "Regions":
        """The regions of the tests at these places."""
        steps = self.steps[..., places] if isinstance(places, slice) else self.steps.take(places, axis=-1)  # contiguous
        return Regions(self.centre[places], self.k[places], steps)


RISES = 0  # 1 where k differs between the two M of a step, else 0
FLIPS = 1  # upwards the ratio of Bin(M; n, q) over the odds of q, downwards times them
IF_RISING = 2  # upwards the ratio of f(k(M); M) over pi, downwards times it, where k differs; else 0
IF_LEVEL = 3  # over or times 1 - pi, where it does not; else 0
QUANTITIES = 6
ONLY_PLUS, SOME = 4, 5  # 1 where k = M at the end of a step; 1 where k >= 0 there


def scores(n: npt.ArrayLike, plus: npt.ArrayLike, minus: npt.ArrayLike, eps: npt.ArrayLike) -> FloatArray:
    """z of method 9.2, step 1, broadcast; 0 where it is 0/0 (no flip, eps = 0)."""
    n, plus, minus, eps = (np.asarray(values, dtype=np.float64) for values in (n, plus, minus, eps))
    e = np.abs(eps)
    a, c = (
        np.where(eps < 0.0, minus, plus),
        np.where(eps < 0.0, plus, minus),
    )  # negative eps swaps the signs of the rows
    b = (2.0 * n - a + c) * e - (a + c)
    minus_c = c * e * (1.0 - e)
    root = np.sqrt(b * b + 8.0 * n * minus_c)
    # The restricted estimate of P(-1): both forms are the same root, each without cancellation.
    q = np.where(b < 0.0, (root - b) / (4.0 * n), 2.0 * minus_c / np.where(root + b > 0.0, root + b, 1.0))
    variance = n * (2.0 * q + e * (1.0 - e))
    z = (a - c - n * e) / np.sqrt(np.where(variance > 0.0, variance, 1.0))
    return np.asarray(np.where(variance > 0.0, np.where(eps < 0.0, -z, z), 0.0))


def regions_of(cases: Cases, eps: FloatArray, until: FloatArray) -> Regions:
    """The outcomes with z(x, y) <= z(a, c) + TIE (step 3) where z(a, c) < 0, of every M that matters.

    For until > eps: all outcomes for which that holds at any e in [eps, until], and a few for which it nearly does.
    """
    low, high = nuisances(cases, eps, until)
    n = cases.n
    reach = reaches_of(cases.limit)
    skew = np.where(
        until > eps, reach * reach / 6.0 + 2.0, 20.0
    )  # Cornish and Fisher's; ample where p itself is wanted
    spread = reach * np.sqrt(n * np.maximum(low * (1.0 - low), high * (1.0 - high))) + skew
    first = np.maximum(0, (n * low - spread).astype(np.int64))
    last = np.minimum(n, (n * high + spread).astype(np.int64) + 1)
    centre = np.maximum((first + last) // 2, np.minimum(cases.plus + cases.minus, last))  # there, k is at least `plus`
    half = -(-int(np.maximum(last - centre, centre - first).max()) // BLOCK) * BLOCK
    flips = (centre + np.arange(-half, half + 1)[:, None]).astype(np.float64)
    k = _most_plus(cases, eps, until, flips)
    return Regions(centre.astype(np.float64), k[half], _steps(n, first, last, flips, k))


def _steps(n: IntArray, first: IntArray, last: IntArray, flips: FloatArray, k: FloatArray) -> FloatArray:
    """(QUANTITIES, H, 2, C) of each step, from the most +1 of every M (2 H + 1, C)."""
    half = len(flips) // 2
    upper = flips[1:]  # of the two M of each step
    rises = k[1:] > k[:-1]
    among = np.where(rises, k[1:], upper - k[1:])
    inside = (upper > first) & (upper <= last)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio, most = (n - upper + 1.0) / upper, upper / among
        inverse_ratio, inverse_most = 1.0 / ratio, among / upper
    possible = inside & (among > 0.0)
    steps = np.zeros((QUANTITIES, half, 2, len(n)))
    for way, of_way in ((0, np.s_[half:]), (1, np.s_[half - 1 :: -1])):
        ratios, mosts = ((ratio, most), (inverse_ratio, inverse_most))[way]
        steps[RISES, :, way] = rises[of_way]
        np.copyto(steps[FLIPS, :, way], ratios[of_way], where=inside[of_way])
        np.copyto(steps[IF_RISING, :, way], mosts[of_way], where=(possible & rises)[of_way])
        np.copyto(steps[IF_LEVEL, :, way], mosts[of_way], where=(possible & ~rises)[of_way])
    for way, ends in ((0, np.s_[half + 1 :]), (1, np.s_[half - 1 :: -1])):
        steps[ONLY_PLUS, :, way] = k[ends] == flips[ends]
        steps[SOME, :, way] = k[ends] >= 0.0
    return steps


# The most +1 among M flips -----------------------------------------------------------------------------------


class _PieceEnds(NamedTuple):
    """Ends of the pieces of stretches of e, and what is asked of outcomes between two of them: (P + 1, C) each."""

    n: FloatArray  # (C,)
    e: FloatArray
    spread: FloatArray  # |e| (1 - |e|)
    inverse: FloatArray  # 1 / (n (z(a, c; e) + TIE)^2)


def _most_plus(cases: Cases, eps: FloatArray, until: FloatArray, flips: FloatArray) -> FloatArray:
    """For each M of `flips` (S, C) the largest x with (x, M - x) in the region; -1 if there is none."""
    if (until == eps).all():
        return np.asarray(_edge(_nodes_of(cases, np.array([eps, eps])), flips, [0], 1)[0])
    e = eps + (until - eps) * (np.arange(PIECES + 1)[:, None] / PIECES)
    e[-1] = until
    nodes = _nodes_of(cases, e)
    # Most often the first piece or the last lets in most, and where the stretch is short, both as much.
    likely = [0] if ((until - eps) * cases.n < 1.0).all() else [0, PIECES - 1]
    k: FloatArray = _edge(nodes, flips, likely, 1).max(axis=0)
    step, case = np.nonzero(_corners(k, flips, cases.n))
    while len(step):
        joins = _joins(k[step, case] + 1.0, flips[step, case], case, nodes)
        k[step[joins], case[joins]] += 1.0
        some = np.unique(case[joins])
        step, place = np.nonzero(_corners(k[:, some], flips[:, some], cases.n[some]))
        case = some[place]
    return k


def _corners(k: FloatArray, flips: FloatArray, n: IntArray) -> BoolArray:
    """Where one more +1 would have to join first: (k + 1, M - k - 1) has a lower score than those of its neighbours M.

    The score rises with +1 and falls with -1: where k rises to the next M that one has one more +1, and where it does
    not rise from the one before that one has one -1 less. Of more than n flips nothing follows.
    """
    rises = k[1:] > k[:-1]
    corners = k < flips
    corners[1:] &= ~rises
    corners[:-1] &= rises | (flips[:-1] == n)
    return corners


def _joins(x: FloatArray, flips: FloatArray, case: IntArray, nodes: _PieceEnds) -> BoolArray:
    """Whether each outcome (x, flips - x) is within any piece of the stretch of its case.

    Where it is not within several neighbouring pieces taken as one, it is within none of them.
    """
    joins = np.zeros(len(x), np.bool_)
    element, at, length = np.arange(len(x)), case, PIECES * len(nodes.n)  # places in the raveled arrays of nodes
    for parts in _PARTS:
        length //= parts
        element = np.repeat(element, parts)
        at = (at[:, None] + np.arange(parts) * length).ravel()
        n, until, spread = nodes.n[case[element]], nodes.e.take(at + length), nodes.spread.take(at + length)
        within = _within(x[element], flips[element], n, until, spread, nodes.inverse.take(at))
        element, at = element[within], at[within]
        if not len(element):
            break
    joins[element] = True
    return joins


def _nodes_of(cases: Cases, e: FloatArray) -> _PieceEnds:
    limit, magnitude = scores(cases.n, cases.plus, cases.minus, e) + TIE, np.abs(e)
    return _PieceEnds(cases.n.astype(np.float64), e, magnitude * (1.0 - magnitude), 1.0 / (limit * limit * cases.n))


def _within(
    x: FloatArray, flips: FloatArray, n: FloatArray, until: FloatArray, spread: FloatArray, inverse: FloatArray
) -> BoolArray:
    """Whether z(x, y; t) <= z(a, c; s) + TIE < 0 for a piece [s, t], without square roots.

    It holds where the restricted estimate of step 1 is at most r. The estimate is the only positive root of
    2 n r^2 + b r - c, which is negative before it and positive after it, so that the sign at r tells.
    """
    difference = 2.0 * x
    difference -= flips
    above = difference - n * until
    r = above * above
    r *= inverse
    r -= spread
    r *= 0.5
    b = 2.0 * n * np.abs(until) - flips - difference * until
    c = (0.5 * spread) * (flips - np.where(until >= 0.0, 1.0, -1.0) * difference)  # rarer flips times the spread
    value = 2.0 * n * r
    value += b
    value *= r
    return np.asarray((above < 0.0) & (r >= 0.0) & (value >= c) & ((r > 0.0) | (b >= 0.0)))


def _edge(nodes: _PieceEnds, flips: FloatArray, pieces: list[int], length: int) -> FloatArray:
    """For each piece and M (S, C) the largest x with (x, M - x) within it; -1 if none: (P, S, C).

    The score rises with +1 and falls with -1, so that from M to M + 1 it grows by 0 or 1. Between two anchors it is
    close to a line; two looks beside it leave a few.
    """
    left = np.array(pieces)
    piece = (
        nodes.n,
        *(values[left + length][:, None] for values in (nodes.e, nodes.spread)),
        nodes.inverse[left][:, None],
    )
    most = np.broadcast_to(np.maximum(flips, -1.0), (len(left), *flips.shape))
    lowest = np.full_like(most[:, ::_ANCHORS], -1.0)
    anchors = _search(flips[::_ANCHORS], piece, lowest, most[:, ::_ANCHORS])
    steps = np.arange(len(flips))
    before, passed = anchors[:, steps // _ANCHORS], (steps % _ANCHORS)[:, None]
    grown = anchors[:, -(-steps // _ANCHORS)] - before
    x = np.minimum(before + np.floor(grown * (passed / _ANCHORS)) + 1.0, most)
    within = _within(x, flips, *piece)
    beside = x + np.where(within, 1.0, -1.0)
    k = np.asarray(np.maximum(np.minimum(x, beside), -1.0))
    rest = np.nonzero((within == _within(beside, flips, *piece)) & (beside >= 0.0) & (beside <= most))
    passed, grown = steps[rest[1]] % _ANCHORS, grown[rest]
    low = before[rest] + np.maximum(grown - (_ANCHORS - passed), 0.0)
    high = np.minimum(before[rest] + np.minimum(grown, passed), most[rest])
    piece_of_rest = tuple(np.broadcast_to(values, k.shape)[rest] for values in piece)
    k[rest] = _search(flips[rest[1:]], piece_of_rest, low, high)
    return k


def _search(flips: FloatArray, piece: tuple[FloatArray, ...], low: FloatArray, high: FloatArray) -> FloatArray:
    """The largest x in [low, high] within each piece, where `low` is within it or is not asked.

    Each round looks at a few places between, side by side.
    """
    share = np.arange(_LOOKS + 2) / (_LOOKS + 1)
    while (low < high).any():
        between = high - low
        at = low + np.ceil(np.multiply.outer(share[1:-1], between))  # ascending: within up to some of them
        within = _within(at, flips, *piece).sum(axis=0)
        last = within == _LOOKS
        high = np.where(last, high, np.maximum(low + np.ceil(share[within + 1] * between) - 1.0, low))
        low = low + np.ceil(share[within] * between)
    return low
