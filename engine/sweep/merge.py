"""Brings the shards of one sweep together: what one machine has and another lacks is copied, then cells are made.

Nothing is computed and nothing in the shards is changed. Only shards of the same plan belong together.
"""

from collections.abc import Sequence
from pathlib import Path

from earmark.engine.errors import InputError
from earmark.engine.files import make_folder, tidy
from earmark.engine.outcomes import store
from earmark.engine.outcomes.plan_file import PLAN, differing
from earmark.engine.progress import Report, silent
from earmark.engine.signoff.answerer_files import FOLDER as ANSWERERS
from earmark.engine.sweep.copies import copy_cell, copy_files
from earmark.engine.sweep.status import Status, status
from earmark.engine.sweep.sweep_folder import SPEC, SweepFolder
from earmark.engine.sweep.who_answers import check_shards
from earmark.engine.sweep.windows import ANSWERS as RESULTS

# the plan after what it vouches for; results, of which only walks need those of others, before the rows of them
_COPIED = (SPEC, store.PARTITIONS, PLAN, "selectors", ANSWERERS, "scores", "audits", RESULTS, "pending")


def merge(run: Path, shards: Sequence[Path], report: Report = silent) -> Status:
    """Copy the shards into `run` (new, or a shard itself) and complete what can be completed."""
    report("reading shards", 0, 0)
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
    check_shards([run, *shards], plan.answerers)
    make_folder(run)
    tidy(run)
    keys = [
        key
        for answerer in plan.answerers
        for step in plan.steps
        for key in step.keys(answerer, plan.corpus.name).values()
    ]
    for shard in shards:
        for name in _COPIED:
            if name == RESULTS and plan.decided is None:
                continue
            report(f"copying {name} of {shard}", 0, 0)
            copy_files(shard, run, name)
        for n_done, key in enumerate(keys):
            report(f"copying cells of {shard}", n_done, len(keys))
            if store.has_cell(shard, key) and not store.has_cell(run, key):
                copy_cell(shard, run, key)
    for answerer in plan.answerers:
        for step in plan.steps:
            if plan.decided is not None and not step.permuted:
                continue  # only who has the corpus can go the walks: the next run without a shard
            report(f"completing cells of {answerer}, {step.name}", 0, 0)
            folder.complete(answerer, plan.corpus.name, step, plan.corpus.windows)
    merged = status(run)
    if merged.complete:
        folder.forget_what_was_kept()
    return merged
