"""A preview of part of the examples is never an approval."""

import json
from pathlib import Path

import pytest
import worlds
from as_json import certify, render, write

from earmark.engine.design.keys import PREVIEW_MARK
from earmark.engine.design.rule import Rule
from earmark.engine.errors import InputError
from earmark.engine.report.verify import verify


@pytest.mark.parametrize("name", ["certified", "paper"])
def test_what_would_be_approved_is_withheld(tmp_path: Path, name: str) -> None:
    rule = Rule(name=name, replicates=200)  # type: ignore[arg-type]
    worlds.write_run(tmp_path, [0.0] * 400, {"energy": {0.5: [0.0] * 400}}, ["a", "b"] * 200)
    whole = certify(tmp_path, rule)
    assert whole["results"][0]["certified"][0]["budget"] == 0.5
    assert "preview" not in whole

    (tmp_path / PREVIEW_MARK).write_text(json.dumps({"examples": 400, "of": 1200}))
    made = certify(tmp_path, rule)
    assert made["preview"] == {"examples": 400, "of": 1200}
    assert made["warnings"][0].startswith("A preview (400 of 1,200 examples) approves nothing")
    (result,) = made["results"]
    (certified,) = result["certified"]
    assert (certified["budget"], certified["next"]["action"]) == (None, "finish")
    decided = {entry["budget"]: entry["decisions"][0]["decision"] for entry in result["budgets"]}
    assert decided == {0.5: "inconclusive", 1.0: "approve"}
    assert result["frontiers"] == whole["results"][0]["frontiers"]
    assert "A preview (400 of 1,200 examples) approves nothing" in render(made)
    assert verify(write(made, tmp_path, tmp_path)) is None


def test_no_verdict_and_no_claim_of_a_preview_approves_anything(tmp_path: Path) -> None:
    rule = Rule(claim="both", tolerances=(0.05, 0.1), replicates=200)
    worlds.write_run(tmp_path, [0.0] * 800, {"energy": {b: [0.0] * 800 for b in (0.2, 0.5)}}, ["a", "b"] * 400)
    whole = certify(tmp_path, rule)
    assert {entry["kind"] for entry in whole["claim"]["approved"]} == {"budget", "routing"}

    (tmp_path / PREVIEW_MARK).write_text(json.dumps({"examples": 800, "of": 801}))
    made = certify(tmp_path, rule)
    assert made["claim"]["approved"] == made["claim"]["policies"] == made["claim"]["not_made"] == []
    for result in made["results"]:
        below = [decision for entry in result["budgets"] if entry["budget"] < 1 for decision in entry["decisions"]]
        assert {decision["decision"] for decision in below} == {"inconclusive"}
        assert [certified["budget"] for certified in result["certified"]] == [None, None]
        assert result["routing"] == []


def test_a_damaged_mark_is_refused(tmp_path: Path) -> None:
    worlds.write_run(tmp_path, [0.0] * 9, {"energy": {0.5: [0.0] * 9}}, ["a", "b", "c"] * 3)
    (tmp_path / PREVIEW_MARK).write_text("{}")
    with pytest.raises(InputError, match="is not the mark of a preview"):
        certify(tmp_path, Rule(name="paper", replicates=200))
