"""A comparison of two certificates as Markdown, as the summary of a step of continuous integration shows it."""

from earmark.engine.report.diff_words import (
    DECISION_COLUMNS,
    bound,
    decision_rows,
    family_cells,
    headline,
    ordered,
    remarks,
)
from earmark.engine.report.markdown import markdown, markdown_table
from earmark.engine.report.words import sentence
from earmark.engine.signoff.diff.diff_entry import Diff

_COLUMNS = (
    "method", "seed", "partition", "family", "budget", "excess before", "excess now", "worse", "better", "p", "verdict"
)  # fmt: skip
_MOST_ROWS = 100


def diff_markdown(diff: Diff) -> list[str]:
    """The lines of a section: the verdict, what may be shipped, the families that changed, and sentences."""
    word, _, why = headline(diff).partition(": ")
    names_come_first = diff.verdict not in ("same", "undecided")
    lines = [f"## Earmark: {word}", "", markdown(f"{why}." if names_come_first else sentence(why)), ""]
    if diff.decisions:
        lines += [*markdown_table(DECISION_COLUMNS, decision_rows(diff.decisions)), ""]
    lines += [line for remark in remarks(diff.decisions) for line in (f"- {markdown(remark)}.", "")]
    changed = [change for change in ordered(diff.families) if change.verdict != "same"]
    if changed:
        rows = [
            (change.method, change.seed, change.partition, change.family, f"{change.budget:g}", *family_cells(change))
            for change in changed[:_MOST_ROWS]
        ]
        lines += ["Excess in points.", "", *markdown_table(_COLUMNS, rows), ""]
    same = len(diff.families) - len(changed)
    more = len(changed) - len(changed[:_MOST_ROWS])
    lines += [f"{more:,} more rows are in the JSON.", ""] if more else []
    lines += [f"{same:,} of {len(diff.families):,} comparisons of families are the same.", ""] if same else []
    lines += [markdown(bound(diff))]
    for label, sentences in (("Not comparable", diff.not_comparable), ("Looser", diff.looser), ("Note", diff.notes)):
        lines += ["", *(f"- **{label}:** {markdown(words)}" for words in sentences)] if sentences else []
    return lines
