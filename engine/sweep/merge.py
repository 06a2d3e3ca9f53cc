"""Brings the shards of one sweep together: what one machine has and another lacks is copied, then cells are made.

Nothing is computed and nothing in the shards is changed. Only shards of the same plan belong together.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from earmark.engine.errors import InputError
from earmark.engine.files import flush, make_folder, staged, write_file
from earmark.engine.outcomes.plan_file import PLAN, differing
from earmark.engine.outcomes.store import CELLS, PARTITIONS
from earmark.engine.sweep.status import Status, status
from earmark.engine.sweep.sweep_folder import SPEC, SweepFolder

_COPIED = (SPEC, PARTITIONS, PLAN, "selectors", "scores", "audits", "pending")  # the plan after what it vouches for


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
    for shard in shards:
        for name in _COPIED:
            _copy_files(shard, run, name)
        for cell in sorted((shard / CELLS).glob("*/*/*/*/*/*")):
            _copy_cell(cell, run / cell.relative_to(shard), run)
    for answerer in plan.answerers:
        for step in plan.steps:
            folder.complete(answerer, plan.corpus.name, step, plan.corpus.windows)
    return status(run)


def _copy_files(shard: Path, run: Path, name: str) -> None:
    root = shard / name
    files = [root] if root.is_file() else sorted(path for path in root.rglob("*") if path.is_file())
    for path in files:
        target = run / path.relative_to(shard)
        if not target.exists():
            write_file(target, path.read_bytes())


def _copy_cell(cell: Path, target: Path, run: Path) -> None:
    if target.exists():
        return
    with staged(run) as staging:
        shutil.copytree(cell, staging / cell.name)
        for path in (staging / cell.name).iterdir():
            flush(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.rename(staging / cell.name, target)
    flush(target.parent)
