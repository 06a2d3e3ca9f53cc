"""The report says what the certificate says, to everyone, from one file."""

import copy
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from as_json import render
from certificate_example import FAMILIES, Json, certificate, error_entry
from hypothesis import given, settings
from hypothesis import strategies as st
from page import Page, words

from earmark.engine.errors import InputError

DOCS = Path(__file__).parents[2] / "docs" / "certificate.md"
FORTY_SEVEN = tuple(f"family {i:02} of many, with a name that is not short" for i in range(47))
BUDGETS = "uniform, seed 42: budgets (verdicts alone, uncorrected)"
HOSTILE = (
    "<script>alert('a')</script>",
    'a "quoted" & <b>bold</b> name',
    "كم عدد الأصوات في التسجيل؟",
    "\u202eevil\u202c",
    "录音里有几个人在说话",
    "a very long name " * 20,
    "bell \x07, null \x00",
    "{{ 7 * 7 }} {% raw %}",
)


def page(**options: Any) -> Page:
    return Page(render(certificate(**options)))


def only(made: Json) -> Json:
    """The single result of a certificate."""
    (result,) = made["results"]
    return result


# The page --------------------------------------------------------------------------------------------------

DEGENERATE: dict[str, dict[str, Any]] = {
    "as usual": {},
    "one budget": {"budgets": (0.4,)},
    "one family": {"families": ("only",)},
    "one of everything": {"families": ("only",), "methods": ("uniform",), "budgets": (0.4,), "tolerances": (0.05,)},
    "only the raw audio": {"budgets": (1.0,), "implied": True},
    "budget 1 was run": {"budgets": (0.5, 1.0), "implied": False},
    "no interval": {"intervals": False},
    "no comparisons": {"comparisons": False},
    "everything is better": {"harm": -0.5},
    "nothing changes": {"harm": 0.0},
    "several seeds": {"seeds": (42, 123, 456)},
    "several answerers": {"answerers": ("qwen2_audio", "qwen25_omni"), "partitions": ("keyword", "native")},
    "nats": {"loss": "nll", "rule": "paper"},
    "paper": {"rule": "paper"},
    "routing": {"claim": "routing", "deployable": False},
    "both": {"claim": "both", "seeds": (42, 123)},
    "deaf families": {"hearing": {"counting": "vacuous", "music": "not shown"}},
    "shared recordings": {"shared": True},
    "withheld": {"withheld": ("This is <another> plan.",), "plan": None},
    "rare families": {"rare": True},
    "warnings and errors": {"warnings": ("Mind the <gap>.",), "errors": (error_entry(),)},
    "hostile names": {"families": HOSTILE, "methods": (*HOSTILE[:2], "learned_agnostic", "learned_conditioned")},
}


@pytest.mark.parametrize("options", DEGENERATE.values(), ids=DEGENERATE)
def test_every_certificate_becomes_a_well_formed_self_contained_page(options: dict[str, Any]) -> None:
    found = page(**options)
    assert found.root.get("lang") == "en"
    assert found.texts("title")[0].startswith("Earmark: ")
    idents = [e.get("id") for e in found.elements if e.get("id")]
    assert len(idents) == len(set(idents))
    for element in found.elements:
        assert element.tag not in {"link", "img", "iframe", "object", "b"}
        assert element.get("src") is None
        assert not any(name.startswith("on") for name in element.attrib)
        href = element.get("href")
        assert href is None or href.removeprefix("#") in idents


@pytest.mark.parametrize("options", DEGENERATE.values(), ids=DEGENERATE)
def test_figures_and_tables_speak_to_those_who_do_not_see(options: dict[str, Any]) -> None:
    found = page(**options)
    assert found.figures
    for figure in found.figures:
        assert figure.get("role") == "img"
        assert [child.tag for child in figure][:2] == ["title", "desc"]
        assert all(words(child) for child in list(figure)[:2])
    for table in found.root.iter("table"):
        assert words(table.find("caption"))
        assert all(th.get("scope") in {"col", "row"} for th in table.iter("th"))
        assert len({len(row) for row in table.iter("tr")}) == 1


def test_no_text_reaches_for_the_network() -> None:
    source = render(certificate(seeds=(42, 123)))
    addresses = re.findall(r"<code[^<>]*>[^<]*http://host[^<]*</code>", source)  # of servers that answered: words
    assert addresses
    for address in addresses:
        source = source.replace(address, "")
    assert not re.search(r"https?:|//[a-z]|url\(|@import", source)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=60), min_size=1, max_size=4, unique=True), st.text(max_size=40))
def test_any_name_is_shown_as_text(families: list[str], warning: str) -> None:
    page(families=tuple(families), methods=("uniform",), budgets=(0.5,), warnings=(warning,))


def test_names_are_escaped_and_unprintable_characters_replaced() -> None:
    found = page(families=HOSTILE, methods=("<i>x</i>",))
    families = found.column("<i>x</i>, seed 42: excess of each family (p is alone, uncorrected)", "Family")
    assert HOSTILE[0] in families
    assert HOSTILE[1] in families
    assert "{{ 7 * 7 }} {% raw %}" in families
    assert "bell \ufffd, null \ufffd" in families
    assert "<i>x</i>" in words(found.by_id("claim"))


def test_same_certificate_same_bytes_and_left_as_it_was() -> None:
    made = certificate(seeds=(42, 123), partitions=("keyword", "native"))
    before = copy.deepcopy(made)
    first = render(made)
    assert made == before
    assert render(json.loads(json.dumps(made))) == first


def test_many_families_methods_and_seeds_stay_readable_and_small() -> None:
    source = render(
        certificate(
            families=FORTY_SEVEN,
            methods=("energy", "learned_agnostic", "learned_conditioned", "learned_x", "learned_y", "uniform"),
            seeds=(42, 123, 456),
            budgets=(0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8),
            tolerances=(0.02, 0.05),
            partitions=("keyword", "native", "semantic"),
        )
    )
    assert len(source.encode()) < 6_800_000
    found = Page(source)
    folded = {id(e) for d in found.root.iter("details") if d.get("open") is None for e in d.iter("svg")}
    assert len([f for f in found.figures if id(f) not in folded]) < 20


def test_rendering_needs_no_numeric_library() -> None:
    code = (
        "import sys, earmark.engine.report.html;"
        "print(sorted({'numpy', 'pyarrow', 'scipy', 'numba', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_refuses_an_unknown_schema() -> None:
    with pytest.raises(
        InputError,
        match=r"certificate.json: schema is 'earmark.certificate/9'; this Earmark reads earmark.certificate/2",
    ):
        render(certificate() | {"schema": "earmark.certificate/9"})


# Verdicts alone --------------------------------------------------------------------------------------------


def test_whatever_shows_a_verdict_says_that_it_is_alone_and_uncorrected() -> None:
    made = certificate(rare=True)
    found = Page(render(made))
    shown = [table for caption, table in found.tables.items() if _shows_verdicts(table)]
    assert len(shown) > 2 * len(made["results"])
    for caption, table in found.tables.items():
        if _shows_verdicts(table):
            assert "alone, uncorrected" in caption, caption
    for article in found.by_id("alone").iter("article"):
        assert "alone, uncorrected" in words(next(article.iter("p")))
    curves = [figure for figure in found.figures if words(figure.find("title")).startswith("Excess against")]
    assert len(curves) == len(made["results"])
    assert all("uncorrected" in words(figure) for figure in curves)


def _shows_verdicts(table: list[list[str]]) -> bool:
    return any(cell.startswith(("✓ passes", "✕ rejected", "? not shown")) for row in table[1:] for cell in row) or any(
        "alone" in head for head in table[0]
    )


def test_no_verdict_alone_is_called_an_approval() -> None:
    made = certificate(methods=("learned_conditioned", "uniform"), tolerances=(0.05, 0.02), withheld=("Not yet.",))
    assert any(c["next"]["action"] == "ship" for r in made["results"] for c in r["certified"])
    found = Page(render(made))
    said = " ".join(words(found.by_id(section)) for section in ("alone", "figures", "tables"))
    for denied in (
        "approves nothing",
        "approve nothing",
        "the budget that the claim approves",
        "what the claim approves",
    ):
        said = said.replace(denied, "")
    assert not re.search(r"approv|ship at", said)


def test_the_corrected_budget_stands_beside_that_of_the_verdict_alone() -> None:
    made = certificate(methods=("learned_conditioned", "uniform"), tolerances=(0.05, 0.02))
    found = Page(render(made))
    rows = found.tables["Every method and seed, alone, uncorrected"][1:]
    assert rows[0][:4] == ["learned_conditioned, seed 42", "5 points", "40%", "40%"]
    assert rows[1][:4] == ["learned_conditioned, seed 42", "2 points", "80%", "not claimed at this tolerance"]
    assert rows[2][:4] == ["uniform, seed 42", "5 points", "60%", "not claimed"]
    assert "Corrected40%" in found.text
    column = found.column(
        "learned_conditioned, seed 42: budgets (verdicts alone, uncorrected)", "Corrected, within 5 points"
    )
    assert column == ["? not shown"] * 2 + ["✓ passes"] * 4
    assert not any(head.startswith("Corrected") for head in found.tables[BUDGETS][0])


def test_a_verdict_is_told_by_the_seed_that_binds_the_claim() -> None:
    made = certificate(methods=("learned_conditioned",), seeds=(42, 123), tolerances=(0.05,))
    passing = {r["seed"]: r["certified"][0] for r in made["results"]}
    passing[42]["budget"], passing[123]["budget"] = 0.4, 0.6
    (approved,) = made["claim"]["approved"]
    approved["budget"] = 0.6
    found = Page(render(made))
    told = words(next(found.by_id("alone").iter("article")))
    assert "2 of 2 methods and seeds pass alone below 100%" in told
    assert "Approved, worst seedlearned_conditioned, seed 123" in told
    assert "Worst family at 60%" in told
    made["results"] = [r for r in made["results"] if r["seed"] == 42] + [
        certificate(methods=("uniform",), tolerances=(0.05,))["results"][0]
    ]
    made["claim"]["approved"] = []
    told = words(next(Page(render(made)).by_id("alone").iter("article")))
    assert "Passes lowestlearned_conditioned, seed 42" in told


def test_several_sections_begin_with_all_verdicts() -> None:
    found = page(answerers=("qwen2_audio", "qwen25_omni"), partitions=("keyword", "native"), tolerances=(0.05,))
    table = found.tables["All verdicts, alone, uncorrected"]
    assert len(table) == 1 + 4
    assert table[1] == ["qwen2_audio · mmau · keyword", "5 points", "4 of 4 methods and seeds pass alone below 100%"]


# The numbers -----------------------------------------------------------------------------------------------


def points(value: float, signed: bool = False) -> str:
    written = f"{100 * value:+.2f}" if signed else f"{100 * value:.2f}"
    return "0.00" if float(written) == 0 else written.replace("-", "−")


def with_interval(entry: Json, field: str = "estimate") -> str:
    return f"{points(entry[field])} | {points(entry['lower'])} to {points(entry['upper'])}"


def share(value: float) -> str:
    return f"{100 * value:.4g}%"


def test_numbers_of_the_budget_table_are_the_certificates() -> None:
    made = certificate(methods=("uniform",), harm=0.2)
    found, caption = Page(render(made)), BUDGETS
    budgets = only(made)["budgets"]
    assert any(b["excess_average"]["estimate"] < 0 for b in budgets)
    column = {head: found.column(caption, head) for head in found.tables[caption][0]}
    assert column["Budget"] == ["10%", "20%", "40%", "60%", "80%", "100% | not run"]
    assert column["Rows"] == [f"{b['n']:,}" for b in budgets]
    assert column["Worse"] == [str(b["plus"]) for b in budgets]
    assert column["Better"] == [str(b["minus"]) for b in budgets]
    assert column["Loss"] == [points(b["loss"]) for b in budgets]
    assert column["Average excess"] == [with_interval(b["excess_average"]) for b in budgets]
    assert column["Worst-family excess"] == [with_interval(b["excess_family"]) for b in budgets]
    assert column["Worst family"] == [b["worst_family"] for b in budgets]
    assert column["Hidden damage"] == [points(b["hidden_damage"]) for b in budgets]
    assert column["Share of two worst"][0] == share(budgets[0]["concentration_top2"])
    assert column["Share of two worst"][-1] == "n/a"
    assert column["Same answers"][1] == f"{share(budgets[1]['answer_consistency'])} | ⚠ paradox"
    assert column["Audio tokens"] == ["75.0", "150.0", "300.0", "450.0", "600.0", "n/a"]
    for i, tolerance in enumerate(("2 points", "5 points")):
        verdicts = {"approve": "✓ passes", "reject": "✕ rejected", "inconclusive": "? not shown"}
        assert column[f"Verdict, within {tolerance}"] == [verdicts[b["decisions"][i]["decision"]] for b in budgets]
    assert column["Copies of raw audio"] == ["0%"] * 5 + ["100%"]
    assert column["Answers of silence"] == ["31.25%"] * 5 + ["25%"]


def test_numbers_of_the_family_table_are_the_certificates() -> None:
    made = certificate(methods=("uniform",), rare=True, hearing={"music": "text"})
    head, *rows = Page(render(made)).tables["uniform, seed 42: excess of each family (p is alone, uncorrected)"]
    assert head == ["Family", "Rows", "10%", "20%", "40%", "60%", "80%", "100%"]
    for f, row in enumerate(rows):
        entries = [b["families"][f] for b in only(made)["budgets"]]
        notes = {"emotion": " | too few rows", "music": " | does not listen"}
        assert row[0] == entries[0]["family"] + notes.get(entries[0]["family"], "")
        assert row[2:] == [
            f"{with_interval(e, 'excess')} | +{e['plus']} −{e['minus']} | p {e['p'][0]:.3f}, {e['p'][1]:.3f}"
            for e in entries
        ]


def test_both_excesses_are_shown_where_recordings_are_tested() -> None:
    made = certificate(methods=("uniform",), shared=True, tolerances=(0.05,))
    found = Page(render(made))
    caption = next(caption for caption in found.tables if "over recordings where that is what is tested" in caption)
    for f, row in enumerate(found.tables[caption][1:]):
        for cell, b in zip(row[2:], only(made)["budgets"], strict=True):
            entry = b["families"][f]
            tested, of_rows = points(entry["excess_recordings"]), points(entry["excess"])
            assert cell.startswith(f"{tested} over recordings, tested | over rows, not tested: {of_rows} | ")
    first = only(made)["budgets"][0]
    assert found.column(BUDGETS, "Worst-family excess")[0] == (
        f"{with_interval(first['excess_family'])} | as tested: {points(first['excess_family_tested'])}"
    )
    assert found.column(BUDGETS, "Average excess")[0] == (
        f"{with_interval(first['excess_average'])} | over recordings: {points(first['excess_average_recordings'])}"
    )


def test_numbers_of_families_are_told_once_for_all_methods() -> None:
    made = certificate(hearing={"counting": "vacuous"}, shared=True)
    found = Page(render(made))
    listening = found.tables["Families: does each listen?"]
    assert listening[1] == [
        "counting", "vacuous: silence would pass the same test",
        "87.5%", "25%", "< 0.001", "87.5%", "96.88%", "0.001", "−1.25",
    ]  # fmt: skip
    assert listening[2][1] == "silence would be rejected"
    tested = found.tables[
        "Families: how is each tested? (the fewest units that pass if no answer changes, alone and for the claim)"
    ]
    assert tested[0][-4:] == ["Independent units", "Fewest, 2 points", "Fewest, 5 points", "Fewest, for the claim"]
    family = made["results"][0]["families"][0]
    n = family["recordings"]
    assert tested[1] == [
        "counting", f"{family['n']:,}", f"{n:,}",
        "bets on recordings", "mean over recordings", f"{n:,} recordings", "185", "74", "210",
    ]  # fmt: skip
    made["results"][0]["families"] = [family | {"test": "one-row"} for family in made["results"][0]["families"]]
    apart = [caption for caption in Page(render(made)).tables if caption.startswith("Families: how is each tested?")]
    assert len(apart) == 2


def test_a_family_with_too_few_units_says_so() -> None:
    found = page(rare=True)
    tested = found.tables[
        "Families: how is each tested? (the fewest units that pass if no answer changes, alone and for the claim)"
    ]
    assert tested[2][-4:] == ["27 rows | too few at every tolerance", "185", "74", "210"]


def test_numbers_of_frontiers_gains_and_chains_are_the_certificates() -> None:
    made = certificate(tolerances=(0.05,))
    found = Page(render(made))
    frontiers = {(row[0], row[2]): row for row in next(t for c, t in found.tables.items() if "Frontiers" in c)[1:]}
    for result in made["results"]:
        (frontier,) = result["frontiers"]
        for variant in ("average", "family"):
            row = frontiers[f"{result['method']}, seed 42", variant]
            ends = frontier["intervals"][variant]
            assert row[3] == share(frontier["grid"][variant])
            assert row[4] == (
                f"{share(frontier['interpolated'][variant])} | {share(ends['lower'])} to {share(ends['upper'])}"
            )
            assert row[5] == f"{frontier['tokens'][variant]:.1f}"
    gains = next(t for c, t in found.tables.items() if "Gains" in c)[1:]
    for row, gain in zip(gains, made["gains"], strict=True):
        if gain["axis"] == "interpolated":
            ends = f"{points(gain['lower'], signed=True)} to {points(gain['upper'], signed=True)}"
            assert row[8:11] == [f"{points(gain['point'], signed=True)} | {ends}", "< 0.001", gain["direction"]]
        if gain["axis"] == "grid":
            assert row[8:10] == [points(gain["point"], signed=True), "n/a"]
    chain = next(c for c in made["chains"] if c["method"] == "energy")
    steps = found.column("Chain: energy, seed 42, within 5 points", "Frontier")
    assert [cell.split(" |")[0] for cell in steps] == [share(step["frontier"]) for step in chain["steps"]]


def test_what_does_not_exist_is_never_zero() -> None:
    made = certificate(methods=("uniform",), intervals=False, tolerances=(0.05,))
    result = only(made)
    result["budgets"][0] |= {"mean_audio_tokens": None, "answer_consistency": None, "concentration_top2": None}
    result["frontiers"][0] |= {
        "grid": {"average": None, "family": None},
        "tokens": {"average": None, "family": None},
    }
    found, caption = Page(render(made)), BUDGETS
    for head in ("Audio tokens", "Same answers", "Share of two worst"):
        assert found.column(caption, head)[0] == "n/a"
    assert found.column(caption, "Average excess")[0] == points(result["budgets"][0]["excess_average"]["estimate"])
    row = next(t for c, t in found.tables.items() if "Frontiers" in c)[1]
    assert (row[3], row[5]) == ("n/a", "n/a")


def test_every_audit_has_its_table() -> None:
    found = page(seeds=(42, 123, 456), answerers=("qwen2_audio", "qwen25_omni"))
    audits = ["Training seeds", "Use of the question", "Contamination", "Label noise", "Coarsening", "Architecture gap"]
    for audit in audits:
        assert any(caption.startswith(audit) for caption in found.tables), audit
    row = next(t for c, t in found.tables.items() if c.startswith("Use of the question"))[2]
    assert row[6:10] == ["seed 42: +3.12", "+3.12", "n/a", "4"]


def test_figures_exist_only_where_their_data_do() -> None:
    def headings(found: Page) -> set[str]:
        return set(found.texts("h3"))

    gains, chains = "Does conditioning on the question save audio?", "Which families need the most?"
    assert {gains, chains} <= headings(page())
    assert not {gains, chains} & headings(page(comparisons=False))


def test_figures_carry_their_message_in_words() -> None:
    made = certificate(methods=("learned_conditioned",), tolerances=(0.05,))
    figure = Page(render(made)).figures[0]
    first = only(made)["budgets"][0]
    words_of_it = words(figure.find("desc"))
    assert "The claim approves 40%. Uncorrected: Within 5 points: 40% passes alone." in words_of_it
    assert f"the worst family, {first['worst_family']}, {points(first['excess_family']['estimate'])}." in words_of_it


def test_losses_in_nats_are_not_called_points() -> None:
    made = certificate(methods=("uniform",), loss="nll", rule="paper", tolerances=(0.05,))
    found = Page(render(made))
    estimate = only(made)["budgets"][0]["excess_average"]["estimate"]
    assert found.column(BUDGETS, "Average excess")[0].startswith(f"{estimate:.3f}")
    assert "Within 0.05 nats" in found.text


# The documentation and the colours ---------------------------------------------------------------------------


def test_the_example_has_every_documented_field() -> None:
    looked = {"examples": 64, "of": 1607}
    made = certificate(seeds=(42, 123), answerers=("a", "b"), rare=True, errors=(error_entry(),), preview=looked)
    keys: set[str] = set()

    def walk(value: object) -> None:
        if isinstance(value, dict):
            keys.update(value)
            for item in value.values():
                walk(item)
        elif isinstance(value, list):
            for item in value:
                walk(item)

    walk(made)
    documented = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", DOCS.read_text(), re.MULTILINE)
    fields = {field for cell in documented for field in re.findall(r"`(\w+)`", cell)}
    assert len(fields) > 40
    assert fields <= keys
    assert FAMILIES[0] in json.dumps(made)


def test_colours_keep_their_contrast_in_both_modes() -> None:
    source = render(certificate())
    light, dark = (
        dict(re.findall(r"--([\w-]+): (#\w{6})", block)) for block in re.findall(r":root \{(.*?)\}", source, re.S)
    )
    text_on = [(f"i{shade}", f"h{shade}") for shade in range(9)]
    text_on += [(ink, ground) for ink in ("ink", "muted", "link") for ground in ("paper", "soft", "warn")]
    text_on += [(ink, "paper") for ink in ("average", "family", "approved", "refused")]
    for colours in (light, dark):
        for ink, ground in text_on:
            assert _contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)


def _contrast(a: str, b: str) -> float:
    def luminance(colour: str) -> float:
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def test_a_gain_without_a_direction_is_no_number() -> None:
    content = certificate()
    assert content["gains"]
    for gain in content["gains"]:
        gain["direction"] = None
    assert "None" not in Page(render(content)).column(
        "Gains: budget saved by conditioning on the question, in percentage points or in tokens",
        "Direction",
    )
    assert ", None" not in render(content)
