"""What a base installation has, and commands of earmark as they run there: with imports of everything else refused."""

import os
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
_REFUSING = Path(__file__).parent / "base_only"


def names(requirements: list[str]) -> set[str]:
    """The packages that requirements name, in lower case, without those of extras and of other platforms."""
    return {re.split(r"[^\w.-]", requirement)[0].lower() for requirement in requirements if ";" not in requirement}


def base_packages() -> set[str]:
    """The base dependencies and all that they bring."""
    packages: set[str] = set()
    left = names(PROJECT["dependencies"])
    while left:
        package = left.pop()
        packages.add(package)
        left |= names(metadata.requires(package) or []) - packages
    return packages


def base_modules() -> set[str]:
    """The top-level modules that those packages install."""
    packages = base_packages()
    owners = metadata.packages_distributions()
    return {module for module, names in owners.items() if {name.lower() for name in names} & packages}


def python(*arguments: object, only: set[str] | None = None, without: str = "") -> subprocess.CompletedProcess[str]:
    """`python ARGUMENTS` where only these modules can be imported (default: the base's), or all but one."""
    modules = {"earmark", *(base_modules() if only is None else only)}
    imports = {"EARMARK_TEST_WITHOUT": without} if without else {"EARMARK_TEST_ONLY": ",".join(sorted(modules))}
    command = [sys.executable, *map(str, arguments)]
    environment = {**os.environ, **imports, "PYTHONPATH": str(_REFUSING)}
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", env=environment)


def earmark(*arguments: object, only: set[str] | None = None, without: str = "") -> subprocess.CompletedProcess[str]:
    """`earmark ARGUMENTS`, there."""
    return python("-m", "earmark.cli.main", *arguments, only=only, without=without)
