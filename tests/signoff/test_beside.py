"""What lies beside the cells of a run, as others wrote it: counts of flips, grids of scores, the mark of a preview."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from earmark.engine.errors import InputError
from earmark.engine.signoff import preview
from earmark.engine.signoff.audits.beside import flip_rates, score_shares

Columns = dict[str, Any]


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_counts_of_flips_come_back(tmp_path: Path) -> None:
    put(tmp_path / "audits/flips/answerer=a%2Fb.json", '{"asked": 5, "compared": 4, "changed": 1}')
    ((entry,), (file,)) = flip_rates(tmp_path)
    assert (entry.answerer, entry.compared, entry.changed, entry.share) == ("a/b", 4, 1, 0.25)
    assert file.path == "audits/flips/answerer=a%2Fb.json"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[" * 200_000,
        "[5, 4, 1]",
        '{"compared": 4, "changed": 1}',
        '{"asked": 5, "compared": Infinity, "changed": 1}',
        '{"asked": 5, "compared": 1e999, "changed": 1}',
        '{"asked": 5, "compared": 4, "changed": 5}',
        '{"asked": 3, "compared": 4, "changed": 1}',
        '{"asked": 5, "compared": 4, "changed": -1}',
        '{"asked": 5, "compared": "4", "changed": 1}',
        '{"asked": 5, "compared": 4.0, "changed": true}',
        '{"asked": 5, "compared": 4, "compared": 5, "changed": 1}',
    ],
)
def test_what_is_no_count_of_flips_is_refused(tmp_path: Path, text: str) -> None:
    put(tmp_path / "audits/flips/answerer=a.json", text)
    with pytest.raises(InputError, match=r"answerer=a\.json"):
        flip_rates(tmp_path)


SCORES: Columns = {
    "audio": ["a", "a", "b", "b"],
    "question": ["p", "q"] * 2,
    "scores": np.arange(8.0).reshape(4, 2).tolist(),
}


def put_scores(run: Path, columns: Columns, name: str = "seed=0.parquet") -> None:
    path = run / "audits/grid/method=m" / name
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table(columns), path)


def test_scores_come_back_as_shares(tmp_path: Path) -> None:
    put_scores(tmp_path, SCORES)
    ((entry,), _) = score_shares(tmp_path)
    assert (entry.method, entry.seed, entry.chunk + entry.question + entry.interaction) == ("m", 0, 1)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda scores: scores | {"scores": [[float("inf"), 1.0]] * 4},
        lambda scores: scores | {"scores": [[float("nan"), 1.0]] * 4},
        lambda scores: scores | {"scores": [[1e300, 1.0]] * 4},
        lambda scores: scores | {"scores": [[1.0], [1.0, 2.0]] * 2},
        lambda scores: scores | {"scores": [[]] * 4},
        lambda scores: scores | {"scores": pa.nulls(4, pa.list_(pa.float64()))},
        lambda scores: scores | {"scores": ["a"] * 4},
        lambda _: {"audio": ["a"]},
    ],
)
def test_scores_that_are_no_numbers_are_refused(tmp_path: Path, spoil: Callable[[Columns], Columns]) -> None:
    put_scores(tmp_path, spoil(SCORES))
    with pytest.raises(InputError, match=r"seed=0\.parquet"):
        score_shares(tmp_path)


@pytest.mark.parametrize("seed", ["-1", "1_000", "x", "9" * 30])
def test_scores_of_what_is_no_seed_are_refused(tmp_path: Path, seed: str) -> None:
    put_scores(tmp_path, SCORES, f"seed={seed}.parquet")
    with pytest.raises(InputError, match="is no seed's grid"):
        score_shares(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 200_000,
        "[]",
        "null",
        '{"examples": 10, "of": 5}',
        '{"examples": 0, "of": 5}',
        '{"examples": 1e999, "of": 5}',
        '{"examples": "10", "of": 20}',
        '{"examples": true, "of": 20}',
    ],
)
def test_what_is_no_mark_of_a_preview_is_refused(tmp_path: Path, text: str) -> None:
    put(tmp_path / "preview.json", text)
    with pytest.raises(InputError, match=r"preview\.json"):
        preview.read(tmp_path)
