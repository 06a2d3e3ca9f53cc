"""The rows of a cell without an answer: whose doing that is, and whether there are more than were declared."""

import math
from collections import Counter

import pyarrow as pa

from earmark.engine.design.keys import COMPRESSOR, NOT_ASKED, OK, TOO_SHORT
from earmark.engine.design.rule import Rule
from earmark.engine.errors import UncertifiableError, first_few
from earmark.engine.outcomes import store
from earmark.engine.signoff.certificate import CellErrors

_AGAIN = "correct what they name, and run again in another folder"


def failed_rows(cell: store.Cell, rule: Rule) -> list[CellErrors]:
    """The rows of a cell without an answer, if any; refuses a cell whose rate of failures is above the declared one."""
    needed = cell.asked
    mask = pa.array(~cell.ok & needed)
    ids, status = cell.sample_id.filter(mask).to_pylist(), cell.status.filter(mask).to_pylist()
    if not ids:
        return []
    if rule.loss == "nll":
        raise UncertifiableError(
            cell.files[0].path,
            f"{len(ids)} rows without an answer have no nll",
            "run them again, or use --loss zero-one",
        )
    n_not_asked, n_too_short = (sum(words.startswith(mark) for words in status) for mark in (NOT_ASKED, TOO_SHORT))
    complaints = Counter(words for words in status if words.startswith(COMPRESSOR))
    harm = (NOT_ASKED, TOO_SHORT, COMPRESSOR)
    failed = [f"{i}: {s}" for i, s in zip(ids, status, strict=True) if not s.startswith(harm)]
    n_asked = int(needed.sum()) - n_not_asked
    if len(failed) > rule.max_error_rate * n_asked + 1e-9:
        share = math.ceil(1e4 * len(failed) / n_asked) / 1e4  # rounded up, so that declaring it is enough
        raise UncertifiableError(
            cell.files[0].path,
            f"{len(failed)} of {n_asked} rows that were asked have a status other than '{OK}' ({first_few(failed)})",
            f"declare --max-error-rate {share:g}: they count as harm, and nothing is asked again; or {_AGAIN}"
            if share < 1
            else _AGAIN,
        )
    first = tuple(f"{i}: {s}" for i, s in zip(ids[:3], status[:3], strict=True))
    key = cell.key
    return [
        CellErrors(
            *(key.answerer, key.corpus, key.method, key.seed, key.stream, key.budget),
            rows=len(cell),
            errors=len(failed),
            not_asked=n_not_asked,
            too_short=n_too_short,
            first=first,
            compressor=complaints.total(),
            complaint=min(complaints, key=lambda words: (-complaints[words], words), default=None),
        )
    ]
