"""The front door: every snippet of docs/python.md runs, and what is refused is refused before anything is certified."""

import re
import shutil
import subprocess
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import polars
import pyarrow as pa
import pytest
import worlds

import earmark

ROOT = Path(__file__).parents[2]
N = 200


def long(**changes: Any) -> dict[str, Any]:
    """A long table of 200 questions, raw and at half of the audio."""
    columns: dict[str, Any] = {
        "sample_id": [f"s{i}" for i in range(N)] * 2,
        "loss": [0.0] * 2 * N,
        "method": ["uncompressed"] * N + ["energy"] * N,
        "budget": [1.0] * N + [0.5] * N,
    }
    return {name: column for name, column in (columns | changes).items() if column is not None}


def test_every_snippet_of_the_documentation_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page in one session, in a folder with the examples; the demo's spec with 6 clips instead of 200."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    spec = tmp_path / "examples" / "demo.toml"
    spec.write_text(
        spec.read_text().replace("certification:200", "certification:6").replace("flip_rate = 200", "flip_rate = 4")
    )
    with wave.open(str(tmp_path / "clip.wav"), "wb") as clip:
        clip.setnchannels(1)
        clip.setsampwidth(2)
        clip.setframerate(16_000)
        clip.writeframes((np.sin(np.arange(80_000) / 20) * np.arange(80_000) / 4).astype("<i2").tobytes())
    monkeypatch.chdir(tmp_path)
    for page, at_least in (("python.md", 6), ("answerers.md", 1), ("selectors.md", 1)):
        snippets = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL)
        assert len(snippets) >= at_least
        session: dict[str, Any] = {}
        for snippet in snippets:
            exec(compile(snippet, page, "exec"), session)
    assert (tmp_path / "signed" / "report.html").is_file()
    assert (tmp_path / "demo" / "certificate.json").is_file()


def test_importing_it_loads_the_standard_library_only() -> None:
    code = (
        "import sys; before = set(sys.modules); import earmark; earmark.__version__; dir(earmark)\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(new - set(sys.stdlib_module_names) - {'earmark'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert (Path(earmark.__file__).parent / "py.typed").exists()
    with pytest.raises(AttributeError, match="no attribute 'sign'"):
        earmark.sign  # noqa: B018


@pytest.mark.parametrize("held_as", [dict, pa.table, pandas.DataFrame, polars.DataFrame])
def test_a_table_may_be_held_in_any_way(held_as: Any) -> None:
    certificate = earmark.certify(held_as(long(family=["a", "b"] * N, source=[f"r{i // 2}" for i in range(N)] * 2)))
    assert certificate.approved
    assert {family.family for family in certificate.results[0].families} == {"a", "b"}


def test_a_table_is_signed_off_as_the_run_folder_with_the_same_outcomes(tmp_path: Path) -> None:
    harmed = [float(i % 9 == 0) for i in range(N)]
    worlds.write_run(tmp_path / "run", [0.0] * N, {"energy": {0.5: harmed}}, ["a", "b"] * (N // 2))
    of_run = earmark.certify(tmp_path / "run")
    of_table = earmark.certify(long(loss=[0.0] * N + harmed, family=["a", "b"] * N))
    assert not of_table.approved
    for ours, theirs in zip(of_table.results[0].budgets, of_run.results[0].budgets, strict=True):
        assert ours.excess_family == theirs.excess_family
        assert [d.decision for d in ours.decisions] == [d.decision for d in theirs.decisions]


def test_it_comes_back_from_its_folder(tmp_path: Path) -> None:
    certificate = earmark.certify(long())
    assert certificate.save(str(tmp_path / "out")) == tmp_path / "out" / "certificate.json"
    assert earmark.verify(str(tmp_path / "out")) is None
    (cell,) = (tmp_path / "out" / "cells").rglob("method=energy/**/*.parquet")
    cell.unlink()
    assert "the file is gone" in str(earmark.verify(tmp_path / "out" / "certificate.json"))


def test_it_shows_itself() -> None:
    certificate = earmark.certify(long())
    assert str(certificate).startswith("approved: energy at budget 0.5")
    assert certificate._repr_html_().startswith('<iframe srcdoc="')
    assert certificate.to_json()["claim"]["approved"]
    assert repr(certificate) == "<earmark.Certificate: approved: energy at budget 0.5; every family within 0.05>"


def test_correct_answers_and_losses_say_the_same() -> None:
    raw, compressed = [True] * 150 + [False] * 50, [True] * 140 + [False] * 60
    by_answers = earmark.compare(raw_correct=raw, compressed_correct=np.array(compressed))
    by_losses = earmark.compare(
        raw_loss=[1.0 - answer for answer in raw], compressed_loss=[1.0 - answer for answer in compressed]
    )
    assert by_answers.to_json() == by_losses.to_json()
    assert by_answers.results[0].budgets[0].plus == 10


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: earmark.compare(raw_loss=[True, False], compressed_loss=[True, True]), "raw_loss: is true or false"),
        (
            lambda: earmark.compare(raw_loss=[0, 1], compressed_loss=np.array([True, False])),
            "compressed_loss: is true or",
        ),
        (
            lambda: earmark.compare(raw_correct=[0.5], compressed_correct=[1]),
            "raw_correct: has something else than true",
        ),
        (lambda: earmark.compare(raw_loss=["x"], compressed_loss=[1]), "raw_loss: is string; give numbers"),
        (lambda: earmark.compare(raw_loss=[0], compressed_correct=[1]), "compare: takes two losses"),
        (lambda: earmark.compare(raw_loss=[0, 1], compressed_loss=[1]), "columns of different lengths"),
        (lambda: earmark.certify(long(loss=[False] * 2 * N)), "column loss: is true or false"),
        (lambda: earmark.certify(long(loss=None)), "has no column loss"),
        (lambda: earmark.certify(long(famly=["a"] * 2 * N)), "column famly: is unknown"),
        (lambda: earmark.certify(long(method=["energy"] * 2 * N)), "has no rows of 'uncompressed'"),
        (
            lambda: earmark.certify(long(budget=[1.0] * (2 * N - 1) + [None])),
            "column budget: has 1 rows without a value",
        ),
        (lambda: earmark.certify(long(loss=["?"] * 2 * N)), "column loss: is string; give numbers"),
        (lambda: earmark.certify([1, 2]), "the table: is a list; give a PyArrow table"),
        (lambda: earmark.certify(long(), tolerence=0.05), "keyword tolerence: is no key of a rule; did you"),
        (lambda: earmark.certify("nowhere"), "nowhere"),
        (lambda: earmark.run("nowhere.toml"), "nowhere.toml: there is no such file"),
        (lambda: earmark.score("nowhere.wav", "energy"), "nowhere.wav"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(call: Any, expected: str) -> None:
    with pytest.raises(earmark.EarmarkError, match=re.escape(expected)) as refused:
        call()
    assert "\n" not in str(refused.value)
