"""`earmark status` of a run with a preview, of one that is certified, and of outcomes that no sweep made."""

import json
from pathlib import Path

import log_fixtures as logs
import worlds
from click.testing import CliRunner
from sweeps import sweep_of_energy as sweep

from earmark.cli.main import earmark
from earmark.engine.sweep.status import status


def printed(run: Path) -> list[str]:
    return CliRunner().invoke(earmark, ["status", str(run)]).output.splitlines()


def test_a_preview_is_named_beside_the_answers_of_the_whole_run(tmp_path: Path) -> None:
    sweep(tmp_path, limit=3)
    first, second, *_ = printed(tmp_path)
    assert first.startswith(f"{tmp_path}: ")
    n = status(tmp_path).preview
    assert n is not None
    assert second == (f"a preview of {n.n_examples} of 30 examples is in {tmp_path / 'preview'}; it approves nothing")


def test_a_complete_run_that_is_certified_is_verified_next(tmp_path: Path) -> None:
    sweep(tmp_path)
    assert printed(tmp_path)[-1] == f"next: earmark certify {tmp_path}"
    CliRunner().invoke(earmark, ["certify", str(tmp_path), "--replicates", "200"])
    assert printed(tmp_path)[-1] == f"next: earmark verify {tmp_path}"


def test_outcomes_without_a_sweep_are_counted_and_certified_next(tmp_path: Path) -> None:
    worlds.write_run(tmp_path, [0.0] * 100, {"m": {0.5: [0.0] * 100}}, ["x"] * 100)
    lines = [f"{tmp_path}: outcomes that no sweep fills: 200 rows in 2 cells", f"next: earmark certify {tmp_path}"]
    assert printed(tmp_path) == lines
    CliRunner().invoke(earmark, ["certify", str(tmp_path), "--replicates", "200"])
    assert printed(tmp_path) == [lines[0], f"next: earmark verify {tmp_path}"]


def test_an_import_is_called_one(tmp_path: Path) -> None:
    raw = logs.write_csv(tmp_path / "raw.csv", logs.table(logs.RAW))
    half = logs.write_csv(tmp_path / "half.csv", logs.table(logs.COMPRESSED))
    named = ["--corpus", "sounds", "--answerer", "tiny", "--out", str(tmp_path / "run")]
    CliRunner().invoke(earmark, ["import", "csv", str(raw), f"energy@0.5={half}", *named])
    run, n = tmp_path / "run", len(logs.RAW)
    assert printed(run) == [
        f"{run}: imported outcomes: {2 * n} rows in 2 cells",
        f"next: earmark certify {run}",
    ]
    answer = CliRunner().invoke(earmark, ["status", str(run), "--json"]).output
    assert json.loads(answer) == {"cells": 2, "rows": 2 * n, "imported": True}
