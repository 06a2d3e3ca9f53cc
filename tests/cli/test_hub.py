"""From a dataset of the hub to its first answers: what corpus prints, what init drafts, what run asks."""

from pathlib import Path

import layouts
import pyarrow.parquet as pq
import pytest
from command_line import assert_refused, earmark

from earmark.engine.design import spec as specs

NOTHING_APPROVED = 3


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where commands are typed: beside a dataset of two splits, whose columns are called otherwise than usual."""
    rows = [
        {"said": "High or low?", "options": ["high", "low"], "label": i % 2, "skill": ("pitch", "pace")[i % 2]}
        for i in range(4)
    ]
    for split in ("test", "train"):
        path = tmp_path / "data" / "data" / f"{split}-00000-of-00001.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(layouts.hub_table(rows), path)
    return tmp_path


def test_what_was_told_is_printed_and_what_was_not_is_asked(home: Path) -> None:
    assert_refused(earmark("corpus", "data", cwd=home), "has 2 splits: 'test', 'train'; say which with --split")
    assert_refused(
        earmark("corpus", "data", "--split", "test", cwd=home),
        "no column is called like the question (said, options, label, skill, audio)",
        "--column question=NAME",
    )
    printed = earmark("corpus", "data", "--split", "test", "--column", "question=said", cwd=home).stdout.decode()
    assert "    question   said\n    choices    options\n    answer     label (its place, from 0)\n" in printed
    assert "    sample_id  none: rows are numbered\n" in printed
    assert "no families of its own: name a label with --by (skill has 2 families), bring a --side file" in printed
    twice = earmark("corpus", "data", "--column", "question=said", "--column", "question=x", cwd=home)
    assert twice.returncode == 2
    assert b"'question' is given twice, as 'said' and as 'x'" in twice.stderr


def test_what_is_declared_goes_into_the_draft_and_is_asked(home: Path) -> None:
    parts = ("--split", "test", "--column", "question=said", "--column", "family=skill")
    drafted = earmark("init", "data", *parts, "--no-measure", "--out", "spec.toml", cwd=home)
    assert drafted.returncode == 0, drafted.stderr
    spec = specs.read(home / "spec.toml")
    assert (spec.corpus.split, spec.corpus.columns) == ("test", {"question": "said", "family": "skill"})
    looked = earmark("run", "spec.toml", "--out", "run", "--limit", "2", cwd=home)
    assert looked.returncode == NOTHING_APPROVED, looked.stderr
    assert b"A preview (2 of 4 examples)" in looked.stdout


def test_a_dataset_without_families_has_labels_to_declare(home: Path) -> None:
    parts = ("--split", "test", "--column", "question=said")
    drafted = earmark("init", "data", *parts, "--no-measure", "--out", "spec.toml", cwd=home).stdout.decode()
    assert 'in [partitions] of spec.toml: names = ["skill"] (2 families), a side file, or semantic clusters' in drafted
