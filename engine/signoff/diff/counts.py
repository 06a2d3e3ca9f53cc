"""What the counts of two certificates say of the same questions, where their outcomes are not there.

Among the same questions with the same raw answers, one whose compressed answer changed differs from raw in at least one
of the two. The counts of changes from raw therefore bound how many changed, and the sign test of the most that they
allow has a p no smaller than that of the questions themselves. Knows counts; no outcomes.
"""

from pathlib import PurePosixPath

from earmark.engine.design.keys import CellKey
from earmark.engine.outcomes.store import CELLS
from earmark.engine.signoff.certificate import Certificate
from earmark.engine.signoff.diff.paired_questions import ChangedUnits
from earmark.engine.signoff.result_entry import FamilyAtBudget, ResultFamily


def units(family: ResultFamily, before: FamilyAtBudget, now: FamilyAtBudget) -> ChangedUnits | str:
    """The most units that can have changed; or why the counts do not say."""
    if family.recordings < family.n:
        return "questions share recordings: only the run folders say which of them changed together"
    if not (_of_zeros_and_ones(before) and _of_zeros_and_ones(now)):
        return "losses are not 0 or 1: only the run folders say which of them rose"
    n_worse, n_better = now.plus + before.minus, now.minus + before.plus
    return ChangedUnits(n_worse, n_better, float(n_worse - n_better))


def _of_zeros_and_ones(family: FamilyAtBudget) -> bool:
    """Whether the excess is what the counts alone make of it."""
    return abs(family.excess * family.n - (family.plus - family.minus)) < 1e-6


def same_cells(old: Certificate, new: Certificate) -> frozenset[CellKey]:
    """The cells whose outcomes are, byte for byte, those of before."""
    before, now = _hashes(old), _hashes(new)
    return frozenset(key for key in before.keys() & now.keys() if before[key] == now[key])


def _hashes(certificate: Certificate) -> dict[CellKey, set[str]]:
    """The hashes of the files of each cell."""
    hashes: dict[CellKey, set[str]] = {}
    for file in certificate.inputs:
        folder = PurePosixPath(file.path).parent
        if folder.parts[:1] == (CELLS,):
            hashes.setdefault(CellKey.from_path(folder.relative_to(CELLS)), set()).add(file.sha256)
    return hashes
