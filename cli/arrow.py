"""pyarrow as the command line needs it: without pandas, which no command has a use for."""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType


def spare_pandas() -> None:
    """Keep pyarrow from importing pandas, which it does at the first value that it converts where pandas is installed.

    That takes as long as a small sign-off. pyarrow looks for pandas once, and remembers that there is none.
    """
    if "pandas" in sys.modules:
        return
    import pyarrow as pa

    blindfold = _NoPandas()
    sys.meta_path.insert(0, blindfold)
    try:
        pa.scalar("")
    finally:
        sys.meta_path.remove(blindfold)


class _NoPandas(MetaPathFinder):
    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:  # noqa: ARG002
        """Nothing, so that the next finder is asked; raises ModuleNotFoundError for pandas."""
        if fullname == "pandas":
            raise ModuleNotFoundError("pandas is not needed", name=fullname)
