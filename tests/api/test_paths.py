"""Every function of the front door takes a place as a str, a Path and whatever else is a path."""

import inspect
import os
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import layouts
import log_fixtures as logs
import pytest
import worlds

import earmark
from earmark.engine.compressors.loading import EMBEDDED

N = 80


class Elsewhere(os.PathLike[str]):
    """Something that has a path and is none."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __fspath__(self) -> str:
        return str(self._path)


def certify(at: Callable[[Path], Any], folder: Path) -> None:
    run = worlds.write_run(folder / "run", [0.0] * N, {"energy": {0.5: [0.0] * N}}, ["a"] * N)
    before = earmark.certify(at(run)).save(at(folder / "signed"))
    assert earmark.Certificate.read(at(before.parent)).approved
    assert earmark.verify(at(before), at(run)) is None
    assert earmark.verify(at(before.parent)) is None
    assert earmark.diff(at(before), at(before.parent)).verdict == "same"
    assert earmark.plan(at(run))[0]["n"] == N
    with pytest.raises(earmark.EarmarkError, match="certify new rows alone"):  # rows that were judged
        earmark.certify(at(run), follows=at(before))


def compare(at: Callable[[Path], Any], folder: Path) -> None:
    before = earmark.compare(raw_loss=[0.0] * N, compressed_loss=[0.0] * N).save(at(folder / "compared"))
    with pytest.raises(earmark.EarmarkError, match="certify new rows alone"):
        earmark.compare(raw_loss=[0.0] * N, compressed_loss=[0.0] * N, follows=at(before))


def import_logs(at: Callable[[Path], Any], folder: Path) -> None:
    for name, answers in (("raw", logs.RAW), ("energy40", logs.COMPRESSED)):
        logs.write_csv(folder / f"{name}.csv", logs.table(answers))
    compressed = {"energy@0.4": at(folder / "energy40.csv")}
    earmark.import_logs("csv", at(folder / "raw.csv"), compressed, at(folder / "imported"), answerer="a", corpus="c")
    assert (folder / "imported" / "cells").is_dir()


def run(at: Callable[[Path], Any], folder: Path) -> None:
    spec = folder / "spec.toml"
    spec.write_text(
        '[corpus]\npath = "synthetic:certification:1"\n[[answerers]]\nmodel = "tiny"\n[[methods]]\nname = "energy"\n'
        "[sweep]\nbudgets = [0.5]\n[audits]\nflip_rate = 0\n"
    )
    assert not earmark.run(at(spec), at(folder / "swept")).approved
    assert (folder / "swept" / "certificate.json").is_file()


def score(at: Callable[[Path], Any], folder: Path) -> None:
    clip = layouts.write(folder / "clip.wav", layouts.encoded(440, "WAV", 3.0))
    assert len(earmark.score(at(clip), "energy")[0]["scores"]) == 3
    assert len(earmark.score([at(clip)], at(EMBEDDED["tiny-agnostic"]))[0]["scores"]) == 3


CALLS = (certify, compare, import_logs, run, score)


@pytest.mark.parametrize("at", [str, Path, Elsewhere])
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
def test_a_place_may_be_given_in_any_way(call: Callable[..., None], at: Callable[[Path], Any], tmp_path: Path) -> None:
    call(at, tmp_path)


def test_no_function_that_takes_a_place_is_forgotten() -> None:
    functions = {name for name in earmark.__all__ if inspect.isfunction(getattr(earmark, name))}
    taking = {
        name
        for name in functions
        if any("Place" in str(hint) or "PathLike" in str(hint) for hint in hints(getattr(earmark, name)))
    }
    assert taking == {"certify", "compare", "diff", "import_logs", "plan", "run", "score", "verify"}


def hints(function: Callable[..., Any]) -> list[Any]:
    return list(typing.get_type_hints(inspect.unwrap(function)).values())
