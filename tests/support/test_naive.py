"""The slow twins themselves, on cases small enough to work out by hand."""

import naive
import pytest

APPROX = 1e-12

# Two families of sizes 2 and 4: "a" loses one answer of two, "b" loses two and wins one of four.
FAMILIES = ["a", "b", "b", "a", "b", "b"]
D = [1.0, 1.0, 1.0, 0.0, -1.0, 0.0]

# Three budgets and three families of sizes 1, 2 and 2, for frontiers of subsets.
BUDGETS = [0.2, 0.6, 1.0]
THREE = ["c", "b", "a", "a", "b"]
D_BY_BUDGET = [
    [1.0, 1.0, 1.0, 0.0, 0.0],  # a .5, b .5, c 1
    [1.0, 0.0, 1.0, 0.0, 0.0],  # a .5, b 0, c 1
    [0.0, 0.0, 0.0, 0.0, 0.0],
]


# Frontiers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("net_errors", "eps", "printed"),
    [
        (106, 0.01, 0.9090),
        (106, 0.02, 0.8181),
        (106, 0.05, 0.5452),
        (87, 0.01, 0.8892),
        (87, 0.02, 0.7783),
        (87, 0.05, 0.4459),
    ],
)
def test_the_frontiers_that_the_paper_prints(net_errors: int, eps: float, printed: float) -> None:
    n = 1607
    raw = [0.0] * n
    compressed = [1.0] * net_errors + [0.0] * (n - net_errors)
    excess = [naive.mean(naive.paired_differences(raw, losses)) for losses in (compressed, raw)]
    assert round(naive.interpolated_frontier([0.4, 1.0], excess, eps), 4) == printed


@pytest.mark.parametrize(
    ("excess", "eps", "grid", "interpolated"),
    [
        ([0.3, 0.1, 0.0], 0.3, 0.2, 0.2),  # holds at the smallest
        ([0.3, 0.1, 0.0], 0.2, 0.6, 0.4),  # half-way down the first segment
        ([0.3, 0.1, 0.0], 0.1, 0.6, 0.6),  # exactly at a grid point
        ([0.3, 0.1, 0.0], 0.05, 1.0, 0.8),
        ([0.3, 0.1, 0.2], 0.1, 0.6, 0.6),  # the first crossing counts, whatever follows
        ([0.1, 0.3, 0.0], 0.2, 0.2, 0.2),
        ([0.3, 0.2, 0.1], 0.05, None, 1.0),  # never
        ([-0.1, 0.3, 0.0], 0.0, 0.2, 0.2),
        ([0.3, 0.1, -0.1], 0.0, 1.0, 0.8),
    ],
)
def test_frontiers(excess: list[float], eps: float, grid: float | None, interpolated: float) -> None:
    assert naive.grid_frontier(BUDGETS, excess, eps) == grid
    assert naive.interpolated_frontier(BUDGETS, excess, eps) == pytest.approx(interpolated, abs=APPROX)


def test_a_frontier_forgives_rounding_and_no_more() -> None:
    assert naive.interpolated_frontier(BUDGETS, [0.1 + 0.2, 0.0, 0.0], 0.3) == 0.2
    assert naive.grid_frontier(BUDGETS, [0.1 + 0.2, 0.0, 0.0], 0.3) == 0.2
    assert naive.grid_frontier(BUDGETS, [0.3 + 1e-11, 0.0, 0.0], 0.3) == 0.6


def test_a_lonely_budget() -> None:
    assert naive.interpolated_frontier([1.0], [0.0], 0.0) == 1.0
    assert naive.token_frontier([1.0], [25.0], [0.0], 0.0) == 25.0


def test_token_frontier_follows_the_tokens_not_the_budget() -> None:
    tokens = [10.0, 20.0, 100.0]
    assert naive.token_frontier(BUDGETS, tokens, [0.3, 0.1, 0.0], 0.05) == pytest.approx(60.0)
    assert naive.token_frontier(BUDGETS, tokens, [0.3, 0.1, 0.0], 0.2) == pytest.approx(15.0)
    assert naive.token_frontier(BUDGETS, tokens, [0.3, 0.1, 0.0], 0.3) == 10.0
    assert naive.token_frontier(BUDGETS, tokens, [0.3, 0.1, 0.1], 0.0) == 100.0
    assert naive.token_frontier(BUDGETS, [10.0, None, 100.0], [0.3, 0.1, 0.0], 0.05) is None


def test_frontiers_of_subsets_chains_and_overlaps() -> None:
    def frontier(subset: list[str]) -> float:
        return naive.subset_frontier(D_BY_BUDGET, THREE, subset, BUDGETS, 0.25)

    assert naive.subset_excess(D_BY_BUDGET, THREE, ["a", "b"]) == [0.5, 0.5, 0.0]
    assert frontier(["a"]) == pytest.approx(0.8)  # .5 at .6 down to 0 at 1: half-way
    assert frontier(["b"]) == pytest.approx(0.4)  # .5 at .2 down to 0 at .6: half-way
    assert frontier(["c"]) == pytest.approx(0.9)  # 1 at .6 down to 0 at 1: three quarters of the way
    steps = naive.chain(D_BY_BUDGET, THREE, BUDGETS, 0.25)
    assert [(step.family, step.n) for step in steps] == [("c", 1), ("a", 2), ("b", 2)]
    assert [step.frontier for step in steps] == pytest.approx([0.9, 0.9, 0.9])
    assert steps[0].increment is None
    assert [step.increment for step in steps[1:]] == pytest.approx([0.0, 0.0])
    ratio = naive.overlap_ratio(D_BY_BUDGET, THREE, BUDGETS, "a", "b", 0.25)
    assert ratio == pytest.approx(0.8 / (0.8 + 0.4))


def test_a_chain_that_climbs() -> None:
    families = ["a", "b", "b"]
    steps = naive.chain([[1.0, 1.0, 1.0], [0.0, 1.0, 1.0], [0.0, 0.0, 0.0]], families, BUDGETS, 0.5)
    assert [step.frontier for step in steps] == pytest.approx([0.4, 0.8])
    assert steps[1].increment == pytest.approx(0.4)


# Excess ----------------------------------------------------------------------------------------------------


def test_excess_of_families() -> None:
    assert naive.paired_differences([0.0, 1.0, 1.0], [1.0, 0.0, 1.0]) == [1.0, -1.0, 0.0]
    assert naive.excess_by_family(D, FAMILIES) == {"a": 0.5, "b": 0.25}
    assert naive.worst(D, FAMILIES) == ("a", 0.5)
    assert naive.hidden_damage(D, FAMILIES) == pytest.approx(0.5 - 2 / 6)
    assert naive.bottleneck(D, ["b", "a", "a", "b", "b", "b"]) == "a"


def test_the_first_family_by_name_wins_a_tie() -> None:
    assert naive.worst([1.0, 1.0, 0.0, 0.0], ["z", "b", "z", "b"]) == ("b", 0.5)


def test_concentration() -> None:
    families = ["a"] * 4 + ["b"] * 2 + ["c"] * 1 + ["d"]
    # a .5 of 4 rows, b .5 of 2, c 1 of 1, d below zero: the worst two are c, then a (a tie with b, by name)
    d = [1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0, -1.0]
    assert naive.concentration_top2(d, families) == pytest.approx((1 + 2) / (1 + 2 + 1))
    assert naive.concentration_top2([-1.0, 0.0], ["a", "b"]) is None
    assert naive.concentration_top2([1.0, 1.0], ["a", "a"]) == 1.0


def test_consistency() -> None:
    assert naive.answer_consistency(["A", None, None, "B"], ["A", None, "C", "A"]) == 0.5
    budgets = [0.2, 0.4, 0.6, 1.0]
    assert naive.consistency_paradox([0.9, 0.8, 0.95, 1.0], [0.5, 0.4, 0.3, 0.2], budgets) == [
        True,
        False,
        False,
        False,
    ]
    # budget 1 neither raises the flag nor gets it
    assert naive.consistency_paradox([0.9, 0.5], [0.4, 0.1], [0.4, 1.0]) == [False, False]
    # equal on either side is no paradox; a missing consistency neither
    assert naive.consistency_paradox([0.9, 0.9, 0.8, 1.0], [0.5, 0.4, 0.5, 0.2], budgets) == [False] * 4
    assert naive.consistency_paradox([0.9, None, 0.95, 1.0], [0.5, 0.4, 0.3, 0.2], budgets) == [False] * 4


# Gain and audit --------------------------------------------------------------------------------------------


def test_gain_and_phi() -> None:
    assert naive.gain(0.5, 0.25) == 0.25
    assert naive.gain(None, 0.25) is None
    assert naive.gain(0.5, None) is None
    assert naive.phi(0.25, [0.0, -0.5]) == 0.5
    assert [naive.band(phi) for phi in (0.0, -0.0099, 0.01, -0.01, 0.049, 0.05, -0.3)] == [
        *["PHI1"] * 2,
        *["PHI2"] * 3,
        *["PHI3"] * 2,
    ]
    assert naive.band(0.2, small=0.2, substantial=0.3) == "PHI2"


@pytest.mark.parametrize(
    ("values", "label"),
    [
        ([0.1, 0.2], "CONSISTENT+"),
        ([-0.1], "CONSISTENT-"),
        ([0.1, -0.2], "MIXED"),
        ([0.1, 0.0], "MIXED"),
        ([0.1, 1e-13], "MIXED"),
        ([0.0, -1e-13], "ZERO"),
    ],
)
def test_direction(values: list[float], label: str) -> None:
    assert naive.direction_over_seeds(values) == label


def test_student_t() -> None:
    # the paper's MMSU row: (-.0870, -.0243, -.1088), mean -.0734, sd .0439, interval (-.182, .036)
    result = naive.student_t([-0.0870, -0.0243, -0.1088], 0.95)
    assert [round(result.mean, 4), round(result.sd or 0, 4)] == [-0.0734, 0.0439]
    assert [round(result.lower or 0, 3), round(result.upper or 0, 3)] == [-0.182, 0.036]
    assert naive.student_t([0.25], 0.95) == (0.25, None, None, None)
    assert naive.student_t([0.25, 0.25], 0.95) == (0.25, 0.0, 0.25, 0.25)


# Uncertainty -----------------------------------------------------------------------------------------------


def test_resampled_statistics() -> None:
    draws = [[0, 1, 2, 3, 4], [1, 1, 4, 2]]
    whole, part = naive.resampled_statistics(D_BY_BUDGET, THREE, draws, BUDGETS, 0.25)
    assert whole["average"] == pytest.approx([0.6, 0.4, 0.0])
    assert whole["family"] == {"a": [0.5, 0.5, 0.0], "b": [0.5, 0.0, 0.0], "c": [1.0, 1.0, 0.0]}
    assert whole["worst"] == [1.0, 1.0, 0.0]
    assert whole["family_frontier"] == pytest.approx(0.9)
    assert whole["average_frontier"] == pytest.approx(0.6 + 0.4 * 0.15 / 0.4)
    # b's losing row twice, b's other row, and a's losing row; c was not drawn
    assert part["average"] == [0.75, 0.25, 0.0]
    assert part["family"] == {"a": [1.0, 1.0, 0.0], "b": [pytest.approx(2 / 3), 0.0, 0.0], "c": [None, None, None]}
    assert part["worst"] == [1.0, 1.0, 0.0]
    assert part["average_frontier"] == 0.6


def test_percentiles() -> None:
    assert naive.percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert naive.percentile([0.0, 10.0], 0.25) == 2.5
    assert naive.percentile([4.0], 0.975) == 4.0
    assert naive.interval([float(i) for i in range(101)], 0.05) == pytest.approx((5.0, 95.0))


def test_two_sided_p() -> None:
    assert naive.two_sided_p([0.1, 0.2, 0.3, -0.1]) == 0.5
    assert naive.two_sided_p([0.1, 0.2]) == 0.0
    assert naive.two_sided_p([0.0, 0.0]) == 1.0
    assert naive.two_sided_p([0.0, 0.2, 0.1, 0.3]) == 0.5  # a zero is on both sides


@pytest.mark.parametrize(
    ("average", "family", "decision"),
    [
        ((-0.1, 0.02), (0.0, 0.05), "approve"),
        ((-0.1, 0.03), (0.0, 0.05), "inconclusive"),
        ((-0.1, 0.02), (0.0, 0.051), "inconclusive"),
        ((0.021, 0.03), (0.0, 0.05), "reject"),
        ((-0.1, 0.02), (0.051, 0.06), "reject"),
        ((-0.1, 0.02), (0.05, 0.06), "inconclusive"),
    ],
)
def test_paper_decision(average: tuple[float, float], family: tuple[float, float], decision: str) -> None:
    assert naive.paper_decision(average, family, 0.02, 0.05) == decision


# Families --------------------------------------------------------------------------------------------------


def test_merge_rare() -> None:
    families = ["a"] * 2 + ["b"] * 2 + ["c"] * 5
    assert naive.merge_rare(families, {}, 3) == (families, ["a", "b"])
    assert naive.merge_rare(families, {"a": "c"}, 3) == (["c"] * 2 + ["b"] * 2 + ["c"] * 5, ["b"])
    # a new name, shared; enough together
    assert naive.merge_rare(families, {"a": "x", "b": "x", "c": "x"}, 3) == (["x"] * 4 + ["c"] * 5, [])
    # a merged group that is still rare moves on where it may, and is named where it may not
    assert naive.merge_rare(families, {"a": "x", "x": "c"}, 3) == (["c"] * 2 + ["b"] * 2 + ["c"] * 5, ["b"])
    assert naive.merge_rare(families, {"a": "x", "b": "x"}, 5) == (["x"] * 4 + ["c"] * 5, ["x"])
    # descendants first: with a, b is large enough to stand on its own
    assert naive.merge_rare(families, {"a": "b", "b": "c"}, 4) == (["b"] * 4 + ["c"] * 5, [])
    with pytest.raises(ValueError, match="leads back"):
        naive.merge_rare(families, {"a": "b", "b": "a"}, 3)


def test_coarsen() -> None:
    families = ["e"] * 1 + ["d"] * 2 + ["c"] * 2 + ["b"] * 5 + ["a"] * 4
    # b 5 first; a 4 second; c 2 second (4 < 5); d 2 first (5 < 6); e 1 second (6 < 7)
    assert naive.coarsen(families) == (["b", "d"], ["a", "c", "e"])
    assert naive.coarsen(["a", "b", "c", "c", "b", "a"]) == (["a", "c"], ["b"])
    assert naive.coarsen(["a"]) == (["a"], [])


def test_share_destroyed() -> None:
    # fine: a 1, b 0, c 0, so H = 1 - 1/3; coarse: {a, c} 1/2 against {b} 0, so H = 1/2 - 1/3
    d, families = [1.0, 1.0, 0.0, 0.0, 0.0, 0.0], ["a", "a", "b", "b", "c", "c"]
    assert naive.share_destroyed(d, families) == pytest.approx(1 - (1 / 6) / (2 / 3))
    assert naive.share_destroyed([1.0, 0.0], ["a", "a"]) is None


def test_architecture_gap() -> None:
    mean, sd = naive.architecture_gap([[0.0, 1.0], [0.0, 0.0]], [[1.0, 1.0], [0.0, 0.0, 0.0, 1.0]])
    assert mean == pytest.approx((0.5 + 0.25) / 2)
    assert sd == pytest.approx((2 * 0.125**2) ** 0.5)
    assert naive.architecture_gap([[0.0]], [[1.0]]) == (1.0, None)
