"""The README shows what the commands really print."""

import ast
import importlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_output_and_picture_of_the_readme_are_the_real_ones(tmp_path: Path) -> None:
    shown = re.search(r"```\n\$ earmark (certify [^\n]*)\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert shown, "the README shows a command and its output"
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    command = [sys.executable, "-m", "earmark.cli.main", *shown[1].split()]
    done = subprocess.run(command, cwd=tmp_path, env={**os.environ}, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    beginning, rest_is_left_out, nothing = shown[2].partition("...\n")
    assert rest_is_left_out
    assert not nothing
    assert done.stdout.startswith(beginning)

    picture = tmp_path / "average.svg"
    certificate = tmp_path / "signed" / "certificate.json"
    subprocess.run([sys.executable, ROOT / "examples" / "make_picture.py", certificate, picture], check=True)
    assert picture.read_bytes() == (ROOT / "docs" / "average.svg").read_bytes()


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


def test_the_example_is_what_its_script_makes(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    subprocess.run([sys.executable, ROOT / "examples" / "make_sounds.py", tmp_path / "sounds"], check=True)
    committed = sorted(p.relative_to(ROOT / "examples") for p in (ROOT / "examples" / "sounds").rglob("*.parquet"))
    assert committed == sorted(p.relative_to(tmp_path) for p in (tmp_path / "sounds").rglob("*.parquet"))
    for path in committed:
        assert pq.read_table(ROOT / "examples" / path).equals(pq.read_table(tmp_path / path))


def test_links_lead_somewhere() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def _texts() -> Iterator[Path]:
    """What people read here: pages, sources, and what is said beside them."""
    yield ROOT / "README.md"
    yield ROOT / "Makefile"
    yield ROOT / "pyproject.toml"
    for folder in ("docs", "engine", "kernels", "cli", "benchmarks", "tests", "examples"):
        for suffix in ("md", "py", "toml"):
            yield from sorted((ROOT / folder).rglob(f"*.{suffix}"))


def test_every_path_that_is_named_is_there() -> None:
    made_up = {ROOT / "tests" / "house" / "test_house.py", ROOT / "tests" / "support" / "house.py"}
    named = re.compile(r"(?<![\w/.=-])((?:docs|engine|kernels|cli|benchmarks|tests|examples)/[\w./-]*\w)(?![\w*{/])")
    for text in _texts():
        for path in named.findall(text.read_text()) if text not in made_up else ():
            assert (ROOT / path).exists() or (text.parent / path).exists(), f"{text.relative_to(ROOT)} names {path}"


def test_every_module_that_is_named_is_there() -> None:
    rooms = "|".join(path.name for path in (ROOT / "engine").iterdir() if path.is_dir())
    named = re.compile(rf"`(?:earmark\.)?((?:engine\.(?:{rooms})|(?:{rooms})|kernels\.\w+|cli)\.[\w.]+)")
    for text in _texts():
        for name in named.findall(text.read_text()):
            assert _is_there(name), f"{text.relative_to(ROOT)} names {name}"


def _is_there(name: str) -> bool:
    """Whether a dotted name, from `engine` or from a room, is a file, a folder, or something that a file names."""
    parts = name.split(".") if name.startswith(("engine.", "kernels.", "cli.")) else ["engine", *name.split(".")]
    whole = ROOT.joinpath(*parts)
    if whole.is_dir() or (whole.parent / f"{parts[-2]}.{parts[-1]}").is_file():  # a room, or `report.css` in its room
        return True
    modules = [(ROOT.joinpath(*parts[:n]).with_suffix(".py"), parts[n:]) for n in range(len(parts), 1, -1)]
    return any(path.is_file() and (not rest or rest[0] in path.read_text()) for path, rest in modules)


def test_every_file_that_a_page_names_is_there() -> None:
    names = {path.name for folder in ("engine", "kernels", "cli", "benchmarks", "tests", "examples")
             for path in (ROOT / folder).rglob("*.py")}  # fmt: skip
    for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        for name in re.findall(r"\b([\w-]+\.py)\b", page.read_text()):
            assert name in names | {"setup.py", "conftest.py"}, f"{page.name} names {name}"


def test_what_the_pages_import_can_be_imported() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        for code in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
            for node in ast.walk(ast.parse(code)):
                if isinstance(node, ast.ImportFrom) and str(node.module).startswith("earmark"):
                    for alias in node.names:
                        module = importlib.import_module(str(node.module))
                        known = hasattr(module, alias.name) or find_spec(f"{node.module}.{alias.name}")
                        assert known, f"{page.name} imports {alias.name} from {node.module}"


def test_the_code_of_the_page_on_answerers_runs(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "answerers.md").read_text(), re.DOTALL)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert sum(line.endswith(" ok") for line in done.stdout.splitlines()) == 12  # two clips, six questions each


def test_every_hop_of_the_tour_is_a_function_that_is_there() -> None:
    hops = re.findall(r"^\| \d+ \| `([\w/.]+)` `(\w+)`", (ROOT / "docs" / "tour.md").read_text(), re.MULTILINE)
    assert 10 <= len(hops) <= 15
    for path, function in hops:
        assert re.search(rf"^ *def {function}\(", (ROOT / path).read_text(), re.MULTILINE), f"{path}: {function}"
