"""Copies what one run folder has and another lacks: regular files of that folder, each whole or not at all.

Knows the layout of cells; no sweep.
"""

import os
from pathlib import Path

from earmark.engine.design.keys import CellKey
from earmark.engine.files import flush, staged, write_files
from earmark.engine.outcomes import store
from earmark.engine.reading import check_inside, files_below, read_bytes

_NO_LINKS = "put a copy there, and no link"


def copy_files(source: Path, run: Path, name: str) -> None:
    """Copy a file, or the files of a folder, that the run lacks."""
    root = source / name
    is_file = os.path.lexists(root) and not root.is_dir()
    for path in [root] if is_file else files_below(root, "", source, _NO_LINKS, hidden=True):
        target = run / path.relative_to(source)
        if not os.path.lexists(target):
            check_inside(path, source, _NO_LINKS)
            data = read_bytes(path, _NO_LINKS, store.MOST_PARQUET_BYTES)
            write_files(run, {str(target.relative_to(run)): data})


def copy_cell(source: Path, run: Path, key: CellKey) -> None:
    """Copy a cell that the run lacks."""
    with staged(run) as staging:
        for path in files_below(source / str(key), ".parquet", source, _NO_LINKS):
            copy = staging / path.relative_to(source / str(key).rpartition("/")[0])
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(read_bytes(path, _NO_LINKS, store.MOST_PARQUET_BYTES))
            flush(copy)
        store.place_cell(staging / Path(str(key)).name, run, key)
