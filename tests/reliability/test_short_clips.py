"""A clip, or a rest of one, that is too short to be heard ends no run; a failed one can be declared afterwards."""

import json
import wave
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from command_line import assert_refused, earmark

RATE = 16_000
SPEC = """
[corpus]
path = "data"
[[answerers]]
model = "tiny"
[sweep]
budgets = [0.3]
[[methods]]
name = "energy"
[audits]
flip_rate = 0
"""
NOTHING_APPROVED = 3


def corpus(folder: Path, recordings: dict[str, bytes]) -> None:
    """A manifest with one question about each recording."""
    folder.mkdir()
    rows = []
    for name, samples in recordings.items():
        with wave.open(str(folder / f"{name}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(samples)
        question = {"question": "Which is it?", "choices": ["a high tone", "a low tone"], "answer": "a low tone"}
        rows.append({"sample_id": name, "audio": f"{name}.wav", **question})
    (folder / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def sound(loud_at_end: int) -> bytes:
    """Two quiet seconds, and so many loud samples after them."""
    rng = np.random.default_rng(0)
    quiet, loud = rng.normal(0, 30, 2 * RATE), rng.normal(0, 9000, loud_at_end)
    return np.clip(np.concatenate([quiet, loud]), -32_000, 32_000).astype("<i2").tobytes()


def statuses(run: Path, method: str) -> dict[str, str]:
    """The status of every sample in the one cell of a method."""
    (path,) = run.rglob(f"cells/**/method={method}/**/*.parquet")
    table = pq.read_table(path, columns=["sample_id", "status"], partitioning=None)
    return dict(zip(table["sample_id"].to_pylist(), table["status"].to_pylist(), strict=True))


def test_what_is_too_short_is_padded_or_a_row_with_a_status(tmp_path: Path) -> None:
    """The loudest chunk of a recording may be its rest of a few samples; a recording of one sample is padded."""
    corpus(tmp_path / "data", {"rest": sound(100), "long": sound(RATE), "sample": b"\1\0"})
    (tmp_path / "spec.toml").write_text(SPEC)
    done = earmark("run", "spec.toml", "--out", "run", cwd=tmp_path)
    assert done.returncode == NOTHING_APPROVED, done.stderr
    assert statuses(tmp_path / "run", "uncompressed") == {"rest": "ok", "long": "ok", "sample": "ok"}
    compressed = statuses(tmp_path / "run", "energy")
    assert compressed.pop("rest").startswith("too short: ")
    assert set(compressed.values()) == {"ok"}
    assert (tmp_path / "run" / "certificate.json").exists()


def test_a_rate_of_failed_rows_is_declared_after_they_failed(tmp_path: Path) -> None:
    """Nothing is asked again, and the folder is not begun with another spec."""
    corpus(tmp_path / "data", {"good": sound(100), "empty": b""})
    (tmp_path / "spec.toml").write_text(SPEC)
    done = earmark("run", "spec.toml", "--out", "run", "--max-error-rate", "0.5", cwd=tmp_path)
    assert done.returncode == NOTHING_APPROVED, done.stderr
    assert_refused(
        earmark("run", "spec.toml", "--out", "run", cwd=tmp_path), "--max-error-rate 0.5", "nothing is asked again"
    )
    cells = {path: path.stat().st_mtime_ns for path in (tmp_path / "run" / "cells").rglob("*.parquet")}
    done = earmark("run", "spec.toml", "--out", "run", "--max-error-rate", "0.5", cwd=tmp_path)
    assert done.returncode == NOTHING_APPROVED, done.stderr
    (tmp_path / "run" / "certificate.json").unlink()
    (tmp_path / "spec.toml").write_text(SPEC + "[rule]\nmax_error_rate = 0.5\n")
    done = earmark("run", "spec.toml", "--out", "run", cwd=tmp_path)
    assert done.returncode == NOTHING_APPROVED, done.stderr
    assert (tmp_path / "run" / "certificate.json").exists()
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "run" / "cells").rglob("*.parquet")} == cells


def test_what_cannot_be_heard_is_known_before_the_first_answer(tmp_path: Path) -> None:
    """By corpus, by init, and by run, which asks nothing then unless a rate is declared; a preview only says it."""
    corpus(tmp_path / "data", {"good": sound(100), "empty": b""})
    words = "1 of 2 recordings cannot be heard ('empty.wav: has no samples'): 1 of 2 questions fail, and "
    listed = earmark("corpus", "data", cwd=tmp_path).stdout.decode()
    assert "cannot be heard: 1 clip" in listed
    assert "declare [rule] max_error_rate" in listed
    assert (
        f"{words}nothing is certified until" in earmark("init", "data", "--out", "i.toml", cwd=tmp_path).stdout.decode()
    )
    (tmp_path / "spec.toml").write_text(SPEC)
    for shard in ((), ("--shard", "1/1")):
        refused = earmark("run", "spec.toml", "--out", "run", *shard, cwd=tmp_path)
        assert_refused(refused, f"data: {words}nothing could be certified; correct", "--max-error-rate 0.5 (in a spec")
        assert not (tmp_path / "run").exists()
    looked = earmark("run", "spec.toml", "--out", "run", "--limit", "1", cwd=tmp_path)
    assert b"a preview of the first 1 of 2 recordings" in looked.stderr
    asked = files(tmp_path / "run")
    assert asked
    assert_refused(earmark("run", "spec.toml", "--out", "run", cwd=tmp_path), f"{words}nothing could be certified")
    assert files(tmp_path / "run") == asked
    declared = earmark("run", "spec.toml", "--out", "other", "--max-error-rate", "0.5", cwd=tmp_path)
    assert f"{words}count as harm, as max_error_rate = 0.5 declares" in declared.stderr.decode()


def files(run: Path) -> dict[Path, int]:
    """When each file of a run folder was written."""
    return {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
