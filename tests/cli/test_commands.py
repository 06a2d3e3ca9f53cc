"""The command line from outside: exit codes, output streams, help, quiet imports."""

import contextlib
import io
import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
import worlds
from command_line import earmark_text as run

from earmark.cli.main import earmark, main

ROOT = Path(__file__).parents[2]
QUICK = ["--rule", "paper", "--replicates", "200"]


def complaints(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What was said on stderr, word of a compilation apart."""
    return [line for line in done.stderr.splitlines() if not line.startswith("compil")]


@pytest.fixture
def approving(tmp_path: Path) -> Path:
    return worlds.write_run(tmp_path / "run", [0.0] * 100, {"energy": {0.5: [0.0] * 100}}, ["a", "b"] * 50)


def test_certify_approves_with_exit_code_0(approving: Path) -> None:
    done = run("certify", approving, *QUICK)
    assert (done.returncode, complaints(done)) == (0, [])
    assert "energy" in done.stdout
    assert done.stdout.startswith("approved: energy at budget 0.5; every family within 0.05 (no guarantee)\n")
    assert json.loads((approving / "certificate.json").read_text())["schema"] == "earmark.certificate/2"
    assert "<html" in (approving / "report.html").read_text()


def test_certify_refuses_with_exit_code_3(tmp_path: Path) -> None:
    run_folder = worlds.write_run(tmp_path, [0.0] * 100, {"energy": {0.5: [1.0] * 100}}, ["a", "b"] * 50)
    done = run("certify", run_folder, *QUICK)
    assert (done.returncode, complaints(done)) == (3, [])
    assert done.stdout.startswith("refused: energy: ")


def test_only_the_uncompressed_budget_is_a_refusal(tmp_path: Path) -> None:
    run_folder = worlds.write_run(tmp_path, [0.0] * 100, {"energy": {1.0: [0.0] * 100}}, ["a", "b"] * 50)
    done = run("certify", run_folder, *QUICK, "--json")
    assert done.returncode == 3
    certified = json.loads(done.stdout)["results"][0]["certified"][0]
    assert (certified["budget"], certified["reason"]) == (1.0, "no budget below 1 was evaluated")


def test_json_goes_to_stdout_and_files_to_out(approving: Path, tmp_path: Path) -> None:
    out = tmp_path / "signed" / "here"
    done = run("certify", approving, *QUICK, "--json", "--out", out, "--tolerance", 0.01, "--tolerance", 0.05)
    printed, written = json.loads(done.stdout), json.loads((out / "certificate.json").read_text())
    assert printed["rule"]["tolerances"] == [0.01, 0.05]
    assert {**written, "run": "."} == printed
    assert sorted(p.name for p in out.iterdir()) == ["certificate.json", "report.html"]
    assert run("verify", out / "certificate.json").returncode == 0


def test_verify_says_what_differs(approving: Path) -> None:
    run("certify", approving, *QUICK)
    certificate = approving / "certificate.json"
    held = run("verify", certificate)
    assert (held.returncode, held.stdout.strip().endswith("holds")) == (0, True)
    certificate.write_text(certificate.read_text().replace('"plus": 0', '"plus": 1', 1))
    differs = run("verify", certificate)
    assert differs.returncode == 1
    assert "plus: the certificate says 1, the files give 0" in differs.stdout
    assert json.loads(run("verify", certificate, "--json").stdout)["holds"] is False


def test_help_is_quick_because_it_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['earmark', '--help']\n"
        "from earmark.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({m.partition('.')[0] for m in sys.modules} & {'torch', 'numba', 'pyarrow', 'numpy', 'scipy'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_place_that_cannot_be_written_is_bad_input(approving: Path, tmp_path: Path) -> None:
    (approving / "certificate.json").mkdir()
    (tmp_path / "file").write_text("")
    for options in ([], ["--out", tmp_path / "file"], ["--out", tmp_path / "file" / "below"]):
        done = run("certify", approving, *QUICK, *options)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
        assert "choose another place" in done.stderr


def test_a_defect_is_one_line_unless_debugging(approving: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr("earmark.engine.signoff.certify.certify", broken)
    for debug, expected in ([], "error: RuntimeError: boom; this is a defect"), (["--debug"], "Traceback"):
        monkeypatch.setattr(sys, "argv", ["earmark", *debug, "certify", str(approving)])
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors), pytest.raises(SystemExit) as left:
            main()
        assert left.value.code == 70
        assert errors.getvalue().startswith(expected)


def test_verify_asks_for_a_run_folder_that_moved(approving: Path, tmp_path: Path) -> None:
    run("certify", approving, *QUICK, "--out", tmp_path / "out")
    approving.rename(tmp_path / "moved")
    done = run("verify", tmp_path / "out" / "certificate.json")
    assert (done.returncode, "name it with --run" in done.stderr) == (2, True)
    assert run("verify", tmp_path / "out" / "certificate.json", "--run", tmp_path / "moved").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["certify", "/nowhere"], "error: /nowhere: there is no such folder; name a run folder, one that holds cells/"),
        (["certify"], "error: Missing argument 'RUN'; see `earmark certify --help`"),
        (["certify", "/nowhere", "--rule", "hope"], "hope"),
        (["certify", "/nowhere", "--tolerance", "small"], "'small' is not a valid float; see `earmark certify --help`"),
        (["sign"], "error: No such command 'sign'; see `earmark --help`"),
        (["verify", "/nowhere.json"], "error: /nowhere.json: there is no such file; name a certificate.json"),
    ],
)
def test_bad_input_is_one_line_on_stderr_and_exit_code_2(arguments: list[str], expected: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert expected in done.stderr


def commands() -> list[tuple[str, click.Command]]:
    context = click.Context(earmark)
    return [(name, found) for name in earmark.list_commands(context) if (found := earmark.get_command(context, name))]


@pytest.mark.parametrize(("name", "command"), commands(), ids=lambda value: value if isinstance(value, str) else "")
def test_every_command_has_help_and_a_mention_in_the_readme(name: str, command: click.Command) -> None:
    assert command.help
    assert f"earmark {name} " in command.help, "an example to copy"
    for parameter in command.params:
        assert not isinstance(parameter, click.Option) or parameter.help, parameter.name
    assert f"`earmark {name}" in (ROOT / "README.md").read_text()
    assert name in run("--help").stdout
    assert run(name, "--help").returncode == 0
