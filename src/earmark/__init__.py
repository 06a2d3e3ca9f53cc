"""Earmark signs off audio compression for large audio language models.

    import earmark

    certificate = earmark.certify("runs/mmsu", tolerance=0.05)
    certificate.approved

The functions are in `api`, which is imported when one of them is used: until then only the standard library is. The
three folders beside this file are links to the repository's `engine`, `kernels` and `cli`.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from earmark.api import Certificate as Certificate
    from earmark.api import EarmarkError as EarmarkError
    from earmark.api import InputError as InputError
    from earmark.api import UncertifiableError as UncertifiableError
    from earmark.api import certify as certify
    from earmark.api import compare as compare
    from earmark.api import diff as diff
    from earmark.api import import_logs as import_logs
    from earmark.api import plan as plan
    from earmark.api import run as run
    from earmark.api import score as score
    from earmark.api import verify as verify

    __version__: str

__all__ = [
    "Certificate",
    "EarmarkError",
    "InputError",
    "UncertifiableError",
    "__version__",
    "certify",
    "compare",
    "diff",
    "import_logs",
    "plan",
    "run",
    "score",
    "verify",
]

for _room in ("engine", "kernels", "cli"):
    if not (Path(__file__).parent / _room).is_dir():
        raise ImportError(
            f"{Path(__file__).parent / _room} is no link to a folder: this copy of Earmark lost its links "
            "(a zip from a web page, or git with core.symlinks=false); clone it with git, or install the wheel"
        )
del _room


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("earmark")
    if name in __all__:
        from earmark import api

        return getattr(api, name)
    raise AttributeError(f"module 'earmark' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
