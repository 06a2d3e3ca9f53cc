"""Bounds of an excess risk: where the p of the exact test passes alpha for the last time (method 9.2).

Inverts `exact`; knows counts only. All bounds are searched for side by side, each by its own steps; what a step needs
of the test comes from one of its two forms.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from earmark.kernels.statistics.collapse import FloatArray, IntArray
from earmark.kernels.statistics.exact import ExactForm, checked_counts, checked_levels, distinct, form_of
from earmark.kernels.statistics.exact_case import COARSE, FINE, NO_EVIDENCE, Cases, normal_scores
from earmark.kernels.statistics.plain.regions import BoolArray, scores

RESOLUTION = 1e-5  # how far a bound may lie above the last excess that does not pass
CLOSE = 1e-6  # a p this close to alpha, relatively, does not count as below it: peaks are not climbed to the top
LARGEST = 1.0 - 1e-9  # the largest excess that is looked at
GROWTH = 10.0  # how many times longer the next stretch is after one that passed
BACK = 4.0  # how many times shorter it is after one that did not,
SHORTEST = RESOLUTION / 64  # and the shortest that is tried, as a share of 1 - e
FAR = 0.15  # where p is below this share of the limit, all that is left is tried as one stretch
AIMS = 12  # secant steps towards a crossing before `_crossings` brackets it
# Square roots of rows, summed over the bounds of a call (a sign-off has all of its own in one), up to which NumPy looks
# for them: in about a second at most. Importing numba and loading the kernels takes as long, compiling them ten times.
FEW = 9_000.0


def upper_bounds(
    n: npt.ArrayLike, plus: npt.ArrayLike, minus: npt.ArrayLike, alpha: npt.ArrayLike, gamma: npt.ArrayLike
) -> FloatArray:
    """Upper bounds of the excess, one per triple of counts: at most RESOLUTION above the last e with p(e) > alpha.

    Counts and levels are broadcast; bounds lie in (-1, 1), and are 1.0 where no e passes (every row is +1). With plus
    and minus exchanged, minus the bounds are lower ones. The search starts where the score is -1/2: at every smaller e
    p is 1.
    """
    levels = checked_levels(alpha, gamma)
    different, place = distinct(*np.broadcast_arrays(*checked_counts(n, plus, minus), *levels))
    bounds = np.ones(len(different))
    some = np.flatnonzero(different[:, 1] < different[:, 0])
    bounds[some] = _upper_bounds(different[some, :3].astype(np.int64), *different[some, 3:].T.copy())
    return np.asarray(bounds[place])


# Inversion of the test -------------------------------------------------------------------------------------
#
# p(e) falls smoothly, but jumps up where an outcome joins the rejection region, so that it can pass alpha more than
# once. A bound is a bound only above the last time: from the first passing e on, [bound, end) is cut into stretches,
# each shown to pass as a whole, and above `end` everything passes. A form's `p_values` bound p(e) at every e of a
# stretch: its region holds all of theirs (compiled/region.py), at a given q a region is the less likely the larger e,
# and its q run over all of theirs. What cannot be shown to pass raises the bound. Nothing else decides that an e
# passes: how the first one was found does not matter. What is left to trust is the search for the largest p(q), as in
# the test itself.


def _upper_bounds(counts: IntArray, alpha: FloatArray, gamma: FloatArray) -> FloatArray:
    """For each triple (D, 3) with a < n an e above every e that does not pass, by RESOLUTION or a few of them."""
    n, a, c = counts.T.copy()
    form = form_of(n, FEW)
    cases = Cases(n, a, c, *form.clopper_pearson(a + c, n, gamma), (1.0 - CLOSE) * (alpha - gamma))
    bounds = _aimed_crossings(form, cases)
    missed = np.flatnonzero(bounds == 1.0)
    if len(missed):
        below = _excesses_at_scores(cases.at(missed), np.full(len(missed), NO_EVIDENCE))
        bounds[missed] = _crossings(form, cases.at(missed), below)
    bounds = _raised(form, cases, bounds, _ends(cases, gamma))
    return np.where(bounds < LARGEST, bounds, 1.0)


def _raised(form: ExactForm, cases: Cases, bounds: FloatArray, ends: FloatArray) -> FloatArray:
    """The bounds, raised until all of [bound, end] passes, in stretches [e, until] from the bound upwards."""
    bounds, e = bounds.copy(), bounds.copy()  # all of [bound, e] passes
    reach, growth = np.full(len(e), 6.0 * RESOLUTION), np.full(len(e), GROWTH)
    until, tried = np.minimum(e + reach, ends), np.full(len(e), -1.0)  # the end of a stretch that did not pass, or -1
    crosses = np.zeros(len(e), np.bool_)
    while True:
        i, crossing = np.flatnonzero((e < ends) & ~crosses), np.flatnonzero(crosses)
        if len(i) <= len(crossing):  # as many together as go on with the others
            i = crossing
            if not len(i):
                return bounds
            e[i] = bounds[i] = _crossings(form, cases.at(i), tried[i])
            reach[i], tried[i], crosses[i] = RESOLUTION, -1.0, False
            continue
        until[i] = np.minimum(e[i] + reach[i], ends[i])
        points = np.where(e == bounds, FINE, COARSE)  # coarse grids miss a peak now and then, by up to .0001
        back = i[tried[i] > -1.0]
        both = np.r_[i, back]
        p = form.p_values(cases.at(both), np.r_[e[i], tried[back]], np.r_[until[i], tried[back]], points[both])
        p, p_tried = p[: len(i)], p[len(i) :]
        crosses[back[p_tried > cases.limit[back]]] = True  # all up to there is below the last time
        p, i = p[~crosses[i]], i[~crosses[i]]
        passes = p <= cases.limit[i]
        _advance(i[passes], e, until, reach, growth, tried)
        far = i[p < FAR * cases.limit[i]]
        reach[far] = ends[far] - e[far]
        back = i[~passes]
        length = until[back] - e[back]
        skips = length <= SHORTEST * (1.0 - e[back])
        e[back[skips]] = bounds[back[skips]] = until[back[skips]]
        reach[back] = np.where(skips, RESOLUTION, length / BACK)
        growth[back], tried[back] = 4.0, np.where(skips, -1.0, until[back])


def _advance(
    i: IntArray, e: FloatArray, until: FloatArray, reach: FloatArray, growth: FloatArray, tried: FloatArray
) -> None:
    """Go on from the ends of stretches that passed, with longer ones; in place."""
    reach[i] = growth[i] * (until[i] - e[i])
    e[i], growth[i], tried[i] = until[i], np.minimum(2.0 * growth[i], GROWTH), -1.0


def _ends(cases: Cases, gamma: FloatArray) -> FloatArray:
    """An e above which every e passes, for a < n.

    All +1 has the highest score of all: it is in no region, and its probability is at least e^n. Above the
    Clopper-Pearson interval the only q is e: all flips are +1 then, and more than a + c of them are in no region,
    because the score rises with +1 and falls with -1; so p - gamma is at most P(Bin(n, e) <= a + c) <= gamma / 2.
    """
    missed = (1.0 - cases.limit).tolist()
    ends = np.array([min(chance ** (1.0 / n), LARGEST) for chance, n in zip(missed, cases.n.tolist(), strict=True)])
    return np.where(gamma <= cases.limit, np.minimum(cases.high, ends), ends)


# The first crossing ----------------------------------------------------------------------------------------


def _aimed_crossings(form: ExactForm, cases: Cases) -> FloatArray:
    """For each case an e that passes, as far as one nuisance value tells, and fails at less than RESOLUTION below.

    1 where it was missed. Secants of the normal scores h of p, nearly linear in e: at Tango's bound and at the first
    estimate with the whole grid over q, then at the place of its highest point. They aim a little above the root, and
    then a little below it.
    """
    count = len(cases.n)
    target = normal_scores(cases.limit)
    crossing = np.ones(count)
    e = _excesses_at_scores(cases, np.minimum(target, NO_EVIDENCE - 0.01))
    slope = (_scores(cases, e + RESOLUTION) - _scores(cases, e)) / RESOLUTION
    fails, passes, place = np.full(count, -1.0), np.ones(count), np.zeros(count)
    last, h_last = np.zeros(count), np.zeros(count)
    i = np.arange(count)
    for step in range(AIMS):
        outside = ~((fails[i] < e[i]) & (e[i] < passes[i]))  # a jump misled the secant
        bracketed = (fails[i] > -1.0) & (passes[i] < 1.0)
        e[i] = np.where(outside, 0.5 * (fails[i] + passes[i]), e[i])
        i = i[~outside | bracketed]
        if not len(i):
            break
        p, place[i] = form.p_at_places(cases.at(i), e[i], place[i], step < 2)
        h = normal_scores(p) - target[i]
        moved = e[i] - last[i]
        secant = (h - h_last[i]) / np.where(moved == 0.0, 1.0, moved)
        steeper = (step > 0) & (np.abs(moved) > 0.1 * RESOLUTION) & (secant < 0.1 * slope[i])
        slope[i] = np.where(steeper, secant, slope[i])
        last[i], h_last[i] = e[i], h
        passes[i], fails[i] = np.where(h <= 0.0, e[i], passes[i]), np.where(h <= 0.0, fails[i], e[i])
        close = passes[i] - fails[i] <= RESOLUTION
        crossing[i[close]] = passes[i[close]]
        root = e[i] - h / slope[i]
        below = (passes[i] < 1.0) & (passes[i] - root < RESOLUTION)
        e[i] = np.where(below, root - 0.2 * RESOLUTION, root + 0.7 * RESOLUTION)
        i = i[~close]
    return crossing


class _Bracket(NamedTuple):
    """Where p is searched for the limit: an e that fails, a larger one that passes, and h at both, in place."""

    fails: FloatArray
    passes: FloatArray
    h_fails: FloatArray
    h_passes: FloatArray

    def narrow(self, i: IntArray, e: FloatArray, h: FloatArray, passed: BoolArray) -> None:
        """Take e, with h, for an end of the brackets i."""
        self.passes[i[passed]], self.h_passes[i[passed]] = e[passed], h[passed]
        self.fails[i[~passed]], self.h_fails[i[~passed]] = e[~passed], h[~passed]


def _crossings(form: ExactForm, cases: Cases, fails: FloatArray) -> FloatArray:
    """For each case an e above `fails` that passes, where something in [e - RESOLUTION, e) does not; 1 without one.

    Regula falsi on the normal scores h of p, nearly linear in Tango's score. It aims a little past the
    estimated root, towards the farther end, so that the bracket closes from both sides, and further (up to the middle)
    after every step that did not halve it.
    """
    target = normal_scores(cases.limit)

    def p_and_h(i: IntArray, e: FloatArray) -> tuple[FloatArray, FloatArray]:
        p = form.p_values(cases.at(i), e, e, np.full(len(e), COARSE))
        return p, normal_scores(p) - target[i]

    count = len(fails)
    bracket = _Bracket(fails.copy(), np.ones(count), p_and_h(np.arange(count), fails)[1], np.zeros(count))
    i = _bracketed(cases, bracket, p_and_h)
    boost = np.ones(count)
    while len(i := i[bracket.passes[i] - bracket.fails[i] > RESOLUTION]):
        left, right, h_left, h_right = (values[i] for values in bracket)
        width, middle = right - left, 0.5 * (left + right)
        e = left + width * h_left / (h_left - h_right)
        beyond = boost[i] * (0.3 * RESOLUTION + 0.02 * np.minimum(e - left, right - e))
        e = np.where(e < middle, np.minimum(e + beyond, middle), np.maximum(e - beyond, middle))
        p, h = p_and_h(i, e)
        bracket.narrow(i, e, h, p <= cases.limit[i])
        boost[i] = np.where(bracket.passes[i] - bracket.fails[i] > 0.5 * width, 10.0 * boost[i], 1.0)
    return bracket.passes


def _bracketed(
    cases: Cases, bracket: _Bracket, p_and_h: Callable[[IntArray, FloatArray], tuple[FloatArray, FloatArray]]
) -> IntArray:
    """The cases that pass somewhere, with ends of their brackets found in steps of Tango's score."""
    highest = _scores(cases, bracket.fails)
    failed, passed = bracket.h_fails < 1.0, np.zeros(len(highest), np.bool_)
    at, reach = np.minimum(normal_scores(cases.limit), highest - 0.01), 0.01
    some = np.ones(len(highest), np.bool_)
    while len(i := np.flatnonzero(some & (at < highest) & ~(failed & passed))):
        e = _excesses_at_scores(cases.at(i), at[i])
        p, h = p_and_h(i, e)
        passes = p <= cases.limit[i]
        some[i[~passes & (e >= LARGEST)]] = False
        bracket.narrow(i, e, h, passes)
        passed[i], failed[i] = passed[i] | passes, failed[i] | ~passes
        at[i] += np.where(passes, 1.0, -1.0) * (np.abs(h) + reach)
        reach *= 3.0
    return np.flatnonzero(some)


def _excesses_at_scores(cases: Cases, at: FloatArray) -> FloatArray:
    """The e in (-1, 1) where the scores z(a, c) fall to `at`, by bisection."""
    left, right = np.full(len(at), -LARGEST), np.full(len(at), LARGEST)
    for _ in range(45):
        middle = 0.5 * (left + right)
        above = _scores(cases, middle) > at
        left, right = np.where(above, middle, left), np.where(above, right, middle)
    return right


def _scores(cases: Cases, e: FloatArray) -> FloatArray:
    return scores(cases.n, cases.plus, cases.minus, e)
