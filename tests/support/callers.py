"""Code that nobody reaches: functions, classes, constants and methods that nothing which runs names.

What runs by itself are the statements of modules, what a decorator registers, and what STARTED_FROM_OUTSIDE lists. From
there every name is followed to what it stands for where it is read, so that a function which only calls itself, or
shares its name with a local variable, has no caller. A method is reached where anybody reads an attribute of its name.
Knows no room; `house` has the sources.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from house import absolute, imported, module_of, sources

FRONT_DOOR = "src/earmark"  # what users import

STARTED_FROM_OUTSIDE = {
    "cli/main.py: main": "the script of pyproject.toml",
    "engine/design/compressors.py: compressors_table": "docs/compressors.md holds what it returns",
    "engine/design/spec.py: keys_table": "docs/run.md holds what it returns",
    "engine/answerers/shared/forest.py: Forest.cost_alone": "benchmarks/scheduler.py says what sharing saves",
    "engine/answerers/shared/cost.py: ModelShape.encoding": "tests/support/costs.py counts with it",
}
CALLED_BY_FRAMEWORKS = {  # methods of classes that a framework was handed
    "forward": "torch",
    "on_start": "numba",
    "on_end": "numba",
    "find_spec": "the import system",
    **dict.fromkeys(("load_overload", "save_overload"), "numba"),
    **dict.fromkeys(("get_cache_path", "get_source_stamp", "get_disambiguator"), "numba"),
    "seekable": "soundfile",
    "list_commands": "click",
    "resolve_command": "click",
    "get_command": "click",
    "format_commands": "click",
    "convert": "click",
    **dict.fromkeys(("load_bytecode", "dump_bytecode"), "jinja2"),
}
REGISTER = ("click.command", "click.group", "selector.command", "register_model")  # decorators that hand over
_LOCAL = ""  # what a name stands for that is bound in a function


class Definition(NamedTuple):
    """Something that may be dead: `Spec`, or a method as `Spec.sha256`."""

    path: str
    name: str


class Mentions(NamedTuple):
    """What a piece of code names."""

    names: set[str]  # dotted, from the top: earmark.engine.files.flush
    attributes: set[str]  # whatever is read of anything, and texts that could be a name


def without_a_caller(root: Path) -> list[str]:
    """Functions, classes, constants and methods that nothing which runs names, directly or through others."""
    files = {module_of(path): path for path in sources(root)}
    places = {path: _bindings(tree.body, path) for path, tree in sources(root).items()}
    definitions: dict[Definition, Mentions] = {}
    running = [Mentions(set(), _words_of_templates(root)), *_public(root)]
    for path, tree in sources(root).items():
        for statement in tree.body:
            for name, nodes in _parts(statement):
                mentions = _mentions(nodes, path, places[path])
                if name is None:
                    running.append(mentions)
                else:
                    definitions[Definition(path, name)] = mentions
    methods: dict[str, list[Definition]] = {}
    for definition in definitions:
        if "." in definition.name:
            methods.setdefault(definition.name.rpartition(".")[2], []).append(definition)

    def named(mentions: Mentions) -> Iterator[Definition]:
        for name in mentions.names:
            if place := _place(name, files, places):
                yield place
        for attribute in mentions.attributes:
            yield from methods.get(attribute, ())

    waiting = [Definition(*entry.split(": ")) for entry in STARTED_FROM_OUTSIDE]
    waiting += [place for mentions in running for place in named(mentions)]
    reached: set[Definition] = set()
    while waiting:
        definition = waiting.pop()
        if definition in definitions and definition not in reached:
            reached.add(definition)
            waiting += named(definitions[definition])
    return [
        f"{path}: {name}"
        for path, name in sorted(definitions.keys() - reached)
        if "." not in name or Definition(path, name.partition(".")[0]) in reached  # else the class is named
    ]


def _parts(statement: ast.stmt) -> Iterator[tuple[str | None, Sequence[ast.AST]]]:
    """The definitions in a statement of a module, each with its code; the name is None for code that just runs."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
        yield None if _is_dunder(statement.name) or _is_registered(statement) else statement.name, [statement]
    elif isinstance(statement, ast.ClassDef):
        name = None if _is_registered(statement) else statement.name
        own: list[ast.AST] = [*statement.bases, *statement.keywords, *statement.decorator_list]
        for node in statement.body:
            if isinstance(node, ast.FunctionDef) and not (_is_dunder(node.name) or node.name in CALLED_BY_FRAMEWORKS):
                yield f"{statement.name}.{node.name}", [node]
            else:
                own.append(node)
        yield name, own
    elif isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        names = [node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]
        for name in names:
            yield None if _is_dunder(name) else name, [statement]
    else:
        yield None, [statement]


def _is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def _is_registered(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    names = [ast.unparse(decorator).partition("(")[0] for decorator in node.decorator_list]
    return any(name in REGISTER for name in names)


def _words_of_templates(root: Path) -> set[str]:
    texts = [path.read_text(encoding="utf-8") for path in (root / "engine").rglob("*.j2")]
    return {word for text in texts for word in re.findall(r"\w+", text)}


def _public(root: Path) -> Iterator[Mentions]:
    """What the front door names: it is there to be called by others, all of it."""
    for path in sorted((root / FRONT_DOOR).glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        yield _mentions(tree.body, path.name, _bindings(tree.body, path.name))


def _place(name: str, files: dict[str, str], places: dict[str, dict[str, str]]) -> Definition | None:
    """Where a dotted name is defined, through the files that only pass it on; None where it is not ours."""
    for _ in range(10):
        module, _, last = name.rpartition(".")
        while module and module not in files:  # earmark.engine.design.rule.Rule.alpha: of the class
            module, _, last = module.rpartition(".")
        if not module:
            return None
        onward = places[files[module]].get(last, "")
        if onward == f"{module}.{last}":
            return Definition(files[module], last)
        if not onward:
            return None
        name = onward
    return None


# What a name stands for -------------------------------------------------------------------------------------


def _bindings(body: Iterable[ast.AST], path: str, arguments: ast.arguments | None = None) -> dict[str, str]:
    """What the names that a scope binds stand for, dotted; _LOCAL inside functions, for all but imports.

    `arguments` are those of a function; without them the scope is a module's.
    """
    bound: dict[str, str] = {}
    shared: set[str] = set()  # `global` names
    waiting = list(body)
    for argument in ast.walk(arguments) if arguments else ():
        if isinstance(argument, ast.arg):
            bound[argument.arg] = _LOCAL
    while waiting:
        node = waiting.pop()
        own: list[str] = []
        if isinstance(node, ast.Import):
            bound |= {alias.asname or alias.name.partition(".")[0]: _imported(alias) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = absolute(node, path)
            bound |= {alias.asname or alias.name: f"{module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            own = [node.name]
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            own = [node.id]
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            own = [node.name]
        elif isinstance(node, ast.Global):
            shared.update(node.names)
        for name in own:
            bound[name] = _LOCAL if arguments else f"{module_of(path)}.{name}"
        if not isinstance(
            node,
            ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda | ast.ListComp | ast.SetComp
            | ast.DictComp | ast.GeneratorExp,
        ):  # fmt: skip
            waiting += ast.iter_child_nodes(node)
    return {name: target for name, target in bound.items() if name not in shared}


def _imported(alias: ast.alias) -> str:
    return alias.name if alias.asname else alias.name.partition(".")[0]


def _mentions(nodes: Iterable[ast.AST], path: str, module: dict[str, str]) -> Mentions:
    reader = _Reader(path, module)
    for node in nodes:
        reader.visit(node)
    return Mentions(reader.names, reader.attributes)


class _Reader:
    """Collects what code names, scope by scope: `names` resolved to what they stand for, `attributes` as they are."""

    def __init__(self, path: str, module: dict[str, str]) -> None:
        self._path = path
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self._scopes = [module]  # from the module inwards

    def visit(self, node: ast.AST) -> None:
        """Read a piece of code."""
        match node:
            case ast.Expr(value=ast.Constant()):
                return  # a docstring names nothing
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self._all([*node.decorator_list, node.args])
                self._annotation(node.returns)
                self._inside(_bindings(node.body, self._path, node.args), node.body)
                return
            case ast.Lambda():
                self.visit(node.args)
                self._inside(_bindings([node.body], self._path, node.args), [node.body])
                return
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                self.visit(node.generators[0].iter)
                targets = [name for generator in node.generators for name in ast.walk(generator.target)]
                bound = {name.id: _LOCAL for name in targets if isinstance(name, ast.Name)}
                self._inside(bound, ast.iter_child_nodes(node))
                return
            case ast.arg() | ast.AnnAssign():
                self._annotation(node.annotation)
            case ast.Name(ctx=ast.Load()):
                self.names.add(self._whole(node))
            case ast.Attribute():
                self.attributes.add(node.attr)
                self.names.add(self._whole(node))
            case ast.Constant(value=str(text)) if text.isidentifier():  # getattr(cell, "rows")
                self.attributes.add(text)
            case ast.Constant(value=str(text)) if text.startswith("from earmark."):  # a program for another process
                self.names.update(imported(ast.parse(text), self._path))
        self._all(ast.iter_child_nodes(node))

    def _all(self, nodes: Iterable[ast.AST]) -> None:
        for node in nodes:
            self.visit(node)

    def _inside(self, bound: dict[str, str], nodes: Iterable[ast.AST]) -> None:
        """Read what stands in a scope with these names of its own."""
        self._scopes.append(bound)
        self._all(nodes)
        self._scopes.pop()

    def _annotation(self, node: ast.expr | None) -> None:
        """Read an annotation, the quoted parts of it too."""
        if node is None:
            return
        self.visit(node)
        for part in ast.walk(node):
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                try:
                    self.visit(ast.parse(part.value, mode="eval").body)
                except SyntaxError:
                    continue  # a remark in Annotated[...]

    def _whole(self, node: ast.expr) -> str:
        """The dotted name of `files.flush`, from the top; empty where it starts from a local variable or a value."""
        if isinstance(node, ast.Attribute):
            before = self._whole(node.value)
            return before and f"{before}.{node.attr}"
        if not isinstance(node, ast.Name):
            return ""
        return next((scope[node.id] for scope in reversed(self._scopes) if node.id in scope), "")
