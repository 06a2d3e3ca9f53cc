"""Functions, entry points and commands that users bring: what works, and a status for all that does not."""

import hashlib
import os
import re
import shlex
import shutil
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import brought_ones
import numpy as np
import pytest
import soundfile
from brought_ones import CLIP, brought

from earmark.engine.compressors.waves.wave_method import Sent, WaveRecipe
from earmark.engine.compressors.waves.wave_pool import WaveJob, WavePool
from earmark.engine.errors import InputError


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WavePool]:
    """Processes that find the module `mine` in their working directory, as those of `earmark run` do."""
    folder = tmp_path_factory.mktemp("work")
    brought_ones.write_module(folder)
    entry = folder / "toy-1.5.dist-info"
    entry.mkdir()
    entry.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1.5\n")
    points = "[earmark.compressors]\ntoy = mine:halves\nlost = mine:gone\nopus = mine:halves\ntwice = mine:halves\n"
    entry.joinpath("entry_points.txt").write_text(points)
    entry = folder / "other-1.0.dist-info"
    entry.mkdir()
    entry.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    entry.joinpath("entry_points.txt").write_text("[earmark.compressors]\ntwice = mine:plain\n")
    with pytest.MonkeyPatch.context() as patch, WavePool(1) as processes:
        patch.chdir(folder)
        yield processes


def sent(pool: WavePool, recipe: WaveRecipe, budget: float = 0.5) -> Sent | str:
    (outcome,) = pool.map([WaveJob(recipe, CLIP, budget)])
    return outcome


@pytest.mark.parametrize(
    ("name", "factor", "bits"),
    [("halves", 0.5, 100), ("plain", 1, None), ("doubles", 0.5, None), ("maker", 1, None), ("prints", 1, None)],
)
def test_what_works(pool: WavePool, name: str, factor: float, bits: int | None) -> None:
    outcome = sent(pool, brought(name))
    assert isinstance(outcome, Sent), outcome
    assert outcome.bits == bits
    assert outcome.samples.dtype == np.float32
    np.testing.assert_array_equal(outcome.samples, CLIP * np.float32(factor))


@pytest.mark.parametrize(("name", "bits"), [("coded", 40), ("big_endian", None)])
def test_integers_are_scaled_and_bytes_counted(pool: WavePool, name: str, bits: int | None) -> None:
    outcome = sent(pool, brought(name))
    assert isinstance(outcome, Sent)
    assert outcome.bits == bits
    np.testing.assert_allclose(outcome.samples, CLIP, atol=2**-15)


@pytest.mark.parametrize(("kbps", "is_bits"), [(256, False), (17, False), (16, True), (8, True), (4, True), (3, False)])
def test_a_sample_rate_is_bits_where_about_as_many_were_planned(pool: WavePool, kbps: int, is_bits: bool) -> None:
    """16,000 bits for 2 s are 8 kb/s."""
    outcome = sent(pool, brought("with_rate", "bits"), kbps / 256)
    assert isinstance(outcome, Sent) == is_bits, outcome


def test_a_clip_beyond_full_scale_may_stay_so(pool: WavePool) -> None:
    (outcome,) = pool.map([WaveJob(brought("unscaled"), 1e3 * CLIP, 0.5)])
    assert outcome == "returned samples of up to 3.28e+06, where full scale is 1"
    (outcome,) = pool.map([WaveJob(brought("plain"), 1e6 * CLIP, 0.5)])
    assert isinstance(outcome, Sent)


@pytest.mark.parametrize("axis", ["bits", "bandwidth"])
def test_what_keeps_the_length_is_cut_and_padded(pool: WavePool, axis: str) -> None:
    for name, end in (("shorter", np.zeros(1000, np.float32)), ("longer", CLIP[-1000:])):
        outcome = sent(pool, brought(name, axis))
        assert isinstance(outcome, Sent)
        np.testing.assert_array_equal(outcome.samples, np.append(CLIP[:-1000], end))
    expected = "returned another rate or length (1.00 s for a clip of 2.00 s)"
    assert sent(pool, brought("halved_rate", axis)) == expected
    assert isinstance(sent(pool, brought("halved_rate", "duration")), Sent)


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("raises", "ValueError: no\\x1b[31m such"),
        ("leaves", "SystemExit: 3"),
        ("interrupts", "KeyboardInterrupt"),
        ("exits", "its process died (exit code 7)"),
        ("crashes", "its process died (signal 11)"),
        ("nothing", "returned nothing"),
        ("empty", "returned nothing"),
        ("text", "returned no real numbers (str)"),
        ("a_dict", "returned no real numbers (dict)"),
        ("flags", "returned no real numbers (bool)"),
        ("complexes", "returned no real numbers (complex128)"),
        ("ragged", "ValueError: setting an array element with a sequence."),
        ("stereo", "returned an array of 2 dimensions"),
        ("number", "returned an array of 0 dimensions"),
        ("wide", "returned whole numbers that are not of 16 bits (int64)"),
        ("silent", "returned silence"),
        ("not_a_number", "returned NaN or infinity"),
        ("infinite", "returned NaN or infinity"),
        ("overflows", "returned NaN or infinity"),
        ("huge", "returned 16,777.2 s, more than 240 s"),
        ("unscaled", "returned samples of up to 3.28e+03, where full scale is 1"),
        ("unscaled_below", "returned samples of up to 3.28e+03, where full scale is 1"),
        ("no_bits", "says that 0 bits were sent, and sound arrives: None says that nobody knows"),
        ("no_bytes", "says that 0 bits were sent, and sound arrives: None says that nobody knows"),
        ("with_rate", "returned 16000 as what was sent, a sample rate: return the bytes, or bits"),
        ("wordless", "Wordless"),
        ("odd_bits", "returned what was sent as neither a number of bits, bytes nor None"),
        ("negative_bits", "returned what was sent as neither a number of bits, bytes nor None"),
        ("true_bits", "returned what was sent as neither a number of bits, bytes nor None"),
    ],
)
def test_what_fails_is_a_status(pool: WavePool, name: str, status: str) -> None:
    outcome = sent(pool, brought(name))
    assert isinstance(outcome, str)
    assert outcome.startswith(status)
    assert isinstance(sent(pool, brought("halves")), Sent)  # and the next clip is compressed


@pytest.mark.parametrize("name", ["silent", "no_bits"])
def test_silence_may_stay_silence(pool: WavePool, name: str) -> None:
    (outcome,) = pool.map([WaveJob(brought(name), np.zeros(16_000, np.float32), 0.5)])
    assert isinstance(outcome, Sent)


def test_an_identity_is_of_the_file(pool: WavePool) -> None:
    digest = hashlib.sha256(brought_ones.MODULE.encode()).hexdigest()
    assert pool.identity(brought("halves")) == f"mine:halves, sha256 {digest}"
    borrowed = pool.identity(brought("borrowed"))
    assert borrowed.startswith(f"mine:borrowed, sha256 {digest} ")
    assert len(borrowed.split()[-1]) == 64  # of the file that it was defined in
    assert pool.identity(WaveRecipe("toy")) == f"toy toy 1.5, sha256 {digest}"


def test_an_entry_point_works(pool: WavePool) -> None:
    outcome = sent(pool, WaveRecipe("toy"))
    assert isinstance(outcome, Sent)
    assert outcome.bits == 100


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        (WaveRecipe("missing:f"), "compressor missing:f: there is no module missing; install it, or run in the folder"),
        (WaveRecipe("mine.sub:f"), "compressor mine.sub:f: there is no module mine.sub; "),
        (WaveRecipe("mine:gone"), "compressor mine:gone: names no function; name package.module:function"),
        (
            WaveRecipe("mine.py:ok"),
            "compressor mine.py:ok: there is no module mine.py; name a module, not its file: mine:ok",
        ),
        (WaveRecipe("energy"), 'compressor energy: is a selector of chunks; write selector = "energy" instead'),
        (WaveRecipe("twice"), "compressor twice: several packages bring it: 'other', 'toy'; name package.module:"),
        (WaveRecipe("mine:no_function"), "compressor mine:no_function: names no function; "),
        (WaveRecipe("nobody"), "compressor nobody: there is no such compressor; name a built-in one, "),
        (WaveRecipe("lost"), "compressor lost: cannot be imported (AttributeError: "),
        (WaveRecipe("chunks"), "compressor chunks: compresses no waves; "),
        (WaveRecipe("", "cp {in} x"), "command cp {in} x: does not name {out}; write {out} where the command takes"),
        (WaveRecipe("", "cp x {out}"), "command cp x {out}: does not name {in}; "),
        (WaveRecipe("", "nowhere {in} {out}"), "command nowhere {in} {out}: there is no program nowhere; "),
        (WaveRecipe("", "'cp {in} {out}"), "command 'cp {in} {out}: cannot be split into words (No closing quotation"),
    ],
)
def test_what_is_not_there_is_one_line(pool: WavePool, recipe: WaveRecipe, words: str) -> None:
    with pytest.raises(InputError) as refusal:
        pool.identity(recipe)
    assert str(refusal.value).startswith(words)
    assert "\n" not in str(refusal.value)


def test_the_entry_points_that_are_there_are_named(pool: WavePool) -> None:
    with pytest.raises(InputError, match=r"installed packages bring 'lost', 'toy', 'twice'\)"):
        pool.identity(WaveRecipe("nobody"))


def test_a_module_that_fails_when_it_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in (("torn", "import gone_too"), ("bad", "1 / 0"), ("gone", "import os; os._exit(1)")):
        tmp_path.joinpath(f"{name}.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    with WavePool(1) as pool:
        for name, words in (
            ("torn", r"cannot be imported \(ModuleNotFoundError: No module named 'gone_too'\)"),
            ("bad", r"cannot be imported \(ZeroDivisionError: division by zero\)"),
            ("gone", r"cannot be loaded \(its process died \(exit code 1\)\)"),
        ):
            with pytest.raises(InputError, match=words):
                pool.identity(WaveRecipe(f"{name}:f"))


# Commands -------------------------------------------------------------------------------------------------


def script(folder: Path, text: str) -> str:
    """A command that runs a Python script with {in} and {out}."""
    path = folder / "script with a space.py"
    path.write_text("import sys, os, time, soundfile\nread, write, *rest = sys.argv[1:]\n" + text)
    return shlex.join([sys.executable, str(path), "{in}", "{out}"])


def test_a_command_works(pool: WavePool, tmp_path: Path) -> None:
    command = script(
        tmp_path,
        "samples, rate = soundfile.read(read, dtype='int16')\n"
        "assert soundfile.info(read).subtype == 'PCM_16' and rate == 16_000 and rest[1:] == ['128', '2', '4']\n"
        "print('x' * 1_000_000); print('y' * 1_000_000, file=sys.stderr)\n"
        "open(rest[0], 'wb').write(bytes(1000))\n"
        "soundfile.write(write, samples // 2, rate)",
    )
    outcome = sent(pool, WaveRecipe("", command + " {sent}.bin {kbps} {factor} {khz}", axis="bits"))
    assert isinstance(outcome, Sent), outcome
    assert outcome.bits == 8000
    np.testing.assert_allclose(outcome.samples, CLIP / 2, atol=2**-14)
    assert not any(Path("/tmp").glob("earmark-*/tmp*/in.wav"))


def test_a_command_of_a_shell(pool: WavePool) -> None:
    outcome = sent(pool, WaveRecipe("", 'sh -c \'cp "$1" "$2"\' copy {in} {out}'))
    assert isinstance(outcome, Sent), outcome
    assert outcome.bits is None
    np.testing.assert_allclose(outcome.samples, CLIP, atol=2**-15)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (
            "print('why', file=sys.stderr); print('last \\x1b[1m', file=sys.stderr); sys.exit(4)",
            "left with exit code 4: last",
        ),
        ("sys.exit(5)", "left with exit code 5"),
        ("os.kill(os.getpid(), 9)", "died (signal 9)"),
        ("pass", "wrote no {out}"),
        ("open(write, 'w').write('nonsense')", "{out} is not WAV, FLAC, OGG or MP3"),
        ("open(write, 'w')", "{out} is empty"),
        ("os.mkdir(write)", "{out} is not a file"),
        ("soundfile.write(write, [.1] * 8000, 8000)", "returned another rate (8000 Hz)"),
        (
            "soundfile.write(write, [.1] * 16000, 16000)",
            "returned another rate or length (1.00 s for a clip of 2.00 s)",
        ),
        ("soundfile.write(write, [0.] * 32000, 16000)", "returned silence"),
    ],
)
def test_what_a_command_fails_by_is_a_status(pool: WavePool, tmp_path: Path, text: str, status: str) -> None:
    outcome = sent(pool, WaveRecipe("", script(tmp_path, text), axis="bits"))
    assert isinstance(outcome, str)
    assert outcome.startswith(status)


def test_a_command_that_sends_nothing(pool: WavePool) -> None:
    assert sent(pool, WaveRecipe("", 'sh -c \'cp "$1" "$2"\' copy {in} {out} {sent}')) == "wrote no {sent}"


def test_the_identity_of_a_command_is_of_its_files(pool: WavePool, tmp_path: Path) -> None:
    command = script(tmp_path, "1")
    before = pool.identity(WaveRecipe("", command))
    assert before.startswith(f"command {command}, sha256 ")
    assert len(before.split(", sha256 ")[1].split()) == 2
    script(tmp_path, "2")
    with WavePool(1) as other:
        assert other.identity(WaveRecipe("", command)) != before


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("{python} {in} {out} --weights={folder}/a.bin", "a.bin"),
        ('sh -c \'{folder}/tool.sh <{folder}/a.bin "$1" | cat; cp "$1" "$2"\' name {in} {out}', "tool.sh a.bin"),
        ('sh -ec \'A={folder}/a.bin cp "$1" "$2" # it\' name {in} {out}', "a.bin"),
        ('sh -c \'cp "$1" "$2" 2>>{folder}/log >{folder}/a.bin\' name {in} {out}', ""),
    ],
)
def test_the_files_in_options_and_for_a_shell_are_part_of_it(
    pool: WavePool, tmp_path: Path, command: str, names: str
) -> None:
    for name in ("a.bin", "tool.sh", "log"):
        (tmp_path / name).write_text(f"#!/bin/sh\n# {name}\ncat\n")
        (tmp_path / name).chmod(0o755)
    recipe = WaveRecipe("", command.replace("{python}", sys.executable).replace("{folder}", str(tmp_path)))
    hashes = pool.identity(recipe).rpartition("sha256 ")[2].split()
    for name in ("a.bin", "tool.sh", "log"):
        assert (hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() in hashes) == (name in names.split())


def test_the_programs_that_a_shell_is_given_are_part_of_it(pool: WavePool) -> None:
    hashes = pool.identity(WaveRecipe("", 'sh -c \'cp "$1" "$2"\' copy {in} {out}')).rpartition("sha256 ")[2].split()
    for program in ("sh", "cp"):
        assert hashlib.sha256(Path(str(shutil.which(program))).read_bytes()).hexdigest() in hashes


def test_a_command_whose_file_is_edited_makes_no_more_waves(pool: WavePool, tmp_path: Path) -> None:
    text = "x, r = soundfile.read(read); soundfile.write(write, x * {}, r)"
    recipe = WaveRecipe("", script(tmp_path, text.format(0.50)))
    assert isinstance(sent(pool, recipe), Sent)
    script(tmp_path, text.format(0.50))  # written anew, and the same
    assert isinstance(sent(pool, recipe), Sent)
    script(tmp_path, text.format(0.25))
    assert sent(pool, recipe) == "was changed during the run"
    script(tmp_path, text.format(0.50))
    assert isinstance(sent(pool, recipe), Sent)
    tmp_path.joinpath("script with a space.py").unlink()
    assert sent(pool, recipe) == "was changed during the run"


def test_a_wave_of_another_format_is_heard(pool: WavePool, tmp_path: Path) -> None:
    command = script(tmp_path, "x, r = soundfile.read(read); soundfile.write(write, x, r, format='FLAC')")
    assert isinstance(sent(pool, WaveRecipe("", command)), Sent)
    assert soundfile.__libsndfile_version__


# The page -------------------------------------------------------------------------------------------------

PAGE = Path(__file__).parents[3] / "docs" / "compressors.md"


def test_the_function_on_the_page_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    brought_ones.write_module(tmp_path, code)
    entry = tmp_path / "mine-1.0.dist-info"
    entry.mkdir()
    entry.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (table,) = [table for table in tables() if "project" in table]
    points = table["project"]["entry-points"]["earmark.compressors"]
    lines = [f"{name} = {place}" for name, place in points.items()]
    entry.joinpath("entry_points.txt").write_text("\n".join(["[earmark.compressors]", *lines]))
    monkeypatch.chdir(tmp_path)
    (method,) = [method for method in methods() if method.get("compressor") == "mine:mu_law"]
    with WavePool(1) as pool:
        before = 8 * CLIP.nbytes // 2
        for kbps in method["bitrates"]:
            by_name = sent(pool, WaveRecipe(method["compressor"], axis=method["axis"]), kbps / 256)
            by_point = sent(pool, WaveRecipe(*points, axis=method["axis"]), kbps / 256)
            assert isinstance(by_name, Sent)
            assert isinstance(by_point, Sent)
            assert by_name.bits is not None
            assert by_name.bits == by_point.bits < before
            np.testing.assert_allclose(by_name.samples, CLIP, atol=0.05)
            before = by_name.bits


def test_the_commands_on_the_page_are_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With programs in place of sox and ffmpeg, which may not be installed."""
    copy = f"#!{sys.executable}\nimport shutil, sys\n"
    for name, text in (
        ("sox", "source, *_, target = sys.argv[1:]\n"),
        ("ffmpeg", "source, target = sys.argv[2], sys.argv[-1]\n"),
    ):
        program = tmp_path / name
        program.write_text(f"{copy}{text}shutil.copy(source, target)\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with WavePool(1) as pool:
        for method in methods():
            if "command" in method:
                recipe = WaveRecipe("", method["command"], method.get("timeout_s", 60.0), method["axis"])
                outcome = sent(pool, recipe)
                assert isinstance(outcome, Sent), outcome
                assert outcome.bits == (8 * (CLIP.nbytes // 2 + 44) if "{sent}" in recipe.command else None)


def tables() -> list[dict[str, Any]]:
    return [tomllib.loads(text) for text in re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)]


def methods() -> list[dict[str, Any]]:
    return [method for table in tables() for method in table.get("methods", ())]
