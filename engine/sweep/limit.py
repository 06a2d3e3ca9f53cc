"""A first look at part of the examples: a run folder of its own, marked so that nothing in it is ever approved.

Looking early and stopping where it looks good would break the bound on false approvals: a preview tells whether the
sweep works and what it will cost, and the verdict waits for all examples.
"""

import json
from dataclasses import replace
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from earmark.engine import files
from earmark.engine.corpus.corpus import Corpus
from earmark.engine.corpus.example import Audio
from earmark.engine.design.fields import Whole, shown
from earmark.engine.design.keys import NOT_NEEDED, PREVIEW, PREVIEW_MARK
from earmark.engine.errors import InputError
from earmark.engine.outcomes import store
from earmark.engine.outcomes.plan_file import PLAN
from earmark.engine.reading import check_place
from earmark.engine.signoff.answerer_files import FOLDER as ANSWERERS
from earmark.engine.sweep.blocks import first_recordings, in_order, survey
from earmark.engine.sweep.copies import copy_files
from earmark.engine.sweep.deciding import RowsOfBlocks
from earmark.engine.sweep.prepare import Prepared
from earmark.engine.sweep.sweep_folder import SweepFolder
from earmark.engine.sweep.windows import WindowsOfPreview

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


def check_is_part(limit: int, prepared: Prepared, run: Path, *, complete: bool) -> None:
    """InputError where a limit would look at everything: that would be no preview, and could be approved."""
    n_recordings = prepared.survey.recordings
    if limit >= n_recordings:
        do = "leave it out for the whole run, or look at fewer"
        raise InputError(f"limit {limit}", f"there are {n_recordings:,} recordings", do)
    if complete:
        do = "leave the limit out: nothing is asked again, and all of it is signed off"
        raise InputError(run, "is complete, and needs no preview", do)


def first(prepared: Prepared, n_recordings: int) -> Prepared:
    """The sweep of the first recordings alone: at every step as many of them, and of their questions all.

    Its blocks are those of the whole sweep; the last one may be a part of one. Where walks stop when they are decided
    it has no permuted questions, which wait until all is completed; where they go family by family it has the first
    recordings of each family, in blocks of its own.
    """
    if _goes_family_by_family(prepared):
        corpus = _first_of_families(prepared, n_recordings)
    else:
        corpus = first_recordings(prepared.corpus, n_recordings)
    steps = tuple(step for step in prepared.steps if prepared.walk is None or not step.permuted)
    return replace(prepared, corpus=corpus, survey=survey(corpus, prepared.spec.window), steps=steps)


def _goes_family_by_family(prepared: Prepared) -> bool:
    return prepared.walk is not None and prepared.walk.design.by_family


def _first_of_families(prepared: Prepared, n_recordings: int) -> Corpus:
    """So many recordings, of each family in turn the next one; in the order of the walk, which has a family whole."""
    examples = tuple(in_order(prepared.corpus))
    of_family: dict[str, dict[Audio, None]] = {}
    for example in examples:
        of_family.setdefault(prepared.family_of[example.sample_id], {})[example.audio] = None
    in_turns = (audio for turn in zip_longest(*of_family.values()) for audio in turn if audio is not None)
    chosen = set(islice(in_turns, n_recordings))
    return replace(prepared.corpus, examples=tuple(example for example in examples if example.audio in chosen))


def as_read(looked: Prepared, prepared: Prepared) -> Corpus:
    """The first recordings in the order in which they lie there: a walk's own order would go back and forth."""
    if prepared.walk is None:
        return looked.corpus
    samples = {example.sample_id for example in looked.corpus.examples}
    examples = tuple(example for example in prepared.as_read.examples if example.sample_id in samples)
    return replace(prepared.as_read, examples=examples)


def folder_of(folder: SweepFolder, prepared: Prepared, looked: Prepared) -> SweepFolder:
    """The sweep's folder as the sweep of its first recordings fills it: what is no block of the run has files of its
    own.
    """
    if _goes_family_by_family(prepared):
        own = range(looked.survey.blocks)
        return folder.with_windows(WindowsOfPreview(folder.run, looked.survey.recordings, own, begins_block=False))
    last = looked.survey.blocks - 1
    if looked.survey.sizes[last] == prepared.survey.sizes[last]:
        return folder
    return folder.with_windows(WindowsOfPreview(folder.run, looked.survey.recordings, [last], begins_block=True))


def make(folder: SweepFolder, looked: Prepared, prepared: Prepared) -> Path:
    """What `looked` asks of every cell as RUN/preview, in place of the preview before; all of it must be done.

    `prepared` is the whole sweep: where walks stop when they are decided, the preview has its other rows as not asked,
    since a walk needs to know how many there are. InputError where anything else than a preview is there.
    """
    out = folder.run / PREVIEW
    _remove(out, folder.run)
    ids = [example.sample_id for example in in_order(looked.corpus)]
    content = {"examples": len(ids), "of": prepared.survey.examples}
    files.write_file(out / PREVIEW_MARK, (json.dumps(content) + "\n").encode())
    for name in (store.PARTITIONS, PLAN, "selectors", ANSWERERS):
        copy_files(folder.run, out, name)
    wanted, blocks = pa.array(ids), range(looked.survey.blocks)
    rows_of_blocks = None if prepared.walk is None else RowsOfBlocks(prepared)
    for answerer in looked.spec.answerers:
        for step in looked.steps:
            keys = step.keys(answerer.name, looked.corpus.name)
            if not folder.has(keys):
                folder.windows.check_rows(answerer.name, step, blocks)
            for arm, key in keys.items():
                there = store.has_cell(folder.run, key)
                rows = (
                    store.read_rows(folder.run, key) if there else folder.windows.rows(answerer.name, step, arm, blocks)
                )
                rows = rows.filter(pc.is_in(rows["sample_id"], wanted))
                if rows_of_blocks is not None:
                    rows = rows_of_blocks.cell([rows.filter(pc.not_equal(rows["status"], NOT_NEEDED))])
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
