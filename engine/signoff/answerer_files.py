"""Who answered: the files that a sweep wrote when it first loaded each answerer, and their entries of the certificate.

    RUN/answerers/answerer=A.json

Knows no answerer; imported outcomes have no such file.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import quote

from earmark.engine.design.fields import COUNT, SHA256
from earmark.engine.errors import InputError
from earmark.engine.outcomes.input_file import InputFile
from earmark.engine.reading import check_inside, parse_json, read_bytes
from earmark.engine.signoff.json_form import from_json, to_json

FOLDER = "answerers"
AnswererKind = Literal["shared", "plain", "served", "brought"]
_RESTORE = "restore it, or sweep again into another folder"
_MOST_BYTES = 1 << 26


class AnswererEntry(NamedTuple):
    """An answerer of a run, as it was when the run was begun with it."""

    answerer: Annotated[str, "its name in the run"]
    model: Annotated[str, "as the spec names it"]
    kind: Annotated[
        AnswererKind,
        "shared: questions share the computations of their audio; plain: behind its own processor; served: by a "
        "server; brought: of somebody's own code",
    ]
    identity: Annotated[str, "what its answers depend on, as it says itself: equal ones answer alike"]
    likelihoods: Annotated[bool, "whether it gives the likelihood of every letter"]
    models: Annotated[tuple[str, ...], "what a server said that it is; empty: nothing"]
    fingerprints: Annotated[tuple[str, ...], "system_fingerprint that a server named; empty: none did"]
    canaries: Annotated[str | None, "of a server: SHA-256 of what its canary questions came to", SHA256]
    n_canaries: Annotated[int, "questions about synthetic sounds that a server was asked first", COUNT]
    canaries_right: Annotated[int, "those it answered right", COUNT]


class AnswererFile(NamedTuple):
    """What a file holds: the entry, and what the canaries of a server came to."""

    entry: AnswererEntry
    canaries: Mapping[str, Any] | None


def path_of(run: Path, answerer: str) -> Path:
    """Where the file of an answerer is."""
    return run / FOLDER / f"answerer={quote(answerer, safe='')}.json"


def to_bytes(file: AnswererFile) -> bytes:
    """What the file holds."""
    return (json.dumps(to_json(file), indent=1) + "\n").encode()


def read_file(run: Path, path: Path) -> tuple[AnswererFile, InputFile]:
    """The file of an answerer; InputError where it is none, or another answerer's."""
    name = path.relative_to(run).as_posix()
    check_inside(path, run, _RESTORE)
    data = read_bytes(path, _RESTORE, _MOST_BYTES)
    file = from_json(AnswererFile, parse_json(data, name, _RESTORE), name)
    if path != path_of(run, file.entry.answerer):
        raise InputError(name, f"is of answerer {file.entry.answerer}", _RESTORE)
    return file, InputFile(name, hashlib.sha256(data).hexdigest(), rows=1)


def read_answerer(run: Path, answerer: str) -> AnswererFile | None:
    """The file of an answerer; None where there is none."""
    path = path_of(run, answerer)
    return read_file(run, path)[0] if os.path.lexists(path) else None


def answerers(run: Path) -> tuple[list[AnswererEntry], list[InputFile]]:
    """An entry per answerer whose file is there, and the files."""
    files = [read_file(run, path) for path in sorted((run / FOLDER).glob("answerer=*.json"))]
    return [file.entry for file, _ in files], [input_file for _, input_file in files]
