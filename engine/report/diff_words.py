"""What a comparison of two certificates says first, and the rows of its tables, for a terminal and for Markdown alike.

Takes every verdict as it is. Knows typography only.
"""

from collections.abc import Sequence

from earmark.engine.errors import first_few
from earmark.engine.report.numbers import NONE, POINTS, count, p_value
from earmark.engine.signoff.diff.diff_entry import DecisionChange, Diff, DiffWord, FamilyChange

DECISION_COLUMNS = ("candidate", "family", "tolerance", "before", "now", "verdict")
_ORDER: tuple[DiffWord, ...] = ("worse", "not comparable", "better", "undecided", "same")


def headline(diff: Diff) -> str:
    """The verdict, and what it rests on."""
    return f"{diff.verdict}: {_why(diff)}"


def _why(diff: Diff) -> str:
    if diff.verdict == "same":
        if any(change.before_by_own != change.now_by_own for change in diff.decisions):
            return "no answer changed, and by the stricter rule no approval"
        return "no answer and no approval changed" if diff.families else "no approval changed"
    if diff.verdict == "undecided":
        return "nothing is shown to be worse, or better"
    if diff.verdict == "not comparable":
        reasons = [f"{_who(change)}: {change.reason}" for change in diff.decisions if change.verdict == diff.verdict]
        return (diff.not_comparable or reasons)[0].removesuffix(".")
    decisions = [f"{_who(change)} is {change.reason}" for change in diff.decisions if change.verdict == diff.verdict]
    families = dict.fromkeys(change.family for change in diff.families if change.verdict == diff.verdict)
    answers = [f"the answers of {first_few(families)} are {diff.verdict}"] if families else []
    return "; ".join([*first_two(decisions), *answers])


def first_two(sentences: Sequence[str]) -> list[str]:
    """The first two sentences, and how many more there are."""
    return [*sentences[:2], *([f"{len(sentences) - 2} more"] if len(sentences) > 2 else [])]


def _who(change: DecisionChange) -> str:
    return change.candidate if not change.family else f"{change.candidate} for '{change.family}'"


def decision_rows(changes: Sequence[DecisionChange]) -> list[tuple[str, ...]]:
    """What may be shipped of each candidate, before and now; by its own rule where nothing is comparable."""
    return [
        (
            change.candidate,
            change.family or "all",
            f"{change.tolerance:g}",
            _budget(change.before_by_own if change.verdict == "not comparable" else change.before),
            _budget(change.now_by_own if change.verdict == "not comparable" else change.now),
            change.verdict,
        )
        for change in changes
    ]


def remarks(changes: Sequence[DecisionChange]) -> list[str]:
    """What the rows do not say: why nothing is comparable, and what looser rules approve."""
    sentences = []
    for change in changes:
        if change.verdict in ("not comparable", "undecided"):
            sentences.append(f"{_who(change)}: {change.reason}")
        elif (change.before, change.now) != (change.before_by_own, change.now_by_own):
            by_own = f"before {_budget(change.before_by_own)}, now {_budget(change.now_by_own)}"
            sentences.append(f"{_who(change)}: each by its own rule approves {by_own}")
    return list(dict.fromkeys(sentences))


def _budget(budget: float | None) -> str:
    return "none" if budget is None else f"{budget:g}"


def ordered(changes: Sequence[FamilyChange]) -> list[FamilyChange]:
    """What is shown before what is not, and what is nearest to being shown before the rest."""
    return sorted(changes, key=lambda change: (_ORDER.index(change.verdict), _least_p(change)))


def _least_p(change: FamilyChange) -> float:
    return min((p for p in (change.p_worse, change.p_better) if p is not None), default=2.0)


def family_cells(change: FamilyChange) -> tuple[str, ...]:
    """Excess before and now in points, units that got worse and better, the smaller p, and the verdict."""
    least = _least_p(change)
    return (
        POINTS.number(change.excess_before, signed=True),
        POINTS.number(change.excess_now, signed=True),
        NONE if change.n_worse is None else count(change.n_worse),
        NONE if change.n_better is None else count(change.n_better),
        p_value(None if least > 1 else least),
        change.verdict,
    )


def bound(diff: Diff) -> str:
    """What the verdicts of families rest on, and how often they err."""
    if not diff.families:
        compared = any(change.verdict != "not comparable" for change in diff.decisions)
        return "No answers were compared." if compared else "Nothing was compared."
    way = (
        "The same questions were paired, one by one."
        if diff.way == "questions"
        else "Counts were compared: worse and better are the most that they allow."
    )
    if not diff.n_tests:
        return f"{way} In none of {len(diff.families):,} comparisons did enough answers change to show anything."
    return (
        f"{way} The chance that any family that got no worse is called worse is at most {diff.alpha:g}, over the "
        f"{diff.n_tests:,} of {len(diff.families):,} comparisons in which enough answers changed to show anything."
    )
