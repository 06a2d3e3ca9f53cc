"""What lies in an exported folder: edge.json, which names every file by its hash, and vectors.json.

Reads and checks; what is computed with it, others know.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

from earmark.engine.making.edge.edge_error import EdgeError

EDGE_SCHEMA, VECTORS_SCHEMA = "earmark.edge/1", "earmark.edge-vectors/1"
EDGE, VECTORS, GRAPH = "edge.json", "vectors.json", "waveform.onnx"
NOT_NEEDED = ("features.onnx", "card.json")  # for `earmark` and for people: a device may go without them
_AGAIN = "copy the exported folder again"


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
    try:
        return Manifest(**_content(folder / EDGE, EDGE_SCHEMA))
    except TypeError:
        raise EdgeError(folder / EDGE, "is not whole", _AGAIN) from None


def read_vectors(folder: Path) -> Vectors:
    """The content of a folder's vectors.json; EdgeError where there is none, or it is not whole."""
    content = _content(folder / VECTORS, VECTORS_SCHEMA)
    try:
        vectors = [Vector(**vector) for vector in content.pop("vectors")]
        return Vectors(**content, vectors=vectors)
    except (KeyError, TypeError):
        raise EdgeError(folder / VECTORS, "is not whole", _AGAIN) from None


def exported(folder: Path, manifest: Manifest, name: str) -> bytes:
    """A file of the folder, if it is the very one that was exported."""
    try:
        data = (folder / name).read_bytes()
    except OSError as error:
        raise EdgeError(folder / name, f"cannot be read ({error.strerror})", _AGAIN) from None
    digest, expected = hashlib.sha256(data).hexdigest(), manifest.files.get(name, "none")
    if digest != expected:
        hashes = f"SHA-256 {digest[:12]}, {EDGE} says {expected[:12]}"
        raise EdgeError(folder / name, f"is not the file that was exported ({hashes})", _AGAIN)
    return data


def check_files(folder: Path, manifest: Manifest) -> None:
    """EdgeError names the first file that was not exported so; what a device does not need may be missing."""
    for name in manifest.files:
        if (folder / name).exists() or name not in NOT_NEEDED:
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
