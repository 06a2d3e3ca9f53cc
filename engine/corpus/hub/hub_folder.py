"""The tables of a dataset as the hub or `save_to_disk` of datasets lays them out: which split each one is of.

Goes by names: data/test-00000-of-00002.parquet, CONFIG/test/0000.parquet, test.parquet, a folder with a state.json for
each split, or test/metadata.jsonl beside recordings.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from earmark.engine.corpus.arrow_files import ARROW
from earmark.engine.corpus.folder import Folder
from earmark.engine.corpus.table_files import first_fields
from earmark.engine.errors import InputError, choose, first_few
from earmark.engine.reading import read_json

STATE = "state.json"
_MOST_STATE_BYTES = 1 << 20
_SHARD = re.compile(r"(?P<split>.+?)-(?P<number>\d{5})-of-(?P<total>\d{5})(?:-[0-9a-f]+)?")
_SPLITS = ("train", "training", "validation", "valid", "val", "dev", "test", "testing", "eval", "evaluation")
_AGAIN = "download the folder again"


class HubTable(NamedTuple):
    """A file of a dataset."""

    path: Path
    config: str  # the folder of a configuration; empty where there is none
    split: str
    shard: tuple[int, int] | None = None  # its number, and how many there are

    @property
    def group(self) -> str:
        """What to call its configuration and split together."""
        return f"{self.config}/{self.split}" if self.config else self.split


def tables_of(folder: Folder) -> list[HubTable]:
    """All tables of a folder, those that were saved to the disk first; none where it has neither."""
    saved = list(_saved(folder))
    tables = folder.files("**/*.parquet") or [
        path for path in folder.files("**/metadata.jsonl", "**/metadata.csv") if "file_name" in first_fields(path)
    ]
    return saved or [_table(folder, path) for path in tables]


def of_split(folder: Folder, split: str | None) -> list[HubTable]:
    """The tables of a split, of all configurations that have it; without a name, of the only one that there is.

    InputError where none has that name, several might be meant, or a shard is missing.
    """
    tables = tables_of(folder)
    groups = list(dict.fromkeys(table.group for table in tables))
    if split is None and len(groups) > 1:
        do = "say which with --split (in a spec, [corpus] split), or name the folder of one"
        raise InputError(folder.root, f"has {len(groups)} splits: {first_few(groups, 12)}", do)
    chosen = [table for table in tables if split in (None, table.split, table.group)]
    if not chosen:
        names = list(dict.fromkeys(name for table in tables for name in (table.split, table.group)))
        raise InputError(f"split {split}", f"{folder.root} has no such split", choose(str(split), names))
    _check_shards(folder, chosen)
    return chosen


def _table(folder: Folder, path: Path) -> HubTable:
    """What the name of a file, or of the folders that it is in, says of it."""
    inside = PurePosixPath(folder.name(path))
    folders = [name for name in inside.parent.parts if name != "data"]
    shard = _SHARD.fullmatch(inside.stem)
    if shard:
        return HubTable(path, "/".join(folders), shard["split"], (int(shard["number"]), int(shard["total"])))
    unnamed = inside.stem.isdigit() or inside.stem == "metadata"
    if folders and inside.stem not in _SPLITS and (unnamed or folders[-1] in _SPLITS):
        return HubTable(path, "/".join(folders[:-1]), folders[-1])
    return HubTable(path, "/".join(folders), inside.stem)


def _saved(folder: Folder) -> Iterator[HubTable]:
    """The tables that `save_to_disk` wrote; what else lies beside them (caches of datasets) is none."""
    for state in folder.files(f"**/{STATE}"):
        inside = PurePosixPath(folder.name(state.parent))
        name = folder.name(state)
        for file_name in _file_names(state, name):
            path = state.parent / file_name
            if path.suffix != ARROW or path.parent != state.parent or not folder.files(folder.name(path)):
                raise InputError(name, f"names '{file_name}', and there is no such Arrow file beside it", _AGAIN)
            yield HubTable(path, "/".join(inside.parts[:-1]), inside.name or "all")


def _file_names(state: Path, name: str) -> list[str]:
    """The files that a state.json lists; none where it is another program's."""
    content = read_json(state, _AGAIN, _MOST_STATE_BYTES)
    listed = content.get("_data_files") if isinstance(content, dict) else None
    if not isinstance(listed, list):
        return []
    names = [entry.get("filename") if isinstance(entry, dict) else None for entry in listed]
    texts = [text for text in names if isinstance(text, str) and text]
    if len(texts) != len(names):
        raise InputError(name, "lists a file without a name", _AGAIN)
    if content.get("_indices_files") or content.get("_indices_data_files"):
        raise InputError(
            name, "lists rows that were chosen, apart from the rows", "save it again with datasets 2 or newer"
        )
    return texts


def _check_shards(folder: Folder, tables: Iterable[HubTable]) -> None:
    """InputError where a split says that it has more shards than are there, or two numbers of them."""
    shards: dict[str, dict[tuple[int, int], Path]] = {}
    for table in tables:
        if table.shard is not None:
            shards.setdefault(table.group, {})[table.shard] = table.path
    for group, paths in shards.items():
        totals = sorted({total for _, total in paths})
        if len(totals) > 1:
            what = f"has shards of {' and of '.join(map(str, totals))} of the split {group}"
            raise InputError(folder.root, what, "remove those of the older download")
        lacking = [f"{number:05d}" for number in range(totals[0]) if (number, totals[0]) not in paths]
        if lacking:
            what = f"lacks shards {first_few(lacking)} of {totals[0]} of the split {group}"
            raise InputError(folder.root, what, _AGAIN)
