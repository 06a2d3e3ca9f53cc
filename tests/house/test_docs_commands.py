"""Every command line of README.md and docs/*.md can be typed: each is run, page by page and from the top, in a folder
where small things stand in for what the page names (tests/support/stand_ins.py).

A line that is not run stands in NOT_RUN with the reason. Python is run by tests/api/test_api.py.
"""

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest
import stand_ins
from command_line import earmark as run_earmark

from earmark.cli.main import earmark

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LANGUAGES = ("", "sh", "bash", "console")
PROGRAMS = ("earmark", "make", "pip", "hf", "python", "sed")
NOT_RUN = {  # how a line begins: why it is not run here
    "hf download": "needs the network",
    "earmark import KIND": "is a pattern",
    "earmark warm": "compiles for a minute; tests/cli/test_warm.py runs it",
    "earmark run mmsu.toml --workers 8": "needs the devices; tests/sweep/test_ray.py runs two workers",
    "earmark run mmsu.toml --ray": "needs a cluster; tests/sweep/test_ray.py has one",
    "earmark theory": "takes a minute; tests/theory checks what it prints",
    "python examples/first_hour/walk.py": "is the whole hour, with espeak-ng, sox and what pip brings",
    "python edge/keep.py --check": "measures for half a minute; tests/making/test_edge.py runs it",
    "earmark selector check edge/int8.onnx": "int8.onnx is what somebody made; tests/making/test_check.py makes one",
    "earmark selector check edge/waveform.onnx --against edge/features.onnx": "device.json comes from a device",
}
ANEW = {"import.md"}  # pages whose lines do not build on one another
GOES_WELL = (0, 3)  # 3: nothing is approved, as of so few questions nothing can be


def blocks_of(page: Path) -> list[tuple[str, str]]:
    """The blocks of a page, each with its language: fenced ones, and those that are indented by four blanks."""
    blocks: list[tuple[str, str]] = []
    fence: str | None = None
    for line in page.read_text().splitlines():
        if line.startswith("```"):
            fence = line[3:] if fence is None else None
            blocks.append((fence or "", ""))
        elif fence is not None or (line.startswith("    ") and line[4:5].isalpha()):
            language, text = blocks[-1] if blocks else ("", "")
            blocks[-1:] = [(language, f"{text}{line.strip() if fence is None else line}\n")]
    return blocks


def lines_of(page: Path) -> list[str]:
    """The command lines in the blocks of a page, each as one line, without its prompt."""
    typed = "".join(text for language, text in blocks_of(page) if language in LANGUAGES).replace("\\\n", " ")
    stripped = (line.removeprefix("$ ") for line in typed.splitlines())
    return [line for line in stripped if line.split(" ")[0] in PROGRAMS and " " in line]


LINES = {page: lines_of(page) for page in PAGES}


def reason(line: str) -> str | None:
    """Why a line is not run."""
    return next((why for start, why in NOT_RUN.items() if line.startswith(start)), None)


@pytest.mark.parametrize("page", [page for page in PAGES if LINES[page]], ids=lambda page: page.stem)
def test_every_command_line_of_a_page_runs(page: Path, tmp_path: Path) -> None:
    folder = tmp_path / "0"
    stand_ins.lay_out(folder)
    if page.name == "compressors.md":
        lay_out_compressors(page, folder)
    for number, line in enumerate(LINES[page]):
        program = line.split()[0]
        if program in ("make", "pip") or reason(line):
            continue
        if page.name in ANEW and number:
            folder = tmp_path / str(number)
            folder.mkdir()
        done = run(stand_ins.typed(line), folder)
        assert done.returncode in GOES_WELL, f"{page.name}: {line}\n{done.stdout.decode()}{done.stderr.decode()}"
        assert b"Traceback" not in done.stderr


def lay_out_compressors(page: Path, folder: Path) -> None:
    """The module and the spec that the page on compressors speaks of."""
    (code,) = (text for language, text in blocks_of(page) if language == "python")
    (folder / "mine.py").write_text(code)
    spec = '[corpus]\npath = "data/MMSU"\n[[answerers]]\nmodel = "tiny"\n'
    (folder / "spec.toml").write_text(spec + '[[methods]]\nname = "quick"\ncompressor = "speed"\nfactors = [1.5]\n')


def run(line: str, folder: Path) -> subprocess.CompletedProcess[bytes]:
    """What came of a command line, typed in a folder."""
    words = shlex.split(line, comments=True)
    program, *arguments = words
    if program != "earmark":
        command = [sys.executable, *arguments] if program == "python" else words
        return subprocess.run(command, cwd=folder, capture_output=True, check=False)
    arguments, into = (arguments[:-2], arguments[-1]) if ">" in arguments else (arguments, None)
    if arguments[0] == "import":
        stand_ins.write_logs(arguments[1:], folder)
    done = run_earmark(*arguments, cwd=folder)
    if into:
        (folder / into).write_bytes(done.stdout)
    if arguments[0] == "init":
        stand_ins.make_small(
            folder / (arguments[arguments.index("--out") + 1] if "--out" in arguments else "spec.toml")
        )
    return done


def test_what_is_not_run_is_somewhere_and_is_little() -> None:
    lines = [line for page in PAGES for line in LINES[page]]
    for start in NOT_RUN:
        assert any(line.startswith(start) for line in lines), start
    assert len(lines) > 40
    assert sum(reason(line) is not None for line in lines) <= 12


def test_no_command_line_stands_where_none_is_looked_for() -> None:
    for page in PAGES:
        for line in re.findall(r"^(?:\$ |    )?(earmark [a-z]+ [^`\n]*)$", page.read_text(), re.MULTILINE):
            assert any(known.startswith(line.removesuffix("\\").rstrip()) for known in LINES[page]), (page.name, line)


def test_every_extra_that_is_named_is_there() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    sources = [path for room in ("engine", "cli", "src") for path in (ROOT / room).rglob("*.py")]
    for text in [*PAGES, *sources]:
        for named in re.findall(r"(?:earmark|\.)\[([a-z][\w,-]*)\]'", text.read_text()):
            assert set(named.split(",")) <= set(extras), f"{text.name}: {named}"


def test_every_target_of_make_that_is_named_is_there() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        blocks = [line.split()[1] for line in LINES[page] if line.startswith("make ")]
        for named in [*blocks, *re.findall(r"`make ([a-z]+)", page.read_text())]:
            assert named in targets, f"{page.name}: make {named}"


def test_the_demo_ends_with_how_to_reach_the_command() -> None:
    command = ["make", "--no-print-directory", "-n", "demo"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == 'echo "to type earmark yourself: . .venv/bin/activate"'


def test_every_command_and_option_that_a_sentence_names_is_there() -> None:
    for page in PAGES:
        for span in re.findall(r"`earmark ((?:[a-z]| )[^`]*)`", page.read_text()):
            words = [word for word in span.split() if word != "..."]
            command: click.Command = earmark
            while isinstance(command, click.Group) and words and not words[0].startswith("-"):
                found_command = command.get_command(click.Context(command), words[0].rstrip(",."))
                assert found_command is not None, f"{page.name}: earmark {span}"
                command = found_command
                words.pop(0)
            options = {
                option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
            }
            for word in words:
                option = re.match(r"--[a-z][\w-]*", word)
                assert option is None or option[0] in options | {"--help"}, f"{page.name}: earmark {span}"


def test_python_of_every_page_is_run(tmp_path: Path) -> None:
    """That of three pages by tests/api/test_api.py, that of compressors.md above."""
    pages = {page.name: page for page in PAGES if any(language == "python" for language, _ in blocks_of(page))}
    assert set(pages) - {"python.md", "answerers.md", "selectors.md", "compressors.md"} == {"corpora.md"}
    stand_ins.lay_out(tmp_path / "0")
    code = "".join(text for language, text in blocks_of(pages["corpora.md"]) if language == "python")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path / "0", capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
