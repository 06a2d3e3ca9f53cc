"""The very questions of two certificates, paired from their run folders: whose answers got worse, and whose better.

A unit is a recording: it got worse where its questions of a family lose more in sum than before. Reads outcomes; knows
no tests.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.compute as pc

from earmark.engine.arrays import FloatArray, IntArray
from earmark.engine.design.keys import ANCHOR
from earmark.engine.design.rule import Rule
from earmark.engine.errors import EarmarkError
from earmark.engine.outcomes.store import CELLS, is_signed_off
from earmark.engine.progress import Report, silent
from earmark.engine.remote import beside
from earmark.engine.signoff.certificate import Certificate, rule_of
from earmark.engine.signoff.changed_input import changed_input
from earmark.engine.signoff.diff.sign_test import sign_p
from earmark.engine.signoff.judged_partitions import Partitions
from earmark.engine.signoff.pair import Control, Curve, CurveKey, Rows, pair

_NOISE = 1e-9  # of a sum of losses: differences are rounded to a grid


class ChangedUnits(NamedTuple):
    """How many independent units of a family changed."""

    n_worse: int
    n_better: int
    rise: float  # of the loss, summed over the family


class AnswerSheet(NamedTuple):
    """The outcomes behind one certificate, by curve and by partition."""

    curves: Mapping[CurveKey, Curve]
    rows: Mapping[tuple[str, str], Rows]  # by answerer and corpus, here and below
    members: Mapping[tuple[str, str], Mapping[str, Mapping[str, IntArray]]]  # rows, by partition and family
    controls: Mapping[tuple[str, str], Control]
    largest: float  # loss there can be


def answer_sheet(stated: Certificate, folder: Path, progress: Report = silent) -> AnswerSheet | str:
    """The outcomes in the run folder that a certificate in `folder` names, or why there are none to be had."""
    try:
        run = beside(folder, stated.run, is_signed_off, progress)
        if not (run / CELLS).is_dir():
            return f"its run folder ({stated.run}) is not where it says"
        change = changed_input(stated, run)
        if change is not None:
            return f"its files are not those that it was made from ({change})"
        sheet = _read(run, rule_of(stated), progress)
    except EarmarkError as error:
        return f"its run folder cannot be read ({error})"
    return sheet if _is_of(sheet, stated) else "its results are not those of its files"


def _read(run: Path, rule: Rule, progress: Report) -> AnswerSheet:
    """The outcomes of a run folder as a rule takes them."""
    paired = pair(run, rule, progress)
    partitions = Partitions(run, rule.partitions)
    rows: dict[tuple[str, str], Rows] = {}
    members: dict[tuple[str, str], Mapping[str, Mapping[str, IntArray]]] = {}
    for group, curves in paired.groups:
        families = partitions.of(group, rule)
        by_name = {
            name: dict(zip(partition.names, partition.members, strict=True)) for name, partition in families.items()
        }
        for place in dict.fromkeys((curve.key.answerer, curve.key.corpus) for curve in curves):
            rows[place], members[place] = group, by_name
    anchors = {curve.key: curve for _, curves in paired.groups for curve in curves if curve.key.stream == ANCHOR}
    return AnswerSheet(anchors, rows, members, paired.controls, np.inf if rule.loss == "nll" else 1.0)


def _is_of(sheet: AnswerSheet, stated: Certificate) -> bool:
    """Whether the results that a certificate states have the curves, budgets, partitions and families of its files."""
    for result in stated.results:
        curve = sheet.curves.get(CurveKey(result.answerer, result.corpus, result.method, result.seed, ANCHOR))
        families = sheet.members.get((result.answerer, result.corpus), {}).get(result.partition, {})
        if (
            curve is None
            or curve.budgets.tolist() != [entry.budget for entry in result.budgets]
            or [family.family for family in result.families] != [*families]
        ):
            return False
    return True


class PairedSheets:
    """Two sheets of the same questions."""

    def __init__(self, old: AnswerSheet, new: AnswerSheet, alpha: float) -> None:
        self._old, self._new = old, new
        self.notes: list[str] = []
        self.obstacles: dict[tuple[str, str], str] = {}  # why answers cannot be paired, by answerer and corpus
        for place in old.rows.keys() & new.rows.keys():
            for obstacle in self._obstacles(place, alpha):
                self.obstacles.setdefault(place, obstacle)

    def same_members(self, place: tuple[str, str], partition: str, family: str) -> bool:
        """Whether a family has the same questions as before."""
        before, now = (sheet.members[place][partition][family] for sheet in (self._old, self._new))
        return np.array_equal(before, now)

    def units(self, key: CurveKey, partition: str, family: str, budget: float) -> ChangedUnits:
        """How many recordings of a family changed at a budget, among questions that are the same."""
        place = key.answerer, key.corpus
        members = self._new.members[place][partition][family]
        rise = _loss(self._new, key, budget, members) - _loss(self._old, key, budget, members)
        return _units(rise, self._new.rows[place].source[members])

    def _obstacles(self, place: tuple[str, str], alpha: float) -> Iterator[str]:
        """Why the answers of an answerer to a corpus cannot be paired."""
        where = "/".join(place)
        before, now = self._old.rows[place], self._new.rows[place]
        if not before.sample_id.equals(now.sample_id):
            gone = len(before.sample_id.filter(pc.invert(pc.is_in(before.sample_id, now.sample_id))))
            added = len(now.sample_id.filter(pc.invert(pc.is_in(now.sample_id, before.sample_id))))
            yield f"{where}: other questions: {gone:,} of before are gone, {added:,} are new."
            return
        if not np.array_equal(before.source, now.source):
            yield f"{where}: the questions are about other recordings."
        was, is_now = self._old.controls[place], self._new.controls[place]
        if not was.right_answers.equals(is_now.right_answers):
            yield f"{where}: other answers count as right."
        if not np.array_equal(was.options, is_now.options, equal_nan=True):
            yield f"{where}: the questions have other options."
        units = _units(np.nan_to_num(is_now.raw_loss) - np.nan_to_num(was.raw_loss), now.source)
        changed = f"{units.n_worse:,} recordings lose more on raw audio, {units.n_better:,} lose less"
        if 2 * sign_p(max(units[:2]), min(units[:2])) <= alpha:
            yield f"{where}: perhaps another answerer: {changed}."
        elif units.n_worse or units.n_better:
            self.notes.append(f"{where}: raw audio is not answered as before: {changed}.")


def _loss(sheet: AnswerSheet, key: CurveKey, budget: float, members: IntArray) -> FloatArray:
    """The loss of some rows at a budget; a row without an answer has lost, as in the certificate."""
    curve, control = sheet.curves[key], sheet.controls[key.answerer, key.corpus]
    rise = curve.difference[members, curve.budgets.tolist().index(budget)]
    loss: FloatArray = np.minimum(rise + np.nan_to_num(control.raw_loss[members]), sheet.largest)
    return loss


def _units(rise: FloatArray, source: IntArray) -> ChangedUnits:
    """The recordings whose loss rose, and those whose loss fell."""
    by_recording = np.bincount(np.unique(source, return_inverse=True)[1], weights=rise)
    return ChangedUnits(int((by_recording > _NOISE).sum()), int((by_recording < -_NOISE).sum()), float(rise.sum()))
