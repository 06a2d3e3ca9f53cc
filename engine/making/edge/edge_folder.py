"""What lies in an exported folder: edge.json, which names every file by its hash, and vectors.json.

Reads and checks; what is computed with it, others know.
"""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from earmark.engine.making.edge.edge_error import EdgeError

EDGE_SCHEMA, VECTORS_SCHEMA = "earmark.edge/1", "earmark.edge-vectors/1"
EDGE, VECTORS, GRAPH = "edge.json", "vectors.json", "waveform.onnx"
NOT_NEEDED = ("features.onnx", "card.json")  # for `earmark` and for people: a device may go without them
_AGAIN = "copy the exported folder again"
_MOST = 1e30  # of a number that is measured


class Manifest(NamedTuple):
    """What edge.json holds: what the folder is, and the hash of everything in it."""

    schema: str
    selector: str  # SHA-256 of the weights that were exported
    features: str  # what the graph computes of a chunk, and its version
    reads_question: bool
    reads_text: bool  # whether questions may come as text; else as token ids only
    tie: float  # scores nearer than that are equal
    made_with: dict[str, str]  # versions of what wrote the folder
    files: dict[str, str]  # SHA-256 of every other file, by its path in the folder


class Vector(NamedTuple):
    """A recording in the folder, and what the selector does with it where it was trained."""

    name: str
    wav: str  # path in the folder
    question: str | None  # None where the selector reads none
    tokens: list[int] | None  # the question, as the tokenizer gives it
    scores: list[float]
    kept: list[list[int] | None]  # for each budget; None where less decides than backends differ by


class Vectors(NamedTuple):
    """What vectors.json holds: recordings with the scores and chunks that they must have."""

    schema: str
    budgets: list[float]
    vectors: list[Vector]  # the first is the one that is timed


def read_manifest(folder: Path) -> Manifest:
    """The content of a folder's edge.json; EdgeError where there is none, or it is not whole."""
    content = _content(folder / EDGE, EDGE_SCHEMA)
    if content.keys() != {*Manifest._fields} or not _is_manifest(manifest := Manifest(**content)):
        raise EdgeError(folder / EDGE, "is not whole", _AGAIN)
    return manifest


def read_vectors(folder: Path) -> Vectors:
    """The content of a folder's vectors.json; EdgeError where there is none, or it is not whole."""
    content = _content(folder / VECTORS, VECTORS_SCHEMA)
    try:
        vectors = [Vector(**vector) for vector in content.pop("vectors")]
        contents = Vectors(**content, vectors=vectors)
    except (KeyError, TypeError):
        raise EdgeError(folder / VECTORS, "is not whole", _AGAIN) from None
    if not (vectors and _is_list(contents.budgets, _is_number) and all(_is_vector(v, contents) for v in vectors)):
        raise EdgeError(folder / VECTORS, "is not whole", _AGAIN)
    return contents


def exported(folder: Path, manifest: Manifest, name: str) -> bytes:
    """A file of the folder, if it is the very one that was exported."""
    try:
        data = (folder / name).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a name that is none
        raise EdgeError(folder / repr(name)[1:-1], f"cannot be read ({_reason(error)})", _AGAIN) from None
    digest, expected = hashlib.sha256(data).hexdigest(), manifest.files.get(name, "none")
    if digest != expected:
        hashes = f"SHA-256 {digest[:12]}, {EDGE} says {expected[:12]}"
        raise EdgeError(folder / name, f"is not the file that was exported ({hashes})", _AGAIN)
    return data


def check_files(folder: Path, manifest: Manifest) -> None:
    """EdgeError names the first file that was not exported so; what a device does not need may be missing."""
    for name in manifest.files:
        if name not in NOT_NEEDED or (folder / name).exists():
            exported(folder, manifest, name)


def write_whole(path: Path, data: bytes) -> None:
    """Write or replace a file in one step."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(data)
        os.replace(beside, path)
    except OSError as error:
        raise EdgeError(path, f"cannot be written ({error.strerror})", "name another place with --out") from None


def _content(path: Path, schema: str) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise EdgeError(path, f"cannot be read ({error.strerror})", _AGAIN) from None
    except (ValueError, RecursionError):
        raise EdgeError(path, "is not JSON", _AGAIN) from None
    if not isinstance(content, dict) or content.get("schema") != schema:
        raise EdgeError(path, f"is no {schema}", "export the selector again, and copy the whole folder")
    return content


def _is_manifest(manifest: Manifest) -> bool:
    """Whether every field has its type."""
    texts = (manifest.selector, manifest.features)
    return (
        all(isinstance(text, str) for text in texts)
        and all(isinstance(truth, bool) for truth in (manifest.reads_question, manifest.reads_text))
        and _is_number(manifest.tie)
        and all(isinstance(names, dict) for names in (manifest.made_with, manifest.files))
        and all(isinstance(text, str) for text in (*manifest.made_with.values(), *manifest.files.values()))
    )


def _is_vector(vector: Vector, vectors: Vectors) -> bool:
    """Whether every field has its type, with chunks for each budget."""
    return (
        isinstance(vector.name, str)
        and isinstance(vector.wav, str)
        and (vector.question is None or isinstance(vector.question, str))
        and (vector.tokens is None or _is_list(vector.tokens, _is_count))
        and _is_list(vector.scores, _is_number)
        and _is_list(vector.kept, lambda chunks: chunks is None or _is_list(chunks, _is_count))
        and len(vector.kept) == len(vectors.budgets)
    )


def _is_list(values: Any, is_valid: Callable[[Any], bool]) -> bool:
    return isinstance(values, list) and all(map(is_valid, values))


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 31


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < _MOST  # NaN is not


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
