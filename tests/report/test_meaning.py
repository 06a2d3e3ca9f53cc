"""What the report says a decision means: the words are on the side where the intervals are."""

from types import SimpleNamespace
from typing import Any

import pytest
from as_json import render, typed
from certificate_example import certificate
from page import Page

from earmark.engine.report.meaning import assumed, sign

Json = dict[str, Any]


def interval(lower: float | None, upper: float | None) -> Json:
    return {"lower": lower, "upper": upper}


@pytest.mark.parametrize(
    ("seeds", "over_seeds", "expected"),
    [
        ([(0.01, 0.03)], None, 1),
        ([(-0.03, -0.01)], None, -1),
        ([(-0.01, 0.03)], None, 0),
        ([(0.0, 0.0)], None, 0),
        ([(None, None)], None, 0),
        ([(0.01, 0.03), (0.02, 0.05)], (0.01, 0.04), 1),
        ([(0.01, 0.03), (-0.02, 0.05)], (0.01, 0.04), 0),  # one seed may owe it to its questions
        ([(0.01, 0.03), (0.02, 0.05)], (-0.01, 0.06), 0),  # another training may lose it
        ([(0.01, 0.03), (-0.05, -0.02)], (-0.2, 0.2), 0),
    ],
)
def test_a_gain_is_claimed_where_every_interval_agrees(
    seeds: list[tuple[float, float]], over_seeds: tuple[float, float] | None, expected: int
) -> None:
    ends = [SimpleNamespace(**interval(*ends)) for ends in seeds]
    assert sign(ends, SimpleNamespace(**interval(*over_seeds)) if over_seeds else None) == expected


def conditioned(**changes: Any) -> Json:
    return certificate(methods=("learned_agnostic", "learned_conditioned"), tolerances=(0.05,), **changes)


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ((0.02, 0.06), "Does conditioning help? Yes: learned_conditioned needs"),
        ((-0.06, -0.02), "Does conditioning help? No, it costs: learned_conditioned needs"),
        ((-0.02, 0.06), "Does conditioning help? Not shown: the gain of learned_conditioned over learned_agnostic is"),
    ],
)
def test_conditioning_is_said_to_help_on_the_side_of_its_interval(ends: tuple[float, float], said: str) -> None:
    made = conditioned()
    for gain in made["gains"]:
        gain |= interval(*ends)
    assert said in Page(render(made)).text


@pytest.mark.parametrize(
    ("mean", "lower", "upper", "band", "said"),
    [
        (0.08, 0.05, 0.11, "PHI3", "Yes:"),
        (0.02, 0.01, 0.03, "PHI2", "A little:"),
        (0.08, -0.01, 0.17, "PHI3", "Not shown:"),
        (0.004, 0.001, 0.007, "PHI1", "No sign of it:"),
        (-0.08, -0.11, -0.05, "PHI3", "Yes, to its harm:"),
    ],
)
def test_use_of_the_question_is_said_from_band_and_interval(
    mean: float, lower: float, upper: float, band: str, said: str
) -> None:
    made = conditioned()
    for entry in made["audits"]["query_use"]:
        entry |= {"mean": mean, "lower": lower, "upper": upper, "band": band}
    assert made["audits"]["query_use"]
    assert f"Does the selector use the question? {said} with another question" in Page(render(made)).text


def test_harm_is_local_or_diffuse() -> None:
    made = certificate(methods=("energy",), tolerances=(0.05,), harm=2.0)
    (result,) = made["results"]
    at = max((b for b in result["budgets"] if b["budget"] < 1), key=lambda b: float(b["budget"]))
    for i, family in enumerate(at["families"]):
        family["excess"] = 0.2 if i == 0 else 0.0
    at["excess_average"]["estimate"] = 0.02
    at["concentration_top2"] = 1.0
    first = at["families"][0]["family"]
    result["certified"][0]["next"] = {"action": "route", "families": [first], "text": "route it"}
    assert f"Harm: Local: 1 of 5 families is above 5 points at 80% ({first}); the two worst hold 100%" in (
        Page(render(made)).text
    )
    for family in at["families"]:
        family["excess"] = 0.2
    at["excess_average"]["estimate"] = 0.2
    result["certified"][0]["next"] = {"action": "raise", "families": [], "text": "raise it"}
    said = Page(render(made)).text
    assert "Harm: Diffuse: 5 of 5 families are above 5 points at 80%" in said
    assert "the average is above its tolerance too" in said


def test_what_was_assumed_is_said_once() -> None:
    made = conditioned(partitions=("keyword", "native"), rule="paper")
    page = Page(render(made))
    assert page.texts("h3").count("What was assumed") == 1
    assert "The partitions (keyword, native), budgets, tolerances and candidates were declared" in page.text
    assert "nothing pays for the search over budgets" in page.text
    assert "Conditioned selectors know the question when audio is compressed" in page.text


def test_what_was_assumed_is_what_the_certified_rule_rests_on() -> None:
    made = conditioned()
    sentences = assumed(typed(made))
    assert sentences[0].startswith("Questions are independent draws of what will be asked, family by family")
    assert sentences[1].endswith("were declared before any answer was seen, in plan.json.")
    assert sentences[2].startswith(
        "What the claim approves is wrong with probability 2.5% at most, over 2 candidates together."
    )
    made["follows"] = {"certificate": "../a", "sha256": "0" * 64, "look": 1, "alpha_spent": 0.05, "checked": True}
    assert "With the certificates before, at most 5%." in assumed(typed(made))[2]
    made["declared"] = {"plan": None, "differences": []}
    assert assumed(typed(made))[1].endswith("were declared before any answer was seen; no plan.json shows it.")


def test_recordings_are_assumed_to_be_independent_where_rows_share_them() -> None:
    made = conditioned(shared=True)
    sentences = assumed(typed(made))
    assert sentences[0].startswith("Recordings are independent draws")
    assert "its excess is the mean over recordings, each counting alike" in sentences[1]
    made["rule"]["clustering"] = "ignore"
    assert assumed(typed(made))[0].startswith("Questions, also those about one recording, are independent draws")
    for result in made["results"]:
        for family in result["families"]:
            family["estimand"] = "rows"
    made["rule"]["max_rows_per_recording"] = 9
    assert assumed(typed(made))[1] == "No recording that will be asked about has more than 9 questions."
