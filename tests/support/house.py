"""What must hold of the house itself: who imports whom, names that stand for one thing, code that somebody calls.

Each check reads the sources of a root folder and returns what breaks it, as sentences; none imports them.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

# A room may import the rooms before it. `kernels` and `theory` import no room; the files beside the rooms, anybody may.
ORDER = (
    "kernels", "design", "corpus", "compressors", "answerers", "outcomes", "signoff", "report", "theory",
    "making", "sweep", "cli",
)  # fmt: skip
IMPORTS_NO_ROOM = ("kernels", "theory", "design")
OPTIONAL = (
    "torch",
    "transformers",
    "tokenizers",
    "safetensors",
    "onnx",
    "onnxruntime",
    "soundfile",
    "soxr",
    "httpx",
    "ray",
)
WITHOUT = {  # rooms that must work where these are not installed
    **dict.fromkeys(("design", "signoff", "report", "theory", "outcomes"), OPTIONAL),
    "answerers": ("pyarrow", "soundfile", "soxr", "onnx", "onnxruntime"),
}
WITH_TORCH = {  # the only files that import torch or transformers, outside the rooms that are about models
    "engine/compressors/chunks/learned.py": "the trained selector",
    "engine/corpus/semantic.py": "the sentence encoder of the semantic partition",
}
MODEL_ROOMS = ("answerers", "making")
ALIKE = ("loading.py",)  # files that do the same for alike things: an answerer, a selector by its name
KERNELS_KNOW = ("numpy", "numba", "llvmlite", "earmark")
CALLED_FROM_OUTSIDE = {
    "forward": "torch calls it",
    "main": "a process of its own, or the script of pyproject.toml",
    "on_start": "numba calls it",
    "on_end": "numba calls it",
    "seekable": "soundfile calls it",
    "list_commands": "click calls it",
    "get_command": "click calls it",
    "format_commands": "click calls it",
    "keys_table": "docs/run.md holds what it returns",
}
PLACEHOLDERS = frozenset({"found", "made", "said", "one", "of", "how", "asked", "told"})


@cache
def sources(root: Path) -> dict[str, ast.Module]:
    """The parsed files of the rooms, by path from the root."""
    return {
        path.relative_to(root).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for room in ("engine", "kernels", "cli")
        for path in sorted((root / room).rglob("*.py"))
    }


def room_of(path: str) -> str:
    """design for engine/design/spec.py; the file itself for engine/errors.py."""
    parts = path.split("/")
    if parts[0] != "engine":
        return parts[0]
    return parts[1] if len(parts) > 2 else "engine"


def module_of(path: str) -> str:
    """earmark.engine.design.spec for engine/design/spec.py."""
    return "earmark." + path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def imported(tree: ast.Module, *, at_import_only: bool = False) -> Iterator[str]:
    """The modules (or names in modules) that a file imports; `if TYPE_CHECKING` is left out."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if at_import_only and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        waiting += ast.iter_child_nodes(node)


def edges(root: Path, *, at_import_only: bool = False) -> dict[str, set[str]]:
    """Which of our files each of our files imports."""
    files = {module_of(path): path for path in sources(root)}
    graph: dict[str, set[str]] = {path: set() for path in sources(root)}
    for path, tree in sources(root).items():
        for name in imported(tree, at_import_only=at_import_only):
            target = files.get(name) or files.get(name.rpartition(".")[0])
            if target and target != path:
                graph[path].add(target)
    return graph


def rooms_out_of_order(root: Path) -> list[str]:
    """Files that import a room which comes after theirs."""
    broken = []
    for path, targets in edges(root).items():
        room = room_of(path)
        for target in sorted(targets):
            other = room_of(target)
            if other == room or (other == "engine" and room != "kernels"):
                continue
            if room == "engine":
                broken.append(f"{path} stands beside the rooms and imports {target}")
            elif room in IMPORTS_NO_ROOM or other == "cli" or ORDER.index(other) > ORDER.index(room):
                broken.append(f"{path} imports {target}")
    return broken


def circles(root: Path) -> list[str]:
    """Files that import one another, however far round, by imports of whatever time."""
    graph = edges(root)
    state: dict[str, int] = {}
    broken: list[str] = []

    def visit(path: str, way: list[str]) -> None:
        state[path] = 1
        for target in sorted(graph[path]):
            if state.get(target) == 1:
                broken.append(" -> ".join([*way[way.index(target) :], target]))
            elif target not in state:
                visit(target, [*way, target])
        state[path] = 2

    for path in graph:
        if path not in state:
            visit(path, [path])
    return broken


def forbidden_packages(root: Path) -> list[str]:
    """Files from which a package is reached that their room must do without, directly or through other files."""
    graph = edges(root)
    tops = {path: {name.partition(".")[0] for name in imported(tree)} for path, tree in sources(root).items()}
    broken = []
    for path in graph:
        banned = WITHOUT.get(room_of(path), ())
        reached, waiting = {path}, [path]
        while waiting:
            for target in graph[waiting.pop()] - reached:
                reached.add(target)
                waiting.append(target)
        broken += [
            f"{path} reaches {package} through {through}"
            for through in sorted(reached)
            for package in sorted(tops[through] & set(banned))
        ]
        if room_of(path) == "kernels":
            standard = __import__("sys").stdlib_module_names
            broken += [f"{path} imports {top}" for top in sorted(tops[path] - standard - set(KERNELS_KNOW))]
    for path, names in tops.items():
        if names & {"torch", "transformers"} and room_of(path) not in MODEL_ROOMS and path not in WITH_TORCH:
            broken.append(f"{path} imports {' and '.join(sorted(names & {'torch', 'transformers'}))}")
    return broken


def names_that_stand_twice(root: Path) -> list[str]:
    """Classes of one name, and files of one name within engine/ (benchmark readers and __init__ apart)."""
    places: dict[str, list[str]] = defaultdict(list)
    for path, tree in sources(root).items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                places[f"class {node.name}"].append(path)
        file = path.rpartition("/")[2]
        if path.startswith("engine/") and not file.startswith("__") and file not in ALIKE:
            places[f"file {file}"].append(path)
    return [f"{name}: {', '.join(paths)}" for name, paths in sorted(places.items()) if len(paths) > 1]


def without_a_caller(root: Path, api: tuple[str, ...] = ()) -> list[str]:
    """Functions that no file of the rooms calls or imports, and methods whose name nothing mentions."""
    attributes: set[str] = set()  # whatever is read of anything, and words in templates and short texts
    for tree in sources(root).values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute):
                attributes.add(node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 200:
                attributes.update(re.findall(r"\w+", node.value))
    for template in (root / "engine").rglob("*.j2"):
        attributes.update(re.findall(r"\w+", template.read_text(encoding="utf-8")))
    taken = {name for tree in sources(root).values() for name in imported(tree)}
    read = {name for tree in sources(root).values() for name in _attributes_of_modules(tree)}
    broken = []
    for path, tree in sources(root).items():
        loaded = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
        functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
        methods = [
            node
            for owner in ast.walk(tree)
            if isinstance(owner, ast.ClassDef)
            for node in owner.body
            if isinstance(node, ast.FunctionDef)
        ]
        for node in functions:
            whole = f"{module_of(path)}.{node.name}"
            if not (node.name in loaded or whole in taken or whole in read or _may_stand(node, api)):
                broken.append(f"{path}: {node.name}")
        for node in methods:
            dunder = node.name.startswith("__") and node.name.endswith("__")
            if not (dunder or node.name in attributes or _may_stand(node, api)):
                broken.append(f"{path}: {node.name}")
    return broken


def _attributes_of_modules(tree: ast.Module) -> Iterator[str]:
    """What a file reads of the modules that it imports: earmark.engine.files.flush for `files.flush`."""
    modules: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            modules.update({alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names})
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            yield f"{modules[node.value.id]}.{node.attr}"


def _may_stand(node: ast.FunctionDef, api: tuple[str, ...]) -> bool:
    """Whether somebody outside calls it: a framework, a decorator that registers it, or a user of the API."""
    if node.name in CALLED_FROM_OUTSIDE or node.name in api:
        return True
    return bool(node.decorator_list) and not _is_plain(node)


def _is_plain(node: ast.FunctionDef) -> bool:
    """Whether its decorators register it nowhere: properties, class methods and the like."""
    plain = {"property", "cached_property", "classmethod", "staticmethod", "cache", "lru_cache", "jit", "guarded"}
    names = {ast.unparse(decorator).partition("(")[0].rpartition(".")[2] for decorator in node.decorator_list}
    return names <= plain


def cited_in_vain(root: Path) -> list[str]:
    """Sections (`method 9.2`) and pages of docs/ that do not exist, and documents that are not in the repository."""
    page = (root / "docs" / "method.md").read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (\d+(?:\.\d+)*)", page, re.MULTILINE)
    broken = []
    for path in sources(root):
        text = (root / path).read_text(encoding="utf-8")
        sections = re.findall(r"\bmethod (\d+(?:\.\d+)*)", text)
        broken += [f"{path} cites method {section}" for section in sections if section not in headings]
        pages = re.findall(r"\bdocs/([\w/-]+\.md)", text)
        broken += [f"{path} cites docs/{name}" for name in pages if not (root / "docs" / name).is_file()]
        broken += [
            f"{path} cites {name}" for name in re.findall(r"\b(?:SPEC|STATISTICS|ARCHITECTURE) \d|\bseed 00\d", text)
        ]
    return broken


def placeholders(root: Path) -> list[str]:
    """Variables and parameters whose name says nothing of what they hold; fields may be named by a file's format."""
    broken = []
    for path, tree in sources(root).items():
        fields = {
            id(node.target)
            for owner in ast.walk(tree)
            if isinstance(owner, ast.ClassDef)
            for node in owner.body
            if isinstance(node, ast.AnnAssign)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and id(node) not in fields:
                name = node.id
            elif isinstance(node, ast.arg):
                name = node.arg
            else:
                continue
            if name in PLACEHOLDERS:
                broken.append(f"{path}:{node.lineno} {name}")
    return broken
