"""Who may know whom: what the modules of a room import, and what those import, wherever in a file that stands."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OPTIONAL = {"torch", "transformers", "tokenizers", "safetensors", "onnx", "onnxruntime", "soundfile", "soxr"}


def _module(path: Path) -> str:
    name = ".".join(["earmark", *path.relative_to(ROOT).with_suffix("").parts])
    return name.removesuffix(".__init__")


FILES = {_module(path): path for room in ("engine", "kernels", "cli") for path in (ROOT / room).rglob("*.py")}


def _names(node: ast.AST) -> Iterator[str]:
    """What is imported below a node, in functions too; what only type checkers import is left out."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
        yield from _names(child)


def _imports(module: str) -> set[str]:
    """Modules of earmark with the packages that hold them, and top-level names of other packages."""
    imports = set()
    for name in _names(ast.parse(FILES[module].read_text())):
        parts = name.split(".")
        if parts[0] == "earmark":
            imports |= {".".join(parts[:n]) for n in range(2, len(parts) + 1)} & FILES.keys()
        else:
            imports.add(parts[0])
    return imports


IMPORTS = {module: _imports(module) for module in FILES}


def ways(room: str, forbidden: set[str]) -> list[str]:
    """How the modules of a room get at what they must not: each as a chain of imports."""
    chains = {module: module for module in FILES if f"{module}.".startswith(f"earmark.{room}.")}
    assert chains, room
    waiting = list(chains)
    found = []
    for module in waiting:
        for name in sorted(IMPORTS[module]):
            if name in forbidden:
                found.append(f"{chains[module]} > {name}")
            elif name in FILES and name not in chains:
                chains[name] = f"{chains[module]} > {name}"
                waiting.append(name)
    return found


@pytest.mark.parametrize("room", ["design", "signoff", "report", "theory", "outcomes"])
def test_what_certifies_reaches_the_base_only(room: str) -> None:
    assert ways(f"engine.{room}", OPTIONAL) == []


def test_answerers_run_on_a_bare_gpu_machine() -> None:
    assert ways("engine.answerers", {"pyarrow", "soundfile", "soxr"}) == []


def test_kernels_know_numpy_and_numba() -> None:
    assert ways("kernels", OPTIONAL | {"pyarrow", "scipy", "click", "jinja2"}) == []
    assert not {name for module in FILES if ".kernels." in module for name in IMPORTS[module] if ".engine" in name}


def test_nobody_imports_the_command_line() -> None:
    users = {module for module, names in IMPORTS.items() if any(name.startswith("earmark.cli") for name in names)}
    assert {module for module in users if not module.startswith("earmark.cli")} == set()


def test_a_way_is_seen_that_a_function_takes() -> None:
    (way,) = ways("engine.corpus.semantic", {"torch"})
    assert way == "earmark.engine.corpus.semantic > torch"
    assert ways("engine.sweep.estimate", {"torch"}), "through the answerers"
