"""A run folder is bound to a spec by its first answer, and to one process at a time; a folder is enough to type."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import assert_refused, earmark

SPEC = """\
[corpus]
path = "synthetic:certification:2"
[[answerers]]
model = "tiny"
[sweep]
budgets = [0.5]
[[methods]]
name = "energy"
[rule]
tolerances = [0.3]
[audits]
flip_rate = 0
"""


def write(path: Path, *changes: tuple[str, str]) -> Path:
    content = SPEC
    for old, new in changes:
        assert old in content
        content = content.replace(old, new)
    path.write_text(content)
    return path


def contents(run: Path) -> dict[str, bytes]:
    return {str(path.relative_to(run)): path.read_bytes() for path in sorted(run.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was refused for its device first, and then went on in the same folder with the corrected spec."""
    place = tmp_path_factory.mktemp("binding")
    run = place / "run"
    other = write(place / "other.toml", ("[0.5]", "[0.4]"), ("[audits]", '[machine]\ndevice = "cuda:7"\n[audits]'))
    done = earmark("run", other, "--out", run)
    assert_refused(done, "device cuda:7", "use cpu")
    assert not (run / "plan.json").exists()
    done = earmark("run", write(place / "spec.toml"), "--out", run)
    assert done.returncode in (0, 3), done.stderr
    assert json.loads((run / "plan.json").read_text())["levels"][-1]["budget"] == 0.5
    return run


def test_a_spec_that_was_corrected_before_any_answer_is_accepted(finished: Path) -> None:
    assert (finished / "certificate.json").exists()
    assert not [path for path in finished.iterdir() if path.name.startswith(".")]


def test_a_plan_without_answers_binds_nobody(finished: Path, tmp_path: Path) -> None:
    """It was killed between its plan and its first answer; what selectors had said goes with the plan."""
    run = tmp_path / "run"
    run.mkdir()
    for name in ("plan.json", "spec.toml", "partitions.parquet"):
        shutil.copyfile(finished / name, run / name)
    (run / "scores/anchor").mkdir(parents=True)
    (run / "scores/anchor/window-00000.parquet").write_bytes(b"of another spec")
    spec = write(tmp_path / "spec.toml", ("tolerances = [0.3]", "tolerances = [0.2]"), ("[0.5]", "[0.6]"))
    done = earmark("run", spec, "--out", run)
    assert done.returncode in (0, 3), done.stderr
    plan = json.loads((run / "plan.json").read_text())
    assert (plan["rule"]["tolerances"], plan["levels"][-1]["budget"]) == ([0.2], 0.6)
    assert (run / "spec.toml").read_bytes() == spec.read_bytes()


def test_a_refusal_names_the_keys_that_differ(finished: Path, tmp_path: Path) -> None:
    before = contents(finished)
    spec = write(
        tmp_path / "spec.toml", ('name = "energy"', 'name = "energy"\n[[methods]]\nname = "random"\nseeds = [7]')
    )
    assert_refused(earmark("run", spec, "--out", finished), "[[methods]] random", "[rule] and [machine] may differ")
    spec = write(tmp_path / "spec.toml", ('model = "tiny"', 'model = "tiny"\ngenerate = 2'))
    assert_refused(earmark("run", spec, "--out", finished), "[[answerers]] tiny: generate: 0 before, 2 now")
    assert contents(finished) == before


def test_another_rule_costs_no_answer(finished: Path, tmp_path: Path) -> None:
    run = shutil.copytree(finished, tmp_path / "run")
    spec = write(tmp_path / "spec.toml", ("tolerances = [0.3]", "tolerances = [0.3]\nmax_error_rate = 0.1"))
    done = earmark("run", spec, "--out", run)
    assert done.returncode in (0, 3), done.stderr
    cells = {name: data for name, data in contents(run).items() if name.startswith("cells")}
    assert cells == {name: data for name, data in contents(finished).items() if name.startswith("cells")}


def test_a_folder_is_enough(finished: Path, tmp_path: Path) -> None:
    done = earmark("verify", finished)
    assert (done.returncode, b"holds" in done.stdout) == (0, True), done.stderr
    before = contents(finished)
    assert earmark("run", finished).returncode in (0, 3)
    assert contents(finished) == before
    (tmp_path / "empty").mkdir()
    assert_refused(earmark("verify", tmp_path / "empty"), "holds no certificate.json", "earmark certify")
    assert_refused(earmark("run", tmp_path / "empty"), "holds no spec.toml", "earmark run SPEC.toml")
    (tmp_path / "a corpus").mkdir()
    (tmp_path / "a corpus" / "manifest.jsonl").write_text("")
    corpus = tmp_path / "a corpus"
    assert_refused(
        earmark("run", corpus), "holds no spec.toml", f"where it is a corpus, `earmark init '{corpus}'` writes"
    )


def test_two_processes_in_one_folder(tmp_path: Path) -> None:
    spec = write(tmp_path / "spec.toml", (":2", ":150"), ("[sweep]", "[sweep]\nwindow = 1"))
    run = tmp_path / "run"
    tree = os.environ.get("EARMARK_TREE")
    command = [sys.executable, "-m", "earmark.cli.main", "run", str(spec), "--out", str(run)]
    environment = dict(os.environ) | ({"PYTHONPATH": tree} if tree else {})
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment) as first:
        try:
            until = time.monotonic() + 120
            while not (run / "plan.json").exists() and time.monotonic() < until:
                time.sleep(0.05)
            assert first.poll() is None, "the first was faster than this test"
            assert_refused(earmark("run", spec, "--out", run), f"process {first.pid} on ", "is at it", "--shard")
        finally:
            first.kill()
    lock = run / ".filling-1-of-1"
    assert lock.exists()  # of the dead one, and so nobody's
    done = earmark("run", spec, "--out", run, "--limit", "1")
    assert done.returncode == 3, done.stderr
    assert not lock.exists()
