"""What a certificate states of walks that stopped when it was decided: counts of what was asked, and its bounds."""

from pathlib import Path
from typing import Any

import decided
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from as_json import certify

from earmark.engine.design.keys import UNCOMPRESSED

Json = dict[str, Any]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that was decided."""
    out = tmp_path_factory.mktemp("walked") / "run"
    decided.sweep(out)
    return out


@pytest.fixture(scope="module")
def made(run: Path) -> Json:
    return certify(run, decided.spec().rule)


def test_rows_are_those_that_were_asked(run: Path, made: Json) -> None:
    samples = decided.answered(run)
    entries = [(result, entry) for result in made["results"] for entry in result["budgets"] if entry["budget"] < 1]
    assert entries
    for result, entry in entries:
        assert entry["n"] == len(samples[result["method"], entry["budget"]])
        assert entry["n"] == sum(family["n"] for family in entry["families"])
        for family in entry["families"]:
            assert family["excess"] == pytest.approx((family["plus"] - family["minus"]) / family["n"])


def test_an_average_that_nobody_tested_has_no_bounds_and_raw_audio_has(made: Json) -> None:
    for result in made["results"]:
        for entry in result["budgets"]:
            ends = entry["excess_average"]["lower"], entry["excess_average"]["upper"]
            assert ends == ((0.0, 0.0) if entry["budget"] == 1 else (None, None))
            for family in entry["families"]:
                assert family["lower"] <= family["excess"] <= family["upper"]


def test_the_warnings_say_once_that_estimates_are_biased_and_nothing_of_verdicts_beside(made: Json) -> None:
    biased = [warning for warning in made["warnings"] if "biased towards what stopped them" in warning]
    assert len(biased) == 1
    assert not any("uncorrected" in warning for warning in made["warnings"])


def test_a_completed_run_says_of_budgets_below_a_walk_that_it_did_not_look_at_them(run: Path, made: Json) -> None:
    decided.sweep(run, decided.COMPLETE)
    completed = certify(run, decided.spec().rule)
    assert completed["claim"] == made["claim"]
    assert all(result["frontiers"] for result in completed["results"])
    assert sum("biased towards what stopped them" in warning for warning in completed["warnings"]) == 1
    for result in completed["results"]:
        looked = {test["budget"] for walk in completed["walks"] for test in walk["tests"] if _is_of(walk, result)}
        for entry in result["budgets"]:
            if entry["budget"] < 1 and entry["budget"] not in looked:
                assert all(family["upper"] is None for family in entry["families"])
                assert "was not looked at" in entry["decisions"][0]["reason"]


def test_a_reason_at_a_tolerance_is_that_of_its_own_tests(tmp_path: Path) -> None:
    tighter = {"tolerances = [0.3]": "tolerances = [0.3, 0.11]"}
    decided.sweep(tmp_path / "run", tighter)
    two = certify(tmp_path / "run", decided.spec(tighter).rule)
    for result in two["results"]:
        failure = result["certified"][1]["first_failure"]
        if failure is not None:
            (test,) = [
                test
                for walk in two["walks"]
                if _is_of(walk, result)
                for test in walk["tests"]
                if (test["tolerance"], test["budget"], test["family"]) == (0.11, failure["budget"], failure["family"])
            ]
            assert test["state"] in ("failed", "given up")
            assert test["state"] == "failed" or "given up" in failure["reason"]
    assert any(result["certified"][1]["first_failure"] for result in two["results"])


def test_what_a_walk_left_undecided_is_no_reason_of_a_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decided.Steady, "changed", 0.4)
    changes = {"tolerances = [0.3]": "tolerances = [0.08]", f"certification:{decided.CLIPS}": "certification:90"}
    for completing in ({}, decided.COMPLETE):
        decided.sweep(tmp_path / "run", changes, completing)
        certificate = certify(tmp_path / "run", decided.spec(changes).rule)
        n_undecided = 0
        for flips, result in zip(certificate["flips"], certificate["results"], strict=True):
            (entry,) = [entry for entry in result["budgets"] if entry["budget"] == flips["budget"]]
            harmed = {family["family"] for family in entry["families"] if family["excess"] > 0.08}
            binding = result["corrected"]["first_failure"]["family"]
            assert {family["family"] for family in flips["families"]} == harmed | {binding}
            assert all(family["to_wrong"] <= family["n"] for family in flips["families"])
            n_undecided += len(entry["families"]) - len(harmed | {binding})
        assert n_undecided


def test_an_early_pass_that_completion_contradicts_keeps_its_estimate_and_is_warned_of(tmp_path: Path) -> None:
    alone = {
        "[0.3, 0.6, 0.8]": "[0.8]",
        '[[methods]]\nname = "energy"\n': "",
        'candidates = ["uniform", "energy"]': 'candidates = ["uniform"]',
    }
    out = tmp_path / "run"
    decided.sweep(out, alone)
    before = certify(out, decided.spec(alone).rule)
    asked = decided.answered(out)["uniform", 0.8]
    decided.sweep(out, alone, decided.COMPLETE)
    for method, worse in (("uniform", 1.0), (UNCOMPRESSED, 0.0)):
        (path,) = out.glob(f"cells/**/method={method}/**/*.parquet")
        table = pq.read_table(path)
        samples, losses = table["sample_id"].to_pylist(), table["loss"].to_pylist()
        changed = [loss if name in asked else worse for name, loss in zip(samples, losses, strict=True)]
        at = table.column_names.index("loss")
        pq.write_table(table.set_column(at, table.schema.field("loss"), pa.array(changed, pa.float64())), path)
    completed = certify(out, decided.spec(alone).rule)
    assert completed["claim"]["candidates"] == before["claim"]["candidates"]
    (entry,) = [e for e in completed["results"][0]["budgets"] if e["budget"] == 0.8]
    (of_walk,) = [e for e in before["results"][0]["budgets"] if e["budget"] == 0.8]
    assert entry["excess_family"] == of_walk["excess_family"]
    assert any(family["excess_all"] > 0.3 for family in entry["families"])
    for family in entry["families"]:
        assert family["lower"] <= family["excess"] <= family["upper"]
    assert "had passed early" in completed["warnings"][0]


def _is_of(walk: Json, result: Json) -> bool:
    return (walk["method"], walk["seed"]) == (result["method"], result["seed"])
