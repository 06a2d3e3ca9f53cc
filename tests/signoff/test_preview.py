"""A preview of part of the examples is never an approval."""

import json
from pathlib import Path

import pytest
import worlds
from as_json import certify, render, write

from earmark.engine.design.keys import PREVIEW_MARK
from earmark.engine.design.rule import Rule
from earmark.engine.errors import InputError
from earmark.engine.signoff.verify import verify


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


def test_a_damaged_mark_is_refused(tmp_path: Path) -> None:
    worlds.write_run(tmp_path, [0.0] * 9, {"energy": {0.5: [0.0] * 9}}, ["a", "b", "c"] * 3)
    (tmp_path / PREVIEW_MARK).write_text("{}")
    with pytest.raises(InputError, match="is not the mark of a preview"):
        certify(tmp_path, Rule(name="paper", replicates=200))
