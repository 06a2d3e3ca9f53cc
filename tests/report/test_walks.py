"""The page, the terminal and the card of a run that stopped when it was decided: what was asked, and what it shows."""

from xml.etree.ElementTree import Element, tostring

from as_json import render, typed
from certificate_example import FAMILIES, certificate
from page import Page, words
from walk_example import LOOKED, OF, decided_certificate

from earmark.engine.report.card_section import section
from earmark.engine.report.terminal import decision_table

ASKED = "What was asked, from the largest budget down"


def evidence_figures(page: Page) -> list[Element]:
    return [figure for figure in page.figures if words(figure.find("title")).startswith("Evidence against rows")]


def hovers(figure: Element) -> list[str]:
    return [words(group.find("title")) for group in figure.iter("g") if group.get("class") == "point"]


def test_evidence_is_drawn_for_every_family_and_budget_with_the_line_to_reach() -> None:
    figures = evidence_figures(Page(render(decided_certificate(methods=("uniform",), tolerances=(0.02,)))))
    titles = [words(figure.find("title")) for figure in figures]
    assert [title.rpartition(" ")[2] for title in titles] == ["60%", "40%", "80%"]  # what tells most, then the fold
    for figure in figures:
        assert "800" in [words(text) for text in figure.iter("text") if text.get("class") == "tolerance"]
        assert {hover.partition(":")[0] for hover in hovers(figure)} == set(FAMILIES)
        assert len(tostring(figure)) < 6_000
    stopped = hovers(figures[1])
    assert f"counting: given up after {LOOKED} of {OF} rows; 9 worse, 2 better; at most 4.48 of 800" in stopped
    assert sum("not decided" in hover for hover in stopped) == len(FAMILIES) - 1


def test_no_line_is_drawn_for_families_that_are_too_small_to_pass_early() -> None:
    made = decided_certificate(methods=("uniform",), tolerances=(0.02,))
    for test in made["walks"][0]["tests"]:
        test["passing_peak"] = None
    for figure in evidence_figures(Page(render(made))):
        assert not [text for text in figure.iter("text") if text.get("class") == "tolerance"]
        assert not [path for path in figure.iter("path") if path.get("class") == "tolerance"]
        assert all(hover.endswith("; too small to pass early") for hover in hovers(figure))


def test_a_panel_of_many_families_and_visits_stays_small_and_says_how_many_it_draws() -> None:
    many = tuple(f"family {i:02}" for i in range(47))
    figures = evidence_figures(Page(render(decided_certificate(methods=("uniform",), families=many, points=40))))
    for figure in figures:
        assert len(hovers(figure)) == 12
        assert "(12 drawn)" in words(figure)
        assert len(tostring(figure)) < 10_000


def test_more_than_six_panels_are_folded() -> None:
    page = Page(render(decided_certificate(seeds=(1, 2))))
    folded = {id(svg) for details in page.root.iter("details") if details.get("class") is None for svg in details}
    shown = [
        panels
        for section in page.root.iter("section")
        if section.get("class") == "figures" and words(section.find("h3")) == "Evidence against rows"
        for panels in section.findall("div")
    ]
    assert not folded & {id(panels) for panels in shown}
    assert [len(panels.findall("figure")) for panels in shown] == [6]
    assert "other budgets" in page.text


def test_what_was_not_asked_says_after_how_much_it_was_decided() -> None:
    page = Page(render(decided_certificate(methods=("uniform",))))
    heads, *rows = page.tables[ASKED]
    assert heads[1:] == ["Budget", "Rows asked", "Of", "How its walk went on"]
    n = OF * len(FAMILIES)
    at_80 = OF + 4 * 100
    decided_after = f"not asked: decided after {2 * at_80 + LOOKED * len(FAMILIES):,} of {5 * n:,}"
    assert [row[1:] for row in rows] == [
        ["80%", f"{at_80}", f"{n:,}", "every family that was tested passed"],
        ["60%", f"{at_80}", f"{n:,}", "every family that was tested passed"],
        ["40%", f"{LOOKED * 5}", f"{n:,}", f"counting given up after {LOOKED} of {OF} rows"],
        ["20%", "0", f"{n:,}", decided_after],
        ["10%", "0", f"{n:,}", decided_after],
    ]


def test_the_share_that_was_asked_is_on_the_first_screen_in_the_terminal_and_in_the_card() -> None:
    made = typed(decided_certificate(methods=("uniform",)))
    page = Page(render(decided_certificate(methods=("uniform",))))
    share = "1,640 of 7,500 answers on compressed audio (22%), until it was decided"
    assert share in words(page.by_id("claim"))
    assert f"asked: {share}" in decision_table(made)
    assert any(share in line for line in section(made, "5" * 64))


def test_no_verdict_of_a_decided_run_is_called_uncorrected() -> None:
    for completed in (False, True):
        made = decided_certificate(methods=("learned_conditioned", "uniform"), completed=completed)
        assert "ncorrected" not in "\n".join(decision_table(typed(made)))
        assert "ncorrected" not in Page(render(made)).text
    assert "uncorrected" in Page(render(certificate(methods=("uniform",)))).text


def test_a_method_passes_on_its_own_walk_and_elsewhere_alone_and_the_page_says_what_that_is() -> None:
    page = Page(render(decided_certificate(methods=("learned_conditioned", "uniform"))))
    assert "on their own walks below 100%" in page.text
    assert "Passes at" in page.text
    assert "asses alone" not in page.text
    assert "pass alone" not in page.text
    assert "A budget passes where every family passed there" in page.text
    plain = Page(render(certificate(methods=("learned_conditioned", "uniform")))).text
    assert "A budget passes alone where every family passes there and at every larger one, judged as if" in plain


def test_a_completed_run_keeps_its_walks_and_has_frontiers_again() -> None:
    page = Page(render(decided_certificate(methods=("uniform",), completed=True)))
    assert any(caption.startswith("Frontiers") for caption in page.tables)
    assert "all 7,500 answers on compressed audio" in page.text
    rows = page.tables[ASKED][1:]
    assert [row[-1] for row in rows[3:]] == ["asked after it was decided"] * 2
    partly = Page(render(decided_certificate(methods=("uniform",))))
    assert not any(caption.startswith("Frontiers") for caption in partly.tables)


def test_a_walk_that_ended_before_every_family_was_looked_at_is_told_from_where_it_ended() -> None:
    made = decided_certificate(methods=("uniform",), tolerances=(0.02,))
    (result,) = made["results"]
    result["budgets"] = [entry for entry in result["budgets"] if entry["budget"] == 1]
    failure = {
        "budget": 0.8,
        "family": "counting",
        "n": OF,
        "plus": 24,
        "minus": 0,
        "p": 1.0,
        "units": LOOKED,
        "unit": "rows",
        "needed": None,
        "reason": f"'counting' was given up after {LOOKED} of {OF} rows",
        "missing": False,
    }
    result["certified"][0] |= {"budget": 1.0, "first_failure": failure}
    lines = decision_table(typed(made))
    (row,) = [line for line in lines if line.startswith("  uniform") and "n/a" in line]
    assert row.split()[-5:] == ["fails", "0.8", "counting", "+0.5000", "n/a"]
    page = Page(render(made))
    assert not any(words(figure.find("title")).startswith("Excess against") for figure in page.figures)
    assert evidence_figures(page)


def test_families_that_were_not_asked_about_cast_no_doubt_on_the_claim() -> None:
    made = decided_certificate(methods=("uniform",))
    unasked = {"n": 0, "recordings": 0, "raw_accuracy": None, "chance": None, "hearing": "unknown"}
    for family in made["results"][0]["families"][1:]:
        family |= unasked
    page = Page(render(made))
    claim = words(page.by_id("claim"))
    assert "the one family that was asked about needs the audio" in claim
    assert "n/a right on raw audio" not in claim
    assert page.column("Families: does each listen?", "Does it listen?").count("not asked: it was decided without") == 4


def test_a_walk_under_way_is_not_said_to_be_decided() -> None:
    made = decided_certificate(methods=("uniform",))
    for test in made["walks"][0]["tests"]:
        test["state"] = "open" if test["state"] == "given up" else test["state"]
    rows = Page(render(made)).tables[ASKED][1:]
    assert [row[-1] for row in rows[2:]] == ["not decided yet", "not asked yet", "not asked yet"]
