"""The sign test and its correction err as often as they say, whatever overlaps and however many there are."""

from math import comb

import numpy as np
import pytest

from earmark.engine.signoff.diff.sign_test import corrected, sign_p

ALPHA = 0.025
SIMULATIONS = 1500
MOST = ALPHA * SIMULATIONS + 3.1 * (ALPHA * (1 - ALPHA) * SIMULATIONS) ** 0.5


def naive_p(against: int, in_favour: int) -> float:
    """The chance of so many heads or more."""
    n = against + in_favour
    return sum(comb(n, k) for k in range(against, n + 1)) / 2**n


@pytest.mark.parametrize(("against", "in_favour"), [(0, 0), (0, 9), (1, 0), (5, 0), (12, 3), (40, 38)])
def test_p_is_the_tail_of_a_fair_coin(against: int, in_favour: int) -> None:
    assert sign_p(against, in_favour) == pytest.approx(naive_p(against, in_favour))


def test_more_changes_that_cancel_never_make_p_smaller() -> None:
    for rise in range(1, 12):
        p = [sign_p(rise + cancelled, cancelled) for cancelled in range(60)]
        assert np.diff(p).min() > -1e-9


def test_what_could_not_be_rejected_is_not_paid_for() -> None:
    p, n_tests = corrected([(12, 0), (2, 1), (0, 0), (1, 4)], ALPHA)
    assert p == [pytest.approx(naive_p(12, 0)), None, None, None]
    assert n_tests == 1
    assert corrected([], ALPHA) == ([], 0)
    assert corrected([(3, 2)], ALPHA) == ([None], 0)


def test_several_are_corrected_after_holm() -> None:
    p, n_tests = corrected([(10, 0), (20, 10), (12, 0)], ALPHA)
    assert n_tests == 3
    assert p == [pytest.approx(2 * naive_p(10, 0)), pytest.approx(naive_p(20, 10)), pytest.approx(3 * naive_p(12, 0))]


def outcomes(draw: np.random.Generator, flips: float, budgets: int) -> np.ndarray:
    """(recordings, rows, budgets) losses of one run; rows of a recording are alike, budgets too."""
    recording = draw.random((60, 1, 1)) < 0.5
    row = draw.random((60, 3, 1)) < 0.5
    return ((draw.random((60, 3, budgets)) < 2 * flips) & np.where(draw.random((60, 3, 1)) < 0.5, recording, row)) * 1.0


@pytest.mark.parametrize("flips", [0.03, 0.3])
def test_of_two_runs_of_one_truth_none_is_worse_but_with_a_chance_of_alpha(flips: float) -> None:
    """Five families at three budgets, three rows a recording: by questions."""
    draw = np.random.default_rng(3)
    wrong = 0
    for _ in range(SIMULATIONS):
        counts = []
        for _ in range(5):
            rise = (outcomes(draw, flips, 3) - outcomes(draw, flips, 3)).sum(axis=1)
            counts += [(int((rise[:, b] > 0).sum()), int((rise[:, b] < 0).sum())) for b in range(3)]
        p, _ = corrected(counts, ALPHA)
        wrong += any(value is not None and value <= ALPHA for value in p)
    assert wrong <= MOST


def test_counts_of_two_runs_of_one_truth_err_no_more() -> None:
    """Five families at two budgets, rows by themselves: by the counts of changes from the same raw answers."""
    draw = np.random.default_rng(4)
    wrong = 0
    for _ in range(SIMULATIONS):
        counts = []
        for _ in range(10):
            raw = draw.random(150) < 0.3
            changed = [(draw.random(150) < 0.1) != raw for _ in range(2)]  # the answers of either run
            plus, minus = ([int((c & ~raw).sum()) for c in changed], [int((~c & raw).sum()) for c in changed])
            counts.append((plus[1] + minus[0], minus[1] + plus[0]))
        p, _ = corrected(counts, ALPHA)
        wrong += any(value is not None and value <= ALPHA for value in p)
    assert wrong <= MOST


def test_a_family_that_lost_a_tenth_of_its_answers_is_seen_among_fifty() -> None:
    draw = np.random.default_rng(5)
    seen = 0
    for _ in range(300):
        noise = [(int(a), int(b)) for a, b in draw.binomial(6, 0.5, (49, 2))]
        p, _ = corrected([(int(draw.binomial(200, 0.12)), int(draw.binomial(200, 0.02))), *noise], ALPHA)
        seen += p[0] is not None and p[0] <= ALPHA
    assert seen > 0.75 * 300
