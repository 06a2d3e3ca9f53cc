"""The first hour: its page is what its script would write, and its corpus is one."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from earmark.engine.corpus.corpus import open_corpus

ROOT = Path(__file__).parents[2]
HOUR = ROOT / "examples" / "first_hour"


def commands(page: Path) -> list[str]:
    return re.findall(r"^\$ (.*)$", page.read_text(), re.MULTILINE)


def prose(page: Path) -> list[str]:
    """What stands outside of blocks, without the times."""
    outside = re.sub(r"^```\n.*?^```\n", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    untimed = re.sub(r"^(## [^:?\n]*\??): \d+ (?:s|min)$", r"\1", outside, flags=re.MULTILINE)
    return [line for line in untimed.splitlines() if "two cores without a GPU" not in line]


def test_the_page_has_the_commands_and_the_words_of_its_script() -> None:
    page, script = ROOT / "docs" / "first-hour.md", HOUR / "page.md"
    assert commands(page) == commands(script)
    assert prose(page) == prose(script)


def test_every_step_says_how_long_it_took() -> None:
    sections = (ROOT / "docs" / "first-hour.md").read_text().split("\n## ")[1:]
    for section in sections:
        title = section.splitlines()[0]
        assert ("```" not in section) or re.search(r": \d+ (s|min)$", title), title


@pytest.mark.skipif(not (shutil.which("espeak-ng") and shutil.which("sox")), reason="espeak-ng and sox make the corpus")
def test_the_corpus_of_the_first_hour_is_one(tmp_path: Path) -> None:
    folder = tmp_path / "numbers"
    subprocess.run([sys.executable, HOUR / "make_corpus.py", folder, "--clips", "3"], check=True, capture_output=True)
    rows = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    assert len(rows) == 12
    assert all(row["answer"] in row["choices"] for row in rows)
    corpus = open_corpus(folder)
    assert len(corpus.examples) == 12
    assert not corpus.left_out
