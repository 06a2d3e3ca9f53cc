"""Refuses to build where src/earmark has lost its links: the package would be empty. All else is in pyproject.toml."""

import sys
from pathlib import Path

from setuptools import setup

for room in ("engine", "kernels", "cli"):
    if not (Path(__file__).parent / "src" / "earmark" / room).is_dir():
        sys.exit(
            f"src/earmark/{room} is no link to a folder: this copy of Earmark lost its links (a zip from a web page, "
            "or git with core.symlinks=false); clone it with git, or install the wheel"
        )
setup()
