"""`earmark diff` and `earmark card` from outside: exit codes, 80 columns, Markdown, and the workflow of docs/ci.md."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import command
from releases import FAMILIES, certified, release

import earmark
from earmark.engine.report.card_section import BEGIN, END

ROOT = Path(__file__).parents[2]
LONG = "a family whose name is as long as names of families sometimes are, and longer"


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return release(tmp_path_factory.mktemp("old") / "run", {"codec": {0.5: {}}, "other": {0.5: {}}})


@pytest.fixture(scope="module")
def worse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    harm = {"codec": {0.5: {"count": 0.3}}, "other": {0.5: {}}}
    return release(tmp_path_factory.mktemp("worse") / "run", harm, luck=1)


# earmark diff ---------------------------------------------------------------------------------------------------


def test_exit_codes_tell_the_verdict(old: Path, worse: Path, tmp_path: Path) -> None:
    fewer = release(tmp_path / "run", {"codec": {0.5: {}}})
    codes = {
        "same": command("diff", old, old / "certificate.json"),
        "better": command("diff", worse, old),
        "worse": command("diff", old, worse),
        "not comparable": command("diff", old, fewer),
    }
    assert {word: done.code for word, done in codes.items()} == {
        "same": 0, "better": 0, "worse": 3, "not comparable": 4,
    }  # fmt: skip
    for word, done in codes.items():
        assert done.out.startswith(f"{word}: ")
        assert done.err == ""


def test_what_is_no_certificate_is_refused_in_a_line(old: Path, tmp_path: Path) -> None:
    (tmp_path / "certificate.json").write_text("{}")
    for arguments in ((old, tmp_path), (tmp_path / "gone", old), (tmp_path, old)):
        done = command("diff", *arguments)
        assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert command("diff", old, old, "--json", "--markdown").code == 2


def test_a_certificate_may_be_named_by_a_link(old: Path, worse: Path, tmp_path: Path) -> None:
    (tmp_path / "last.json").symlink_to(old / "certificate.json")
    (tmp_path / "latest").symlink_to(worse)
    done = command("diff", tmp_path / "last.json", tmp_path / "latest", "--json")
    assert json.loads(done.out)["way"] == "questions"


def test_lines_fit_80_columns_whatever_the_names(tmp_path: Path) -> None:
    names = (LONG + " 1", LONG + " 2")
    methods = {"learned_conditioned_by_the_question": {0.5: {}}, "b": {0.125: {}}}
    lost = {"learned_conditioned_by_the_question": {0.5: {names[0]: 0.3}}, "b": {0.125: {names[1]: 0.3}}}
    before = release(tmp_path / "old", methods, families=names)
    now = release(tmp_path / "new", lost, families=names, luck=1)
    done = command("diff", before, now)
    assert done.code == 3
    assert max(map(len, done.out.splitlines())) <= 80
    assert "worse" in done.out
    assert "undecided" not in done.out.split("what may be shipped")[0]


def test_names_of_others_are_no_markup_and_no_escapes(tmp_path: Path) -> None:
    names = ("a|b", "*x* <img src=x> [y](http://z) `q`\x1b[31m")
    harm = {"codec": {0.5: dict.fromkeys(names, 0.4)}}
    before = release(tmp_path / "old", {"codec": {0.5: {}}}, families=names)
    done = command("diff", before, release(tmp_path / "new", harm, families=names, luck=1), "--markdown")
    assert "\x1b" not in done.out
    assert "| a\\|b |" in done.out
    assert "\\*x\\* \\<img src=x\\> \\[y\\](http:\\//z) \\`q\\`" in done.out
    table = [line for line in done.out.splitlines() if line.startswith("|") and "a\\|b" in line]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {12}


def test_json_is_what_python_gets(old: Path, worse: Path) -> None:
    printed = json.loads(command("diff", old, worse, "--json").out)
    change = earmark.diff(old, str(worse))
    assert printed["schema"] == change.schema == "earmark.diff/1"
    assert printed["verdict"] == change.verdict == "worse"
    assert printed["families"] == [family._asdict() for family in change.families]
    assert printed["decisions"] == [decision._asdict() for decision in change.decisions]


def test_markdown_has_verdict_tables_and_sentences(old: Path, worse: Path) -> None:
    lines = command("diff", old, worse, "--markdown").out.splitlines()
    assert lines[0] == "## Earmark: worse"
    assert lines[2] == "codec is refused, approved at 0.5 before; the answers of 'count' are worse."
    assert "| codec | all | 0.05 | 0.5 | none | worse |" in lines
    assert any(line.startswith("| codec | 0 | query\\_family | count | 0.5 | 0.00 | +") for line in lines)
    assert lines[-1] == "- **Note:** Who answered is known by name only: 'tiny'."


def test_what_only_a_wider_tolerance_approves_is_no_unchanged_approval(tmp_path: Path) -> None:
    run = release(tmp_path / "run", {"codec": {0.5: {"count": 0.12}}})
    wider = command("diff", run, certified(run, tmp_path / "wider", tolerances=(0.3,)))
    assert wider.code == 0
    assert wider.out.startswith("same: no answer changed, and by the stricter rule no approval\n")
    assert "each by its own rule approves before none, now 0.5" in wider.out
    assert command("diff", run, run).out.startswith("same: no answer and no approval changed\n")


# earmark card ---------------------------------------------------------------------------------------------------


def test_the_section_says_decision_evidence_and_how_to_verify(old: Path) -> None:
    done = command("card", old)
    assert done.code == 0
    for words in (
        "**Approved: codec at 50% of the audio, and other at 50% of the audio, every kind of question within 5 points",
        "| Decision | approved |",
        "| Kept | 50% of the audio |",
        "| Worst family | 'count' (",
        "right on raw audio, chance unknown): 0.00 points of error, at most ",
        "| Tolerance | 5 points in every family |",
        "| Questions | 600 about 600 recordings of sounds, in 3 families |",
        "| Answerer | tiny (outcomes were imported: known by name only) |",
        "at most 2.5% (alpha), over all 2 candidates together.",
        "- Caveat: Nothing was declared beforehand",
        "`earmark verify certificate.json`, whose SHA-256 is `",
    ):
        assert words in done.out
    assert done.out == command("card", old / "certificate.json").out
    assert str(old) not in done.out


def test_a_refusal_reads_as_one(worse: Path, tmp_path: Path) -> None:
    only = certified(worse, tmp_path / "only", candidates=["codec"])
    done = command("card", only)
    assert done.code == 0
    assert "**Nothing is approved.**" in done.out
    assert "| Decision | refused: at 50%, the excess of 'count' that was seen is " in done.out
    assert " points, above 5 points (query\\_family) |" in done.out
    assert "| Kept |" not in done.out
    some = command("card", worse).out
    assert "**Approved: other at 50% of the audio," in some
    assert "- Refused: codec: at 50%, " in some


def test_a_card_by_the_papers_rule_approves_nothing(old: Path, tmp_path: Path) -> None:
    card = command("card", certified(old, tmp_path, name="paper")).out
    assert "**Passed without a guarantee: " in card
    assert "| Decision | passed, without a guarantee |" in card
    assert "approved |" not in card


def test_an_approval_of_no_candidate_is_refused(old: Path, tmp_path: Path) -> None:
    content = json.loads((old / "certificate.json").read_text())
    content["claim"]["approved"][0]["candidate"] = "x"
    (tmp_path / "certificate.json").write_text(json.dumps(content))
    done = command("card", tmp_path)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "approves 'x', which is not the name of one candidate" in done.err


def test_a_preview_reads_as_one(tmp_path: Path) -> None:
    run = release(tmp_path / "run", {"codec": {0.5: {}}})
    (run / "preview.json").write_text('{"examples": 600, "of": 6000}')
    done = command("card", certified(run, run))
    assert "**Nothing is approved.**" in done.out
    assert "| Decision | refused: A preview (600 of 6,000 examples) approves nothing." in done.out


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_card_keeps_everything_around_its_section(old: Path, worse: Path, tmp_path: Path, newline: str) -> None:
    card = tmp_path / "README.md"
    before = newline.join(("---", "license: mit", "---", "# A model", "", "Words \u00e9.", "")).encode()
    card.write_bytes(before)
    assert command("card", old, "--out", card).code == 0
    first = card.read_bytes()
    assert first.startswith(before)
    card.write_bytes(first + f"{newline}## After{newline}".encode())
    assert command("card", worse, "--out", card).code == 0
    second = card.read_bytes()
    assert second.startswith(before)
    assert second.endswith(f"{END}{newline}{newline}## After{newline}".encode())
    assert second.count(BEGIN.encode()) == second.count(END.encode()) == 1
    assert (b"\r" in second) == (newline == "\r\n")
    assert second.count(b"\n") == second.count(newline.encode())
    assert command("card", old, "--out", card).code == 0
    assert card.read_bytes() == first + f"{newline}## After{newline}".encode()


def test_a_new_card_is_the_section(old: Path, tmp_path: Path) -> None:
    assert command("card", old, "--out", tmp_path / "card.md").code == 0
    assert (tmp_path / "card.md").read_text() == command("card", old).out


@pytest.mark.parametrize(
    "card",
    [f"a {BEGIN} b", f"a {END} b", f"{END} {BEGIN}", f"{BEGIN} {BEGIN} {END}", f"{BEGIN}{END}{BEGIN}{END}", b"\xff"],
)
def test_a_card_whose_markers_are_no_pair_is_refused_and_left(old: Path, tmp_path: Path, card: str | bytes) -> None:
    file = tmp_path / "README.md"
    file.write_bytes(card if isinstance(card, bytes) else card.encode())
    before = file.read_bytes()
    done = command("card", old, "--out", file)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert file.read_bytes() == before


def test_a_name_cannot_close_the_section(tmp_path: Path) -> None:
    run = release(tmp_path / "run", {"codec": {0.5: {}}}, families=("a", f"b {END}"))
    for _ in range(2):
        assert command("card", run, "--out", tmp_path / "card.md").code == 0
    assert (tmp_path / "card.md").read_text().count(END) == 1


# docs/ci.md -----------------------------------------------------------------------------------------------------


def workflow() -> dict[str, Any]:
    (code,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "ci.md").read_text(), re.DOTALL)
    parsed: dict[str, Any] = yaml.safe_load(code)
    return parsed


def logs(folder: Path, lost: int) -> None:
    """The logs of a release that loses so many answers about music."""
    folder.mkdir()
    for name, losses in (("raw", 0), ("codec", lost)):
        rows = [f"q{i},{FAMILIES[i % 3]},{int(FAMILIES[i % 3] == 'music' and i // 3 < losses)}" for i in range(600)]
        (folder / f"{name}.csv").write_text("\n".join(["sample_id,query_family,loss", *rows]) + "\n")


def steps(folder: Path) -> list[int]:
    """How the steps of the workflow end that type `earmark`, as a runner runs them: till one fails."""
    bin_folder = folder / "bin"
    bin_folder.mkdir(exist_ok=True)
    script = bin_folder / "earmark"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m earmark.cli.main "$@"\n')
    script.chmod(0o755)
    env = {
        **os.environ,
        "PATH": f"{bin_folder}:{os.environ['PATH']}",
        "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
    }
    codes = []
    for step in workflow()["jobs"]["gate"]["steps"]:
        if step.get("run", "").startswith("earmark "):
            done = subprocess.run(
                ["bash", "-e", "-c", step["run"]], cwd=folder, env=env, capture_output=True, check=False
            )
            codes.append(done.returncode)
            if done.returncode:
                break
    return codes


def test_the_workflow_passes_a_release_that_is_no_worse_and_stops_one_that_is(tmp_path: Path) -> None:
    logs(tmp_path / "logs", lost=1)
    raw, codec = (tmp_path / "logs" / f"{name}.csv" for name in ("raw", "codec"))
    names = ("--corpus", "calls", "--answerer", "qwen2-audio")
    assert command("import", "csv", raw, f"codec@0.5={codec}", *names, "--out", tmp_path / "released").code == 0
    assert command("certify", tmp_path / "released", "--tolerance", "0.05").code == 0
    assert steps(tmp_path) == [0, 0, 0, 0]
    assert (tmp_path / "summary.md").read_text().startswith("## Earmark: same\n")
    assert BEGIN in (tmp_path / "card.md").read_text()

    for folder in ("logs", "runs"):
        shutil.rmtree(tmp_path / folder)
    logs(tmp_path / "logs", lost=60)
    assert steps(tmp_path) == [0, 0, 3]
    assert "## Earmark: worse\n" in (tmp_path / "summary.md").read_text()


def test_the_workflow_keeps_the_page() -> None:
    (upload,) = [s for s in workflow()["jobs"]["gate"]["steps"] if "upload-artifact" in s.get("uses", "")]
    assert upload["if"] == "always()"
    assert "runs/next/report.html" in upload["with"]["path"].split()
    assert workflow()[True] == {"pull_request": None, "workflow_dispatch": None}  # YAML's `on`
