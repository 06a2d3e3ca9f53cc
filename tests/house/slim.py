"""`make slim`: what is shipped, in fresh environments. One line a check; exits with 1 where one fails.

Builds sdist and wheel of the tracked files as they are now, installs the wheel alone with its base dependencies, and
runs what has to work there; tries an install from git, an editable one, and a copy of the tree that lost its links.
"""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))

import log_fixtures as logs  # noqa: E402
import sweeps  # noqa: E402

from earmark.engine.sweep.run import run as run_sweep  # noqa: E402

MOST_PACKAGES, MOST_MB = 14, 700
ROOMS = ("engine", "kernels", "cli")
LOST = (
    "lost its links (a zip from a web page, or git with core.symlinks=false); clone it with git, or install the wheel"
)
SPEC = """\
[corpus]
path = "synthetic:certification:3"
[[answerers]]
model = "one"
[sweep]
budgets = [0.5]
window = 2
[[methods]]
name = "energy"
[audits]
flip_rate = 0
"""
MANIFEST = {"sample_id": "a", "audio": "a.wav", "question": "Which?", "choices": ["bell", "dog"], "answer": "dog"}

failures: list[str] = []


def check(name: str, passed: bool, detail: str) -> None:
    """Print one line, and remember what failed."""
    print(f"{'ok  ' if passed else 'FAIL'} {name}: {detail}", flush=True)
    if not passed:
        failures.append(name)


def run(*command: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command in a folder, in an environment that knows nothing of the one that runs this script."""
    inherited = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    words = [str(word) for word in command]
    return subprocess.run(words, cwd=cwd, env=inherited | environment, capture_output=True, text=True, check=False)


def must(*command: object, cwd: Path) -> None:
    """A command without which nothing can be checked."""
    done = run(*command, cwd=cwd)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: exit code {done.returncode}\n{done.stdout}{done.stderr}")


def tracked(*folders: str) -> list[str]:
    """The files that git tracks and that are there, by their paths below the root."""
    listed = run("git", "ls-files", "-z", *folders, cwd=ROOT).stdout.split("\0")
    return [name for name in listed if name and os.path.lexists(ROOT / name)]


def copy_tree(out: Path) -> Path:
    """The tracked files as they are, links as links, as a repository of its own."""
    for name in tracked():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, out / name, follow_symlinks=False)
    must("git", "init", "--quiet", cwd=out)
    must("git", "add", "--all", "--force", cwd=out)
    identity = ("-c", "user.name=slim", "-c", "user.email=slim@localhost")
    must("git", *identity, "commit", "--quiet", "--message", "As it is", cwd=out)
    return out


def lose_links(tree: Path, out: Path) -> Path:
    """The tree as a zip from a web page leaves it: each link is a file that holds where it led."""
    shutil.copytree(tree, out, symlinks=True, ignore=shutil.ignore_patterns(".git", "build", "*.egg-info"))
    for room in ROOMS:
        link = out / "src" / "earmark" / room
        target = os.readlink(link)
        link.unlink()
        link.write_text(target)
    return out


def build(tree: Path, out: Path) -> Path:
    """The sdist, and from it the wheel: the path of the wheel."""
    must(sys.executable, "-m", "build", "--outdir", out, tree, cwd=out.parent)
    (sdist,), (wheel,) = out.glob("*.tar.gz"), out.glob("*.whl")
    with tarfile.open(sdist) as archive:
        members = {name.partition("/")[2] for name in archive.getnames()}
    names = tracked(*ROOMS)
    lacking = [name for name in names if f"src/earmark/{name}" not in members]
    check("sdist", not lacking, f"{len(names)} files of the rooms" if not lacking else f"lacks {lacking[:3]}")
    own = {name.removeprefix("src/") for name in tracked("src/earmark")} - {f"earmark/{room}" for room in ROOMS}
    expected = {f"earmark/{name}" for name in names} | own
    with zipfile.ZipFile(wheel) as shipped:
        files = {name for name in shipped.namelist() if ".dist-info/" not in name}
    detail = f"{len(files)} files, {wheel.stat().st_size / 1e6:.1f} MB"
    if files != expected:
        detail = f"lacks {sorted(expected - files)[:3]}, has {sorted(files - expected)[:3]}"
    check("wheel", files == expected, detail)
    return wheel


def environment(place: Path, *requirements: object) -> Path:
    """A fresh virtual environment with these, pinned by constraints.txt: its folder of programs."""
    must(sys.executable, "-m", "venv", place, cwd=place.parent)
    must(place / "bin" / "pip", "install", "-q", "-c", ROOT / "constraints.txt", *requirements, cwd=place.parent)
    return place / "bin"


def measure(programs: Path) -> None:
    """How many packages there are, and how large; what brings packages itself is not counted."""
    installers = ("pip", "setuptools")
    listed = json.loads(run(programs / "pip", "list", "--format", "json", cwd=programs).stdout)
    names = sorted(package["name"].lower() for package in listed if package["name"] not in installers)
    check("packages", len(names) <= MOST_PACKAGES, f"{len(names)} of at most {MOST_PACKAGES}: {', '.join(names)}")
    (site,) = (programs.parent / "lib").glob("python*/site-packages")
    folders = [path for path in site.iterdir() if not path.name.startswith((*installers, "_distutils"))]
    files = [file for folder in folders for file in (folder, *folder.rglob("*")) if file.is_file()]
    megabytes = sum(file.stat().st_size for file in files) / 1e6
    check("size", megabytes < MOST_MB, f"{megabytes:.0f} MB of site-packages, below {MOST_MB}")


def try_commands(programs: Path, cwd: Path, caches: Path) -> None:
    """What a base installation has to do, from a folder that holds one named `earmark`."""
    shutil.copytree(ROOT / "examples" / "sounds", cwd / "sounds")
    raw = logs.write_csv(cwd / "raw.csv", logs.table(logs.RAW))
    energy = logs.write_csv(cwd / "energy40.csv", logs.table(logs.COMPRESSED))
    run_sweep(sweeps.parse(SPEC), cwd / "swept", load=sweeps.answerers())
    (cwd / "corpus").mkdir()
    (cwd / "corpus" / "manifest.jsonl").write_text(json.dumps(MANIFEST) + "\n")
    named = ("--corpus", "sounds", "--answerer", "tiny")
    expectations: list[tuple[int, str, tuple[object, ...]]] = [
        (0, "approved: learned_conditioned", ("certify", "sounds", "--tolerance", "0.05")),
        (0, "holds", ("verify", "sounds/certificate.json")),
        (0, "power at", ("plan", "sounds")),
        (0, "next: earmark certify", ("import", "csv", raw, f"energy@0.4={energy}", "--out", "imported", *named)),
        (0, "next: earmark certify", ("status", "swept")),
        (0, "complete", ("merge", "merged", "swept")),
        (0, "1 question about 1 recording", ("corpus", "corpus", "--audio", "none")),
        (0, "evaluations", ("init", "corpus", "--no-measure")),
        (0, "Theorem", ("theory",)),
        (2, "pip install 'earmark[audio]'", ("corpus", "corpus")),
        (2, "pip install 'earmark[run]'", ("run", ROOT / "examples" / "demo.toml")),
        (2, "pip install 'earmark[edge]'", ("score", "a.wav", "--selector", "energy")),
        (2, "pip install 'earmark[export]'", ("selector", "export", "swept")),
    ]
    for code, words, arguments in expectations:
        began = time.monotonic()
        done = run(programs / "earmark", *arguments, cwd=cwd, EARMARK_CACHE_DIR=str(caches))
        passed = done.returncode == code and words in (done.stderr if code else done.stdout)
        passed = passed and (not code or done.stderr.count("\n") == 1)
        detail = done.stderr.strip() if code else f"{time.monotonic() - began:.1f} s"
        unexpected = f"exit code {done.returncode}: {done.stdout[-200:]}{done.stderr[-800:]}"
        check(f"earmark {' '.join(map(str, arguments[:2]))}", passed, detail if passed else unexpected)


def try_import(name: str, programs: Path, cwd: Path) -> None:
    """Import the package where the working directory holds a folder of its name."""
    done = run(programs / "python", "-c", "import earmark.cli.main; print(earmark.__file__)", cwd=cwd)
    passed = done.returncode == 0 and "earmark/__init__.py" in done.stdout
    check(f"{name}, beside a folder named earmark", passed, "imports" if passed else done.stderr.strip())


def try_without_links(tree: Path, programs: Path) -> None:
    """Neither pip nor an import may take a copy of the tree whose links are lost for a package."""
    done = run(programs / "pip", "install", "--no-deps", "--force-reinstall", tree, cwd=tree.parent)
    lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if LOST in line]
    passed = done.returncode != 0 and bool(lines) and "Traceback" not in done.stderr
    check("pip install of a zip without links", passed, f"refused: {lines[0]}" if passed else done.stderr)
    done = run(programs / "python", "-c", "import earmark", cwd=tree, PYTHONPATH=str(tree / "src"))
    line = (done.stderr.splitlines() or [""])[-1]
    passed = done.returncode != 0 and line.startswith("ImportError") and line.endswith(LOST)
    check("import of a zip without links", passed, f"refused: {line}" if passed else done.stderr)


def main() -> None:
    """Every check, in a temporary folder."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="earmark-slim-") as name:
        place = Path(name)
        (place / "here" / "earmark").mkdir(parents=True)
        (place / "dist").mkdir()
        tree = copy_tree(place / "tree")
        wheel = build(tree, place / "dist")
        programs = environment(place / "base", wheel)
        measure(programs)
        try_import("wheel", programs, place / "here")
        try_commands(programs, place / "here", place / "caches")
        ways: dict[str, tuple[object, ...]] = {"git+file": (f"git+file://{tree}",), "editable": ("-e", tree)}
        for way, requirement in ways.items():
            must(programs / "pip", "install", "-q", "--no-deps", "--force-reinstall", *requirement, cwd=place)
            try_import(way, programs, place / "here")
        try_without_links(lose_links(tree, place / "unlinked"), programs)
    print(f"{f'{len(failures)} failed' if failures else 'all passed'} in {time.monotonic() - began:.0f} s")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
