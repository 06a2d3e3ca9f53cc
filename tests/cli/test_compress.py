"""`earmark compress`: what an answerer would hear, as files that people can listen to."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from brought_ones import write_module
from click.testing import CliRunner, Result

from earmark.cli.main import earmark
from earmark.engine.compressors.compressor import audio_hash
from earmark.engine.compressors.waves.codecs import SndfileCodec
from earmark.engine.design.compressors import budget_name, kind_of, share_of
from earmark.engine.errors import InputError

RATE = 16_000
LEVELS = (0.1, 0.5, 0.2, 0.4)
SPEC = """\
[corpus]
path = "synthetic:certification:4"
[[answerers]]
model = "tiny"
[[methods]]
name = "quick"
compressor = "speed"
factors = [1.5]
[[methods]]
name = "twice"
compressor = "mine:halves"
axis = "bandwidth"
cutoffs = [4]
"""


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Four seconds of noise, each with its level; beyond full scale nowhere."""
    noise = np.random.default_rng(0).uniform(-1, 1, (4, RATE)) * np.array(LEVELS)[:, None]
    path = tmp_path / "clip.wav"
    soundfile.write(path, noise.reshape(-1), RATE, subtype="FLOAT")
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(earmark, ["compress", *map(str, arguments)])


def heard(path: object) -> np.ndarray:
    """The samples of a file that was written."""
    assert soundfile.info(path).subtype == "FLOAT"
    samples, rate = soundfile.read(path, dtype="float32")
    assert rate == RATE
    return samples


@pytest.mark.parametrize(
    ("budget", "compressor", "expected"),
    [
        ("0.1", "chunks", 0.1),
        (" .5 ", "opus", 0.5),
        ("1", "opus", 1),
        ("12kbps", "opus", 12 / 256),
        ("12 kb/s", "av:libopus", 12 / 256),
        ("26KBPS", "gsm", 26 / 256),
        ("0.1015625", "gsm", 26 / 256),
        ("1.5x", "speed", 1 / 1.5),
        ("4kHz", "lowpass", 0.5),
        ("4khz", "mine:f", 0.5),
    ],
)
def test_a_budget_is_a_share_or_in_a_unit_of_the_compressor(budget: str, compressor: str, expected: float) -> None:
    assert share_of(budget, kind_of(compressor, "own")) == expected


@pytest.mark.parametrize(
    ("budget", "compressor", "expected"),
    [
        ("a lot", "opus", "budget a lot: is no budget; give a share such as 0.5, or 128kbps"),
        ("nan", "opus", "is no budget"),
        ("-1", "opus", "is no budget"),
        ("1e-1", "opus", "is no budget"),
        ("12 furlongs", "chunks", "is no budget; give a share such as 0.5"),
        ("1.5x", "opus", "the compressor is not counted in x; give a share such as 0.5, or 128kbps"),
        ("12kbps", "chunks", "the compressor is not counted in kb/s; give a share such as 0.5"),
        ("0", "opus", "is no share in (0, 1]"),
        ("1.5", "speed", "is no share in (0, 1]; give a share such as 0.5, or 2x"),
        ("0.5x", "speed", "is no share in (0, 1]"),
        ("0x", "speed", "is no share in (0, 1]"),
        ("300kbps", "opus", "is no share in (0, 1]"),
        ("13kbps", "gsm", "is not the one that the compressor has; give 26kbps"),
    ],
)
def test_what_is_no_budget_of_the_compressor_is_refused(budget: str, compressor: str, expected: str) -> None:
    with pytest.raises(InputError) as refused:
        share_of(budget, kind_of(compressor, "own"))
    assert expected in str(refused.value)


def test_a_budget_is_one_name_however_it_is_typed(clip: Path, tmp_path: Path) -> None:
    """A half, typed without its 0, is not taken for all of it."""
    for budget in ("1", ".5", "0.50", " 0.75"):
        done = run(clip, "--with", "frames", "--budget", budget, "--out", tmp_path / "heard", "--force")
        assert done.exit_code == 0, done.output
    seconds = {path.name: len(heard(path)) / RATE for path in (tmp_path / "heard").iterdir()}
    expected = {"clip.frames-1.wav": 4, "clip.frames-0.5.wav": 2, "clip.frames-0.75.wav": 3}
    assert seconds == pytest.approx(expected, abs=0.02)
    assert budget_name("12 KB/s", kind_of("opus", "own")) == budget_name("12.0kbps", kind_of("opus", "own")) == "12kbps"


def test_what_is_written_is_what_is_heard(clip: Path, tmp_path: Path) -> None:
    done = run(clip, "--with", "opus", "--budget", "12kbps", "--out", tmp_path / "heard", "--json")
    assert done.exit_code == 0, done.output
    line = json.loads(done.output)
    sent = SndfileCodec("opus").send(soundfile.read(clip, dtype="float32")[0], 12 / 256)
    np.testing.assert_array_equal(heard(tmp_path / "heard" / "clip.opus-12kbps.wav"), sent.samples)
    assert line == {
        "audio": str(clip),
        "seconds": 4.0,
        "heard_seconds": 4.0,
        "bits": sent.bits,
        "kbps": sent.bits / 4000,
        "hash": audio_hash(sent.samples),
        "wav": str(tmp_path / "heard" / "clip.opus-12kbps.wav"),
    }


def test_a_selector_is_named_by_itself(clip: Path, tmp_path: Path) -> None:
    done = run(clip, "--with", "energy", "--budget", 0.5, "--out", tmp_path / "heard")
    assert done.output == f"{clip}  2.00 of 4.00 s, 128.0 kb/s  -> {tmp_path}/heard/clip.energy-0.5.wav\n"
    whole = heard(clip)
    expected = np.concatenate([whole[RATE : 2 * RATE], whole[3 * RATE :]])
    np.testing.assert_array_equal(heard(tmp_path / "heard" / "clip.energy-0.5.wav"), expected)
    assert run(clip, "--with", "energy", "--budget", 1, "--out", tmp_path / "heard").exit_code == 0
    np.testing.assert_array_equal(heard(tmp_path / "heard" / "clip.energy-1.wav"), whole)
    unasked = run(clip, "--with", "tiny-conditioned", "--budget", 0.5, "--out", tmp_path)
    assert "method tiny-conditioned: reads the question; give one (--question)" in str(unasked.exception)


def test_a_method_of_a_spec_has_its_budgets_in_its_unit(clip: Path, tmp_path: Path) -> None:
    spec, out = tmp_path / "spec.toml", tmp_path / "heard"
    spec.write_text(SPEC)
    done = run(clip, "--with", "quick", "--spec", spec, "--budget", "1.6x", "--out", out)
    assert "2.50 of 4.00 s, 160.0 kb/s" in done.output, done.output
    named = run(clip, "--with", "speed", "--spec", spec, "--budget", "1.6x", "--out", out)
    assert "method speed: is none of the spec; choose from quick, twice" in str(named.exception)
    other = run(clip, "--with", "twice", "--spec", spec, "--budget", "12kbps", "--out", out)
    assert "is not counted in kb/s" in str(other.exception)


def test_what_fails_is_a_line_and_the_others_are_written(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_module(tmp_path, "def picky(waveform, rate, budget):\n    return waveform if waveform[0] else waveform * 0\n")
    monkeypatch.chdir(tmp_path)
    soundfile.write("late.wav", np.append(np.zeros(RATE), np.full(RATE, 0.5)), RATE)
    Path("broken.wav").write_bytes(b"RIFF")
    done = run("broken.wav", "late.wav", clip, "--with", "mine:picky", "--budget", "4khz", "--out", "heard")
    assert done.exit_code == 1
    assert done.output.splitlines() == [
        "broken.wav  is not WAV, FLAC, OGG or MP3",
        "late.wav  compressor: returned silence",
        f"{clip}  4.00 of 4.00 s, nobody knows how many kb/s  -> heard/clip.mine-picky-4khz.wav",
    ]
    assert [path.name for path in Path("heard").iterdir()] == ["clip.mine-picky-4khz.wav"]
    lines = run("late.wav", "--with", "mine:picky", "--budget", "0.5", "--out", "heard", "--json").output.splitlines()
    assert json.loads(*lines) == {"audio": "late.wav", "status": "compressor: returned silence"}


def test_nothing_is_written_over(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "heard"
    options = ("--with", "random", "--budget", 0.25, "--out", out)
    assert run(clip, *options).exit_code == 0
    before = (out / "clip.random-0.25.wav").read_bytes()
    assert (before[48:52], before[60:64]) == (b"PEAK", bytes(4)), "libsndfile notes a time there"
    again = run(clip, *options, "--seed", 2)
    assert "clip.random-0.25.wav': is there already; name another folder with --out, or use --force" in str(
        again.exception
    )
    assert (out / "clip.random-0.25.wav").read_bytes() == before
    assert run(clip, *options, "--seed", 2, "--force").exit_code == 0
    assert (out / "clip.random-0.25.wav").read_bytes() != before
    assert run(clip, *options, "--force").exit_code == 0
    assert (out / "clip.random-0.25.wav").read_bytes() == before
    recording = tmp_path / "clip.random-0.25.wav"
    recording.write_bytes(clip.read_bytes())
    beside = run(clip, recording, "--with", "random", "--budget", 0.25, "--out", tmp_path, "--force")
    assert (beside.exit_code, "would write over the recording" in beside.output) == (2, True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "clip.flac").write_bytes(b"")
    both = run(clip, tmp_path / "other", "--with", "random", "--budget", 0.5, "--out", out)
    assert (both.exit_code, "two recordings have the same name" in both.output) == (2, True)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("chunks", "method chunks: needs a selector that says which; name one: uniform, random"),
        ("av:", "method 'av:': names no encoder of FFmpeg; write av:libopus"),
        ("", "method '': names no compressor; name one: uniform"),
        ("\udcff", r"method '\udcff': names no compressor; name one: uniform"),
        ("av:loud", "av:loud: FFmpeg has no such encoder; choose one of"),
        ("mine:f", "compressor mine:f: there is no module mine"),
        ("loudest", "compressor loudest: there is no such compressor"),
        ("none.onnx", "selector none.onnx: there is no such selector"),
    ],
)
def test_what_names_no_method_is_refused(clip: Path, tmp_path: Path, name: str, expected: str) -> None:
    done = run(clip, "--with", name, "--budget", 0.5, "--out", tmp_path)
    assert expected in str(done.exception)
    assert isinstance(done.exception, InputError)


def test_a_codec_needs_no_torch(clip: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from earmark.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as left: print(left.code, {'torch', 'transformers', 'onnxruntime'} & set(sys.modules))"
    )
    command = [
        sys.executable,
        "-c",
        code,
        "compress",
        clip,
        "--with",
        "vorbis",
        "--budget",
        "32kbps",
        "--out",
        tmp_path,
    ]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True, cwd="/")
    assert done.stdout.splitlines()[-1] == "0 set()"
