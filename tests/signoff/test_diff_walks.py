"""Certificates of runs that stopped when it was decided, compared: what may be shipped, and only whole answers."""

import json
from pathlib import Path
from typing import Any

import pytest
from as_json import typed
from certificate_example import certificate
from walk_example import decided_certificate

from earmark.engine.report.diff_words import bound, headline
from earmark.engine.signoff.certificate import to_bytes
from earmark.engine.signoff.diff.diff import diff

Json = dict[str, Any]
OPTIONS: Json = {"methods": ("uniform",), "tolerances": (0.05,), "harm": 0.01}


def place(tmp_path: Path, name: str, made: Json) -> Path:
    """A certificate in a folder of its own."""
    (tmp_path / name).mkdir()
    path = tmp_path / name / "certificate.json"
    path.write_bytes(to_bytes(typed(json.loads(json.dumps(made)))))
    return path


@pytest.mark.parametrize("decided_is_old", [True, False])
def test_a_decided_and_a_complete_run_are_compared_by_what_may_be_shipped(tmp_path: Path, decided_is_old: bool) -> None:
    paths = [
        place(tmp_path, "decided", decided_certificate(**OPTIONS)),
        place(tmp_path, "complete", certificate(**OPTIONS)),
    ]
    compared = diff(*(paths if decided_is_old else paths[::-1]))
    assert compared.not_comparable == ()
    assert compared.families == ()
    (note,) = [note for note in compared.notes if note.startswith("What is approved was compared, and no answers")]
    assert f"the {'old' if decided_is_old else 'new'} certificate has only what was asked" in note
    assert bound(compared) == "No answers were compared."
    assert [change.verdict for change in compared.decisions] == ["same"]
    assert headline(compared) == "same: no approval changed"


def test_two_decided_runs_are_compared_by_what_may_be_shipped(tmp_path: Path) -> None:
    old = place(tmp_path, "old", decided_certificate(**OPTIONS))
    refused = decided_certificate(**OPTIONS)
    refused["claim"]["approved"] = []
    refused["claim"]["candidates"][0] |= {"budget": None, "retained": None}
    new = place(tmp_path, "new", refused)
    assert diff(old, old).verdict == "same"
    assert diff(old, new).verdict == "worse"
    assert any("both certificates have" in note for note in diff(old, new).notes)


def test_a_completed_run_is_compared_answer_by_answer(tmp_path: Path) -> None:
    old = place(tmp_path, "old", certificate(**OPTIONS))
    new = place(tmp_path, "new", decided_certificate(completed=True, **OPTIONS))
    compared = diff(old, new)
    assert compared.families
    assert not any("no answers" in note for note in compared.notes)
