"""The page says first what the claim says, with everything that casts doubt on it beside it."""

from typing import Any

import pytest
from as_json import render
from certificate_example import Json, certificate, error_entry
from markupsafe import Markup
from page import Page, words

from earmark.engine.report.numbers import POINTS
from earmark.engine.report.wording import Wording

ALL_DEAF = {"counting": "vacuous", "emotion": "constant"}


def card(page: Page) -> str:
    """What one reads in the claim's own card, tables included."""
    (article,) = [e for e in page.by_id("claim").iter("article") if (e.get("class") or "").startswith("claim")]
    return words(article)


def as_written(text: str, made: Json) -> set[str]:
    """A sentence of a certificate as the page may have it: as it is, and in its units."""
    families = {family["family"] for result in made["results"] for family in result["families"]}
    return {text, Markup(Wording(POINTS, families).words(text)).striptags()}


def page(**options: Any) -> Page:
    return Page(render(certificate(**options)))


# The headline ----------------------------------------------------------------------------------------------


def test_headline_of_an_approval() -> None:
    found = page(methods=("learned_conditioned",), tolerances=(0.05,))
    assert found.headline == "Approved: learned_conditioned at 40% of the audio, within 5 points"
    assert found.texts("title")[0] == f"Earmark: {found.headline}"
    said = card(found)
    assert said.startswith("✓ learned_conditioned at 40% of the audio | qwen2_audio · mmau · seed 42")
    assert "The chance that anything here is a false approval is at most 2.5%." in said
    assert "Tolerance5 points in every family" in said
    assert "Candidates1: learned_conditioned" in said


def test_headline_is_the_claims_and_not_that_of_the_best_verdict_alone() -> None:
    made = certificate(methods=("energy", "learned_agnostic", "learned_conditioned"), tolerances=(0.05,))
    alone = {r["method"]: r["certified"][0]["budget"] for r in made["results"]}
    alone_best = min(alone, key=lambda method: alone[method])
    assert alone_best == "learned_conditioned"
    made["claim"]["approved"] = [a for a in made["claim"]["approved"] if a["candidate"] == "learned_agnostic"]
    found = Page(render(made))
    assert found.headline == "Approved: learned_agnostic at 60% of the audio, within 5 points"
    assert "learned_conditioned" not in found.headline
    made["claim"]["approved"] = []
    assert Page(render(made)).headline == "Nothing is approved"


def test_headline_names_two_approvals_and_counts_more() -> None:
    two = page(methods=("learned_agnostic", "learned_conditioned"), tolerances=(0.05,))
    assert two.headline == (
        "Approved: learned_agnostic at 60% of the audio, and learned_conditioned at 40% of the audio, within 5 points"
    )
    three = page(methods=("energy", "learned_agnostic", "learned_conditioned"), tolerances=(0.05,), harm=0.2)
    assert three.headline == "Approved: 3 of 3 candidates, within 5 points"
    assert "over all 3 candidates together" in card(three)
    assert "Tested at0.8333% for each candidate" in card(three)


def test_only_the_first_tolerance_is_claimed() -> None:
    found = page(methods=("learned_conditioned",), tolerances=(0.0001, 0.05))
    assert found.headline == "Nothing is approved"
    assert "passes alone at 40% of the audio" in words(found.by_id("alone"))


def test_headline_tells_a_tighter_tolerance_of_the_average_except_of_routing() -> None:
    made = certificate(methods=("learned_conditioned",), tolerances=(0.05,), claim="both")
    made["claim"]["tolerance_average"] = 0.01
    budget, routing = made["claim"]["approved"]
    made["claim"]["approved"] = [budget]
    assert Page(render(made)).headline.endswith("within 5 points (average 1 point)")
    made["claim"]["approved"] = [routing]
    found = Page(render(made))
    assert found.headline.endswith("of the audio, within 5 points")
    assert "On average1 point | of one budget; routing claims nothing of the average" in card(found)


def test_the_papers_rule_is_said_to_guarantee_nothing() -> None:
    found = page(methods=("learned_conditioned",), tolerances=(0.05,), rule="paper")
    assert found.headline.startswith("No guarantee: the paper's rule passes learned_conditioned at ")
    assert "There is no guarantee" in card(found)
    assert "false approval is at most" not in found.text
    assert "✓ learned" not in card(found)


# Why nothing is approved -----------------------------------------------------------------------------------


def test_withheld_reasons_come_first_and_then_each_candidates_own() -> None:
    why = "The plan declared alpha = 0.01, and this is signed off with 0.025."
    made = certificate(methods=("energy", "learned_conditioned"), tolerances=(0.05,), withheld=(why,))
    found = Page(render(made))
    assert found.headline == "Nothing is approved"
    said = card(found)
    assert said.startswith(f"Nothing is approved, whatever the tests show {why} What became of each candidate")
    for candidate in made["claim"]["candidates"]:
        assert any(reason[1:] in said for reason in as_written(candidate["reason"], made)), candidate["reason"]
    assert "✕ learned_conditioned passes its tests at 40% of the audio, and is not approved" in said
    assert said.count(why) == 1


def test_a_candidate_that_fails_says_where_and_how_many_new_rows_it_takes() -> None:
    made = certificate(methods=("energy",), tolerances=(0.02,), harm=0.1)
    (candidate,) = made["claim"]["candidates"]
    candidate["budget"], made["claim"]["approved"] = None, []
    candidate["reason"] = "at 0.6, 'music' may be above 0.02: p = 0.31 at level 0.0083 (query_family)"
    candidate["stopped"] |= {"needed": 4321, "family": "music", "unit": "recordings"}
    found = Page(render(made))
    assert "At 60%, 'music' may be above 2 points: p = 0.31 at level 0.83% (query_family)." in card(found)
    assert "About 4,321 new recordings of 'music', certified alone, would pass with 90% power." in card(found)


def test_where_every_walk_stopped_has_its_table() -> None:
    made = certificate(tolerances=(0.05,))
    found = Page(render(made))
    caption = next(c for c in found.tables if c.startswith("Candidates: where the walk of each stopped"))
    assert caption.endswith("every test at 0.8333%")
    for row, candidate in zip(found.tables[caption][1:], made["claim"]["candidates"], strict=True):
        stop = candidate["stopped"]
        assert row[0] == f"{candidate['name']} | qwen2_audio · mmau · seed 42"
        assert row[2:] == [
            f"{100 * stop['budget']:g}%", "seed 42 | query_family", stop["family"], f"{stop['n']:,}", str(stop["plus"]),
            str(stop["minus"]), "0.310", f"{stop['units']:,} rows", "4,321" if stop["needed"] else "n/a",
        ]  # fmt: skip


def test_a_budget_without_outcomes_stops_a_walk() -> None:
    made = certificate(methods=("energy",), tolerances=(0.05,))
    (candidate,) = made["claim"]["candidates"]
    candidate["stopped"] |= {"missing": True, "family": None, "needed": None, "partition": None, "budget": 0.9}
    found = Page(render(made))
    caption = next(c for c in found.tables if c.startswith("Candidates: where the walk"))
    assert found.tables[caption][1][2:5] == ["90%", "seed 42", "no outcomes"]


# What casts doubt on it ------------------------------------------------------------------------------------

DOUBTS = (
    "No silence control for qwen2_audio on mmau: nothing shows that its answers need the audio.",
    "qwen2_audio on mmau (query_family): 'counting' (88% right on raw audio, chance 25%) is vacuous.",
    "qwen2_audio/mmau/energy seed 0 is a copy of raw audio at 0.8 (every kept_hash is raw's).",
    "qwen2_audio/mmau/energy seed 0 gets the answers of silence at 0.1: it is deaf there.",
    "Column 'clip' of the raw cell looks like the recording of a question and repeats (9 values in 90 rows).",
    "From the import, of a <cell>: half of the answers are empty.",
)


@pytest.mark.parametrize("options", [{}, {"withheld": ("Another plan.",)}, {"rule": "paper"}])
def test_every_warning_stands_inside_the_card_of_the_claim(options: dict[str, Any]) -> None:
    made = certificate(warnings=DOUBTS, tolerances=(0.05,), **options)
    found = Page(render(made))
    for warning in made["warnings"]:
        (written,) = {written for written in as_written(warning, made) if written in card(found)}
        assert found.text.count(written) == 1 + (warning in made["declared"]["differences"])
    folded = {id(e) for d in found.by_id("claim").iter("details") for e in d.iter("li")}
    assert not folded


def test_every_family_that_does_not_listen_stands_in_the_card_with_its_figures() -> None:
    made = certificate(tolerances=(0.05,), hearing=ALL_DEAF | {"music": "not shown"})
    found = Page(render(made))
    assert found.headline == "Nothing is approved"
    said = card(found)
    assert "Of 5 families 2 do not listen, and 1 is not shown to listen." in said
    rows = found.tables["Right answers in families that do not listen, or are not shown to"][1:]
    where = "qwen2_audio · mmau · query_family"
    assert rows == [
        [f"counting | vacuous: silence would pass the same test | {where}", "87.5%", "25%", "87.5%"],
        [f"emotion | one answer to nearly everything | {where}", "87.5%", "25%", "87.5%"],
        [f"music | not shown to listen: silence is not rejected | {where}", "87.5%", "25%", "87.5%"],
    ]
    passing = "learned_conditioned passes its tests at 40% of the audio, and is not approved"
    assert f"✕ {passing} | qwen2_audio · mmau · seed 42 'counting' (88% right" in said


def test_nothing_is_said_of_listening_where_all_families_do() -> None:
    assert "not listen" not in card(page())


def test_rows_without_an_answer_have_their_table() -> None:
    found = page(errors=(error_entry(),))
    assert found.text.index("Rows without an answer") < found.text.index("Excess against budget")
    assert found.tables["Cells with rows that have no answer"][1] == [
        "energy, seed 0", "qwen2_audio · mmau", "anchor", "10%", "1,607", "3", "2", "1",
        "4 | compressor: not done after 60 s", "mmau-17: out of memory | mmau-23: raw failed",
    ]  # fmt: skip


# Routing ---------------------------------------------------------------------------------------------------


def test_a_claim_that_was_not_made_stands_beside_the_budget_with_what_to_declare() -> None:
    made = certificate(methods=("energy", "learned_conditioned"), tolerances=(0.02,))
    entry = next(entry for entry in made["claim"]["not_made"] if entry["candidate"] == "energy")
    said = card(Page(render(made)))
    assert f"Routed by familywould keep {100 * entry['retained']:.4g}% of the audio; it was not claimed" in said
    policy = next(c["policy"] for c in made["claim"]["candidates"] if c["name"] == "energy")
    places: dict[float, list[str]] = {}
    for route in policy["families"]:
        places.setdefault(route["budget"], []).append(route["family"])
    assert len(places) > 1
    for budget, families in places.items():
        assert (f"{100 * budget:g}%" if budget < 1 else "raw audio") + ", ".join(families) in said
    assert 'To claim it, declare claim = "routing" in [rule], before the answers are there' in said


def test_an_approved_routing_is_told_family_by_family() -> None:
    made = certificate(methods=("learned_conditioned",), tolerances=(0.02,), claim="routing", rare=True)
    (approved,) = made["claim"]["approved"]
    found = Page(render(made))
    kept = f"{100 * approved['retained']:.4g}%"
    assert found.headline == (
        f"Approved: learned_conditioned routed by family, keeping {kept} of the audio, within 2 points"
    )
    assert "raw, untestedemotion" in card(found)
    assert "Claimeda budget for each family (routing)" in card(found)
    assert "Tested at2.5%, shared by its families" in card(found)
    assert not any(caption.startswith("Candidates: where the walk") for caption in found.tables)


@pytest.mark.parametrize("deployable", [True, False])
def test_whether_families_can_be_told_from_a_question_is_said(deployable: bool) -> None:
    found = page(methods=("learned_conditioned",), tolerances=(0.02,), claim="routing", deployable=deployable)
    declared = words(found.by_id("declared"))
    told = "families are told from the category text that a question comes with (keyword)."
    untold = "families cannot be told from a question; families are labels of the benchmark."
    assert (told in declared, untold in declared) == (deployable, not deployable)
    assert "A question of no known family gets 100% of the audio." in declared
    assert ("It cannot be deployed as it is: families are labels of the benchmark." in card(found)) == (not deployable)


# Declared and done -----------------------------------------------------------------------------------------


def declared(**options: Any) -> str:
    return words(page(**options).by_id("declared"))


def test_the_plan_is_named_by_its_hash() -> None:
    said = declared(plan="0123456789abcdef" * 4)
    assert "Planplan.json, 0123456789ab…, written before the first answer." in said
    assert "DifferencesNone: signed off as it was declared." in said
    assert "FollowsNo other certificate." in said
    assert "policy.jsonNone: no routing is approved." in said


def test_what_was_never_declared_is_said_to_be_taken_on_trust() -> None:
    assert "PlanNone: no plan.json shows what was declared before the answers." in declared(plan=None)


def test_every_difference_from_the_plan_is_told() -> None:
    different = (
        "The plan declared alpha = 0.01, and this is signed off with 0.025.",
        "3 of 9 cells are of <another> plan.",
    )
    said = declared(withheld=different)
    assert all(difference in said for difference in different)


@pytest.mark.parametrize("checked", [True, False])
def test_a_chain_tells_what_it_has_spent(checked: bool) -> None:
    follows: Json = {"certificate": "../first/certificate.json", "sha256": "ab" * 32, "look": 2}
    made = certificate(follows=follows | {"alpha_spent": 0.05, "checked": checked})
    made["rule"]["looks"] = 2
    found = Page(render(made))
    said = words(found.by_id("declared"))
    assert "Follows../first/certificate.json (SHA-256 abababababab…). This is look 2 of 2 that were declared" in said
    assert "Spent by the chain up to here: 5%" in said
    assert ("could not be checked" in said) == (not checked)
    assert "With the certificates before this one it is at most 5%." in card(found)


def test_the_rule_is_told_in_words() -> None:
    made = certificate(claim="both", candidates=("energy",), allow_vacuous=("music",))
    made["rule"] |= {"max_rows_per_recording": 8, "source": "none"}
    rule = dict(Page(render(made)).tables["The declared rule"][1:])
    assert rule["What is claimed"] == "one budget for all families, and a budget for each (routing)"
    assert rule["What may be shipped"] == "energy"
    assert rule["Declared looks at rows that grow"] == "1"
    assert rule["Most rows of a recording, declared"] == "8"
    assert rule["Column that names the recording"] == "none: every row is declared to have a recording of its own"
    assert rule["Families that need no audio, and may"] == "music"
    assert set(rule).isdisjoint(made["rule"])
    rule = dict(Page(render(certificate())).tables["The declared rule"][1:])
    assert rule["What may be shipped"].startswith("every method")
    assert rule["Column that names the recording"] == "source_id, where rows have one"
