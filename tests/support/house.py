"""What must hold of the house itself: who imports whom, names that stand for one thing, sections that exist.

Each check reads the sources of a root folder and returns what breaks it, as sentences; none imports them.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from itertools import chain
from pathlib import Path

ROOMS = ("engine", "kernels", "cli")  # root folders; what stands in front of them, src/earmark/, none of them imports
# A room may import the rooms before it. `kernels` and `theory` import no room; the files beside the rooms, anybody may.
ORDER = (
    "kernels", "design", "corpus", "compressors", "answerers", "outcomes", "signoff", "report", "theory",
    "making", "sweep", "cli",
)  # fmt: skip
IMPORTS_NO_ROOM = ("kernels", "theory", "design")
BESIDE = frozenset({"making", "sweep"})  # they stand beside one another: neither imports the other
OPTIONAL = (
    "torch",
    "transformers",
    "tokenizers",
    "safetensors",
    "onnx",
    "onnxruntime",
    "soundfile",
    "soxr",
    "av",
    "httpx",
    "ray",
)
WITHOUT = {  # rooms that must work where these are not installed
    **dict.fromkeys(("signoff", "report", "theory", "outcomes"), OPTIONAL),
    "design": (*OPTIONAL, "pyarrow", "numba", "numpy", "scipy", "jinja2", "click"),
    "answerers": ("pyarrow", "soundfile", "soxr", "onnx", "onnxruntime"),
}
WITH_TORCH = {  # the only files that import torch or transformers, outside the rooms that are about models
    "engine/compressors/chunks/learned.py": "the trained selector",
    "engine/corpus/semantic.py": "the sentence encoder of the semantic partition",
    "engine/threads.py": "how many threads these compute on",
}
MODEL_ROOMS = ("answerers", "making")
ALIKE = ("loading.py",)  # files that do the same for alike things: an answerer, a selector by its name
KERNELS_KNOW = ("numpy", "numba", "llvmlite", "earmark")
_NUMBER = r"\d+(?:\.\d+)*"  # of a section
PLACEHOLDERS = frozenset({"found", "made", "said", "one", "of", "how", "asked", "told"})


@cache
def sources(root: Path) -> dict[str, ast.Module]:
    """The parsed files of the rooms, by path from the root."""
    return {
        path.relative_to(root).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for room in ROOMS
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


def absolute(node: ast.ImportFrom, path: str) -> str:
    """The module after `from`, without dots before it: earmark.engine.signoff for `..signoff` in engine/design/x.py."""
    if not node.level:
        return node.module or ""
    package = ("earmark/" + path).split("/")[: -node.level]
    return ".".join([*package, node.module] if node.module else package)


def imported(tree: ast.Module, path: str) -> Iterator[str]:
    """The modules (or names in modules) that a file imports; `if TYPE_CHECKING` is left out."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            waiting += node.orelse
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{absolute(node, path)}.{alias.name}" for alias in node.names)
        waiting += ast.iter_child_nodes(node)


def edges(root: Path) -> dict[str, set[str]]:
    """Which of our files each of our files imports."""
    files = {module_of(path): path for path in sources(root)}
    graph: dict[str, set[str]] = {path: set() for path in sources(root)}
    for path, tree in sources(root).items():
        for name in imported(tree, path):
            target = files.get(name) or files.get(name.rpartition(".")[0])
            if target and target != path:
                graph[path].add(target)
    return graph


def rooms_out_of_order(root: Path) -> list[str]:
    """Files that import a room which comes after theirs, or stands beside it."""
    broken = []
    for path, targets in edges(root).items():
        room = room_of(path)
        for target in sorted(targets):
            other = room_of(target)
            if other == room or (other == "engine" and room != "kernels"):
                continue
            if room == "engine":
                broken.append(f"{path} stands beside the rooms and imports {target}")
            elif (
                room in IMPORTS_NO_ROOM
                or other == "cli"
                or {room, other} == BESIDE
                or ORDER.index(other) > ORDER.index(room)
            ):
                broken.append(f"{path} imports {target}")
    for path, tree in sources(root).items():
        ours = {name for name in imported(tree, path) if name.partition(".")[0] == "earmark"}
        broken += [f"{path} imports {name}" for name in sorted(ours) if name.split(".")[1] not in ROOMS]
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
    tops = {path: {name.partition(".")[0] for name in imported(tree, path)} for path, tree in sources(root).items()}
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
    """Classes and type aliases of one name, and files of one name within engine/ (`loading.py` and __init__ apart).

    `_Step` and `Step` are one name. An alias may stand in several files as long as it means the same there.
    """
    classes: dict[str, list[str]] = defaultdict(list)
    aliases: dict[str, dict[str, list[str]]] = defaultdict(dict)  # by name and meaning
    files: dict[str, list[str]] = defaultdict(list)
    for path, tree in sources(root).items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                classes[node.name.lstrip("_")].append(path)
        for name, meaning in type_aliases(tree):
            aliases[name.lstrip("_")].setdefault(meaning, []).append(path)
        file = path.rpartition("/")[2]
        if path.startswith("engine/") and not file.startswith("__") and file not in ALIKE:
            files[file].append(path)
    broken = [f"file {file}: {', '.join(paths)}" for file, paths in sorted(files.items()) if len(paths) > 1]
    twice = {name for name in classes.keys() | aliases.keys() if len(classes[name]) + len(aliases[name]) > 1}
    return broken + [
        f"class {name}: {', '.join(sorted([*classes[name], *chain(*aliases[name].values())]))}"
        for name in sorted(twice)
    ]


def type_aliases(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """The names that a file gives to types, each with what it stands for: `Waveform = npt.NDArray[np.float32]`."""
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name) and re.fullmatch(r"_?[A-Z]\w*[a-z]\w*", target.id):
                    yield target.id, ast.unparse(node.value)


def cited_in_vain(root: Path) -> list[str]:
    """Sections (`method 9.2`) and pages of docs/ that do not exist, and documents that are not in the repository."""
    page = (root / "docs" / "method.md").read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (\d+(?:\.\d+)*)", page, re.MULTILINE)
    broken = []
    for path in sources(root):
        text = (root / path).read_text(encoding="utf-8")
        lists = re.findall(rf"(?<!-)\bmethods? ({_NUMBER}(?:(?:, (?:and )?| and | or | to |-){_NUMBER}\b)*)", text)
        sections = [section for numbers in lists for section in re.findall(_NUMBER, numbers)]
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
