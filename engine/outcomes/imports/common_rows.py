"""Only the questions that all logs of an import have, where a person declares that the others be left out.

What is left out is said, with its families: rows that one log lacks may be those that went wrong. Knows rows only.
"""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from earmark.engine.design.keys import CellKey
from earmark.engine.errors import InputError
from earmark.engine.outcomes.imports.rows import Log, LogRow
from earmark.engine.printable import more_families

_MOST_LISTED = 5  # families


class CommonRows(NamedTuple):
    """Logs of the same questions, and what was left out of them as a plain sentence."""

    logs: Mapping[CellKey, Log]
    left_out: str | None  # None where all had the same questions


def common_rows(logs: Mapping[CellKey, Log]) -> CommonRows:
    """The logs without the rows that not all of them have; InputError where they share none."""
    rows = {key: {row.sample_id: row for row in log.rows} for key, log in logs.items()}
    every_row = {sample_id: row for by_id in rows.values() for sample_id, row in by_id.items()}
    shared = {sample_id for sample_id in every_row if all(sample_id in by_id for by_id in rows.values())}
    if len(shared) == len(every_row):
        return CommonRows(logs, None)
    if not shared:
        raise InputError(
            "--common", "no question is in all of the logs", "check --id, and that the logs are of one task"
        )
    lacking = {key: len(every_row) - len(by_id) for key, by_id in rows.items() if len(by_id) < len(every_row)}
    return CommonRows(
        {key: _only(log, shared) for key, log in logs.items()},
        f"of {len(every_row)} questions only the {len(shared)} that all logs hold are compared (--common). Left out: "
        f"{_families(every_row, shared)}; {_who(lacking)}. What these questions would have shown nobody knows: "
        "answers that failed may be among them",
    )


def _only(log: Log, sample_ids: set[str]) -> Log:
    places = [place for place, row in enumerate(log.rows) if row.sample_id in sample_ids]
    rows, records = [log.rows[place] for place in places], [log.records[place] for place in places if log.records]
    return log._replace(rows=rows, records=records)


def _families(rows: Mapping[str, LogRow], shared: set[str]) -> str:
    """`20 of 90 'speech', 10 of 90 'sound'`: the families that lose most of theirs first."""
    sizes = Counter(row.family for row in rows.values())
    lost = Counter(row.family for sample_id, row in rows.items() if sample_id not in shared)
    worst_first = sorted(lost, key=lambda family: (-lost[family] / sizes[family], family))
    listed = [f"{lost[family]} of {sizes[family]} '{family}'" for family in worst_first[:_MOST_LISTED]]
    more = len(worst_first) - len(listed)
    return ", ".join(listed) + (f" and of {more_families(more)}" if more else "")


def _who(lacking: Mapping[CellKey, int]) -> str:
    names = [f"{key.method}@{key.budget:g} lacks {n}" for key, n in sorted(lacking.items())[:_MOST_LISTED]]
    more = len(lacking) - len(names)
    return ", ".join(names) + (f", {more} more logs lack some" if more else "")
