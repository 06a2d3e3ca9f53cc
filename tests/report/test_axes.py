"""Budgets of two axes in one report: never compared as if alike, each with what it really uses."""

from pathlib import Path

import pytest
import two_axes
from as_json import certify, render
from commands import command
from hypothesis import given
from hypothesis import strategies as st
from page import Page, words
from two_axes import RULE

from earmark.engine.report.axes import CandidateAxis, budget_words, share_words, unit_words
from earmark.engine.report.numbers import NONE, amount
from earmark.engine.report.pareto import ParetoPoint, undominated
from earmark.engine.report.terminal import decision_table
from earmark.engine.signoff.certificate import Certificate, from_content
from earmark.engine.signoff.claim_entry import CandidatePolicy
from earmark.engine.signoff.rules.judgement import Route

OPUS = "opus, seed 0: budgets (verdicts alone, uncorrected)"
UNIFORM = "uniform, seed 0: budgets (verdicts alone, uncorrected)"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return two_axes.write_run(tmp_path_factory.mktemp("axes") / "run")


@pytest.fixture(scope="module")
def page(run: Path) -> Page:
    return Page(render(certify(run, RULE)))


def test_every_budget_has_its_unit_and_what_it_uses(page: Page) -> None:
    assert page.column(OPUS, "Budget") == ["5% | 12.8 kb/s", "12.5% | 32 kb/s", "100% | not run"]
    assert page.column(OPUS, "Sent, kb/s") == ["12.0 | 4.69% of raw", "35.0 | 13.7% of raw", "256.0"]
    assert page.column(OPUS, "Seconds heard") == ["10.0"] * 3
    assert page.column(OPUS, "FLOPs") == ["1T"] * 3
    assert page.column(UNIFORM, "Budget") == ["50%", "80%", "100% | not run"]
    assert page.column(UNIFORM, "Seconds heard") == ["5.0 | 50% of raw", "8.0 | 80% of raw", "10.0"]
    assert page.column(UNIFORM, "Sent, kb/s") == ["128.0 | 50% of raw", "204.8 | 80% of raw", "256.0"]  # of raw seconds
    assert page.column(UNIFORM, "Audio tokens") == ["125.0 | 50% of raw", "200.0 | 80% of raw", "250.0"]
    assert page.column(UNIFORM, "FLOPs")[0] == "500G | 50% of raw"


def test_beside_every_method_stands_its_axis(page: Page) -> None:
    methods = page.column("Every method and seed, alone, uncorrected", "Method")
    assert sorted(methods) == ["opus, seed 0 | bits, of 256 kb/s", "uniform, seed 0 | seconds that are kept"]


def test_no_share_of_bits_is_called_a_share_of_the_audio(page: Page) -> None:
    assert page.texts("h1") == ["Approved: opus at 12.5% of the bits (32 kb/s), within 5 points"]
    assert "12.5% of the audio" not in page.text


def test_excess_is_drawn_against_budgets_of_one_axis_at_a_time(page: Page) -> None:
    headings = [heading for heading in page.texts("h3") if heading.startswith("Excess against budget")]
    assert headings == ["Excess against budget: bits, of 256 kb/s", "Excess against budget: seconds that are kept"]


def test_costs_meet_in_one_figure_for_bits_and_one_for_operations(page: Page) -> None:
    figures = {words(figure.find("title")): figure for figure in page.figures}
    bits, operations = (figures[title] for title in figures if title.startswith("Harm against cost"))
    assert words(bits.find("desc")) == (
        "Of 5 points, these are beaten by none, by bits a question, log scale and upper bound: "
        "opus 12.8 kb/s: 120k, 27.34 points; opus 32 kb/s: 350k, 2.44 points; raw audio: 2.56M, 0.00 points."
    )
    assert "uniform 50%: 500G" in words(operations.find("desc"))


def test_where_nobody_counts_operations_positions_stand_in_their_place(tmp_path: Path) -> None:
    known = {
        cell: {"flops": [None] * two_axes.N, "lm_positions": [used["num_audio_tokens"] + 60] * two_axes.N}
        for cell, used in two_axes.USED.items()
    }
    shown = Page(render(certify(two_axes.write_run(tmp_path / "run", known), RULE)))
    titles = [words(figure.find("title")) for figure in shown.figures]
    assert [title for title in titles if title.startswith("Harm against cost")] == [
        "Harm against cost: Bits that are sent, bits a question, log scale",
        "Harm against cost: Positions of the language model, positions a question, log scale",
    ]


def test_nothing_is_drawn_of_costs_that_nobody_knows(tmp_path: Path) -> None:
    nothing = [None] * two_axes.N
    unknown = {cell: dict.fromkeys(("bits_sent", "flops", "lm_positions"), nothing) for cell in two_axes.USED}
    assert "Harm against cost" not in render(certify(two_axes.write_run(tmp_path / "run", unknown), RULE))


def test_a_terminal_says_budgets_with_their_units(run: Path) -> None:
    certificate = from_content(certify(run, RULE), "certificate.json")
    assert isinstance(certificate, Certificate)
    lines = decision_table(certificate)
    assert lines[0] == "approved: opus at budget 0.125 (32 kb/s); every family within 0.05"
    assert any(line.startswith("  opus ") and " task       passes  32 kb/s " in line for line in lines)


def test_a_status_says_the_budgets_of_each_step(run: Path) -> None:
    printed = command("status", run).out
    assert "budgets 0.8, 32 kb/s" in printed


@pytest.mark.parametrize(
    ("budget", "axis", "in_unit", "share"),
    [
        (0.125, "bits", "32 kb/s", "12.5% of the bits (32 kb/s)"),
        (0.5, "duration", "2x", "50% of the duration (2x)"),
        (0.25, "bandwidth", "2 kHz", "25% of the bandwidth (2 kHz)"),
        (0.4, "seconds", NONE, "40% of the audio"),
        (0.4, "own", NONE, "40% of what it counts"),
        (0.4, None, NONE, "40% of the audio"),
    ],
)
def test_a_budget_in_words(budget: float, axis, in_unit: str, share: str) -> None:
    assert (unit_words(budget, axis), share_words(budget, axis)) == (in_unit, share)
    assert budget_words(budget, axis).startswith(share.split()[0])


def test_what_is_really_used_stands_beside_budgets_that_are_not_kept_to() -> None:
    axis = CandidateAxis("bits", {0.05: 0.2, 0.1: 0.3})
    routes = [Route(family, 9, budget, 0.01, True) for family, budget in (("a", 0.1), ("b", 0.5), ("c", 1.0))]
    policy = CandidatePolicy(partition="p", tolerance=0.05, alpha_each=0.01, retained=0.5, families=tuple(routes))
    assert axis.share(0.1) == "10% of the bits (25.6 kb/s) (really 30%)"
    assert axis.share(0.5) == "50% of the bits (128 kb/s)"
    assert axis.retained("50%", policy) == "50% of the bits (really 30% at 10%)"
    assert axis.retained("50%", None) == "50% of the bits"


@pytest.mark.parametrize(
    ("value", "written"),
    [(None, NONE), (0, "0"), (999, "999"), (1_280_000, "1.28M"), (999_999, "1M"), (5e12, "5T"), (12.5, "12.5")],
)
def test_large_amounts_have_a_prefix(value: float | None, written: str) -> None:
    assert amount(value) == written


points = st.builds(
    ParetoPoint, st.text("ab", max_size=1), st.sampled_from([1.0, 2.0, 3.0]), st.sampled_from([0.0, 0.1])
)


@given(st.lists(points, min_size=1, max_size=8))
def test_a_point_is_marked_where_no_other_is_cheaper_or_safer_without_losing(given_points: list[ParetoPoint]) -> None:
    expected = []
    for point in given_points:
        better = False
        for other in given_points:
            no_worse = other.cost <= point.cost and other.bound <= point.bound
            better = better or (no_worse and (other.cost < point.cost or other.bound < point.bound))
        expected += [] if better else [point]
    assert sorted(undominated(given_points)) == sorted(expected)
