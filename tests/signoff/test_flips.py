"""Questions that became wrong where a walk stopped: planted ones are named and counted, in the constant order."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from as_json import certify

from earmark.engine.design.keys import CellKey
from earmark.engine.design.rule import Rule
from earmark.engine.outcomes.store import write_cell
from earmark.engine.signoff import order

N = 400  # rows: two families of 200
IDS = [f"s{i:03}" for i in range(N)]
RULE = Rule(replicates=100, tolerances=(0.05,))
HASHES = [f"{i:032x}" for i in range(2 * N)]


def planted(run: Path, wrong: set[int], raw_wrong: set[int] | None = None, **columns: list[Any]) -> Path:
    """A run in which `raw_wrong` are wrong on raw audio, and `wrong` by a method, which has these `columns`."""
    for method, budget, wrongs in (("uncompressed", 1.0, raw_wrong or set()), ("mine", 0.5, wrong)):
        first = 0 if method == "uncompressed" else N
        kept = [0, 1, 2, 3] if method == "uncompressed" else [0, 3]
        rows: dict[str, Any] = {
            "sample_id": IDS,
            "query_family": ["x"] * (N // 2) + ["y"] * (N // 2),
            "loss": [float(i in wrongs) for i in range(N)],
            "predicted_label": ["B" if i in wrongs else "A" for i in range(N)],
            "correct_label": ["A"] * N,
            "seconds_heard": [float(len(kept))] * N,
            "kept_chunks": [kept] * N,
            "kept_hash": HASHES[first : first + N],
        }
        write_cell(run, CellKey("a", "c", method, budget=budget), rows | (columns if budget < 1 else {}))
    return run


def flips_of(run: Path, rule: Rule = RULE) -> list[dict[str, Any]]:
    return [flips for flips in certify(run, rule)["flips"] if flips["partition"] == "query_family"]


def test_what_became_wrong_is_named_in_the_constant_order(tmp_path: Path) -> None:
    wrong = set(range(41))
    (flips,) = flips_of(planted(tmp_path, wrong | {300}, {300, 399, 398}))
    assert (flips["method"], flips["budget"], flips["tolerance"]) == ("mine", 0.5, 0.05)
    (family,) = flips["families"]  # y is better, not worse
    assert (family["family"], family["n"], family["to_wrong"], family["to_right"]) == ("x", 200, 41, 0)
    place = order.places(IDS, IDS)
    first = sorted(wrong, key=lambda row: place[row])[:5]
    assert [question["sample_id"] for question in family["questions"]] == [IDS[row] for row in first]
    assert family["questions"][0] == {
        "sample_id": IDS[first[0]],
        "raw_answer": "A",
        "answer": "B",
        "right_answer": "A",
        "raw_seconds": 4.0,
        "seconds": 2.0,
        "chunks": 4,
        "kept_chunks": [0, 3],
        "raw_hash": HASHES[first[0]],
        "hash": HASHES[N + first[0]],
        "question": None,
        "options": None,
        "raw_clip": None,
        "clip": None,
    }


def test_flips_the_other_way_are_counted(tmp_path: Path) -> None:
    (flips,) = flips_of(planted(tmp_path, set(range(41)), {100, 101, 102}))
    assert [(f["family"], f["to_wrong"], f["to_right"]) for f in flips["families"]] == [("x", 41, 3)]


def test_nothing_flips_where_everything_passes(tmp_path: Path) -> None:
    assert flips_of(planted(tmp_path, set())) == []


def test_the_most_harmed_family_comes_first(tmp_path: Path) -> None:
    (flips,) = flips_of(planted(tmp_path, {*range(20), *range(200, 250)}))
    assert [(f["family"], f["to_wrong"], len(f["questions"])) for f in flips["families"]] == [
        ("y", 50, 5),
        ("x", 20, 5),
    ]


def test_a_row_without_an_answer_became_wrong(tmp_path: Path) -> None:
    status = ["compressor: not done after 60 s" if i < 41 else "ok" for i in range(N)]
    loss = [None if i < 41 else 0.0 for i in range(N)]
    labels = [None if i < 41 else "A" for i in range(N)]
    (flips,) = flips_of(planted(tmp_path, set(), status=status, loss=loss, predicted_label=labels))
    assert (flips["families"][0]["to_wrong"], flips["families"][0]["questions"][0]["answer"]) == (41, None)


def test_the_rule_of_the_paper_names_them_at_the_largest_budget_that_does_not_pass(tmp_path: Path) -> None:
    rule = Rule(name="paper", replicates=200, tolerances=(0.05,))
    (flips,) = flips_of(planted(tmp_path, set(range(41))), rule)
    assert (flips["budget"], flips["families"][0]["to_wrong"]) == (0.5, 41)


@pytest.mark.parametrize("kept", [[-1, 2], [0, 9], [], None])
def test_places_that_cannot_be_are_not_stated(tmp_path: Path, kept: list[int] | None) -> None:
    (flips,) = flips_of(planted(tmp_path, set(range(41)), kept_chunks=[kept] * N))
    question = flips["families"][0]["questions"][0]
    assert (question["chunks"], question["kept_chunks"]) == (None, None)


def test_an_answer_that_is_a_sentence_is_cut(tmp_path: Path) -> None:
    labels = ["because " * 999 if i < 41 else "A" for i in range(N)]
    (flips,) = flips_of(planted(tmp_path, set(range(41)), predicted_label=labels))
    assert len(flips["families"][0]["questions"][0]["answer"]) == 200


def test_names_without_a_hash_are_no_obstacle(tmp_path: Path) -> None:
    (flips,) = flips_of(planted(tmp_path, set(range(41)), kept_hash=["../../etc/passwd"] * N))
    assert flips["families"][0]["questions"][0]["hash"] == "../../etc/passwd"
    assert np.all([question["clip"] is None for question in flips["families"][0]["questions"]])
