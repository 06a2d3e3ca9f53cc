"""Walks the first hour, from an empty environment to a decision: runs every command of page.md, and writes the page.

    python examples/first_hour/walk.py --work /tmp/first-hour --page docs/first-hour.md

needs espeak-ng, sox, and pip's registry; takes asterisk-core-sounds-en-wav where it is there. Each command is run by a
shell in the work folder, in which `first_hour` is this folder, and `earmark` what was installed there.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import time
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PORT = 8765
MOST_LINES = 60  # of what a command says: of more the middle is left out
NOTHING_APPROVED = 3  # an exit code that is an answer


def main() -> None:
    """Walk every section, and write the page."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--work", type=Path, required=True, help="a folder to work in; it is made")
    options.add_argument("--page", type=Path, required=True, help="the page to write")
    arguments = options.parse_args()
    arguments.work.mkdir(parents=True)
    work = arguments.work.resolve()
    (work / "first_hour").symlink_to(HERE)
    introduction, *sections = (HERE / "page.md").read_text().split("\n## ")
    server = start_listener(work)
    began = time.perf_counter()
    try:
        walked = [walk(section, work) for section in sections]
    finally:
        os.killpg(server.pid, signal.SIGTERM)  # its processes too
    introduction = introduction.replace("{total}", spoken(time.perf_counter() - began))
    arguments.page.write_text("\n## ".join([introduction, *walked]))


def start_listener(work: Path) -> subprocess.Popen[bytes]:
    """The served model, in an environment of its own, once it listens."""
    venv.create(work / "listener", with_pip=True)
    python = work / "listener" / "bin" / "python"
    packages = ["pocketsphinx==5.1.1", "numpy", "soundfile"]
    subprocess.run([python, "-m", "pip", "install", "-qq", *packages], check=True)
    server = subprocess.Popen([python, HERE / "listener.py", str(PORT)], stdout=subprocess.PIPE, start_new_session=True)
    assert server.stdout is not None, "it is a pipe"
    if not server.stdout.readline():
        sys.exit("the listener did not start")
    return server


def walk(section: str, work: Path) -> str:
    """The section with what its commands said, and in its title how long they took."""
    title, _, text = section.partition("\n")
    print(title, flush=True)
    before, *commands = re.split(r"^(?=\$ )", text.replace("```\n$ ", "```\n\n$ "), flags=re.MULTILINE)
    if not commands:
        return section
    commands[-1], fence, after = commands[-1].partition("```")
    began = time.perf_counter()
    shown = [f"{command.strip()}\n{said(command.strip()[2:], work)}" for command in commands]
    took = spoken(time.perf_counter() - began)
    return f"{title}: {took}\n{before.rstrip()}\n{''.join(shown)}{fence}{after}"


def said(command: str, work: Path) -> str:
    """What a command says, as lines that a page can hold."""
    path = os.pathsep.join([str(work / ".venv" / "bin"), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "EARMARK": str(ROOT), "EARMARK_CACHE_DIR": str(work / "cache")}
    done = subprocess.run(
        command, shell=True, cwd=work, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode not in (0, NOTHING_APPROVED):
        sys.exit(f"{command}: exit code {done.returncode}\n{done.stdout}")
    lines = [line.rstrip() for line in done.stdout.replace(f"{work}/", "").splitlines()]
    if len(lines) > MOST_LINES:
        half = MOST_LINES // 2
        lines[half:-half] = [f"... ({len(lines) - 2 * half} lines)"]
    return "".join(f"{line}\n" for line in lines)


def spoken(seconds: float) -> str:
    """A duration as people say it."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


if __name__ == "__main__":
    main()
