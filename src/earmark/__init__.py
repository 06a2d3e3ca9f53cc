"""Earmark signs off audio compression for large audio language models.

The three folders beside this file are links to the repository's `engine`, `kernels` and `cli`. Imports nothing but the
standard library: `earmark --help` answers without NumPy, and a test holds that.
"""

from pathlib import Path

for _room in ("engine", "kernels", "cli"):
    if not (Path(__file__).parent / _room).is_dir():
        raise ImportError(
            f"{Path(__file__).parent / _room} is no link to a folder: this copy of Earmark lost its links "
            "(a zip from a web page, or git with core.symlinks=false); clone it with git, or install the wheel"
        )
del _room


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import version

        return version("earmark")
    raise AttributeError(f"module 'earmark' has no attribute '{name}'")
