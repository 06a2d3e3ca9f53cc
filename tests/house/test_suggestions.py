"""A name that is mistyped, wherever one is typed, is answered with the name that was meant."""

import importlib
from pathlib import Path

import pytest
import worlds
from command_line import assert_refused, earmark
from commands import command

from earmark.cli.main import COMMANDS
from earmark.engine.design import spec as specs
from earmark.engine.errors import InputError, choose, instead

SPEC = """\
[corpus]
path = "synthetic:certification:2"
[[answerers]]
model = "tiny"
[[methods]]
name = "opus"
[[methods]]
name = "mine"
compressor = "a:b"
[rule]
candidates = ["mine"]
"""


def test_the_name_that_was_meant_whatever_its_capitals() -> None:
    assert instead("Opsu", ["opus", "gsm"], "-") == "did you mean opus?"
    assert instead("OPUS", ["opus", "gsm"], "-") == "did you mean opus?"
    assert instead("flac", ["opus", "gsm"], "-") == "-"
    assert choose("zzz", ["opus", "gsm"]) == "choose from opus, gsm"
    assert choose("zzz", range(100, 140)).endswith("118, 119 and 20 more")
    assert choose("zzz", []) == "there is none to choose from"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_with_two_letters_swapped(name: str) -> None:
    done = command(name[1] + name[0] + name[2:])
    assert (done.code, done.out) == (2, "")
    assert f": did you mean {name}?; see `earmark --help`" in done.err


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["certify", "x", "--tolerence", "1"], "'--tolerance'"),
        (["certify", "x", "--rule", "certfied"], "'certified'"),
        (["selector", "trian"], "Did you mean 'train'?"),
    ],
)
def test_an_option_a_word_of_an_option_and_a_command_of_a_group(arguments: list[str], meant: str) -> None:
    done = command(*arguments)
    assert done.code == 2
    assert meant in done.err


@pytest.mark.parametrize(
    ("right", "typed", "meant"),
    [
        ('path = "synthetic', 'pth = "synthetic', "path"),
        ("[rule]", "[rul]", "rule"),
        ('model = "tiny"', 'model = "tiny"\ndtype = "flaot32"', '"float32"'),
        ('[[methods]]\nname = "opus"', '[sweep]\nbudgets = "mian"\n[[methods]]\nname = "opus"', '"main"'),
        ('name = "opus"', 'name = "opsu"', "opus"),
        ('candidates = ["mine"]', 'candidates = ["mien"]', "mine"),
        ('candidates = ["mine"]', 'reference_answerer = "tinny"', "tiny"),
    ],
)
def test_a_section_a_key_and_a_value_of_a_spec(right: str, typed: str, meant: str) -> None:
    specs.parse(SPEC)
    with pytest.raises(InputError) as refused:
        specs.parse(SPEC.replace(right, typed))
    assert str(refused.value).endswith(f"; did you mean {meant}?")


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["corpus", "synthetic:certificaton:2"], "certification"),
        (["corpus", "sinthetic:certification:2"], "synthetic:certification:2"),
        (["corpus", "exampels"], "examples"),
        (["corpus", "examples", "--kind", "clotho"], "clotho-aqa"),
        (["corpus", "synthetic:certification:2", "--by", "familly"], "family"),
        (["init", "synthetic:certification:2", "--compressors", "opsu"], "opus"),
        (["init", "synthetic:certification:2", "--answerer", "tinny"], "tiny"),
        (["score", "a.wav", "--selector", "enrgy"], "energy"),
        (["compress", "a.wav", "--with", "sped", "--budget", "0.5", "--out", "heard"], "speed"),
    ],
)
def test_a_corpus_an_answerer_a_selector_a_label_and_a_compressor(
    arguments: list[str], meant: str, tmp_path: Path
) -> None:
    (tmp_path / "examples").mkdir()
    (tmp_path / "a.wav").write_bytes(b"")
    done = earmark(*arguments, cwd=tmp_path)
    assert_refused(done, f"; did you mean {meant}?")
    assert not (tmp_path / "spec.toml").exists()


@pytest.mark.parametrize(
    ("options", "meant"),
    [
        (["--partition", "query-family"], "query_family"),
        (["--candidate", "enrgy"], "energy"),
        (["--source", "sorce_id"], "source_id"),
        (["--allow-vacuous", "speach"], "speech"),
    ],
)
def test_a_partition_a_candidate_a_column_and_a_family_of_a_run(options: list[str], meant: str, tmp_path: Path) -> None:
    families = ["speech", "music"] * 50
    run = worlds.write_run(tmp_path, [0.0] * 100, {"energy": {0.5: [0.0] * 100}}, families)
    done = command("certify", run, "--rule", "paper", "--replicates", 200, *options)
    assert done.code == 2
    assert done.err.endswith(f"; did you mean {meant}?\n")


def test_the_keyword_of_a_function() -> None:
    with pytest.raises(InputError, match=r"did you mean tolerance=\?"):
        importlib.import_module("earmark").compare(raw_loss=[0.0], compressed_loss=[0.0], tolerence=0.05)
