"""Brings the shards of one sweep together: what one machine has and another lacks is copied, then cells are made.

Nothing is computed and nothing in the shards is changed. Only shards of the same plan belong together.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from earmark.engine.design.keys import CellKey
from earmark.engine.errors import InputError
from earmark.engine.files import flush, make_folder, staged, write_file
from earmark.engine.outcomes import store
from earmark.engine.outcomes.plan_file import PLAN, differing
from earmark.engine.reading import check_inside, files_below, read_bytes
from earmark.engine.sweep.status import Status, status
from earmark.engine.sweep.sweep_folder import SPEC, SweepFolder

# the plan after what it vouches for
_COPIED = (SPEC, store.PARTITIONS, PLAN, "selectors", "scores", "audits", "pending")
_COPY_ALL = "copy all of a shard, and no links"


def merge(run: Path, shards: Sequence[Path]) -> Status:
    """Copy the shards into `run` (new, or a shard itself) and complete what can be completed."""
    folder = SweepFolder(run)
    plan = folder.plan()
    for shard in shards:
        plan_there = status(shard).plan
        plan = plan or plan_there
        differs = differing(plan.content, plan_there.content)
        if differs:
            what = f"is a shard of another sweep (it differs in {', '.join(differs)})"
            raise InputError(shard, what, "merge shards of one spec and corpus")
    assert plan is not None, "there is at least one shard"
    make_folder(run)
    keys = [
        key
        for answerer in plan.answerers
        for step in plan.steps
        for key in step.keys(answerer, plan.corpus.name).values()
    ]
    for shard in shards:
        for name in _COPIED:
            _copy_files(shard, run, name)
        for key in keys:
            if store.has_cell(shard, key) and not store.has_cell(run, key):
                _copy_cell(shard, run, key)
    for answerer in plan.answerers:
        for step in plan.steps:
            folder.complete(answerer, plan.corpus.name, step, plan.corpus.windows)
    return status(run)


def _copy_files(shard: Path, run: Path, name: str) -> None:
    """Copy a file, or the files of a folder, that the run lacks."""
    root = shard / name
    is_file = os.path.lexists(root) and not root.is_dir()
    for path in [root] if is_file else files_below(root, "", shard, _COPY_ALL, hidden=True):
        target = run / path.relative_to(shard)
        if not os.path.lexists(target):
            check_inside(path, shard, _COPY_ALL)
            write_file(target, read_bytes(path, _COPY_ALL, store.MOST_PARQUET_BYTES))


def _copy_cell(shard: Path, run: Path, key: CellKey) -> None:
    target = run / str(key)
    with staged(run) as staging:
        for path in files_below(shard / str(key), ".parquet", shard, _COPY_ALL):
            copy = staging / path.relative_to(shard / str(key).rpartition("/")[0])
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(read_bytes(path, _COPY_ALL, store.MOST_PARQUET_BYTES))
            flush(copy)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.rename(staging / target.name, target)
    flush(target.parent)
