"""Planted truths, from audio to the page: the certificate and the report say what was built into the corpus."""

from collections.abc import Callable

import pytest
from as_json import typed
from planted import Json, Told, World, told

from earmark.engine.report.meaning import identity, signs

Tell = Callable[[str], Told]

WORLDS = {
    # Energy keeps loud events and loses quiet tones: few questions about tones vanish in the mean.
    "hidden": World({"event": 140, "order": 140, "pitch": 40}, [0.6], method="energy"),
    # Counting needs every tone; by need it is one family with the order of events, which energy keeps.
    "coarse": World(
        {"event": 120, "order": 170, "count": 30}, [0.8], "energy", partitions=("family", "need"), tolerance=0.15
    ),
    # Tones and events lie in different slots: one chunk is enough for whoever knows which is asked, two otherwise.
    "two factors": World({"event": 70, "pitch": 70}, [0.1, 0.2], slips=0.02, seeds=(42, 123, 456), permuted=1),
    # One thing is asked in two wordings: there is nothing to learn from the question.
    "one factor": World(
        {"event": 120}, [0.4], slips=0.3, seeds=(42, 123, 456), permuted=1, partitions=("wording",)
    ),
    # Events and sweeps are louder than what energy drops.
    "harmless": World({"event": 100, "order": 100, "sweep": 100}, [0.8], method="energy"),
}  # fmt: skip


@pytest.fixture(scope="module")
def tell(tmp_path_factory: pytest.TempPathFactory) -> Tell:
    """Each world is swept once."""
    known: dict[str, Told] = {}

    def of(name: str) -> Told:
        if name not in known:
            known[name] = told(WORLDS[name], tmp_path_factory.mktemp(name.replace(" ", "-")))
        return known[name]

    return of


def compressed(result: Json) -> Json:
    """What is said of the only budget below 1."""
    (found,) = [b for b in result["budgets"] if b["budget"] < 1]
    return dict(found)


def test_the_average_hides_a_family(tell: Tell) -> None:
    result = tell("hidden").result()
    at = compressed(result)
    assert at["excess_average"]["upper"] < 0.1
    assert at["excess_family"]["lower"] > 0.1
    assert at["worst_family"] == "pitch"
    assert at["hidden_damage"] > 0.2
    assert at["decisions"][0]["decision"] == "reject"
    (certified,), (policy,) = result["certified"], result["routing"]
    assert certified["budget"] == 1
    assert (certified["next"]["action"], certified["next"]["families"]) == ("route", ["pitch"])
    assert {route["family"]: route["budget"] for route in policy["families"]} == {
        "event": 0.6,
        "order": 0.6,
        "pitch": 1,
    }
    page = tell("hidden").page
    assert page.headline == "Nothing is approved"
    assert "Harm: Local: 1 of 3 families is above 10 points at 60% (pitch)" in page.text
    assert "would keep 65% of the audio; it was not claimed" in page.text
    assert "Harm at 60% is local: route 'pitch' to raw audio" in page.text


def test_a_coarse_partition_passes_what_a_fine_one_refuses(tell: Tell) -> None:
    fine, coarse = (tell("coarse").result(partition) for partition in ("family", "need"))
    assert compressed(fine)["excess_average"]["estimate"] == compressed(coarse)["excess_average"]["estimate"]
    assert compressed(coarse)["excess_family"]["upper"] < 0.15 < compressed(fine)["excess_family"]["lower"]
    assert (coarse["certified"][0]["budget"], fine["certified"][0]["budget"]) == (0.8, 1)
    assert compressed(fine)["worst_family"] == "count"
    page = tell("coarse").page
    assert page.headline == "Nothing is approved", "what ships must pass under every partition"
    assert "1 of 3 families is above 15 points at 80% (count)" in page.text
    assert "No family is above 15 points at 80%" in page.text
    alone = {"energy passes alone at 80% of the audio", "energy does not pass alone below 100%"}
    assert all(words in page.text for words in alone), page.text[:3000]


def test_conditioning_helps_where_factors_are_disjoint(tell: Tell) -> None:
    made = tell("two factors").certificate
    gains = [g for g in made["gains"] if (g["axis"], g["variant"]) == ("interpolated", "family")]
    assert [g["seed"] for g in gains] == [42, 123, 456]
    assert all(g["lower"] > 0 and g["direction"] == "positive" for g in gains)
    (over_seeds,) = [a for a in made["audits"]["seeds"] if (a["axis"], a["variant"]) == ("interpolated", "family")]
    assert over_seeds["lower"] > 0
    assert over_seeds["direction"] == "CONSISTENT+"
    (use,) = [a for a in made["audits"]["query_use"] if a["variant"] == "family"]
    assert use["lower"] > 0.05
    assert use["band"] == "PHI3"
    page = tell("two factors").page
    assert page.headline.startswith("Approved: planted_conditioned")
    assert "Does conditioning help? Yes: planted_conditioned needs" in page.text
    assert "Does the selector use the question? Yes: with another question" in page.text
    (regime,) = [rows for caption, rows in page.tables.items() if caption.startswith("Regime map")]
    assert regime[1][-1].startswith("▲")


def test_conditioning_cannot_help_where_there_is_one_factor(tell: Tell) -> None:
    made = tell("one factor").certificate
    gains = [g for g in made["gains"] if (g["axis"], g["variant"]) == ("interpolated", "family")]
    assert len(gains) == 3
    assert all(g["lower"] < 0 < g["upper"] and g["direction"] == "inconclusive" for g in gains)
    certificate = typed(made)
    assert signs(certificate)[identity(certificate.gains[made["gains"].index(gains[0])])] == 0
    (use,) = [a for a in made["audits"]["query_use"] if a["variant"] == "family"]
    assert (use["mean"], use["band"]) == (0, "PHI1")
    page = tell("one factor").page
    assert "Does conditioning help? Not shown: the gain of planted_conditioned over planted_agnostic is" in page.text
    assert "Does the selector use the question? No sign of it" in page.text
    assert "Yes:" not in page.text
    (regime,) = [rows for caption, rows in page.tables.items() if caption.startswith("Regime map")]
    assert regime[1][-1].startswith("·")


def test_harmless_compression_is_approved(tell: Tell) -> None:
    result = tell("harmless").result()
    at = compressed(result)
    assert all(f["upper"] < 0.1 for f in at["families"])
    assert at["excess_average"]["upper"] < 0.1
    assert (result["certified"][0]["budget"], result["certified"][0]["next"]["action"]) == (0.8, "ship")
    page = tell("harmless").page
    assert page.headline == "Approved: energy at 80% of the audio, within 10 points"
    heard = tell("harmless").certificate["claim"]
    assert (heard["withheld"], [approved["budget"] for approved in heard["approved"]]) == ([], [0.8])
    assert "Harm: No family is above 10 points at 80%; the highest upper bound is" in page.text
    assert "is local" not in page.text
    assert "routed by family" not in page.text
