"""No name, path or text of others steers the terminal, hides or reorders what is printed, or forges a line."""

import json
import os
import subprocess
import sys
import unicodedata
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import assert_refused, earmark

TITLE, CLEAR, FORGED, TURNED, HIDDEN = "\x1b]0;owned\x07", "\x1b[2J", "x\napproved: all", "\u202eevil", "a\u200bb\ufeff"
HOSTILE = TITLE + CLEAR + FORGED + TURNED + HIDDEN + "\x9b1m\u2028\r"
ORDINARY = "Größe 音の高さ حجم می‌خواهم 👩‍🔬"


def assert_shown(done: subprocess.CompletedProcess[bytes], *words: str) -> None:
    """Nothing on either stream but printed characters and line breaks; no line that a name has forged."""
    text = (done.stdout + done.stderr).decode()
    steering = {char for char in text if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")} - set(
        "\n\u200c\u200d"
    )
    assert not steering, ascii(steering)
    assert not [line for line in text.splitlines() if line.startswith("approved: all")]
    for word in words:
        assert word in text, (word, text)


def write_cell(run: Path, method: str, budget: float, family: str, corpus: str = "c", wrong: int = 0) -> None:
    """A cell of 120 questions by hand, half of them in the family."""
    folder = run / f"cells/answerer=a/corpus={quote(corpus, safe='')}/method={quote(method, safe='')}"
    folder = folder / f"seed=0/stream=anchor/budget={budget}"
    folder.mkdir(parents=True)
    rows = range(120)
    columns = {
        "sample_id": [f"{HOSTILE}{row}" for row in rows],
        "query_family": [family if row % 2 else ORDINARY for row in rows],
        "loss": [float(row < wrong) for row in rows],
    }
    pq.write_table(pa.table(columns), folder / "part-0.parquet")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_cell(tmp_path / "run", "uncompressed", 1.0, HOSTILE, HOSTILE)
    write_cell(tmp_path / "run", f"m{HOSTILE}", 0.5, HOSTILE, HOSTILE, wrong=60)
    return tmp_path / "run"


def test_names_in_a_table_of_decisions(run: Path) -> None:
    done = earmark("certify", run)
    assert done.returncode == 3, done.stderr
    assert_shown(done, r"\x1b]0;owned\x07\x1b[2Jx\napproved: all\u202eevil", ORDINARY)
    assert_shown(earmark("verify", run / "certificate.json"), "holds")
    assert_shown(earmark("plan", run), r"\x1b[2J", ORDINARY)


def test_names_in_json_are_escaped_as_json_does_it(run: Path) -> None:
    done = earmark("certify", run, "--json")
    assert_shown(done, ORDINARY)
    assert json.loads(done.stdout)["results"][0]["method"] == f"m{HOSTILE}"


def test_names_in_refusals(run: Path, tmp_path: Path) -> None:
    write_cell(run, f"m{HOSTILE}", 0.25, "other family", HOSTILE)
    done = earmark("certify", run)
    assert_shown(done)
    assert_refused(done)
    for arguments in (["status", HOSTILE], ["certify", HOSTILE], ["no" + HOSTILE], ["run", tmp_path / HOSTILE]):
        done = earmark(*arguments)
        assert_shown(done, r"\x1b]0;owned")
        assert_refused(done)
    assert_shown(earmark("--debug", "status", HOSTILE), r"\x1b]0;owned")


def test_names_in_a_corpus(tmp_path: Path) -> None:
    rows = [
        {
            "sample_id": f"s{number}",  # ids with control characters are left out
            "source_id": f"r{number}",
            "audio": f"{HOSTILE}{number}.wav",
            "question": "What?",
            "choices": ["a", "b"],
            "answer": "a" if number else HOSTILE,
            HOSTILE: HOSTILE if number % 2 else ORDINARY,
        }
        for number in range(6)
    ]
    manifest = tmp_path / "corpus.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for options in (["--audio", "none"], ["--audio", "none", "--list"], ["--audio", "headers"]):
        done = earmark("corpus", manifest, "--by", HOSTILE, *options)
        assert done.returncode == 0, done.stderr
        assert_shown(done, r"\x1b]0;owned", ORDINARY)


def test_names_in_logs_that_are_imported(tmp_path: Path) -> None:
    for name in ("raw", "compressed"):
        rows = [{"sample_id": f"{HOSTILE}{n}", "query_family": HOSTILE, "loss": 0.0} for n in range(5)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    raw, compressed = tmp_path / "raw.jsonl", f"m{HOSTILE}@0.5={tmp_path / 'compressed.jsonl'}"
    out = tmp_path / f"run{HOSTILE}"
    done = earmark("import", "jsonl", raw, compressed, "--corpus", HOSTILE, "--answerer", "a", "--out", out)
    assert done.returncode == 0, done.stderr
    assert_shown(done, r"\x1b[2J")


def test_a_terminal_that_knows_few_letters(run: Path) -> None:
    done = earmark("certify", run, env={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 3, done.stderr
    assert b"Gr\\xf6\\xdfe" in done.stdout
    assert json.loads(earmark("certify", run, "--json", env={"PYTHONIOENCODING": "ascii"}).stdout)["results"]


def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    done = earmark("certify", os.fsdecode(b"\xff\xfe") + str(tmp_path.name))
    assert_shown(done, r"\udcff\udcfe")
    assert_refused(done)
    name = os.fsdecode(b"q\xff")
    for command in (["corpus"], ["init"]):
        done = earmark(*command, "synthetic:certification:9", "--name", name, "--out", tmp_path / "out")
        assert_refused(done, "--name", r"q\udcff", "not UTF-8")
        assert not (tmp_path / "out").exists()


def typed(command: str) -> subprocess.CompletedProcess[bytes]:
    """A shell's command in which `earmark` is this one."""
    tree = os.environ.get("EARMARK_TREE")
    environment = dict(os.environ) | ({"PYTHONPATH": tree} if tree else {})
    command = command.replace("earmark", f"'{sys.executable}' -m earmark.cli.main")
    return subprocess.run(["bash", "-c", command], capture_output=True, env=environment, timeout=240, check=False)


def test_stdout_that_cannot_be_written(run: Path) -> None:
    for command in (f"certify '{run}'", "schema spec", "--help", "certify --help"):
        done = typed(f"earmark {command} > /dev/full")
        assert_refused(done, "standard output", "No space left on device", "make room")
        assert len(done.stderr.splitlines()) == 1
    assert typed("earmark status nothing 2> /dev/full").returncode == 2


def test_a_reader_that_leaves(run: Path) -> None:
    for command in ("schema certificate", "schema spec", f"certify '{run}' --json", "--help"):
        done = typed(f"earmark {command} | head -c 1 > /dev/null")
        assert done.stderr == b""
    done = typed("set -o pipefail; earmark schema certificate | true")
    assert (done.returncode, done.stderr) == (141, b"")
    assert typed("earmark schema spec >&-").returncode == 0
