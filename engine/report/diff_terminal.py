"""A comparison of two certificates for a terminal: the verdict, two tables of 80 columns, and sentences."""

from earmark.engine.printable import WIDTH, wrapped
from earmark.engine.report.diff_words import (
    DECISION_COLUMNS,
    bound,
    decision_rows,
    family_cells,
    headline,
    ordered,
    remarks,
)
from earmark.engine.report.terminal import aligned
from earmark.engine.signoff.diff.diff_entry import Diff, FamilyChange

_COLUMNS = ("method", "family", "at", "before", "now", "worse", "better", "p", "verdict")
_MOST_UNDECIDED = 5  # rows that show nothing yet, the nearest to showing something first


def diff_lines(diff: Diff) -> list[str]:
    """Lines: the verdict, what may be shipped, the families, and what a reader must know."""
    lines = wrapped(headline(diff), WIDTH)
    if diff.decisions:
        rows = decision_rows(diff.decisions)
        keep = [
            i for i, name in enumerate(DECISION_COLUMNS) if name != "family" or any(c.family for c in diff.decisions)
        ]
        lines += ["", "what may be shipped"]
        lines += aligned([tuple(row[i] for i in keep) for row in (DECISION_COLUMNS, *rows)], WIDTH)
        lines += [line for remark in remarks(diff.decisions) for line in wrapped(f"  {remark}", WIDTH)]
    lines += _families(diff)
    lines += ["", *wrapped(bound(diff), WIDTH)]
    for label, sentences in (("not comparable", diff.not_comparable), ("looser", diff.looser), ("note", diff.notes)):
        lines += [line for sentence in sentences for line in wrapped(f"{label}: {sentence}", WIDTH)]
    return lines


def _families(diff: Diff) -> list[str]:
    """A table for each answerer, corpus and partition, of what is shown and of a little that is not."""
    groups: dict[tuple[str, str, str], list[FamilyChange]] = {}
    for change in diff.families:
        groups.setdefault((change.answerer, change.corpus, change.partition), []).append(change)
    lines = []
    for (answerer, corpus, partition), changes in groups.items():
        undecided = [change for change in ordered(changes) if change.verdict == "undecided"]
        shown = [change for change in ordered(changes) if change.verdict in ("worse", "better")]
        shown += undecided[:_MOST_UNDECIDED]
        lines += ["", f"{answerer} on {corpus}, families by {partition}, excess in points"]
        if shown:
            lines += aligned([_COLUMNS, *map(_row, shown)], WIDTH)
        rest, same = len(undecided[_MOST_UNDECIDED:]), sum(change.verdict == "same" for change in changes)
        lines += [f"  undecided: {rest} more"] if rest else []
        lines += [f"  same: {same} of {len(changes)}"] if same else []
    return lines


def _row(change: FamilyChange) -> tuple[str, ...]:
    method = change.method + (f" seed {change.seed}" if change.seed else "")
    return method, change.family, f"{change.budget:g}", *family_cells(change)
