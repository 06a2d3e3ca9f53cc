"""Which questions flipped where a walk stopped: families that do not pass, how many rows, and the first questions.

Reads again the cells of that budget, since curves keep no answers. Knows no text and no clip: those are `kept_clips`'.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from earmark.engine.arrays import BoolArray
from earmark.engine.design.keys import ANCHOR, CellKey
from earmark.engine.design.rule import Rule
from earmark.engine.errors import InputError
from earmark.engine.outcomes import store
from earmark.engine.outcomes.input_file import InputFile
from earmark.engine.printable import shortened
from earmark.engine.signoff.families import Families
from earmark.engine.signoff.flip_entry import CurveFlips, FamilyFlips, FlippedQuestion
from earmark.engine.signoff.pair import SELF_FULL, Rows
from earmark.engine.signoff.result_entry import BudgetEntry, FamilyAtBudget, ResultEntry

MOST_FAMILIES = 5  # of a result whose questions are named
MOST_QUESTIONS = 5  # of a family
_MOST_TEXT = 200  # characters of an answer, which a log may have as a whole sentence


def flips(
    run: Path,
    results: Sequence[ResultEntry],
    rows: Rows,
    families_of: Mapping[str, Families],
    rule: Rule,
    inputs: Sequence[InputFile],
    *,
    decided: bool,
) -> Iterator[CurveFlips]:
    """What flipped in each result with a walk that stopped, where its cells are.

    Where a sweep stopped when it was `decided`, the walk left families undecided: of these the ones are named whose
    rows, whichever were asked, are more harmed than the tolerance. `inputs` are the files that were read before:
    InputError where one of them has changed since.
    """
    paths_of = store.find_cells(run)
    known = set(inputs)

    @lru_cache(maxsize=4)  # raw audio, and what the partitions of one curve share
    def read(key: CellKey) -> store.Cell:
        cell = store.read_cell(run, key, paths_of[key])
        if not known.issuperset(cell.files):
            again = "leave the run as it is, and run the same command again"
            raise InputError(key, "was changed while it was read", again)
        return cell

    for result in results:
        stop = _stop(result, rule)
        if stop is not None:
            key = CellKey(result.answerer, result.corpus, result.method, result.seed, ANCHOR, stop.entry.budget)
            outcomes = _Outcomes(read(_raw_key(result, key, paths_of)), read(key))
            yield _of_result(result, stop, outcomes, rows, families_of[result.partition], decided=decided)


class _Stopped(NamedTuple):
    """Where a walk stopped, and what its tests may spend."""

    entry: BudgetEntry
    family: str | None  # that binds
    level: float


class _Outcomes(NamedTuple):
    """The same rows on raw and on compressed audio."""

    raw: store.Cell
    compressed: store.Cell

    @property
    def to_wrong(self) -> BoolArray:
        """(n,) right on raw audio, and wrong or without an answer on compressed; of those that were asked."""
        return _is_right(self.raw) & ~_is_right(self.compressed) & self.compressed.asked

    @property
    def to_right(self) -> BoolArray:
        """(n,) wrong on raw audio and right on compressed; a raw row without an answer was not wrong."""
        return self.raw.ok & ~_is_right(self.raw) & _is_right(self.compressed)


def _is_right(cell: store.Cell) -> BoolArray:
    return np.asarray(cell.ok & (cell.loss == 0), dtype=bool)


def _stop(result: ResultEntry, rule: Rule) -> _Stopped | None:
    """Where the walk of a result stopped, at the level of the claim where it is a part of one; None where nowhere.

    Under the paper's rule, which walks nothing: the largest budget below 1 that does not pass.
    """
    alone, corrected = result.certified[0], result.corrected
    if rule.name == "paper":
        failing = [
            entry
            for entry in result.budgets
            if entry.budget < 1 and entry.decision_at(alone.tolerance).decision != "approve"
        ]
        return _Stopped(failing[-1], None, rule.alpha) if failing else None
    failure = alone.first_failure if corrected is None else corrected.first_failure
    entry = next((entry for entry in result.budgets if failure is not None and entry.budget == failure.budget), None)
    if failure is None or failure.missing or entry is None:
        return None
    return _Stopped(entry, failure.family, rule.look_alpha if corrected is None else corrected.level)


def _raw_key(result: ResultEntry, key: CellKey, keys: Iterable[CellKey]) -> CellKey:
    """The cell that a result's is compared with: raw audio's, or where there is none the method's own at budget 1."""
    if result.reference == SELF_FULL:
        return replace(key, budget=1.0)
    (raw,) = (
        other
        for other in keys
        if other.is_reference and (other.answerer, other.corpus, other.stream) == (key.answerer, key.corpus, key.stream)
    )
    return raw


def _of_result(
    result: ResultEntry, stop: _Stopped, outcomes: _Outcomes, rows: Rows, families: Families, *, decided: bool
) -> CurveFlips:
    tolerance = result.certified[0].tolerance
    binding = [family for family in stop.entry.families if _binds(family, stop, tolerance)]
    if decided:  # others are only undecided, since the walk ended
        binding = [family for family in binding if family.family == stop.family or family.excess > tolerance]
    binding.sort(key=lambda family: (-family.excess, family.family))
    members = dict(zip(families.names, families.members, strict=True))
    to_wrong, to_right = outcomes.to_wrong, outcomes.to_right
    entries = []
    for number, family in enumerate(binding):
        own = members[family.family]
        flipped = own[to_wrong[own]]
        most = MOST_QUESTIONS if number < MOST_FAMILIES else 0
        first = flipped[np.argsort(rows.place[flipped], kind="stable")][:most]
        entries.append(
            FamilyFlips(
                family.family,
                family.n,
                len(flipped),
                int(to_right[own].sum()),
                tuple(_question(outcomes, row) for row in first.tolist()),
            )
        )
    return CurveFlips(
        answerer=result.answerer,
        corpus=result.corpus,
        method=result.method,
        seed=result.seed,
        partition=result.partition,
        tolerance=tolerance,
        budget=stop.entry.budget,
        families=tuple(entries),
    )


def _binds(family: FamilyAtBudget, stop: _Stopped, tolerance: float) -> bool:
    """Whether a family alone would keep its budget from passing."""
    if family.family == stop.family or family.excess > tolerance:
        return True
    if family.p is not None:
        return family.p[0] > stop.level
    return family.upper is None or family.upper > tolerance


def _question(outcomes: _Outcomes, row: int) -> FlippedQuestion:
    raw, compressed = outcomes
    all_chunks = raw.kept_chunks[row].as_py() or ()
    kept_chunks = compressed.kept_chunks[row].as_py() or ()
    known = bool(kept_chunks) and set(kept_chunks) <= set(range(len(all_chunks)))
    return FlippedQuestion(
        sample_id=raw.sample_id[row].as_py(),
        raw_answer=_text(raw.predicted_label[row]),
        answer=_text(compressed.predicted_label[row]),
        right_answer=_text(raw.correct_label[row]),
        raw_seconds=_number(raw.seconds[row]),
        seconds=_number(compressed.seconds[row]),
        chunks=len(all_chunks) if known else None,
        kept_chunks=tuple(sorted(set(kept_chunks))) if known else None,
        raw_hash=_text(raw.kept_hash[row]),
        hash=_text(compressed.kept_hash[row]),
    )


def _text(value: pa.StringScalar) -> str | None:
    text = value.as_py()
    return None if text is None else shortened(text, _MOST_TEXT)


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
