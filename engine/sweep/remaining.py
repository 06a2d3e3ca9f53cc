"""What is left to ask in a folder whose sweep stops when it is decided: its walks are gone over the answers that are
there, and where there is none yet over guessed ones.

Reads the folder alone: no corpus, no answerer. Writes nothing.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from earmark.engine.arrays import BoolArray, FloatArray
from earmark.engine.design import spec as specs
from earmark.engine.design.keys import NOT_NEEDED, OK
from earmark.engine.design.rule import Rule
from earmark.engine.design.steps import Arm, Step
from earmark.engine.errors import InputError, first_few
from earmark.engine.outcomes import store
from earmark.engine.outcomes.plan_file import PlanFile
from earmark.engine.signoff.rules.declared_walk import DeclaredWalk
from earmark.engine.signoff.sizes import Guess
from earmark.engine.signoff.walk_forecast import Simulation, asked
from earmark.engine.sweep.sweep_folder import SPEC, SweepFolder
from earmark.engine.sweep.walk_order import declared_rows, n_candidates, walk_of

_RESTORE = "restore the folder as the sweep wrote it"
_SETS = 5  # in which the answers that are not there are guessed, at most
_MOST_WALKS = 20  # that are gone for an answerer, about


class Remaining(NamedTuple):
    """How far a sweep is that stops when it is decided."""

    answers: int  # that are there
    more: int  # that will be asked, if all is safe
    beyond: int  # of those that are there and decided, that no walk needed


class DeclaredSweep(NamedTuple):
    """What a folder declares of a sweep that stops when it is decided."""

    rule: Rule
    candidates: int  # that share alpha
    evaluations: int  # where it is completed


def declared_sweep(run: Path) -> DeclaredSweep | None:
    """What a run folder declares; None where no sweep was begun there that stops when it is decided."""
    plan = SweepFolder(run).plan()
    if plan is None or plan.decided is None:
        return None
    spec = specs.read(run / SPEC)
    n_places = sum(len(step.places) for step in plan.steps)
    evaluations = n_places * plan.corpus.examples * len(plan.answerers)
    return DeclaredSweep(spec.rule, n_candidates(spec, plan.corpus.name), evaluations)


def remaining(run: Path, guess: Guess) -> Remaining | None:
    """What is left to ask in a run folder; None where no sweep was begun there that stops when it is decided."""
    folder = SweepFolder(run)
    plan = folder.plan()
    if plan is None or plan.decided is None or not plan.partitions:
        return None
    corpus = _PlannedRows(run, plan, plan.decided.blocks)
    answers, more, beyond = 0, 0.0, 0
    for answerer in plan.answerers:
        steps = [step for step in plan.steps if not step.permuted]
        if {step.kind for step in steps} != {"raw", "silence", "walk"}:
            raise InputError(plan.path, "has other steps than raw audio, silence and walks of one method", _RESTORE)
        there = {step: _answers_there(folder, answerer, step, plan, corpus.samples) for step in steps}
        answers += sum(int(known.there.sum()) for known in there.values())
        if not all(folder.has(step.keys(answerer, plan.corpus.name)) for step in steps):
            more += _more(Simulation(corpus.walk, guess, harms=False), there)
        else:
            beyond += _beyond(corpus.walk, there)
    return Remaining(answers, round(more), beyond)


class _PlannedRows:
    """The questions of a plan, and the walk of every method over them."""

    walk: DeclaredWalk
    samples: Sequence[str]

    def __init__(self, run: Path, plan: PlanFile, blocks: Sequence[int]) -> None:
        place, stored = run / store.PARTITIONS, store.read_partitions(run)
        columns = [] if stored is None else stored[0].column_names
        lost = [name for name in (*plan.partitions, store.SOURCE_ID) if name not in columns]
        if stored is None or lost:
            raise InputError(place, f"lacks {first_few(lost)} of the sweep in {run}", _RESTORE)
        table = stored[0].filter(pc.equal(stored[0]["corpus"], plan.corpus.name))
        if len(table) != plan.corpus.examples or any(table[name].null_count for name in (*plan.partitions, *store.IDS)):
            what = f"has not a label for each of the {plan.corpus.examples:,} questions of the sweep in {run}"
            raise InputError(place, what, _RESTORE)
        self.samples = table["sample_id"].to_pylist()
        labels = {name: dict(zip(self.samples, table[name].to_pylist(), strict=True)) for name in plan.partitions}
        spec = specs.read(run / SPEC)
        rows = declared_rows(self.samples, table[store.SOURCE_ID].to_pylist(), labels, spec.rule)
        self.walk = walk_of(spec, plan.corpus.name, rows, blocks)


class _Known(NamedTuple):
    """The answers to a step that are there."""

    there: BoolArray  # (n,)
    loss: FloatArray  # (n,) NaN where it failed or was not asked


def _answers_there(folder: SweepFolder, answerer: str, step: Step, plan: PlanFile, samples: Sequence[str]) -> _Known:
    row_of = {sample: row for row, sample in enumerate(samples)}
    known = _Known(np.zeros(len(samples), dtype=np.bool_), np.full(len(samples), np.nan))
    ((_, key),) = step.keys(answerer, plan.corpus.name).items()
    whole = store.has_cell(folder.run, key)
    tables = [store.read_rows(folder.run, key)] if whole else folder.windows.parts(answerer, step)
    for table in tables:
        rows = table.filter(pc.not_equal(table["status"], NOT_NEEDED))
        places = [row_of[sample] for sample in rows["sample_id"].to_pylist() if sample in row_of]
        if len(places) < len(rows):
            raise InputError(folder.run, f"has answers at {step.name} to questions that its plan has not", _RESTORE)
        known.there[places] = True
        known.loss[places] = _losses(rows)
    return known


def _losses(rows: pa.Table) -> FloatArray:
    ok = np.asarray(pc.equal(rows["status"], OK))
    return np.where(ok, rows["loss"].to_numpy(zero_copy_only=False), np.nan)


def _more(simulation: Simulation, there: dict[Step, _Known]) -> float:
    """How many rows an answerer will still be asked, on average."""
    raw, silence = _references(there)
    walks = _walks(there)
    n_sets = max(1, min(_SETS, _MOST_WALKS // len(walks)))
    more = 0
    for number in range(n_sets):
        compared = np.zeros(len(there[raw].loss), dtype=np.bool_)
        for arm, way in enumerate(walks.values()):
            changes = simulation.draw(number, arm, len(way)).astype(np.float64)
            _tell(changes, way, there)
            rows_asked = asked(simulation.walk.design, changes)
            compared |= rows_asked.any(axis=0)
            more += sum(_lacking(rows, there[step]) for rows, step in zip(rows_asked, way, strict=True))
        more += sum(_lacking(compared, there[step]) for step in (raw, silence))
    return more / n_sets


def _beyond(walk: DeclaredWalk, there: dict[Step, _Known]) -> int:
    """How many of an answerer's rows are there that no walk looks at, where all of them are decided."""
    compared = np.zeros(len(walk.rows.source), dtype=np.bool_)
    beyond = 0
    for way in _walks(there).values():
        changes = np.zeros((len(way), len(compared)))
        _tell(changes, way, there)
        rows_asked = asked(walk.design, changes)
        compared |= rows_asked.any(axis=0)
        beyond += sum(int((there[step].there & ~rows).sum()) for rows, step in zip(rows_asked, way, strict=True))
    return beyond + sum(int((there[step].there & ~compared).sum()) for step in _references(there))


def _references(there: dict[Step, _Known]) -> tuple[Step, Step]:
    """Raw audio and silence."""
    raw, silence = (next(step for step in there if step.kind == kind) for kind in ("raw", "silence"))
    return raw, silence


def _walks(there: dict[Step, _Known]) -> dict[Arm, list[Step]]:
    """The steps of each method's walk, from the largest budget down."""
    walks: dict[Arm, list[Step]] = {}
    for step in there:
        if step.compressed:
            walks.setdefault(step.arms[0], []).append(step)
    return walks


def _tell(changes: FloatArray, way: Sequence[Step], there: dict[Step, _Known]) -> None:
    """Put the differences that are known into those (B, n) of a walk."""
    raw, _ = _references(there)
    for of_budget, step in zip(changes, way, strict=True):
        known = there[step].there & there[raw].there
        rise = there[step].loss - there[raw].loss
        of_budget[known] = np.where(np.isnan(rise), 1.0, rise)[known]


def _lacking(rows: BoolArray, known: _Known) -> int:
    """How many of these rows are not there."""
    return int((rows & ~known.there).sum())
