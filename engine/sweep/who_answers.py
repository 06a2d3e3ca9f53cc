"""Who answers, written down when it is first loaded: a run is not gone on with, and no shards are merged, where others
do. Knows no cells.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from earmark.engine import files
from earmark.engine.answerers.server.canaries import canaries_of, check_same
from earmark.engine.design.endpoint import is_served
from earmark.engine.design.sections import AnswererSpec
from earmark.engine.errors import InputError
from earmark.engine.printable import printable
from earmark.engine.signoff.answerer_files import (
    AnswererEntry,
    AnswererFile,
    AnswererKind,
    path_of,
    read_answerer,
    to_bytes,
)
from earmark.engine.sweep.sweep_folder import SweepFolder

_MOST_SHOWN = 200  # characters of a name
_ELSEWHERE = "name another folder with --out, or answer as it was begun"


class Introduced(Protocol):
    """An answerer, or what another process says of one; its `abilities` are read where it has any."""

    @property
    def identity(self) -> str: ...
    @property
    def likelihoods(self) -> bool: ...


def write(folder: SweepFolder, described: AnswererSpec, answerer: Introduced) -> None:
    """Write down who answers, once; InputError where another one does than when the folder was begun."""
    now, path = _file_of(described, answerer), path_of(folder.run, described.name)
    if folder.answered():
        files.write_new(path, to_bytes(now))
    else:  # what is there is of no answer
        files.write_file(path, to_bytes(now))
    begun = read_answerer(folder.run, described.name)
    if begun is not None:
        _check_alike(f"answerer {described.name}", begun, now)


def check_shards(shards: Sequence[Path], answerers: Sequence[str]) -> None:
    """InputError where an answerer of one shard is another than that of a shard before."""
    for name in answerers:
        begun: AnswererFile | None = None
        for shard in shards:
            now = read_answerer(shard, name)
            if begun is not None and now is not None:
                _check_alike(f"{shard} answerer {name}", begun, now)
            begun = begun or now


def _check_alike(where: str, begun: AnswererFile, now: AnswererFile) -> None:
    """InputError where two are not the same answerer; of a server, beyond what its flips explain."""
    if _way(begun) != _way(now):
        what = "is another one, or answers in another way or number format, than the run was begun with"
        raise InputError(where, what, _ELSEWHERE)
    if begun.canaries is not None and now.canaries is not None:
        check_same(where, canaries_of(begun.canaries, where), canaries_of(now.canaries, where), ())


def _way(file: AnswererFile) -> tuple[str, str, bool]:
    """What must be equal: the identity without what canaries came to, which flips change; so they do a server's giving
    of every letter's likelihood.
    """
    entry = file.entry
    identity = entry.identity.replace(entry.canaries or "", "")
    return entry.kind, identity, entry.likelihoods or entry.kind == "served"


def _file_of(described: AnswererSpec, answerer: Introduced) -> AnswererFile:
    abilities = getattr(answerer, "abilities", None)  # a user's own may have none
    server = None if abilities is None else abilities.server
    came_to = {} if server is None else server.came_to.as_json()
    kind: AnswererKind = "brought"
    if abilities is not None:
        kind = "served" if is_served(described.model) else "shared" if abilities.shares else "plain"
    entry = AnswererEntry(
        answerer=described.name,
        model=described.model,
        kind=kind,
        identity=answerer.identity,
        likelihoods=answerer.likelihoods,
        models=_shown(came_to.get("models", ())),
        fingerprints=_shown(came_to.get("fingerprints", ())),
        canaries=None if server is None else server.came_to.sha256,
        n_canaries=0 if server is None else server.canaries,
        canaries_right=0 if server is None else server.canaries_right,
    )
    return AnswererFile(entry, came_to or None)


def _shown(names: Sequence[str]) -> tuple[str, ...]:
    """What a server calls itself, as people may read it."""
    return tuple(printable(name)[:_MOST_SHOWN] for name in names)
