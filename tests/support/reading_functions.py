"""The functions of Earmark that read what others may have written, found by what they call."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

READERS = {
    "earmark.engine.reading": {"read_json", "parse_json", "read_bytes", "lines", "open_regular", "check_regular"},
    "earmark.engine.outcomes.parquet_file": {"read_parquet"},
}


class Place(NamedTuple):
    """Where a function is: its file, and the line of its first decorator or its `def`."""

    file: str
    line: int


def functions_that_read(engine: Path) -> Iterator[tuple[str, Place]]:
    """Each function that calls a reader of bytes, JSON or Parquet: `room/file.py function`, and where it is."""
    for path in sorted(engine.resolve().rglob("*.py")):
        tree = ast.parse(path.read_bytes())
        names = _names_of_readers(tree)
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef) and any(_calls(function, names)):
                line = min(node.lineno for node in (function, *function.decorator_list))
                yield f"{path.relative_to(engine.resolve())} {function.name}", Place(str(path), line)


def _names_of_readers(tree: ast.Module) -> set[str]:
    """What readers are called in a module: `read_json`, or `reading.read_json`."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                own = alias.asname or alias.name
                if alias.name in READERS.get(str(node.module), ()):
                    names.add(own)
                names |= {f"{own}.{reader}" for reader in READERS.get(f"{node.module}.{alias.name}", ())}
    return names


def _calls(function: ast.FunctionDef, names: set[str]) -> Iterator[bool]:
    return (ast.unparse(node.func) in names for node in ast.walk(function) if isinstance(node, ast.Call))
