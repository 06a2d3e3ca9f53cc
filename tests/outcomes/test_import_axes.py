"""What the budgets of imported logs are shares of: said with the import, kept in import.json, and shown by whoever
reads the certificate.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import log_fixtures as logs
import pytest
from commands import command
from importing import imported, refused

import earmark
from earmark.engine.outcomes.imports import doubts

Rows = list[dict[str, Any]]


def scored() -> Rows:
    """A table of two families, of which every tenth answer is wrong."""
    return [
        {
            "sample_id": f"q{i:04d}",
            "source_id": f"r{i:04d}",
            "query_family": "ab"[i % 2],
            "loss": int(i % 10 == 0),
        }
        for i in range(1200)
    ]


def tables(folder: Path) -> tuple[Any, ...]:
    """The beginning of a command for logs of raw audio, of Opus and of a selector, of which nothing is harmed."""
    names = ("raw", "opus", "energy")
    raw, opus, energy = (logs.write_csv(folder / f"{name}.csv", scored()) for name in names)
    arms = (f"opus@0.125={opus}", f"energy@0.4={energy}")
    return "csv", raw, *arms, "--out", folder / "run", "--corpus", "c", "--answerer", "a"


def kept(run: Path) -> dict[str, Any]:
    """The content of import.json."""
    content: dict[str, Any] = json.loads((run / "import.json").read_bytes())
    return content


def test_an_axis_that_was_said_is_in_certificate_report_terminal_and_card(tmp_path: Path) -> None:
    imported(*tables(tmp_path), "--axis", "opus=bits")
    run = tmp_path / "run"
    assert kept(run)["axes"] == {"opus": "bits"}
    done = command("certify", run, "--candidate", "opus", "--replicates", 200)
    assert done.code == 0, done.out + done.err
    results = json.loads((run / "certificate.json").read_bytes())["results"]
    assert {result["method"]: result["axis"] for result in results} == {"opus": "bits", "energy": None}
    assert {result["compressor"] for result in results} == {None}
    assert "32 kb/s" in done.out
    page = (run / "report.html").read_text()
    assert "12.5% of the bits (32 kb/s)" in page
    assert "12.5% of the audio" not in page
    assert "of the bits" in command("card", run).out


def test_an_axis_that_nobody_said_is_not_in_the_record(tmp_path: Path) -> None:
    imported(*tables(tmp_path))
    assert "axes" not in kept(tmp_path / "run")
    record = doubts.read(tmp_path / "run")
    assert record is not None
    assert record.axes == {}


def test_later_imports_add_axes_and_the_order_makes_no_difference(tmp_path: Path) -> None:
    kind, raw, opus, energy, *rest = tables(tmp_path)
    commands = [(kind, raw, opus, *rest, "--axis", "opus=bits"), (kind, raw, energy, *rest, "--axis", "energy=seconds")]
    contents = []
    for order in (commands, commands[::-1]):
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        for arguments in order:
            imported(*arguments)
        imported(kind, raw, opus, *rest)  # the same again, without saying it
        contents.append((tmp_path / "run" / "import.json").read_bytes())
    assert contents[0] == contents[1]
    assert kept(tmp_path / "run")["axes"] == {"energy": "seconds", "opus": "bits"}


def test_an_axis_may_be_said_afterwards_and_not_changed(tmp_path: Path) -> None:
    arguments = tables(tmp_path)
    imported(*arguments)
    imported(*arguments, "--axis", "opus=bits")
    before = (tmp_path / "run" / "import.json").read_bytes()
    line = refused(*arguments, "--axis", "opus=duration")
    assert line == (
        "--axis opus=duration: the budgets of 'opus' are shares of bits in this run folder; name that axis, or import "
        "into another run folder"
    )
    assert (tmp_path / "run" / "import.json").read_bytes() == before
    shutil.rmtree(tmp_path / "run" / "cells" / "answerer=a" / "corpus=c" / "method=opus")
    imported(*arguments, "--axis", "opus=duration")
    assert kept(tmp_path / "run")["axes"] == {"opus": "duration"}


@pytest.mark.parametrize(
    ("axes", "words"),
    [
        (["opus"], "--axis opus: is not METHOD=AXIS; write for instance --axis opus=bits"),
        (["=bits"], "--axis =bits: is not METHOD=AXIS"),
        (["opus=bit"], "--axis opus=bit: 'bit' is no axis; did you mean bits?"),
        (["opux=bits"], "--axis opux=bits: no log is of the method 'opux'; did you mean opus?"),
        (["uncompressed=bits"], "no log is of the method 'uncompressed'; choose from energy, opus"),
        (["opus=bits", "opus=own"], "--axis opus=own: 'opus' was given bits before; keep one of them"),
    ],
)
def test_an_axis_that_cannot_be_is_refused_before_anything_is_written(
    axes: Sequence[str], words: str, tmp_path: Path
) -> None:
    options = [part for axis in axes for part in ("--axis", axis)]
    assert words in refused(*tables(tmp_path), *options)
    assert not (tmp_path / "run").exists()


def test_in_python_axes_are_a_dict(tmp_path: Path) -> None:
    _, raw, opus, *_ = tables(tmp_path)
    log = {"opus@0.125": opus.partition("=")[2]}
    names = {"corpus": "c", "answerer": "a"}
    earmark.import_logs("csv", raw, log, tmp_path / "run", axes={"opus": "bits"}, **names)
    assert kept(tmp_path / "run")["axes"] == {"opus": "bits"}
    assert {result.axis for result in earmark.certify(tmp_path / "run", replicates=200).results} == {"bits"}
    for odd in ("opus=bits", {"opus": 3}, ["bits"]):
        with pytest.raises(earmark.InputError, match=r"axes .*: must be a dict such as"):
            earmark.import_logs("csv", raw, log, tmp_path / "run", axes=odd, **names)  # type: ignore[arg-type]
