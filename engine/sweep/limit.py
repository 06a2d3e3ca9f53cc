"""A first look at part of the examples: a run folder of its own, marked so that nothing in it is ever approved.

Looking early and stopping where it looks good would break the bound on false approvals: a preview tells whether the
sweep works and what it will cost, and the verdict waits for all examples.
"""

import json
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from earmark.engine import files
from earmark.engine.design.fields import Whole, shown
from earmark.engine.design.keys import PREVIEW_MARK
from earmark.engine.errors import InputError
from earmark.engine.outcomes import store
from earmark.engine.outcomes.plan_file import PLAN
from earmark.engine.sweep.blocks import blocks
from earmark.engine.sweep.copies import copy_files
from earmark.engine.sweep.prepare import Prepared
from earmark.engine.sweep.sweep_folder import SweepFolder

FOLDER = "preview"
_RECORDINGS = Whole(1, 10**9, "recordings")


def check(limit: Any) -> None:
    """InputError for a limit that is no whole number from 1; None is no limit."""
    if limit is not None:
        try:
            _RECORDINGS(limit)
        except (TypeError, ValueError):
            raise InputError(f"limit {shown(repr(limit))}", f"must be {_RECORDINGS.wanted}", "change it") from None


def make(folder: SweepFolder, prepared: Prepared, first: int) -> Path:
    """The first blocks of every cell as RUN/preview, in place of the preview before; all of them must be done."""
    out = folder.run / FOLDER
    files.remove_folder(out, folder.run)
    ids = [
        example.sample_id
        for block in islice(blocks(prepared.corpus, prepared.spec.window), first)
        for example in block.examples
    ]
    content = {"examples": len(ids), "of": prepared.survey.examples}
    files.write_file(out / PREVIEW_MARK, (json.dumps(content) + "\n").encode())
    for name in (store.PARTITIONS, PLAN, "selectors"):
        copy_files(folder.run, out, name)
    wanted = pa.array(ids)
    for answerer in prepared.spec.answerers:
        for step in prepared.steps:
            for arm, key in step.keys(answerer.name, prepared.corpus.name).items():
                if store.has_cell(folder.run, key):
                    whole = store.read_rows(folder.run, key)
                    rows = whole.filter(pc.is_in(whole["sample_id"], wanted))
                else:
                    rows = folder.rows(answerer.name, step, arm, range(first))
                folder.write_cell(key, rows, out)
    return out
