"""`earmark score`: scores, kept chunks and compressed WAV of files."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import small_selectors
import soundfile
from click.testing import CliRunner, Result

from earmark.cli.score import score
from earmark.engine.compressors.compressor import audio_hash
from earmark.engine.errors import InputError
from earmark.engine.making.export import export

RATE = 16_000
LEVELS = (0.1, 0.5, 0.2, 0.4)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Four and a half seconds: four of noise, each with its level, and half a second of silence."""
    noise = np.random.default_rng(0).uniform(-1, 1, (4, RATE)) * np.array(LEVELS)[:, None]
    path = tmp_path / "clip.wav"
    soundfile.write(path, np.concatenate([noise.reshape(-1), np.zeros(RATE // 2)]), RATE, subtype="FLOAT")
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(score, [str(argument) for argument in arguments])


def test_scores_and_kept_chunks(clip: Path) -> None:
    done = run(clip, "--selector", "energy", "--budget", 0.4, "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.output)
    assert (said["audio"], said["chunks"], said["kept"]) == (str(clip), 5, [1, 3])
    np.testing.assert_allclose(said["scores"], [level / 3**0.5 for level in (*LEVELS, 0)], rtol=0.02)
    only_scores = run(clip, "--selector", "energy")
    assert only_scores.output.startswith(f"{clip}  scores 0.0")
    assert "keeps" not in only_scores.output
    assert "keeps 1 3 of 5" in run(clip, "--selector", "energy", "--budget", 0.4).output


def test_what_is_kept_is_written(clip: Path, tmp_path: Path) -> None:
    done = run(clip, "--selector", "energy", "--budget", 0.4, "--out", tmp_path / "kept", "--json")
    said = json.loads(done.output)
    whole, _ = soundfile.read(clip, dtype="float32")
    kept, rate = soundfile.read(tmp_path / "kept" / "clip.wav", dtype="float32")
    expected = np.concatenate([whole[RATE : 2 * RATE], whole[3 * RATE : 4 * RATE]])
    assert rate == RATE
    assert soundfile.info(said["wav"]).subtype == "PCM_16"
    np.testing.assert_allclose(kept, expected, atol=2**-15)
    assert said["kept_hash"] == audio_hash(expected)


def test_a_recording_is_never_written_over(clip: Path, tmp_path: Path) -> None:
    before = clip.read_bytes()
    (tmp_path / "link").symlink_to(tmp_path)
    for out in (tmp_path, tmp_path / "link", tmp_path / "link/.." / tmp_path.name):
        done = run(clip, "--selector", "energy", "--budget", 0.4, "--out", out)
        assert (done.exit_code, "would write over the recording" in done.output) == (2, True), done.output
    assert clip.read_bytes() == before


@pytest.mark.parametrize("graph", ["waveform.onnx", "features.onnx"])
def test_a_graph_reads_the_question(clip: Path, tmp_path: Path, graph: str) -> None:
    export(small_selectors.saved(tmp_path / "selector", conditioned=True))
    found = {}
    for name in ("selector", f"selector/{graph}"):
        done = run(clip, clip, "--selector", tmp_path / name, "--question", "who speaks?", "--json", "--budget", 0.5)
        assert done.exit_code == 0, done.output
        found[name] = [json.loads(line) for line in done.output.splitlines()]
    (torch, again), (onnx, _) = found.values()
    assert torch == again
    assert torch["kept"] == onnx["kept"]
    np.testing.assert_allclose(torch["scores"], onnx["scores"], atol=1e-4)
    unasked = run(clip, "--selector", tmp_path / "selector" / graph)
    assert "reads the question; give one (--question)" in str(unasked.exception)


def test_what_makes_no_sense_is_refused(clip: Path, tmp_path: Path) -> None:
    for arguments, expected in (
        ([clip, "--selector", "energy", "--out", tmp_path], "--out needs --budget"),
        ([clip, "--selector", "energy", "--budget", 1.2], "1.2 is not in (0, 1]"),
        ([clip, clip, "--selector", "energy", "--budget", 1, "--out", tmp_path], "have the same name"),
        ([clip], "Missing option '--selector'"),
    ):
        done = run(*arguments)
        assert (done.exit_code, expected in done.output) == (2, True), done.output
    export(small_selectors.saved(tmp_path))
    graph = tmp_path / "waveform.onnx"
    graph.write_bytes(graph.read_bytes().replace(b"chunks", b"chanks"))
    assert isinstance(run(clip, "--selector", graph).exception, InputError)
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF")
    for arguments, expected in (
        ([broken, "--selector", "energy"], "broken.wav: is not WAV"),
        ([clip, "--selector", "loudest"], "selector loudest: there is no such selector"),
    ):
        assert expected in str(run(*arguments).exception)
        assert isinstance(run(*arguments).exception, InputError)


def many(folder: Path, n: int) -> list[Path]:
    """So many recordings, of which the third is none."""
    rng = np.random.default_rng(1)
    for number in range(n):
        soundfile.write(folder / f"{number:03d}.wav", rng.uniform(-0.5, 0.5, RATE * (1 + number % 3)), RATE)
    (folder / "002.wav").write_bytes(b"no sound")
    return sorted(folder.glob("*.wav"))


def test_a_table_of_scores_is_the_same_from_several_processes(tmp_path: Path) -> None:
    paths = many(tmp_path, 150)
    tables = []
    for workers in (1, 2):
        out = tmp_path / f"{workers}.parquet"
        pattern = tmp_path / "**" / "*.wav"
        done = run(pattern, "--selector", "energy", "--budget", 0.5, "--parquet", out, "--workers", workers)
        assert done.exit_code == 1, done.output
        assert "1 of them cannot be heard: their status says why" in done.output
        tables.append(pq.read_table(out))
    assert tables[0].equals(tables[1])
    rows = tables[0].to_pylist()
    assert [row["audio"] for row in rows] == [str(path) for path in paths]
    assert rows[2]["status"].startswith("audio: ")
    assert rows[2]["scores"] is None
    alone = json.loads(run(paths[4], "--selector", "energy", "--budget", 0.5, "--json").output)
    assert {key: rows[4][key] for key in alone} == alone
    assert rows[4]["status"] == "ok"


def test_a_table_of_scores_is_whole_or_not_there(tmp_path: Path) -> None:
    paths = many(tmp_path, 3)
    out = tmp_path / "scores.parquet"
    assert run(*paths, "--selector", "nowhere", "--parquet", out).exit_code != 0
    assert "reads the question" in str(run(*paths, "--selector", "tiny-conditioned", "--parquet", out).exception)
    assert "names no file" in str(run(tmp_path / "*.flac", "--selector", "energy", "--parquet", out).exception)
    assert "--workers needs --parquet" in run(*paths, "--selector", "energy", "--workers", 2).output
    assert "instead of --out and --json" in run(*paths, "--selector", "energy", "--parquet", out, "--json").output
    assert not out.exists()
    assert not (tmp_path / ".staging").exists()
