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
from earmark.engine.design.keys import PREVIEW, PREVIEW_MARK
from earmark.engine.errors import InputError
from earmark.engine.outcomes import store
from earmark.engine.outcomes.plan_file import PLAN
from earmark.engine.reading import check_place
from earmark.engine.signoff.answerer_files import FOLDER as ANSWERERS
from earmark.engine.sweep.blocks import blocks
from earmark.engine.sweep.copies import copy_files
from earmark.engine.sweep.prepare import Prepared
from earmark.engine.sweep.sweep_folder import SweepFolder

_PREVIEW_FILES = (PREVIEW_MARK, store.PARTITIONS, PLAN, "certificate.json", "report.html", "policy.json")
_PREVIEW_FOLDERS = {
    store.CELLS: ".parquet",
    "selectors": ".json",
    ANSWERERS: ".json",
    ".staging": "",
}  # and how their files end
_RECORDINGS = Whole(1, 10**9, "recordings")


def check(limit: Any) -> None:
    """InputError for a limit that is no whole number from 1; None is no limit."""
    if limit is not None:
        try:
            _RECORDINGS(limit)
        except (TypeError, ValueError):
            raise InputError(f"limit {shown(repr(limit))}", f"must be {_RECORDINGS.wanted}", "change it") from None


def make(folder: SweepFolder, prepared: Prepared, first: int) -> Path:
    """The first blocks of every cell as RUN/preview, in place of the preview before; all of them must be done.

    InputError where anything else than a preview is there.
    """
    out = folder.run / PREVIEW
    _remove(out, folder.run)
    ids = [
        example.sample_id
        for block in islice(blocks(prepared.corpus, prepared.spec.window), first)
        for example in block.examples
    ]
    content = {"examples": len(ids), "of": prepared.survey.examples}
    files.write_file(out / PREVIEW_MARK, (json.dumps(content) + "\n").encode())
    for name in (store.PARTITIONS, PLAN, "selectors", ANSWERERS):
        copy_files(folder.run, out, name)
    wanted = pa.array(ids)
    for answerer in prepared.spec.answerers:
        for step in prepared.steps:
            if not folder.has(step.keys(answerer.name, prepared.corpus.name)):
                folder.windows.check_rows(answerer.name, step, range(first))
            for arm, key in step.keys(answerer.name, prepared.corpus.name).items():
                if store.has_cell(folder.run, key):
                    whole = store.read_rows(folder.run, key)
                    rows = whole.filter(pc.is_in(whole["sample_id"], wanted))
                else:
                    rows = folder.windows.rows(answerer.name, step, arm, range(first))
                folder.write_cell(key, rows, out)
    return out


def _remove(preview: Path, run: Path) -> None:
    """Delete the preview that was there before: at once, so that no part of it is left without its mark."""
    check_place(preview / PREVIEW_MARK, run)
    if not preview.exists():
        return
    names = [path.relative_to(preview) for path in preview.rglob("*") if path.is_symlink() or not path.is_dir()]
    unknown = [name for name in names if not _is_of_a_preview(name)]
    unmarked = Path(PREVIEW_MARK) not in names and any(name.parts[0] != ".staging" for name in names)
    if unknown or unmarked:
        what = f"holds {unknown[0]}, which no preview has" if unknown else f"is no preview (no {PREVIEW_MARK})"
        raise InputError(preview, f"{what}: it is not deleted", "move it away: a preview is written there")
    with files.staged(run) as staging:
        preview.rename(staging / PREVIEW)


def _is_of_a_preview(name: Path) -> bool:
    ending = _PREVIEW_FOLDERS.get(name.parts[0])
    return str(name) in _PREVIEW_FILES if ending is None else len(name.parts) > 1 and name.name.endswith(ending)
