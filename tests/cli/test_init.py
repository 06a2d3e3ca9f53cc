"""`earmark init --compressors`: a spec with compressors of waves to choose from, which parses and runs."""

import json
import re
import tomllib
from pathlib import Path

import pytest
from checked_spec import read
from click.testing import CliRunner, Result

from earmark.cli.main import earmark
from earmark.engine.design.compressors import BUILT_IN
from earmark.engine.errors import InputError
from earmark.engine.sweep import drafted_compressors

CHUNK_METHODS = ["uniform", "random", "energy"]


def init(out: Path, *options: str) -> Result:
    return CliRunner().invoke(
        earmark, ["init", "synthetic:certification:4", "--no-measure", "--out", str(out), *options]
    )


def test_all_of_them_are_drafted_with_budgets_and_candidates(tmp_path: Path) -> None:
    done = init(tmp_path / "spec.toml", "--compressors", "all")
    assert done.exit_code == 0, done.output
    spec = read(tmp_path / "spec.toml")
    waves = [method for method in spec.methods if method.name not in CHUNK_METHODS]
    assert [method.name for method in spec.methods[:3]] == CHUNK_METHODS
    assert {method.compressor for method in waves} == {*BUILT_IN, "av:libopus", "av:libopencore_amrnb"} - {"chunks"}
    assert spec.rule.candidates == tuple(method.name for method in waves)
    assert all(len(method.budgets) > 1 or method.name == "gsm" for method in waves)
    text = (tmp_path / "spec.toml").read_text()
    assert "[rule]                  # choose from 9 candidates: each has alpha / 9\n" in text
    assert "bitrates = [32, 16, 12, 8] # kb/s, instead of budgets: shares of 256\n" in text
    assert text.count("shares of 256") == 1, "a key is explained once"
    assert "too few recordings:          count (4 of 116)" in text, "nine candidates need larger families"


def test_all_are_those_that_can_run_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafted_compressors, "find_spec", lambda _: None)
    assert init(tmp_path / "spec.toml", "--compressors", "all").exit_code == 0
    assert not [method.name for method in read(tmp_path / "spec.toml").methods if method.compressor.startswith("av:")]
    lacking = init(tmp_path / "other.toml", "--compressors", "opus,av:libopus")
    assert str(lacking.exception) == (
        "--compressors av:libopus: needs av, which is not installed; pip install 'earmark[codecs]'"
    )


@pytest.mark.parametrize("options", [(), ("--compressors", "none")])
def test_without_them_a_codec_and_your_own_are_examples(options: tuple[str, ...], tmp_path: Path) -> None:
    assert init(tmp_path / "spec.toml", *options).exit_code == 0
    spec = read(tmp_path / "spec.toml")
    assert [method.name for method in spec.methods] == CHUNK_METHODS
    assert spec.rule.candidates == ("energy",)
    examples = re.findall(r"^# \[\[methods\]\].*\n(?:# .*\n)+", (tmp_path / "spec.toml").read_text(), re.M)
    uncommented = tomllib.loads("".join(re.sub("^# ", "", example, flags=re.M) for example in examples))
    assert [method["name"] for method in uncommented["methods"]] == ["opus", "mine", "learned_conditioned"]
    assert uncommented["methods"][0]["bitrates"] == [32, 16, 12, 8]
    assert "# bitrates = [32, 16, 12, 8] # kb/s, instead of budgets" in examples[0]


@pytest.mark.parametrize("names", ["opuss", "", "opus,", "chunks", "av:", "mine:f"])
def test_what_is_none_of_them_is_refused(names: str, tmp_path: Path) -> None:
    done = init(tmp_path / "spec.toml", "--compressors", names)
    assert isinstance(done.exception, InputError)
    expected = (
        f"--compressors '{names.rpartition(',')[2]}': is no compressor that can be drafted; choose from all, none,"
    )
    assert expected in str(done.exception)
    assert not (tmp_path / "spec.toml").exists()


def test_what_was_drafted_runs(tmp_path: Path) -> None:
    spec, out = tmp_path / "spec.toml", tmp_path / "run"
    assert init(spec, "--compressors", "opus, speed,av:g723_1").exit_code == 0
    spec.write_text(spec.read_text().replace("bitrates = [64, 32, 16, 8]", "bitrates = [6.3]"))
    done = CliRunner().invoke(earmark, ["run", str(spec), "--out", str(out), "--json"])
    assert done.exit_code == 3, done.output
    certificate = json.loads(done.output)
    assert [candidate["name"] for candidate in certificate["claim"]["candidates"]] == ["opus", "speed", "av-g723_1"]
    assert CliRunner().invoke(earmark, ["verify", str(out / "certificate.json")]).exit_code == 0
