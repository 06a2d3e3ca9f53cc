"""Put first on PYTHONPATH, it makes an interpreter, and every process that it starts, unable to import some packages.

EARMARK_TEST_ONLY lists what there is beside the standard library, EARMARK_TEST_WITHOUT what there is not.
"""

import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType

_ONLY = {*filter(None, os.environ.get("EARMARK_TEST_ONLY", "").split(","))}
_WITHOUT = {*filter(None, os.environ.get("EARMARK_TEST_WITHOUT", "").split(","))}


class _Refusing(MetaPathFinder):
    """Finds nothing; says that a package is missing where it is not to be there, as Python does."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:  # noqa: ARG002
        package = fullname.partition(".")[0]
        standard = package in sys.stdlib_module_names or package.startswith("_sysconfigdata")
        if package in _WITHOUT or (_ONLY and package not in _ONLY and not standard):
            raise ModuleNotFoundError(f"No module named '{fullname}'", name=fullname)


sys.meta_path.insert(0, _Refusing())
