"""What one reads first: what is kept and saved, the family that binds, what speaks against it, and what to do next."""

import base64
import hashlib
import re

import pytest
from as_json import render
from certificate_example import Json, certificate
from markupsafe import Markup
from page import Page, words

from earmark.engine.report.card_section import section
from earmark.engine.report.numbers import NATS, POINTS, Unit
from earmark.engine.report.wording import Wording
from earmark.engine.signoff.certificate import CERTIFICATE_FILE, Certificate, from_content

SAVING = {
    "raw": {"seconds": 10.0, "bits": 2.56e6, "positions": 100.0, "lm_positions": 180.0, "flops": 5e11},
    "kept": {"seconds": 4.0, "bits": 1.024e6, "positions": 40.0, "lm_positions": 120.0, "flops": 6e11},
}


def claim(made: Json) -> str:
    return words(Page(render(made)).by_id("claim"))


def worst(made: Json, budget: float) -> Json:
    (entry,) = [b for b in made["results"][0]["budgets"] if b["budget"] == budget]
    return max(entry["families"], key=lambda family: family["upper"])


def test_an_approval_says_what_a_question_saves_in_one_sentence() -> None:
    made = certificate(methods=("learned_conditioned",), tolerances=(0.05,))
    for entry in made["results"][0]["budgets"]:
        entry["used"] = SAVING["raw" if entry["budget"] == 1 else "kept"]
    said = claim(made)
    assert "A question saves60% of its seconds, bits and audio positions; 33.3% of its positions in the model; " in said
    assert "20% more operations" in said


def test_an_approval_says_which_family_binds_how_good_raw_audio_is_there_and_how_far_harm_may_reach() -> None:
    made = certificate(methods=("learned_conditioned",), tolerances=(0.05,))
    family = worst(made, 0.4)
    said = claim(made)
    assert f"Worst family{family['family']}: 87.5% right on raw audio (25% by guessing)" in said
    assert f"at most {100 * family['upper']:.2f}; 5 points are allowed" in said
    assert f"{family['plus']} of {family['n']} rows worse, {family['minus']} better" in said


def test_a_card_and_the_page_name_the_same_worst_family_although_another_was_seen_to_be_worse() -> None:
    made = certificate(methods=("learned_conditioned",), tolerances=(0.05,))
    (entry,) = [b for b in made["results"][0]["budgets"] if b["budget"] == 0.4]
    seen, *_, feared = entry["families"]
    seen |= {"excess": 0.03, "excess_recordings": None, "upper": 0.035}
    feared |= {"excess": 0.0, "excess_recordings": None, "upper": 0.049}  # few rows: it may be hurt most
    entry["worst_family"] = seen["family"]
    assert f"Worst family{feared['family']}:" in claim(made)
    parsed = from_content(made, CERTIFICATE_FILE)
    assert isinstance(parsed, Certificate)
    (row,) = [line for line in section(parsed, "0" * 64) if line.startswith("| Worst family")]
    assert f"'{feared['family']}'" in row


def test_a_refusal_says_which_family_binds_by_how_much_and_what_helps() -> None:
    made = certificate(methods=("energy",), tolerances=(0.02,), harm=0.6)
    (candidate,) = made["claim"]["candidates"]
    stop, (result,) = candidate["stopped"], made["results"]
    candidate["budget"], made["claim"]["approved"], stop["needed"] = None, [], None
    (entry,) = [b for b in result["budgets"] if b["budget"] == stop["budget"]]
    (family,) = [f for f in entry["families"] if f["family"] == stop["family"]]
    family |= {"excess": 0.12, "excess_recordings": None, "lower": 0.07}
    result["certified"][0]["next"] = {"action": "route", "families": ["music"], "text": "route 'music' to raw audio"}
    said = claim(made)
    assert f"Worst family{stop['family']}: 87.5% right" in said
    assert "Its harm12.00 points worse, at least 7.00; 2 points are allowed" in said
    assert "NextRoute 'music' to raw audio." in said


def test_routing_is_no_advice_where_it_would_send_every_family_to_raw_audio() -> None:
    made = certificate(methods=("energy",), tolerances=(0.01,), harm=0.6)
    (candidate,) = made["claim"]["candidates"]
    candidate["budget"], made["claim"]["approved"], candidate["stopped"]["needed"] = None, [], None
    routes = [route | {"budget": 1.0} for route in candidate["policy"]["families"]]
    candidate["policy"] |= {"families": routes, "retained": 1.0}
    step = {"action": "route", "families": ["music"], "text": "route 'music' to raw audio"}
    made["results"][0]["certified"][0]["next"] = step
    said = claim(made)
    assert "NextHarm is local: change the method for music." in said
    assert "Routed by familywould not help: no family would go below raw audio" in said
    assert "; 1 point is allowed" in said


def test_refusals_of_the_same_words_are_one_that_names_them() -> None:
    made = certificate(methods=("energy", "learned_agnostic"), tolerances=(0.05,))
    made["claim"] |= {"approved": [], "not_made": []}
    for candidate in made["claim"]["candidates"]:
        candidate |= {"budget": None, "policy": None, "stopped": None, "reason": "no budget below 1 was evaluated"}
    said = claim(made)
    assert said.count("No budget below 100% was evaluated.") == 1
    assert "✕ energy, learned_agnostic" in said


def test_cards_of_partitions_of_which_the_same_is_said_are_one() -> None:
    made = certificate(methods=("uniform",), tolerances=(0.05,), partitions=("keyword", "native"), comparisons=False)
    first, second = made["results"]
    made["results"][1] = first | {"partition": second["partition"]}
    (card,) = Page(render(made)).by_id("alone").iter("article")
    assert words(next(card.iter("p"))).startswith("qwen2_audio · mmau · keyword; qwen2_audio · mmau · native | Within")


def test_what_was_never_shown_stands_among_the_doubts() -> None:
    made = certificate(plan=None)
    for result in made["results"]:
        result["families"] = [family | {"hearing": "no control"} for family in result["families"]]
    said = claim(made)
    assert "No plan: nothing shows what was fixed before the answers, so it is taken on trust." in said
    assert "Silence: was not asked about: nothing shows that the answers need the audio." in said
    assert "Before you believe it" in said


def test_questions_silence_and_the_answerers_own_noise_stand_in_a_line_each() -> None:
    said = claim(certificate(seeds=(42, 123, 456), answerers=("qwen2_audio", "qwen25_omni")))
    assert "87.5% right on raw audio (25% by guessing) | qwen2_audio · mmau" in said
    assert "families need the audio: silence would be rejected" in said
    assert "raw answers changed by themselves" in said
    assert "Declaredin a plan, before the first answer" in said


def test_the_only_family_is_one() -> None:
    said = claim(certificate(families=("music",)))
    assert "the one family needs the audio: silence would be rejected" in said


# One unit --------------------------------------------------------------------------------------------------

SENTENCES = {
    "at 0.8, the excess of 'pitch' that was seen is 0.1200, above 0.05 (task)": (
        "at 80%, the excess of 'pitch' that was seen is 12 points, above 5 points (task)"
    ),
    "no budget below 1 passes; at 0.8, 'pitch' is above 0.05 (lower bound 0.0668)": (
        "no budget below 100% passes; at 80%, 'pitch' is above 5 points (lower bound 6.68 points)"
    ),
    "'pitch' may be above 0.01: p = 0.33 at level 0.0083": "'pitch' may be above 1 point: p = 0.33 at level 0.83%",
    "every family passes at 0.6, at level 8.3e-05": "every family passes at 60%, at level 0.0083%",
    "at 0.8, 0.6, 0.4 every row is raw audio": "at 80%, 60%, 40% every row is raw audio",
    "the worst may be above 0.05 (upper end 0.08)": "the worst may be above 5 points (upper end 8 points)",
    "alone at 60% (32 kb/s): see 1 of 3 rows, and 1 more": "alone at 60% (32 kb/s): see 1 of 3 rows, and 1 more",
    "alpha = 0.01 was declared": "alpha = 0.01 was declared",
    "'above 0.05' is above 0.05": "'above 0.05' is above 5 points",
    "'it's at 0.8' fails at 0.8": "'it's at 0.8' fails at 80%",
}


@pytest.mark.parametrize(("sentence", "expected"), SENTENCES.items())
def test_sentences_of_a_certificate_are_written_in_the_units_of_the_page(sentence: str, expected: str) -> None:
    assert _written(sentence, POINTS) == expected


def test_losses_in_nats_stay_in_nats() -> None:
    assert _written("at 0.8, 'pitch' is above 0.05", NATS) == "at 80%, 'pitch' is above 0.05 nats"


def _written(sentence: str, unit: Unit) -> str:
    return Markup(Wording(unit, ["pitch", "above 0.05", "it's at 0.8"]).words(sentence)).striptags()


def test_names_in_sentences_are_escaped() -> None:
    assert "<b>" not in Wording(POINTS, ["<b>"]).words("'<b>' and <b> are above 0.05")


def test_words_without_markup_leave_names_as_they_are() -> None:
    assert Wording(POINTS, ["at 0.8 <b>"]).unmarked("'at 0.8 <b>' is above 0.05") == "'at 0.8 <b>' is above 5 points"


@pytest.mark.parametrize("rule", ["certified", "paper"])
def test_no_budget_and_no_excess_is_a_bare_share_on_a_page(rule: str) -> None:
    made = certificate(rule=rule, harm=0.6, seeds=(42, 123), warnings=("energy is deaf at 0.1, 0.2.",))
    text = Page(render(made)).text
    assert not re.findall(r"\b(?:at|above|within|below|bound|budget|level) 0?\.\d+(?![\d%])", text)


# The script ------------------------------------------------------------------------------------------------


def test_the_page_allows_a_browser_one_style_sheet_and_one_script_by_their_hashes() -> None:
    page = Page(render(certificate()))
    (policy,) = [e.get("content") or "" for e in page.root.iter("meta") if e.get("http-equiv")]
    for kind, directive in (("style", "style-src"), ("script", "script-src")):
        (element,) = page.root.iter(kind)
        digest = base64.b64encode(hashlib.sha256((element.text or "").encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none';")


def test_the_script_writes_text_and_never_markup() -> None:
    (script,) = Page(render(certificate())).root.iter("script")
    assert "textContent" in (script.text or "")
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|eval|fetch|XMLHttp|import", script.text or ""
    )


def test_every_value_that_the_script_reads_off_a_figure_is_in_the_page() -> None:
    made = certificate(methods=("uniform",))
    figure = next(f for f in Page(render(made)).figures if words(f.find("title")).startswith("Excess against"))
    read = [words(g.find("title")) for g in figure.iter("g") if g.get("class") == "point"]
    budgets = made["results"][0]["budgets"]
    assert len(read) == len(budgets)
    for line, b in zip(read, budgets, strict=True):
        assert line.startswith(f"{100 * b['budget']:g}%")
        assert f"worst family, {b['worst_family']}, {100 * b['excess_family']['estimate']:.2f} points" in line
