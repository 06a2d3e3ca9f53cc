"""Leaves out every move to a device in turn, and says what the harness of `devices` notices.

    PYTHONPATH=src:tests/support python tests/support/remove_moves.py

A move is a call of `.to(...)` with a device, of `.cpu()`, or an argument `device=...`, in what both families compute.
Each is left out in a process of its own (a fork of this one, which has torch), where every stage runs in bfloat16 on a
device that is not there. Prints a table; exits 1 where a move can be left out unnoticed.
"""

import ast
import importlib.abc
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import transformers.models.qwen2_5_omni.modeling_qwen2_5_omni
import transformers.models.qwen2_audio.modeling_qwen2_audio  # noqa: F401  (what all forks share)

ROOT = Path(__file__).resolve().parents[2]
ROOM = "engine/answerers"
FILES = (
    *(
        f"qwen/{name}.py"
        for name in ("decoder", "encoder", "kv", "mel", "open_decoder", "plain_decoder", "qwen_family")
    ),
    *(f"qwen/{name}.py" for name in ("qwen2_audio", "qwen25_omni")),
    "means.py",
)


class Move(NamedTuple):
    """Where a tensor is moved, or made on a device."""

    file: str  # in ROOM
    line: int
    column: int
    text: str


class Outcome(NamedTuple):
    """What became of the answers without a move: the error that tells, or "" where nothing does."""

    move: Move
    error: str


def _is_move(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    if any(keyword.arg == "device" for keyword in node.keywords):
        return True
    if not isinstance(node.func, ast.Attribute):
        return False
    return node.func.attr == "cpu" or (node.func.attr == "to" and any(map(_is_device, node.args)))


def _is_device(argument: ast.expr) -> bool:
    return "device" in ast.unparse(argument)


def moves() -> Iterator[Move]:
    """All moves, in the order of files and lines."""
    for file in FILES:
        for node in ast.walk(ast.parse((ROOT / ROOM / file).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _is_move(node):
                yield Move(file, node.lineno, node.end_col_offset or 0, ast.unparse(node))


class _Without(ast.NodeTransformer):
    """Leaves one move out."""

    def __init__(self, move: Move) -> None:
        self.move = move

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        at = (node.lineno, node.end_col_offset)
        if at != (self.move.line, self.move.column) or not _is_move(node):
            return node
        keywords = [keyword for keyword in node.keywords if keyword.arg != "device"]
        arguments = [argument for argument in node.args if not _is_device(argument)]
        if len(keywords) < len(node.keywords):
            return ast.copy_location(ast.Call(node.func, node.args, keywords), node)
        if arguments:  # the number format stays
            return ast.copy_location(ast.Call(node.func, arguments, keywords), node)
        assert isinstance(node.func, ast.Attribute)
        return node.func.value


class _Loader(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module without the move."""

    def __init__(self, move: Move) -> None:
        self._move, self._path = move, ROOT / ROOM / move.file
        self._name = f"earmark.{ROOM}.{move.file.removesuffix('.py')}".replace("/", ".")

    def find_spec(self, fullname: str, *_: Any) -> Any:
        if fullname != self._name:
            return None
        return importlib.util.spec_from_file_location(fullname, self._path, loader=self)

    def exec_module(self, module: Any) -> None:
        tree = _Without(self._move).visit(ast.parse(self._path.read_text(encoding="utf-8")))
        exec(compile(ast.fix_missing_locations(tree), str(self._path), "exec"), module.__dict__)


def answers(move: Move | None) -> str:
    """What every stage says without this move, in a process of its own: an error in one line, "" if there is none."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        error = ""
        try:
            torch.set_num_threads(1)
            if move is not None:
                sys.meta_path.insert(0, _Loader(move))
            _run()
        except BaseException as caught:
            if not isinstance(caught, RuntimeError | TypeError | ValueError | AssertionError):
                traceback.print_exc()
            error = f"{type(caught).__name__}: {caught}".splitlines()[0]
        os.write(writing, error.encode()[:4000])
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        error = pipe.read()
    os.waitpid(child, 0)
    return error


def _run() -> None:
    from far_answerer import BUILDS, far_answerer, far_away, replies_of

    for model in BUILDS:
        with far_away():
            replies_of(far_answerer(model, "bfloat16"))


def outcomes(some: Sequence[Move]) -> Iterator[Outcome]:
    """Each move with what the harness says without it."""
    for move in some:
        yield Outcome(move, answers(move))


def main() -> int:
    """Print the table."""
    whole = answers(None)
    if whole:
        print(f"with all moves: {whole}")
        return 1
    unnoticed = 0
    for move, error in outcomes(list(moves())):
        unnoticed += not error
        print(f"| {move.file}:{move.line} | `{move.text}` | {error[:90] or 'NOTHING'} |", flush=True)
    print(f"{unnoticed} unnoticed")
    return int(unnoticed > 0)


if __name__ == "__main__":
    sys.exit(main())
