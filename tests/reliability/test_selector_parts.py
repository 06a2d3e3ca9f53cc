"""What a selector is loaded with and trained from, and what a device reads: refused in a line where it is not ours."""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import assert_refused, earmark

CONDITIONED = Path(__file__).parents[2] / "engine" / "compressors" / "chunks" / "tiny" / "conditioned"
ONE_JOB = ("--method", "agnostic", "--seed", "1", "--epochs", "1")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An oracle's table of a few clips, a selector trained on it, and one that comes with Earmark, exported."""
    folder = tmp_path_factory.mktemp("selectors")
    for command in (
        ("oracle", "synthetic-two-factor:selector:3", "--out", "oracle.parquet"),
        ("train", "oracle.parquet", *ONE_JOB, "--out", "trained"),
        ("export", "trained/learned_agnostic/seed=1", "--out", "edge"),
    ):
        done = earmark("selector", *command, cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder


def number_beyond(model: dict[str, Any]) -> None:
    words = model["vocab"]
    words |= dict(zip(words, range(900_000, 900_000 + len(words)), strict=True))


def lose_the_unknown_word(model: dict[str, Any]) -> None:
    words = model["vocab"]
    model.clear()
    model.update(type="WordLevel", vocab=words, unk_token="a word that is not there")


@pytest.mark.parametrize(
    ("edit", "reason"),
    [(number_beyond, "has a word 9"), (lose_the_unknown_word, "cannot read the question 'What is heard?'")],
)
def test_a_tokenizer_that_does_not_fit_is_one_line(
    home: Path, tmp_path: Path, edit: Callable[[dict[str, Any]], None], reason: str
) -> None:
    folder = shutil.copytree(CONDITIONED, tmp_path / "selector")
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    edit(tokenizer["model"])
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    card = json.loads((folder / "card.json").read_text())
    digest = hashlib.sha256((folder / "tokenizer.json").read_bytes()).hexdigest()
    (folder / "card.json").write_text(json.dumps(card | {"tokenizer": digest}))
    clip = home / "edge/vectors/part-of-a-second.wav"
    done = earmark("score", clip, "--selector", folder, "--question", "What is heard?", "--json")
    assert_refused(done, "tokenizer", reason, "train the selector again")


@pytest.mark.parametrize(
    "header",
    [
        lambda data: data.replace(b"}", b" ", 1),
        lambda data: data + b"\0",
    ],
)
def test_features_with_another_header_are_one_line(
    home: Path, tmp_path: Path, header: Callable[[bytes], bytes]
) -> None:
    (features,) = (home / "trained").glob("features-*.npy")
    assert np.load(features).shape[1] == 768
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / features.name).write_bytes(header(features.read_bytes()))
    done = earmark("selector", "train", "oracle.parquet", *ONE_JOB, "--out", tmp_path / "out", cwd=home)
    assert_refused(done, features.name, "delete it: the same command makes it again")


@pytest.mark.parametrize(
    ("name", "edit"),
    [
        ("edge.json", lambda content: content["files"].update({"keep.py": None})),
        ("edge.json", lambda content: content["files"].update({"\ud800": "0"})),
        ("edge.json", lambda content: content["files"].update({"x" * 300: "0"})),
        ("vectors.json", lambda content: content["vectors"][0].update(wav=3)),
        ("vectors.json", lambda content: content.update(budgets=[None])),
    ],
)
def test_odd_files_of_a_device_are_one_line(
    home: Path, tmp_path: Path, name: str, edit: Callable[[Any], object]
) -> None:
    folder = shutil.copytree(home / "edge", tmp_path / "edge")
    content = json.loads((folder / name).read_text())
    edit(content)
    (folder / name).write_text(json.dumps(content))
    if name != "edge.json":  # which names the others by their hashes
        edge = json.loads((folder / "edge.json").read_text())
        edge["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        (folder / "edge.json").write_text(json.dumps(edge))
    command = [sys.executable, folder / "keep.py", "--check", "--out", tmp_path / "device.json"]
    done = subprocess.run(command, capture_output=True, check=False)
    assert_refused(done, "copy the exported folder again", code=1)
