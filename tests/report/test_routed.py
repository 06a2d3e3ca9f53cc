"""A routed approval on terminal, page and model card: where families go, what is worst there, and what it lacks."""

import pytest
import worlds
from as_json import page_of
from page import Page, words

import earmark
from earmark.engine.report.card_section import section
from earmark.engine.report.terminal import decision_table
from earmark.engine.signoff.certificate import Certificate

WHY = "families are labels of the benchmark, which no question carries when it is asked"


@pytest.fixture(scope="module")
def routed(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    losses = [1.0] * 60 + [0.0] * 139 + [1.0] + [0.0] * 400
    labels = ["counting"] * 199 + ["event"] * 201 + ["scene"] * 200
    run = worlds.write_run(tmp_path_factory.mktemp("run"), [0.0] * 600, {"m": {0.1: losses}}, labels)
    return earmark.certify(run, tolerance=0.05, replicates=200, claim="routing")


def test_a_card_has_the_policy_and_the_worst_family_where_the_policy_sends_it(routed: Certificate) -> None:
    card = section(routed, "0" * 64)
    assert "| Policy | 10%: 'event', 'scene'; raw audio: 'counting'; any other question: raw audio |" in card
    (worst,) = (line for line in card if line.startswith("| Worst family"))
    assert "'event' (" in worst
    assert "+0.50 points of error" in worst
    assert f"| Deployable | not as it is: {WHY} |" in card


def test_the_page_names_the_same_worst_family_as_the_card(routed: Certificate) -> None:
    said = words(Page(page_of(routed)).by_id("claim"))
    assert "Worst familyevent: 100% right on raw audio" in said
    assert "at 10%, where it is sent" in said
    assert "Its harm0.50 points worse, at most " in said


def test_the_terminal_says_that_a_policy_cannot_be_deployed(routed: Certificate) -> None:
    approved, lacking, *_ = decision_table(routed)
    assert approved.startswith("approved: m, routed by query_family, keeps 40%")
    assert lacking == f"m cannot be deployed as it is: {WHY}"


def test_the_terminal_says_where_no_plan_shows_what_was_declared(routed: Certificate) -> None:
    lines = decision_table(routed)
    chance = next(i for i, line in enumerate(lines) if line.startswith("the chance of any false approval"))
    assert lines[chance + 1].startswith("nothing was declared beforehand: that the rule, families and candidates were")
